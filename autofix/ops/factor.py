"""Cancelling equal factors of two products of dimensions, so that the sizes of a view stay simple."""

from __future__ import annotations

import math
from collections.abc import Sequence

from autofix.size import Dim, Joint, Size, content

_Known = int | Size | Joint


def identical(left: Dim, right: Dim) -> bool:
    """Whether two dimensions are the same function of the input size; an expression is only like itself."""
    return left is right or (isinstance(left, _Known) and isinstance(right, _Known) and left == right)


def cancel(numerator: Sequence[Dim], denominator: Sequence[Dim]) -> tuple[list[Dim], list[Dim]]:
    """What is left of two products after taking equal factors out of both: sizes first, then constants."""
    left, right = _factors(numerator), []
    constants = 1
    for factor in _factors(denominator):
        if isinstance(factor, int):
            constants *= factor
        elif not _take(left, factor):
            right.append(factor)
    for position, dim in enumerate(left):
        common = math.gcd(constants, content(dim)) if constants else 1
        if common > 1:
            left[position], constants = dim // common, constants // common
    return left, [*right, constants] if constants != 1 or not right else right


def _factors(dims: Sequence[Dim]) -> list[Dim]:
    found: list[Dim] = []
    for dim in dims:
        found.extend(_factors((dim.left, dim.right)) if isinstance(dim, Joint) and dim.op == "*" else [dim])
    return found


def _take(left: list[Dim], factor: Dim) -> bool:
    """Divide one of the factors on the left, exactly; False where none is a multiple."""
    for position, dim in enumerate(left):
        if identical(dim, factor):
            del left[position]
            return True
    for position, dim in enumerate(left):
        times = _multiple(dim, factor)
        if times is not None:
            left[position] = times
            return True
    return False


def _multiple(dim: Dim, factor: Dim) -> int | None:
    """The integer k with dim == k * factor at every size."""
    if not (isinstance(dim, Size) and isinstance(factor, Size) and dim.axis == factor.axis):
        return None
    first = int(factor.curve.table[-1])
    times = int(dim.curve.table[-1]) // first if first else 0
    return times if times and identical(factor * times, dim) else None
