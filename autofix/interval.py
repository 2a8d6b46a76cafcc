"""Interval arithmetic of sizes: what surely holds when a size is only known to lie between two numbers.

Moore's rules (Interval Analysis, 1966) on integers. It proves that kernels fit along a chain whatever its
period, and nothing about two branches that must agree.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

End = int | float  # a float only where it is infinite


@dataclass(frozen=True, slots=True)
class Interval:
    """Every integer from `low` to `high`, which may be infinite."""

    low: End
    high: End

    @staticmethod
    def of(value: Any) -> Interval:
        return value if isinstance(value, Interval) else Interval(value, value)

    def __add__(self, other: Any) -> Interval:
        other = Interval.of(other)
        return Interval(self.low + other.low, self.high + other.high)

    def __neg__(self) -> Interval:
        return Interval(-self.high, -self.low)

    def __sub__(self, other: Any) -> Interval:
        return Interval(self.low - Interval.of(other).high, self.high - Interval.of(other).low)

    def __rsub__(self, other: Any) -> Interval:
        return Interval.of(other) - self

    def __mul__(self, other: Any) -> Interval:
        return _spanned(_times, self, Interval.of(other))

    __radd__, __rmul__ = __add__, __mul__

    def __floordiv__(self, other: Any) -> Interval:
        return _spanned(_quotient, self, _positive(other))

    def __mod__(self, other: Any) -> Interval:
        divisor = _positive(other)
        unchanged = self.low >= 0 and self.high < divisor.low
        return self if unchanged else Interval(0, divisor.high - 1)

    def larger(self, other: Any) -> Interval:
        """max(self, other)"""
        other = Interval.of(other)
        return Interval(max(self.low, other.low), max(self.high, other.high))

    def hull(self, other: Interval) -> Interval:
        """What lies in either, and between them."""
        return Interval(min(self.low, other.low), max(self.high, other.high))

    def nonnegative(self) -> bool:
        return self.low >= 0


def _positive(divisor: Any) -> Interval:
    interval = Interval.of(divisor)
    if interval.low < 1:
        raise ArithmeticError(f"division by {divisor}")
    return interval


def _spanned(operation: Callable[[End, End], End], left: Interval, right: Interval) -> Interval:
    """From the least to the greatest result over the ends."""
    ends = [operation(a, b) for a in (left.low, left.high) for b in (right.low, right.high)]
    return Interval(min(ends), max(ends))


def _times(left: End, right: End) -> End:
    return 0 if 0 in (left, right) else left * right


def _quotient(left: End, right: End) -> End:
    if math.isinf(left):
        return 0 if math.isinf(right) else left
    if math.isinf(right):
        return 0 if left >= 0 else -1
    return left // right
