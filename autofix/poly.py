"""Polynomials in the turn counts of a certificate's axes, with a coefficient for each of its cases.

What is claimed of one holds for every turn count k >= 0, or the claim is refused: a division must be exact on
the k part, an order of two must be the same for all k.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextvars import ContextVar
from typing import Any, Final

import numpy as np

from autofix.ops.base import Stopped

alive: ContextVar[Any] = ContextVar("alive", default=True)  # the cases that count


def everywhere(cases: Any) -> bool:
    """Whether something holds in all cases that count."""
    return bool(np.all(cases | np.logical_not(alive.get())))


class NotProved(Stopped):
    """A claim that the checker could not confirm; `divisor`: the division that asks for a longer period."""

    def __init__(self, why: str, divisor: int = 0) -> None:
        super().__init__(why)
        self.divisor = divisor


FAR: Final = 1000  # the k from which a quotient is guessed, before it is proved


class Poly:
    """A polynomial in the turn counts k of the axes; a coefficient is an array over the cases of all axes."""

    def __init__(self, terms: Mapping[tuple[int, ...], Any]) -> None:
        self.terms = {powers: c for powers, c in terms.items() if powers == () or c.any()}

    @staticmethod
    def of(value: Any) -> Poly:
        return value if isinstance(value, Poly) else Poly({(): np.int64(value)})

    def __add__(self, other: Any) -> Poly:
        terms = dict(self.terms)
        for powers, c in Poly.of(other).terms.items():
            terms[powers] = terms[powers] + c if powers in terms else c
        return Poly(terms)

    def __mul__(self, other: Any) -> Poly:
        terms: dict[tuple[int, ...], Any] = {}
        for p, c in self.terms.items():
            for q, d in Poly.of(other).terms.items():
                powers = tuple(sorted(p + q))
                terms[powers] = terms.get(powers, 0) + c * d
        return Poly(terms)

    __radd__, __rmul__ = __add__, __mul__

    def __neg__(self) -> Poly:
        return Poly({powers: -c for powers, c in self.terms.items()})

    def __sub__(self, other: Any) -> Poly:
        negated: Poly | int = -other
        return self + negated

    def __rsub__(self, other: Any) -> Poly:
        return Poly.of(other) - self

    def __floordiv__(self, divisor: Any) -> Poly:
        if isinstance(divisor, Poly):
            return self._quotient(divisor)
        self._divisible(divisor)
        return Poly({powers: c // divisor for powers, c in self.terms.items()})

    def __rfloordiv__(self, dividend: Any) -> Poly:
        return Poly.of(dividend) // self

    def __mod__(self, divisor: Any) -> Poly:
        if isinstance(divisor, Poly):
            return self - self._quotient(divisor) * divisor
        self._divisible(divisor)
        return Poly({(): self.terms.get((), np.int64(0)) % divisor})

    def __rmod__(self, dividend: Any) -> Poly:
        return Poly.of(dividend) % self

    def over(self, divisor: Poly) -> Poly | None:
        """The polynomial q with q * divisor == self, from the lowest powers up; None where there is none."""
        if not everywhere((divisor - 1).nonnegative()):
            return None
        divisor = divisor.where(alive.get(), Poly.of(1))
        rest, quotient, highest = self.where(alive.get(), Poly.of(0)), Poly.of(0), max(map(len, self.terms))
        while left := [p for p, c in rest.terms.items() if len(p) <= highest and np.any(c)]:
            powers, lowest = min(left, key=len), divisor.terms[()]
            if np.any(rest.terms[powers] % lowest):
                return None
            part = Poly({(): np.int64(0), powers: rest.terms[powers] // lowest})
            rest, quotient = rest - part * divisor, quotient + part
        return None if any(np.any(c) for c in rest.terms.values()) else quotient

    def _quotient(self, divisor: Poly) -> Poly:
        """self // divisor: exactly, or the same number q for all k: 0 <= self - q * divisor < divisor."""
        whole = self.over(divisor)
        if whole is not None:
            return whole
        far = divisor.at(FAR)
        quotient = Poly.of(np.where(far > 0, self.at(FAR) // np.maximum(far, 1), 0))
        rest = self - quotient * divisor
        small = np.abs(quotient.at(0)) < 1 << 31  # so that nothing overflows
        if not everywhere(small & rest.nonnegative() & (divisor - rest - 1).nonnegative()):
            raise NotProved("division by a size")
        return quotient

    def at(self, turn: int) -> Any:
        """The values at one k, the same for all axes."""
        return sum(c * turn ** len(powers) for powers, c in self.terms.items())

    def _divisible(self, divisor: Any) -> None:
        if not isinstance(divisor, int) or divisor < 1:
            raise NotProved(f"division by {divisor if isinstance(divisor, int) else 'a size'}")
        if not all(everywhere(c % divisor == 0) for powers, c in self.terms.items() if powers):
            raise NotProved(f"division by {divisor} is not exact on every turn", divisor)

    def larger(self, other: Any) -> Poly:
        """max(self, other), where one of them is above for every k, case by case."""
        other = Poly.of(other)
        above, below = (self - other).nonnegative(), (other - self).nonnegative()
        if not everywhere(above | below):
            raise NotProved("which of two sizes is larger changes within a case", 1)
        return self.where(above, other)

    def where(self, cases: Any, other: Poly) -> Poly:
        """This one in some cases, another one in the others."""
        powers = self.terms.keys() | other.terms.keys()
        return Poly({p: np.where(cases, self.terms.get(p, 0), other.terms.get(p, 0)) for p in powers})

    def nonnegative(self) -> Any:
        """The cases in which no coefficient is negative."""
        result: Any = np.bool_(True)
        for c in self.terms.values():
            result = result & (c >= 0)
        return result
