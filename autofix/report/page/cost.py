"""What the model costs to run: parameters, FLOPs and activation memory, measured on the meta device."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from autofix.meta import meta_inputs, to_meta, undisturbed
from autofix.program import InputShapes
from autofix.repair import Fix

FARTHEST = 512  # how far beyond the smallest size asked for a size is looked for that worked before


@dataclass(frozen=True)
class Usage:
    """FLOPs of one forward pass of one sample, and the bytes that autograd keeps for the backward pass."""

    flops: int
    activations: int


@dataclass(frozen=True)
class Point:
    """One input size, before and after; None where the model does not run there."""

    label: str
    size: tuple[int, ...]
    before: Usage | None
    after: Usage | None


@dataclass(frozen=True)
class Cost:
    parameters: tuple[int, int]
    points: tuple[Point, ...]


def cost(fix: Fix) -> Cost:
    """At the smallest size asked for, at the one the model worked from before, and at the largest."""
    before, after = fix.before.analysis.evaluating.pieces[0].program.root, to_meta(fix.model)
    inputs = fix.before.analysis.inputs
    points = [
        Point(label, size, usage(before, inputs, size), usage(after, inputs, size))
        for label, size in _sizes(fix).items()
    ]
    return Cost((_parameters(before), _parameters(after)), tuple(points))


def reference(fix: Fix) -> tuple[int, ...]:
    """The smallest size asked for at which the original runs too, equally far along each axis."""
    lows = tuple(fix.before.box[axis][0] for axis in range(len(fix.before.axes)))
    for more in range(FARTHEST):
        size = tuple(low + more for low in lows)
        if fix.before.accepts(*size):
            return size
    return lows


def _asked_reference(fix: Fix) -> tuple[int, ...]:
    """The reference size, where one was given that the search would not have taken by itself."""
    lows = [fix.before.box[axis][0] for axis in range(len(fix.before.axes))]
    usual = tuple(
        max(low, minimum or low) for low, minimum in zip(lows, fix.before.minimum_input, strict=True)
    )
    return fix.reference if fix.reference != usual else ()


def _sizes(fix: Fix) -> dict[str, tuple[int, ...]]:
    axes = range(len(fix.before.axes))
    lowest = tuple(fix.before.box[axis][0] for axis in axes)
    largest = [fix.before.box[axis][1] for axis in axes]
    bounded = tuple(size for size in largest if size is not None)
    asked, works = _asked_reference(fix), reference(fix)
    sizes = {"smallest size asked for": lowest, "smallest size that worked before": works}
    if asked:
        sizes["reference size"] = works = asked
    if len(bounded) == len(largest):
        sizes["largest size asked for"] = bounded
    else:
        sizes["twice that (no largest size was given)"] = tuple(2 * size for size in works)
    first = {size: label for label, size in reversed(sizes.items())}
    return {label: size for label, size in sizes.items() if first[size] == label}


def _parameters(model: nn.Module) -> int:
    return sum(parameter.numel() for parameter in model.parameters())


def usage(model: nn.Module, inputs: InputShapes, size: tuple[int, ...]) -> Usage | None:
    """Run a model on the meta device, in eval mode, one sample; None where it refuses."""
    counter, kept = FlopCounterMode(display=False), _Kept(model)
    with _evaluating(model), undisturbed(model), torch.enable_grad():
        try:
            with counter, torch.autograd.graph.saved_tensors_hooks(kept.keep, kept.back):
                result = model(*meta_inputs(model, inputs.concrete(size, 1), inputs.integer))
        except Exception:  # the model's own code may raise anything where a size does not fit
            return None
        del result
    return Usage(counter.get_total_flops(), kept.bytes)


@contextmanager
def _evaluating(model: nn.Module) -> Iterator[None]:
    modes = {module: module.training for module in model.modules()}
    model.eval()
    try:
        yield
    finally:
        for module, training in modes.items():
            module.training = training


class _Kept:
    """Counts each storage that autograd keeps once, the model's own weights apart."""

    def __init__(self, model: nn.Module) -> None:
        owned = (*model.parameters(), *model.buffers())
        self.seen = {tensor.untyped_storage()._cdata for tensor in owned}
        self.alive: list[torch.Tensor] = []
        self.bytes = 0

    def keep(self, tensor: torch.Tensor) -> torch.Tensor:
        storage = tensor.untyped_storage()
        if storage._cdata not in self.seen:
            self.seen.add(storage._cdata)
            self.alive.append(tensor)
            self.bytes += storage.nbytes()
        return tensor

    @staticmethod
    def back(tensor: Any) -> Any:
        return tensor
