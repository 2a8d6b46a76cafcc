"""Every layer of a model over a row of input sizes, read off its exact sizes: what the page draws."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from autofix.analyse import Analysis, Mode, Piece
from autofix.arguments import references
from autofix.fault import Code
from autofix.interpret import Requirement
from autofix.ops.base import Tensor
from autofix.program import Site
from autofix.size import BATCH, at

Numbers = NDArray[np.int64]
Mask = NDArray[np.bool_]
Texts = NDArray[np.object_]
Key = tuple[str, int]  # the name of a site, and how often that name was called before
NEVER = np.iinfo(np.int64).max


@dataclass(frozen=True, eq=False)
class Layer:
    """One call at each sampled input size.

    sizes:  its output without batch and channels, one array for each axis; () where it has no such axes
    told:   what fails here and with which numbers; "" where nothing does
    late:   where an earlier call has already failed, so that this one is never reached
    known:  where the sizes are described at all
    inputs: the calls that it computes from
    """

    key: Key
    site: Site
    inputs: tuple[Key, ...]
    channels: int | None
    sizes: tuple[Numbers, ...]
    known: Mask
    late: Mask
    told: Texts

    @property
    def name(self) -> str:
        return self.site.name

    @property
    def bad(self) -> Mask:
        """Where something that it requires fails."""
        return np.asarray(self.told != "", dtype=bool)


def sampled(analysis: Analysis, sizes: Numbers) -> dict[Key, Layer]:
    """The layers in execution order, for inputs of equal size along every axis and a batch of 2."""
    point = {BATCH: 2, **dict.fromkeys(range(len(analysis.inputs.axes)), sizes)}
    layers: dict[Key, Layer] = {}
    for mode in analysis.modes:
        for piece in mode.pieces:
            inside = np.broadcast_to(piece.domain.at(point), sizes.shape)
            for layer in _layers(mode, piece, point, inside):
                old = layers.get(layer.key)
                layers[layer.key] = layer if old is None else _merged(old, layer, inside)
    return layers


def _merged(old: Layer, new: Layer, inside: Mask) -> Layer:
    """Two readings of one call: on other paths, or in the other mode."""
    fresh = inside & ~old.known
    same = len(old.sizes) == len(new.sizes)
    sizes = [np.where(fresh, b, a) for a, b in zip(old.sizes, new.sizes, strict=True)] if same else old.sizes
    return replace(
        old,
        sizes=tuple(sizes),
        known=old.known | (new.known if same else np.False_),
        late=old.late | new.late,
        told=np.where(old.bad, old.told, new.told),
    )


def _layers(mode: Mode, piece: Piece, point: dict[int, Any], inside: Mask) -> Iterator[Layer]:
    keys = keys_of(piece.program.sites)
    failing, first = _failing(mode, piece, point, inside)
    nothing = np.full(inside.shape, "", dtype=object)
    for site, value in zip(piece.program.sites, piece.meaning.values, strict=True):
        tensor = first_tensor(value)
        dims = tensor.shape[2:] if tensor is not None and tensor.ndim > 2 else ()
        yield Layer(
            key=keys[site.index],
            site=site,
            inputs=tuple(dict.fromkeys(keys[ref] for ref in references((site.args, site.kwargs)))),
            channels=_channels(tensor),
            sizes=tuple(_array(dim, point, inside) for dim in dims),
            known=inside & (tensor is not None),
            late=inside & (first < site.index),
            told=np.where(first >= site.index, failing.get(site.index, nothing), ""),
        )


def keys_of(sites: tuple[Site, ...]) -> tuple[Key, ...]:
    """A name for each site that stays the same when the program is captured again."""
    seen: dict[str, int] = {}
    keys = []
    for site in sites:
        seen[site.name] = seen.get(site.name, -1) + 1
        keys.append((site.name, seen[site.name]))
    return tuple(keys)


def _failing(
    mode: Mode, piece: Piece, point: dict[int, Any], inside: Mask
) -> tuple[dict[int, Texts], Numbers]:
    """What fails at each site, and at each size the first site at which torch stops."""
    found: dict[int, Texts] = {}
    first = np.full(inside.shape, NEVER)
    for requirement in (*mode.required(piece, silent=False), *mode.required(piece, silent=True)):
        bad = inside & ~np.broadcast_to(np.asarray(requirement.condition.at(point), dtype=bool), inside.shape)
        if not bad.any():
            continue
        told = found.setdefault(requirement.site, np.full(inside.shape, "", dtype=object))
        texts = _texts(requirement, point, inside)
        for column in np.flatnonzero(bad & (told == "")).tolist():
            told[column] = texts(column)
        if not requirement.silent:
            first = np.where(bad, np.minimum(first, requirement.site), first)
    return found, first


def _texts(requirement: Requirement, point: dict[int, Any], inside: Mask) -> Callable[[int], str]:
    """`kernel fits the padded input: needs 3, gets 1` at a column."""
    aside = " (torch raises nothing)" if requirement.silent else ""
    aside = " (in train mode)" if requirement.train else aside
    if requirement.needs is None or requirement.gets is None or requirement.code is Code.REFUSED:
        return lambda column: requirement.what + aside
    needs, gets = (_array(dim, point, inside) for dim in (requirement.needs, requirement.gets))
    return lambda column: f"{requirement.what}: needs {needs[column]}, gets {gets[column]}{aside}"


def first_tensor(value: Any) -> Tensor | None:
    """The value, or the first tensor that it holds."""
    if isinstance(value, tuple | list):
        return next((item for item in value if isinstance(item, Tensor)), None)
    return value if isinstance(value, Tensor) else None


def _channels(tensor: Tensor | None) -> int | None:
    channels = tensor.shape[1] if tensor is not None and tensor.ndim > 1 else None
    return channels if isinstance(channels, int) else None


def _array(dim: Any, point: dict[int, Any], inside: Mask) -> Numbers:
    return np.broadcast_to(np.asarray(at(dim, point), dtype=np.int64), inside.shape)
