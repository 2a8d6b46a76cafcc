"""Cancelling equal factors of two products of dimensions, so that the sizes of a view stay simple."""

from __future__ import annotations

import math
from collections.abc import Sequence

from autofix.ops.base import Call
from autofix.size import Dim, Joint, content, identical, product


def cancel(call: Call, numerator: Sequence[Dim], denominator: Sequence[Dim]) -> tuple[list[Dim], list[Dim]]:
    """What is left of two products after taking equal factors out of both: sizes first, then constants."""
    left, right = _factors(numerator), []
    constants = 1
    for factor in _factors(denominator):
        if isinstance(factor, int):
            constants *= factor
        elif not _take(call, left, factor):
            times = _take_part(call, left, factor)
            constants *= times or 1
            right += [] if times else [factor]
    for position, dim in enumerate(left if constants else ()):
        common = math.gcd(constants, content(dim))
        if common > 1:
            left[position], constants = dim // common, constants // common
    return left, [*right, constants]


def quotient(call: Call, dim: Dim, divisor: Dim) -> Dim | None:
    """dim / divisor, where that is a whole number at every size at which nothing required so far fails."""
    if isinstance(divisor, int):
        return _parted(call, dim, divisor)
    left, right = cancel(call, [dim], [divisor])
    return product(left) if right == [1] else None


def _parted(call: Call, dim: Dim, divisor: int) -> Dim | None:
    """A product divided by a number, of which each factor takes its part."""
    parts = []
    for factor in _factors([dim]):
        several = sorted((d for d in range(2, divisor + 1) if divisor % d == 0), reverse=True)
        taken = next((d for d in several if _divides(call, d, factor)), 1)
        parts.append(factor // taken)
        divisor //= taken
    return product(parts) if divisor == 1 else None


def _divides(call: Call, divisor: int, dim: Dim) -> bool:
    if content(dim) % divisor == 0:
        return True
    return not isinstance(dim, int) and call.times(dim, dim // divisor) == divisor


def _factors(dims: Sequence[Dim]) -> list[Dim]:
    found: list[Dim] = []
    for dim in dims:
        found.extend(_factors((dim.left, dim.right)) if isinstance(dim, Joint) and dim.op == "*" else [dim])
    return found


def _take(call: Call, left: list[Dim], factor: Dim) -> bool:
    """Divide one of the factors on the left, exactly; False where none is a multiple."""
    for position, dim in enumerate(left):
        if identical(dim, factor):
            del left[position]
            return True
    for position, dim in enumerate(left):
        times = call.times(dim, factor)
        if times:
            left[position] = times
            return True
    return False


def _take_part(call: Call, left: list[Dim], factor: Dim) -> int | None:
    """Divide the factor by one of those on the left: what remains of it; None where it is no multiple."""
    for position, dim in enumerate(left):
        times = call.times(factor, dim)
        if times:
            del left[position]
            return times
    return None
