"""The arguments of a site: what they refer to, and what they are once that is known."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from autofix import ops
from autofix.ops.base import Op
from autofix.program import Ref, Site


class Unknown:
    """The value of a site whose operator has no rule, and of everything computed from it."""

    def __repr__(self) -> str:
        return "?"


UNKNOWN = Unknown()


def references(value: Any) -> Iterator[int]:
    """The sites an argument structure refers to."""
    if isinstance(value, Ref):
        yield value.site
    elif isinstance(value, dict):
        for item in value.values():
            yield from references(item)
    elif isinstance(value, slice):
        yield from references((value.start, value.stop, value.step))
    elif isinstance(value, tuple | list):
        for item in value:
            yield from references(item)


def resolved(site: Site, values: Sequence[Any]) -> tuple[tuple[Any, ...], dict[str, Any]]:
    """The arguments of a site, with earlier values in the place of references."""
    return resolve(site.args, values), resolve(site.kwargs, values)


def hyper_at(site: Site, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> dict[str, Any]:
    """The keyword arguments of a site's rule, as the model has them."""
    row = row_of(site)
    assert row is not None
    op, preset = row
    layer = op.hyper(site.module) if site.module is not None else {}
    return dict(op.signature.bind_partial(None, *args, **{**preset, **layer, **kwargs}).arguments)


def row_of(site: Site) -> tuple[Op, Mapping[str, Any]] | None:
    """The operator table's row for a site, with the arguments its target presets."""
    if site.module is not None:
        return ops.lookup_module(site.module)
    return ops.lookup(site.target)


def resolve(value: Any, values: Sequence[Any]) -> Any:
    """A structure of arguments with values in the place of references."""
    kind = type(value)
    if kind is Ref:
        return values[value.site]
    if kind is tuple:
        return tuple([resolve(item, values) for item in value])
    if kind is list:
        return [resolve(item, values) for item in value]
    if kind is dict:
        return {key: resolve(item, values) for key, item in value.items()}
    if kind is slice:
        return slice(resolve(value.start, values), resolve(value.stop, values), resolve(value.step, values))
    if isinstance(value, tuple):
        return kind(*[resolve(item, values) for item in value])
    return value


def contains_unknown(value: Any) -> bool:
    """Whether some argument comes from a site whose operator has no rule."""
    if value is UNKNOWN:
        return True
    if isinstance(value, tuple | list):
        return any(contains_unknown(item) for item in value)
    return isinstance(value, dict) and any(contains_unknown(item) for item in value.values())
