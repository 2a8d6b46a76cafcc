"""Ratio: a size divided by an integer, as `h / 2` and `h * 0.75` give it, until it is rounded. No torch.

Python computes these in doubles. A ratio is kept only as long as the doubles provably round as the exact
numbers do: a quotient by an integer is rounded correctly once, so it never crosses an integer or a half;
fractions with a power of two below are exact; any other factor is compared with the doubles on each size that
is used. `int(n * 0.7)` is thus not described: 0.7 * 90 is 62.99999999999999.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from fractions import Fraction
from functools import lru_cache
from typing import Any, Final

import numpy as np

from autofix.condition import Condition, at_least, equal
from autofix.size import Dim, ceil_divide, is_dim, larger, smaller

ROUNDINGS: Final = frozenset(("floor", "ceil", "round"))
WHOLE: Final = frozenset(("whole",))  # of h / 7 / 7, whose doubles are whole numbers where the exact ones are
NOTHING: Final = frozenset[str]()
LARGEST: Final = 1 << 17  # sizes up to which the doubles are compared


class NotExactError(ArithmeticError):
    """Floating-point arithmetic of sizes that has no exact form here."""


@dataclass(frozen=True, slots=True)
class Ratio:
    """numerator / denominator. `exact`: what rounds the doubles just as it rounds the exact number."""

    numerator: Dim
    denominator: int
    exact: frozenset[str] = ROUNDINGS

    @property
    def dyadic(self) -> bool:
        return self.denominator & (self.denominator - 1) == 0

    @property
    def whole(self) -> bool:
        """Whether the doubles are whole numbers, and the right ones, wherever the exact numbers are whole."""
        return self.exact in (ROUNDINGS, WHOLE)

    def _sure(self, rounding: str) -> None:
        if rounding not in self.exact:
            raise NotExactError(f"{rounding} of a size times a factor that doubles round differently")

    def floor(self) -> Dim:
        """math.floor."""
        self._sure("floor")
        return self.numerator // self.denominator

    def ceil(self) -> Dim:
        """math.ceil."""
        self._sure("ceil")
        return ceil_divide(self.numerator, self.denominator)

    def trunc(self) -> Dim:
        """int, math.trunc: towards zero."""
        if isinstance(self.numerator, int):
            return self.floor() if self.numerator >= 0 else self.ceil()
        return larger(self.floor(), 0) + smaller(-((-self.numerator) // self.denominator), 0)

    def round(self) -> Dim:
        """round: halves to the even neighbour."""
        self._sure("round")
        doubled = 2 * self.numerator + self.denominator
        up = doubled // (2 * self.denominator)
        off_half = smaller(doubled % (2 * self.denominator), 1)
        return up - larger(up % 2 - off_half, 0)


def _parts(value: Any) -> tuple[Dim, int]:
    """Numerator and denominator of a number, a dimension or a ratio."""
    if isinstance(value, Ratio):
        return value.numerator, value.denominator
    if isinstance(value, float):
        fraction = simplest(value)
        return fraction.numerator, fraction.denominator
    if is_dim(value):
        return value, 1
    raise NotExactError(f"arithmetic of a size with {type(value).__name__}")


def simplest(number: float) -> Fraction:
    """The fraction that a float stands for: 0.7 is 7/10, not its 53 bits."""
    if not math.isfinite(number):
        raise NotExactError(f"a size compared or combined with {number}")
    short = Fraction(number).limit_denominator(4096)
    return short if float(short) == number else Fraction(number)


def add(left: Any, right: Any) -> Ratio:
    """left + right, one of which is a ratio or a float."""
    (a, p), (b, q) = _parts(left), _parts(right)
    exact = [value.exact for value in (left, right) if isinstance(value, Ratio)]
    if not all(r & (r - 1) == 0 for r in (p, q)) and not _is_whole(left) and not _is_whole(right):
        raise NotExactError("a sum of two fractions of sizes")
    common = math.lcm(p, q)
    return Ratio(a * (common // p) + b * (common // q), common, frozenset(ROUNDINGS.intersection(*exact)))


def _is_whole(value: Any) -> bool:
    return not isinstance(value, Ratio | float) or (isinstance(value, float) and value.is_integer())


def negative(value: Ratio) -> Ratio:
    """-value."""
    mirrored = {"floor": "ceil", "ceil": "floor", "round": "round"}
    return Ratio(
        -value.numerator, value.denominator, frozenset(mirrored.get(name, name) for name in value.exact)
    )


def multiply(left: Any, right: Any) -> Ratio:
    """left * right: a dimension or ratio by a float, an integer or a ratio."""
    if isinstance(left, float):
        left, right = right, left
    (a, p), (b, q) = _parts(left), _parts(right)
    if is_dim(left) and isinstance(right, float):
        return Ratio(a * b, q, verified(right, False))
    if (p * q) & (p * q - 1) or (
        isinstance(left, Ratio) and isinstance(right, float) and simplest(right) != right
    ):
        raise NotExactError("a product of two fractions of sizes")
    return Ratio(a * b, p * q)


def divide(left: Any, right: Any) -> Ratio:
    """left / right, where right is an integer or a float."""
    a, p = _parts(left)
    if not isinstance(right, int | float) or right == 0:
        raise NotExactError("division by a size")
    if isinstance(right, int) or right.is_integer():
        sign = 1 if right > 0 else -1
        again = WHOLE if isinstance(left, Ratio) and left.whole else NOTHING
        return Ratio(a * sign, p * abs(int(right)), again if p & (p - 1) else ROUNDINGS)
    if not is_dim(left):
        raise NotExactError("a fraction of a size divided by a fraction")
    inverse = 1 / simplest(right)
    return Ratio(a * inverse.numerator, inverse.denominator, verified(right, True))


@lru_cache(maxsize=256)
def verified(factor: float, inverse: bool) -> frozenset[str]:
    """The roundings for which n * factor (or n / factor) in doubles agrees with the exact fraction."""
    fraction = 1 / simplest(factor) if inverse else simplest(factor)
    sizes = np.arange(-LARGEST, LARGEST)
    doubles = sizes / factor if inverse else sizes * factor
    exact = Ratio(sizes * fraction.numerator, fraction.denominator)
    if max(abs(fraction.numerator), fraction.denominator) > 1 << 40:
        return frozenset()
    up = (2 * exact.numerator + exact.denominator) // (2 * exact.denominator)
    half = (2 * exact.numerator + exact.denominator) % (2 * exact.denominator) == 0
    agrees = {
        "floor": np.array_equal(np.floor(doubles), exact.numerator // exact.denominator),
        "ceil": np.array_equal(np.ceil(doubles), -(-exact.numerator // exact.denominator)),
        "round": np.array_equal(np.rint(doubles), up - (half & (up % 2 == 1))),
    }
    return frozenset(name for name, same in agrees.items() if same)


def not_below(left: Any, right: Any) -> Condition:
    """left >= right, for numbers, dimensions and ratios."""
    (a, p), (b, q) = _compared(left, right)
    return at_least(a * q, b * p)


def same(left: Any, right: Any) -> Condition:
    """left == right."""
    (a, p), (b, q) = _compared(left, right)
    return equal(a * q, b * p)


def _compared(left: Any, right: Any) -> tuple[tuple[Dim, int], tuple[Dim, int]]:
    for value in (left, right):
        if isinstance(value, Ratio) and value.exact != ROUNDINGS:
            raise NotExactError("a comparison with a size times a factor that doubles round differently")
    return _parts(left), _parts(right)


@lru_cache(maxsize=256)
def rational(factor: float) -> Fraction | None:
    """The fraction p/q with floor(n * factor) == n * p // q, in floats, for every n that is used.

    torch computes `floor(n * scale)` in doubles; the product is rounded, so the fraction is confirmed on each
    n up to 2**17 and None is returned where no fraction explains the doubles.
    """
    fraction = Fraction(factor).limit_denominator(4096)
    sizes = np.arange(LARGEST)
    exact = sizes * fraction.numerator // fraction.denominator
    return fraction if np.array_equal(np.floor(sizes * float(factor)).astype(np.int64), exact) else None
