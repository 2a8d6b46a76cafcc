"""Exact functions of one input size: a finite head, then `f(n + period) = f(n) + rise` for ever.

Floor division by a stride, sums, clamps and comparisons all stay inside this class of functions (they are the
quasi-affine functions of one variable, see Presburger arithmetic), so every size along a single axis of a
convolutional network is one `Curve`, and two curves are equal exactly when their normal forms are.
"""

from __future__ import annotations

import math
from functools import lru_cache
from typing import Any, Final

import numpy as np

from autofix import steps
from autofix.steps import Steps, TooManyRuns

Table = Any  # an array of integers, or Steps where it would be longer than LONGEST
LONGEST: Final = 1 << 17  # entries of a plain table


class CurveTooLong(ArithmeticError):
    """The period of a size is too long to be tabulated."""


class Curve:
    """f(n) for n >= 1. `table` holds f(1) .. f(settled + period); in normal form both are minimal."""

    __slots__ = ("_hash", "period", "rise", "settled", "table")

    def __init__(self, table: Table, settled: int, period: int, rise: int) -> None:
        self.table, self.settled, self.period, self.rise = table, settled, period, rise
        self._hash = hash((settled, period, rise, table.tobytes()))

    def __hash__(self) -> int:
        return self._hash

    def __eq__(self, other: object) -> bool:
        if self is other:
            return True
        return (
            isinstance(other, Curve)
            and self._hash == other._hash
            and (self.settled, self.period, self.rise) == (other.settled, other.period, other.rise)
            and steps.equal(self.table, other.table)
        )

    @property
    def constant(self) -> bool:
        return self.settled == 0 and self.period == 1 and self.rise == 0

    def __call__(self, n: int) -> int:
        index = n - 1
        if index < len(self.table):
            return int(self.table[index])
        turns, rest = divmod(index - self.settled, self.period)
        return int(self.table[self.settled + rest]) + turns * self.rise

    def many(self, sizes: Table) -> Table:
        """f at each of an array of sizes."""
        turns, rest = np.divmod(np.maximum(sizes - 1 - self.settled, 0), self.period)
        index = np.where(sizes - 1 < self.settled, sizes - 1, self.settled + rest)
        result: Table = self.table[index] + turns * self.rise
        return result

    def stretch(self, settled: int, period: int) -> Table:
        """The table of a longer head and a multiple of the period."""
        if settled == self.settled and period == self.period:
            return self.table
        if settled + period <= LONGEST:
            return self.many(np.arange(1, settled + period + 1))
        try:
            head, period_ = self.table[: self.settled], self.table[self.settled :]
            return Steps.repeated(head, period_, self.rise, settled + period)
        except TooManyRuns:
            raise CurveTooLong(f"a size repeats only after {settled + period:,} input sizes") from None

    def smallest(self, lowest: int, highest: int | None) -> int | None:
        """The smallest n in [lowest, highest] at which an indicator curve (0 or 1) is 0."""
        last = max(self.settled, lowest - 1) + self.period
        last = min(last, highest if highest is not None else last)
        if last - lowest < LONGEST:
            window = np.arange(lowest, last + 1)
            failing = window[self.many(window) == 0]
            return int(failing[0]) if len(failing) else None
        found = (self.stretch(last, self.period)[lowest - 1 : last] == 0).first()
        return lowest + found if found >= 0 else None

    def __repr__(self) -> str:
        return f"Curve(settled={self.settled}, period={self.period}, rise={self.rise}, {self.table.tolist()})"


