"""The proof of a repair, and a checker that trusts nothing but the operators' formulas.

Each axis is cut into finitely many cases: single sizes first, then one case n = r + P*k (k = 0, 1 ...)
for each residue r of the period P. On a case every size is a polynomial in the k of the axes with integer
coefficients, provided each division is exact on the k part; the checker carries all cases at once, as arrays.
A requirement `a >= b` holds for every k >= 0 if no coefficient of a - b is negative, `a == b` if all are 0.
Nothing is taken from the analysis or the solver: a division that is not exact, an order that is not the same
for all k, an operator without a rule, each makes the check fail. Where the period is too long for its cases
to be listed, the certificate says so by a `Span`, and every size is an interval instead.
"""

from __future__ import annotations

import functools
import math
import operator
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from autofix.changes import Changes
from autofix.condition import Condition
from autofix.fault import Code
from autofix.interpret import Interpreter
from autofix.interval import Interval
from autofix.ops.base import Stopped, Tensor
from autofix.program import Program, Site
from autofix.size import BATCH, Size


class NotProved(Stopped):
    """A claim that the checker could not confirm; `divisor`: the division that asks for a longer period."""

    def __init__(self, why: str, divisor: int = 0) -> None:
        super().__init__(why)
        self.divisor = divisor


@dataclass(frozen=True)
class Axis:
    """The sizes of an axis from `first` on: single ones up to `head`, then by `period`; 0 where bounded."""

    first: int
    head: int
    period: int

    def cases(self) -> tuple[Any, Any]:
        """For each case, the size at k = 0 and what each turn adds."""
        # with no case at all, everything would hold
        if min(self.head, self.period) < 0 or self.head + self.period == 0 or self.first < 1:
            raise NotProved(f"{self} describes no sizes")
        sizes = np.arange(self.first, self.first + self.head + self.period, dtype=np.int64)
        return sizes, np.where(sizes >= self.first + self.head, self.period, 0)


@dataclass(frozen=True)
class Span:
    """The sizes of an axis from `first` to `last` (None: without end), all as one interval."""

    first: int
    last: int | None

    def interval(self) -> Interval:
        if self.first < 1 or (self.last is not None and self.last < self.first):
            raise NotProved(f"{self} describes no sizes")
        return Interval(self.first, math.inf if self.last is None else self.last)


@dataclass(frozen=True)
class Certificate:
    """Every requirement of one program, in one mode, holds at every size of its axes; all are cut alike."""

    axes: tuple[tuple[int, Axis | Span], ...]
    training: bool
    requirements: int = 0


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
        if not np.all((divisor - 1).nonnegative()):
            return None
        rest, quotient, highest = self, Poly.of(0), max(map(len, self.terms))
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
        if not np.all(small & rest.nonnegative() & (divisor - rest - 1).nonnegative()):
            raise NotProved("division by a size")
        return quotient

    def at(self, turn: int) -> Any:
        """The values at one k, the same for all axes."""
        return sum(c * turn ** len(powers) for powers, c in self.terms.items())

    def _divisible(self, divisor: Any) -> None:
        if not isinstance(divisor, int) or divisor < 1:
            raise NotProved(f"division by {divisor if isinstance(divisor, int) else 'a size'}")
        if any((c % divisor).any() for powers, c in self.terms.items() if powers):
            raise NotProved(f"division by {divisor} is not exact on every turn", divisor)

    def larger(self, other: Any) -> Poly:
        """max(self, other), where one of them is above for every k, case by case."""
        other = Poly.of(other)
        above, below = (self - other).nonnegative(), (other - self).nonnegative()
        if not np.all(above | below):
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


