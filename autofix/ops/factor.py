"""Cancelling equal factors of two products of dimensions, so that the sizes of a view stay simple."""

from __future__ import annotations

import math
from collections.abc import Sequence

from autofix.ops.base import Call
from autofix.size import Dim, Joint, content, identical


def cancel(call: Call, numerator: Sequence[Dim], denominator: Sequence[Dim]) -> tuple[list[Dim], list[Dim]]:
    """What is left of two products after taking equal factors out of both: sizes first, then constants."""
    left, right = factors(numerator), []
    constants = 1
    for factor in factors(denominator):
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


def factors(dims: Sequence[Dim]) -> list[Dim]:
    """The dimensions of a product, one by one."""
    found: list[Dim] = []
    for dim in dims:
        found.extend(factors((dim.left, dim.right)) if isinstance(dim, Joint) and dim.op == "*" else [dim])
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
