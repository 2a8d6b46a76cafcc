"""What is whole, or equal, at every size that works: simpler than what it is worked out from."""

from __future__ import annotations

from collections.abc import Sequence

from autofix.condition import at_least
from autofix.ops.base import Call
from autofix.ops.factor import cancel, factors
from autofix.size import Dim, Size, axes, content, identical, product


def quotient(call: Call, dim: Dim, divisor: Dim) -> Dim | None:
    """dim / divisor, where that is a whole number at every size at which nothing required so far fails."""
    if isinstance(divisor, int):
        return _parted(call, dim, divisor)
    left, right = cancel(call, [dim], [divisor])
    return product(left) if right == [1] else None


def _parted(call: Call, dim: Dim, divisor: int) -> Dim | None:
    """A product divided by a number, of which each factor takes its part."""
    parts = []
    for factor in factors([dim]):
        several = sorted((d for d in range(2, divisor + 1) if divisor % d == 0), reverse=True)
        taken = next((d for d in several if _divides(call, d, factor)), 1)
        parts.append(factor // taken)
        divisor //= taken
    return product(parts) if divisor == 1 else None


def _divides(call: Call, divisor: int, dim: Dim) -> bool:
    if content(dim) % divisor == 0:
        return True
    return not isinstance(dim, int) and call.times(dim, dim // divisor) == divisor


def axis_by_axis(call: Call, left: Sequence[Dim], right: Sequence[Dim]) -> list[tuple[Dim, Dim]] | None:
    """Pairs of sizes that are equal one by one where their products are: no right one is ever the larger.

    As where windows of 8 x 8 are cut: h * w == 8 * (h // 8) * 8 * (w // 8).
    """
    *others, constant = right
    pairs: list[tuple[Dim, Dim]] = []
    for size in (dim for dim in left if not identical(dim, 1)):
        same = [other for other in others if isinstance(other, Size) and axes(other) == axes(size)]
        if not isinstance(size, Size) or len(same) != 1 or not same[0].curve.rise:
            return None
        (other,) = same
        times = (size.curve.rise * other.curve.period) // (other.curve.rise * size.curve.period)
        if times < 1 or constant % times:
            return None
        pairs, constant = [*pairs, (size, other * times)], constant // times
    several = len({axis for size, _ in pairs for axis in axes(size)}) == len(pairs) == len(others) > 1
    if not several or constant != 1:
        return None
    never_above = all(call.always(at_least(*pair)) and call.always(at_least(pair[0], 1)) for pair in pairs)
    return pairs if never_above else None