class _Checker(Interpreter):
    def __init__(self, inputs: Any, changes: Changes, training: bool) -> None:
        super().__init__(inputs, {}, {}, changes)
        self.training_now, self.count, self.seen = training, 0, set[Condition]()

    def value_of(self, site: Site) -> Any:
        """What is the same in all cases is a plain number: rules tell a 1 from what may be another size."""
        value = super().value_of(site)
        return Tensor(tuple(map(_plain, value.shape))) if type(value) is Tensor else value

    def state(self, condition: Condition, code: Code, what: str, **details: Any) -> None:
        if details["train"] and not self.training_now:
            return
        self.count += 1
        if not np.all(self.proves(condition)):
            raise NotProved(f"{self.site.name}: {what}")

    def decide(self, condition: Condition) -> bool:
        if np.all(self.proves(condition)):
            return True
        if np.all(self.proves(~condition)):
            return False
        raise NotProved(f"{self.site.name}: the path taken differs from size to size")

    def choose(self, condition: Condition, then: Any, otherwise: Any) -> Any:
        yes, no = self.proves(condition), self.proves(~condition)
        if isinstance(then, Interval) or isinstance(otherwise, Interval):
            then, otherwise = Interval.of(then), Interval.of(otherwise)
            return then if yes else otherwise if no else then.hull(otherwise)
        if not np.all(yes | no):
            raise NotProved("which side of an `if` is taken changes within a case", 1)
        return Poly.of(then).where(yes, Poly.of(otherwise))

    def quotient(self, dim: Any, divisor: Any) -> Any:
        if isinstance(dim, Interval) or isinstance(divisor, Interval):
            return None
        return Poly.of(dim).over(Poly.of(divisor))

    def proves(self, condition: Condition) -> Any:
        """The cases in which the condition holds for every k."""
        match condition.relation:
            case "any":
                return functools.reduce(operator.or_, [self.proves(part) for part in condition.either])
            case "not any":
                return functools.reduce(operator.and_, [self.proves(~part) for part in condition.either])
            case "divides":
                return _zero(_number(condition.left) % condition.right) & _positive(condition.right)
            case "not divides":
                rest = _number(condition.left) % condition.right
                return (rest - 1).nonnegative() & _positive(condition.right)
            case ">=":
                return _difference(condition).nonnegative()
            case "not >=":
                return (-_difference(condition) - 1).nonnegative()
            case "==":
                return _zero(_difference(condition))
        apart = _difference(condition)
        return (apart - 1).nonnegative() | (-apart - 1).nonnegative()


def _plain(dim: Any) -> Any:
    if not isinstance(dim, Poly) or not dim.terms.keys() <= {()}:
        return dim
    values = np.unique(dim.terms.get((), 0))
    return int(values[0]) if len(values) == 1 else dim


def _zero(number: Poly | Interval) -> Any:
    return number.nonnegative() & (-number).nonnegative()


def _positive(value: Any) -> Any:
    return (_number(value) - 1).nonnegative()


def _number(value: Any) -> Poly | Interval:
    return value if isinstance(value, Interval) else Poly.of(value)


def _difference(condition: Condition) -> Poly | Interval:
    return _number(condition.left - condition.right)


def check(certificate: Certificate, program: Program, changes: Changes) -> int:
    """How many requirements were confirmed. Raises NotProved."""
    variables = _variables(certificate)
    asked = {d.axis for dims in program.inputs.dims() for d in dims or () if isinstance(d, Size)}
    if asked - variables.keys():
        raise NotProved("the certificate says nothing about one of the axes")
    if program.conditions:
        raise NotProved("the model takes different paths at different sizes")
    inputs = [
        None if dims is None else Tensor(tuple(variables[d.axis] if isinstance(d, Size) else d for d in dims))
        for dims in program.inputs.dims()
    ]
    checker = _Checker(inputs, changes, certificate.training)
    for site in program.sites:
        checker.step(site)
        if checker.unmodelled:
            raise NotProved(f"{site.name}: {checker.unmodelled[site.index]}")
    return checker.count


def _variables(certificate: Certificate) -> dict[int, Poly | Interval]:
    """The size along each axis: a polynomial over the cases of all axes, or an interval."""
    spans = {axis: cut for axis, cut in certificate.axes if isinstance(cut, Span)}
    if spans:
        if len(spans) < len(certificate.axes):
            raise NotProved("the axes are not cut alike")
        return {axis: span.interval() for axis, span in spans.items()}
    variables: dict[int, Poly | Interval] = {}
    for position, (axis, cut) in enumerate(certificate.axes):
        assert isinstance(cut, Axis)
        shape = [1] * len(certificate.axes)
        shape[position] = -1
        start, turn = (values.reshape(shape) for values in cut.cases())
        variables[axis] = Poly({(): start, (axis,): turn})
    return variables


__all__ = ["BATCH", "Axis", "Certificate", "NotProved", "Span", "check"]
