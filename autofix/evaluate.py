"""The value of one site, by the rule of its operator."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from typing import TYPE_CHECKING, Any

import torch

from autofix.arguments import UNKNOWN, contains_unknown, references, resolve, resolved, row_of
from autofix.changes import Key
from autofix.insertion import Adaptive, CropBack, Insertion, RoundUp
from autofix.ops.base import NO_SIZE, Op, Refused, Stopped, Tensor, Unmodelled
from autofix.ops.index import Integers
from autofix.program import Site
from autofix.ratio import Ratio

if TYPE_CHECKING:
    from autofix.interpret import Interpreter


def evaluate(run: Interpreter, site: Site) -> Any:
    keys = run.keys_of(site)
    insertions = run.insertions(keys)
    value = _value(run, site, keys, insertions)
    for insertion in insertions:
        if isinstance(insertion, Adaptive | RoundUp) and insertion.after and isinstance(value, Tensor):
            value = insertion.resize_value(value)
    return value


def _value(run: Interpreter, site: Site, keys: tuple[Key, Key], insertions: tuple[Insertion, ...]) -> Any:
    if site.kind == "placeholder":
        return next(run.given, site.args[0] if site.args else None)
    if site.kind == "get_attr":
        return _constant(site.kwargs["value"])
    args, kwargs = resolved(site, run.values)
    for insertion in (one for one in insertions if not one.after):
        args, kwargs = _inserted(insertion, run, args, kwargs)
    if site.kind == "output":
        return args[0]
    if contains_unknown(args) or contains_unknown(kwargs):
        return UNKNOWN
    if isinstance(site.target, type) and is_dataclass(site.target):
        return dict(zip((field.name for field in fields(site.target)), args, strict=False)) | kwargs
    row = row_of(site)
    if row is None:
        return _folded(run, site)
    op, preset = row
    hyper = {**preset, **(op.hyper(site.module) if site.module is not None else {})}
    override = run.override(keys)
    if override:
        args, kwargs = _overridden(op, run, args, {**hyper, **kwargs}, override)
        hyper = {}
    return _apply(op, run, args, {**hyper, **kwargs})


def _folded(run: Interpreter, site: Site) -> Any:
    """A function of the model's own constants, really called: its result is the same at every input size."""
    refs = [run.sites[ref] for ref in references((site.args, site.kwargs))]
    if site.kind != "call_function" or any(source.kind != "get_attr" for source in refs):
        raise Unmodelled(f"{site.op_name} has no rule")
    actual = [source.kwargs.get("value") for source in run.sites]
    try:
        with torch.no_grad():
            result = site.target(*resolve(site.args, actual), **resolve(site.kwargs, actual))
    except Exception as error:
        raise Unmodelled(f"{site.op_name} of constants raises {type(error).__name__}: {error}") from error
    return _constant(result)


def _inserted(
    insertion: Insertion, run: Interpreter, args: tuple[Any, ...], kwargs: dict[str, Any]
) -> tuple[tuple[Any, ...], dict[str, Any]]:
    if isinstance(insertion, CropBack):
        return insertion.resize((args, kwargs), next(x for x in run.inputs if isinstance(x, Tensor)))
    assert not isinstance(insertion, RoundUp)
    return insertion.resize((args, kwargs))


def _apply(op: Op, run: Interpreter, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    try:
        value = op.rule(run, *args, **kwargs)
    except (Refused, Unmodelled, Stopped):
        raise
    except Exception as error:
        raise Unmodelled(f"{op.name} is not described for these arguments ({error})") from error
    if isinstance(value, Tensor) and any(isinstance(dim, float | Ratio) for dim in value.shape):
        raise Refused(NO_SIZE)
    return value


def _overridden(
    op: Op, run: Interpreter, args: tuple[Any, ...], kwargs: dict[str, Any], override: Mapping[str, Any]
) -> tuple[tuple[Any, ...], dict[str, Any]]:
    bound = op.signature.bind(run, *args, **kwargs)
    bound.arguments.update(override)
    return bound.args[1:], bound.kwargs


def _constant(value: Any) -> Any:
    if not isinstance(value, torch.Tensor):
        return value
    whole = not (value.is_floating_point() or value.is_complex() or value.dtype == torch.bool)
    return (Integers if whole else Tensor)(tuple(value.shape))