def normal(table: Table, settled: int, period: int, rise: int) -> Curve:
    """The normal form: shortest period, then shortest head."""
    tail = table[settled:]
    for prime in _primes(period):
        while period % prime == 0 and rise % prime == 0:
            shorter = period // prime
            if not steps.equal(tail[shorter:], tail[:-shorter] + rise // prime):
                break
            period, rise, tail = shorter, rise // prime, tail[:shorter]
    if settled:
        settled = steps.last(table[period : settled + period] - table[:settled] != rise) + 1
    kept = table[: settled + period]
    return Curve(np.ascontiguousarray(kept) if len(kept) <= LONGEST else kept, settled, period, rise)


@lru_cache(maxsize=1024)
def _primes(number: int) -> tuple[int, ...]:
    primes, factor = [], 2
    while number > 1:
        if number % factor == 0:
            primes.append(factor)
            number //= factor
        elif factor * factor > number:
            factor = number
        else:
            factor += 1
    return tuple(dict.fromkeys(primes))


def content(curve: Curve) -> int:
    """The largest integer that divides every value; 0 where all are 0."""
    return math.gcd(int(np.gcd.reduce(curve.table)), curve.rise)


def line(slope: int = 1, offset: int = 0) -> Curve:
    """f(n) = slope * n + offset."""
    return Curve(np.array([slope + offset], dtype=np.int64), 0, 1, slope)


@lru_cache(maxsize=1 << 14)
def scale(curve: Curve, factor: int, offset: int) -> Curve:
    """factor * f + offset."""
    if factor == 1 and offset == 0:
        return curve
    if factor == 0:
        return line(0, offset)
    return Curve(curve.table * factor + offset, curve.settled, curve.period, curve.rise * factor)


@lru_cache(maxsize=1 << 14)
def floor_divide(curve: Curve, divisor: int) -> Curve:
    """f // divisor."""
    turns = divisor // math.gcd(divisor, curve.rise)
    table = curve.stretch(curve.settled, curve.period * turns) // divisor
    return normal(table, curve.settled, curve.period * turns, curve.rise * turns // divisor)


@lru_cache(maxsize=1 << 14)
def remainder(curve: Curve, divisor: int) -> Curve:
    """f % divisor, with Python's sign."""
    turns = divisor // math.gcd(divisor, curve.rise)
    table = curve.stretch(curve.settled, curve.period * turns) % divisor
    return normal(table, curve.settled, curve.period * turns, 0)


@lru_cache(maxsize=1 << 14)
def add(left: Curve, right: Curve) -> Curve:
    """f + g."""
    settled, period = max(left.settled, right.settled), math.lcm(left.period, right.period)
    rise = left.rise * (period // left.period) + right.rise * (period // right.period)
    return normal(left.stretch(settled, period) + right.stretch(settled, period), settled, period, rise)


@lru_cache(maxsize=1 << 14)
def multiply(left: Curve, right: Curve) -> Curve | None:
    """f * g where one is bounded, and what it repeats does not set different slopes; others are no curve."""
    if left.rise == 0:
        left, right = right, left
    settled, period = max(left.settled, right.settled), math.lcm(left.period, right.period)
    factors = right.stretch(settled, period)
    repeated = factors[settled:]
    if right.rise or (left.rise and repeated.min() != repeated.max()):
        return None
    rise = left.rise * int(repeated.max())  # where it rises, the other repeats one number, and has no period
    return normal(left.stretch(settled, period) * factors, settled, period, rise)


@lru_cache(maxsize=1 << 14)
def maximum(left: Curve, right: Curve) -> Curve:
    """max(f, g): settled once the steeper one is above in every residue class."""
    period = math.lcm(left.period, right.period)
    settled = max(left.settled, right.settled)
    rises = left.rise * (period // left.period), right.rise * (period // right.period)
    a, b = left.stretch(settled, period), right.stretch(settled, period)
    if rises[0] != rises[1]:
        behind = (b - a if rises[0] > rises[1] else a - b)[settled:]
        gap = abs(rises[0] - rises[1])
        settled += period * max(0, -int(-behind.max() // gap))
        a, b = left.stretch(settled, period), right.stretch(settled, period)
    return normal(np.maximum(a, b), settled, period, max(rises))


def minimum(left: Curve, right: Curve) -> Curve:
    """min(f, g)."""
    return scale(maximum(scale(left, -1, 0), scale(right, -1, 0)), -1, 0)


@lru_cache(maxsize=1 << 14)
def at_least(curve: Curve, bound: int) -> Curve:
    """1 where f >= bound, else 0."""
    return minimum(maximum(scale(curve, 1, 1 - bound), line(0, 0)), line(0, 1))


@lru_cache(maxsize=1 << 14)
def zero(curve: Curve) -> Curve:
    """1 where f == 0, else 0."""
    distance = maximum(curve, scale(curve, -1, 0))
    return scale(minimum(distance, line(0, 1)), -1, 1)
