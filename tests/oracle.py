"""The oracle: torch itself, run on the meta device and corrected where that differs from a real run.

The package predicts which input sizes a model accepts; nothing here shares a formula with it. Shapes are
tuples of ints, or tuples of such tuples for a model with several inputs.
"""

from __future__ import annotations

import copy
import itertools
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import fields, is_dataclass
from typing import Any

import torch
from meta_corrections import CorrectedMeta
from torch import Tensor, nn

Shape = tuple[int, ...]
Template = tuple[int | str, ...]
Point = tuple[int, ...]


class OracleUnsure(Exception):
    """The meta device cannot say: the model reads values, or an operator has no meta kernel."""


def to_meta(model: nn.Module) -> nn.Module:
    """A structural copy on the meta device; no weight is copied, shared weights stay shared.

    Tensors and modules kept in plain attributes, lists, tuples and dicts are found as well.
    """
    memo: dict[int, Any] = {}
    for tensor in _tensors(model, set()):
        memo[id(tensor)] = _meta_twin(tensor)
    return copy.deepcopy(model, memo)


def runs(
    model: nn.Module,
    shape: Shape | tuple[Shape, ...],
    training: bool = False,
    dtypes: Sequence[torch.dtype] = (),
) -> bool:
    """Does torch run this meta copy on inputs of this shape? Raises OracleUnsure where it cannot know."""
    try:
        _forward(model, shape, training, dtypes)
    except OracleUnsure:
        raise
    except Exception:
        return False
    return True


def outputs(
    model: nn.Module,
    shape: Shape | tuple[Shape, ...],
    training: bool = False,
    dtypes: Sequence[torch.dtype] = (),
) -> tuple[Shape, ...]:
    """The shapes of all tensors in the output, in order; raises what the model raises."""
    return tuple(tuple(t.shape) for t in _output_tensors(_forward(model, shape, training, dtypes)))


def refusal(
    model: nn.Module,
    shape: Shape | tuple[Shape, ...],
    training: bool = False,
    dtypes: Sequence[torch.dtype] = (),
) -> str:
    """The message with which the model refuses the shape, "" where it accepts it."""
    try:
        _forward(model, shape, training, dtypes)
    except OracleUnsure:
        raise
    except Exception as error:
        return f"{type(error).__name__}: {error}"
    return ""


def really_runs(
    model: nn.Module,
    shape: Shape | tuple[Shape, ...],
    training: bool = False,
    dtypes: Sequence[torch.dtype] = (),
) -> bool:
    """As `runs`, with real values on the CPU, on a copy of the model: slow, and never unsure."""
    real = copy.deepcopy(model).train(training)
    try:
        with torch.no_grad():
            real(*map(_ramp, _inputs(shape, dtypes, torch.device("cpu"))))
    except Exception:
        return False
    return True


def fill(template: Template | tuple[Template, ...], point: Point, batch: int) -> Shape | tuple[Shape, ...]:
    """A concrete shape: ("N", 3, "H", "W") or (1, 3, "H", "W") at (5, 7), batch 2 -> (2, 3, 5, 7).

    Axes are numbered in the order in which their names first appear; the first entry is the batch.
    """
    templates = _each(template)
    sizes = dict(zip(axes(template), point, strict=True))
    filled = tuple((batch, *(e if isinstance(e, int) else sizes[e] for e in one[1:])) for one in templates)
    return filled if _is_several(template) else filled[0]


def axes(template: Template | tuple[Template, ...]) -> tuple[str, ...]:
    """The axis names of a template in order of appearance, the batch excluded."""
    named = (entry for one in _each(template) for entry in one[1:] if isinstance(entry, str))
    return tuple(dict.fromkeys(named))


def accepted(
    model: nn.Module,
    points: Iterable[Point],
    template: Template | tuple[Template, ...],
    training: bool = False,
    batch: int = 2,
    dtypes: Sequence[torch.dtype] = (),
) -> set[Point]:
    """Those of `points` that torch accepts."""
    meta = to_meta(model)
    return {p for p in points if runs(meta, fill(template, p, batch), training, dtypes)}


def accepted_square(
    model: nn.Module,
    sizes: Iterable[int],
    template: Template | tuple[Template, ...],
    training: bool = False,
    batch: int = 2,
    dtypes: Sequence[torch.dtype] = (),
) -> list[int]:
    """Those of `sizes` that torch accepts on every axis at once."""
    rank = len(axes(template))
    points = accepted(model, ((size,) * rank for size in sizes), template, training, batch, dtypes)
    return sorted(point[0] for point in points)


def box(low: int, high: int, rank: int) -> Iterator[Point]:
    """Every point with all axes in [low, high]."""
    return itertools.product(range(low, high + 1), repeat=rank)


def _forward(
    model: nn.Module, shape: Shape | tuple[Shape, ...], training: bool, dtypes: Sequence[torch.dtype]
) -> object:
    device = torch.device("meta")
    model.train(training)
    try:
        with torch.no_grad(), device, CorrectedMeta():
            return model(*_inputs(shape, dtypes, device))
    except Exception as error:
        if _is_artefact(error):
            raise OracleUnsure(f"{type(error).__name__}: {error}") from error
        raise


def _is_artefact(error: Exception) -> bool:
    text = str(error).lower()
    return "meta" in text or "aten::" in text


def _inputs(
    shape: Shape | tuple[Shape, ...], dtypes: Sequence[torch.dtype], device: torch.device
) -> list[Tensor]:
    shapes = _each(shape)
    kinds = [*dtypes, *[torch.float32] * (len(shapes) - len(dtypes))]
    return [torch.zeros(one, dtype=kind, device=device) for one, kind in zip(shapes, kinds, strict=True)]


def _ramp(tensor: Tensor) -> Tensor:
    """Rising values, so that a max pool's indices are the largest that they can be; zeros for indices."""
    if not tensor.is_floating_point():
        return tensor
    return torch.arange(tensor.numel(), dtype=tensor.dtype).reshape(tensor.shape)


def _is_several(value: tuple[Any, ...]) -> bool:
    return bool(value) and isinstance(value[0], tuple)


def _each(value: tuple[Any, ...]) -> tuple[Any, ...]:
    return value if _is_several(value) else (value,)


def _meta_twin(tensor: Tensor) -> Tensor:
    twin = torch.empty_strided(tensor.size(), tensor.stride(), dtype=tensor.dtype, device="meta")
    if isinstance(tensor, nn.Parameter):
        return nn.Parameter(twin, requires_grad=tensor.requires_grad)
    return twin


def _tensors(value: object, seen: set[int]) -> Iterator[Tensor]:
    if id(value) in seen:
        return
    seen.add(id(value))
    if isinstance(value, Tensor):
        yield value
    elif isinstance(value, Mapping):
        for item in value.values():
            yield from _tensors(item, seen)
    elif isinstance(value, list | tuple | set):
        for item in value:
            yield from _tensors(item, seen)
    elif isinstance(value, nn.Module):
        yield from _tensors(vars(value), seen)


def _output_tensors(value: object) -> Iterator[Tensor]:
    if isinstance(value, Tensor):
        yield value
    elif isinstance(value, Mapping):
        for item in value.values():
            yield from _output_tensors(item)
    elif isinstance(value, list | tuple):
        for item in value:
            yield from _output_tensors(item)
    elif is_dataclass(value) and not isinstance(value, type):
        for entry in fields(value):
            yield from _output_tensors(getattr(value, entry.name))
