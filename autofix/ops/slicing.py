"""Slices of a dimension, exactly as Python and torch clamp them, in the arithmetic of sizes."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from autofix.condition import at_least
from autofix.fault import Code
from autofix.ops.base import Call, Refused, Tensor, Unmodelled
from autofix.size import Dim, Joint, Size, ceil_divide, identical, is_dim, larger, smaller


def sliced(call: Call, n: Dim, index: slice) -> Dim:
    """The length of `x[start:stop:step]` along a dimension of size n, of which something has to be left."""
    result = extent(call, n, index)
    not_vanished(call, n, result)
    return result


def extent(call: Call, n: Dim, index: slice) -> Dim:
    """The length of `x[start:stop:step]`, which may be 0."""
    start, stop = 0 if index.start is None else index.start, index.stop
    step = 1 if index.step is None else index.step
    if not isinstance(step, int) or not is_dim(start) or not (stop is None or is_dim(stop)):
        raise Unmodelled(f"slice [{start}:{stop}:{step}]")
    if step < 1:
        raise Refused(f"slice step {step}: must be positive")
    return ceil_divide(larger(_extent(call, n, start, stop), 0), step)


def not_vanished(call: Call, n: Dim, result: Dim) -> None:
    """Require silently that something is left of a dimension whose size varies."""
    if not isinstance(n, int):
        call.require(at_least(result, 1), Code.EMPTY, "slice is not empty", needs=1, gets=result, silent=True)


def _extent(call: Call, n: Dim, start: Any, stop: Any) -> Dim:
    """stop - start after clamping, perhaps negative. Plain cases are spelled out to keep results simple."""
    if stop is None and isinstance(start, int):
        return n - start if start >= 0 else smaller(n, -start)
    if identical(start, 0) and isinstance(stop, int):
        return smaller(n, stop) if stop >= 0 else n + stop
    if identical(start, 0):
        return clamped(call, n, stop)
    return (n if stop is None else clamped(call, n, stop)) - clamped(call, n, start)


def clamped(call: Call, n: Dim, bound: Dim) -> Dim:
    """A bound of a slice as a position in [0, n]: negative ones count from the end."""
    return smaller(larger(from_start(call, n, bound), 0), n)


def from_start(call: Call, n: Dim, position: Dim) -> Dim:
    """A position as one that counts from the start: n is added where it is negative."""
    if isinstance(position, int):
        return position if position >= 0 else n + position
    if isinstance(position, Size | Joint) and isinstance(n, int | Size | Joint):
        if call.always(at_least(position, 0)):
            return position
        return n + position if call.always(at_least(-1, position)) else _wrapped(n, position)
    return call.choose(at_least(position, 0), position, n + position)


def _wrapped(n: Dim, position: Dim) -> Dim:
    return position + n * smaller(larger(-position, 0), 1)


def in_range(call: Call, n: Dim, index: Dim) -> None:
    """Require an index, counted from the end where it is negative, to lie within a dimension."""
    what = "index is within the dimension"
    if not isinstance(index, int):
        call.require(at_least(n + index, 0), Code.INDEX, what, needs=0, gets=n + index)
    if not isinstance(index, int) or index >= 0:
        call.require(at_least(n, index + 1), Code.INDEX, what, needs=index + 1, gets=n)
    else:
        call.require(at_least(n, -index), Code.INDEX, what, needs=-index, gets=n)


def resized(input: Tensor, axis: int, n: Dim) -> Tensor:
    """The tensor with another size along a dimension."""
    return replace(input, shape=(*input.shape[:axis], n, *input.shape[axis + 1 :]))


def without(input: Tensor, axis: int) -> Tensor:
    """The tensor without a dimension."""
    return replace(input, shape=(*input.shape[:axis], *input.shape[axis + 1 :]))
