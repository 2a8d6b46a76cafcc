"""What must hold of sizes, and the decision of it over every size of a box. No torch.

A condition is decided exactly where it depends on one axis (its indicator is a `Curve`) and where it compares
polynomials of the periodic pieces of several axes (Newton's forward differences over one grid of periods).
Anything else is looked at on a grid and, if nothing fails there, called undecided: never proved.
"""

from __future__ import annotations

import functools
import itertools
import operator
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any, Final

import numpy as np

from autofix import curve as curves
from autofix.curve import Curve
from autofix.size import Dim, Joint, Point, Size, at, axes, divisors

Box = Mapping[int, tuple[int, int | None]]  # input axis -> smallest size, largest size (None: unbounded)


@dataclass(frozen=True)
class Condition:
    """`left relation right`, or one of `either`. relation: ">=", "==" or "divides" (right | left)."""

    relation: str
    left: Dim = 0
    right: Dim = 0
    either: tuple[Condition, ...] = ()

    def at(self, point: Point) -> Any:
        """Whether it holds at a point (bool) or at each point of a grid (array).

        Where it divides by zero it says nothing: neither it nor its opposite holds.
        """
        if self.relation == "any":
            return functools.reduce(operator.or_, [part.at(point) for part in self.either])
        if self.relation == "not any":
            return functools.reduce(operator.and_, [(~part).at(point) for part in self.either])
        holds = _TEST[self.relation](at(self.left, point), at(self.right, point))
        for divisor in self.divides_by:
            holds = holds & (at(divisor, point) != 0)
        return holds

    @property
    def axes(self) -> frozenset[int]:
        return _axes(self)

    @functools.cached_property
    def divides_by(self) -> tuple[Dim, ...]:
        """What is divided by and depends on the input size, so that it may be zero."""
        inner = [divisor for part in self.either for divisor in part.divides_by]
        return tuple(dict.fromkeys((*divisors(self.left), *divisors(self.right), *inner)))

    def __invert__(self) -> Condition:
        relation = self.relation.removeprefix("not ")
        return replace(self, relation=relation if relation != self.relation else f"not {relation}")


ALWAYS: Final = Condition("==", 0, 0)
NEVER: Final = Condition("==", 0, 1)

_TEST: dict[str, Callable[[Any, Any], Any]] = {
    ">=": lambda a, b: a >= b,
    "==": lambda a, b: a == b,
    "divides": lambda a, b: (a % np.maximum(b, 1) == 0) & (b > 0),
    "not >=": lambda a, b: a < b,
    "not ==": lambda a, b: a != b,
    "not divides": lambda a, b: (a % np.maximum(b, 1) != 0) | (b <= 0),
}


def at_least(left: Dim, right: Dim) -> Condition:
    return Condition(">=", left, right)


def equal(left: Dim, right: Dim) -> Condition:
    """Of a product and 0: one of its factors is 0."""
    if isinstance(left, Joint) and left.op == "*" and isinstance(right, int) and right == 0:
        return any_of((equal(left.left, 0), equal(left.right, 0)))
    return Condition("==", left, right)


def divides(divisor: Dim, number: Dim) -> Condition:
    """Where `number` is written as a multiple of `divisor`, all that is left is that there is a divisor."""
    if isinstance(number, Joint) and number.op == "*" and number.left == divisor:
        return at_least(divisor, 1)
    return Condition("divides", number, divisor)


def any_of(conditions: Iterable[Condition]) -> Condition:
    """One of several; one of which is one of several itself counts as those."""
    either = [part for one in conditions for part in (one.either if one.relation == "any" else (one,))]
    return either[0] if len(either) == 1 else Condition("any", either=tuple(either))


def all_of(truths: Iterable[Condition | bool]) -> Any:
    """The conjunction of conditions and bools."""
    uncertain = []
    for value in truths:
        if isinstance(value, Condition):
            uncertain.append(~value)
        elif not value:
            return False
    return ~any_of(uncertain) if uncertain else True


def negated(truth: Condition | bool) -> Condition | bool:
    return ~truth if isinstance(truth, Condition) else not truth


def conjunctions(condition: Condition) -> list[tuple[Condition, ...]]:
    """The condition as alternatives, each of conditions without alternatives that hold together."""
    if condition.relation == "any":
        return [one for part in condition.either for one in conjunctions(part)]
    if condition.relation == "not any":
        every = itertools.product(*(conjunctions(~part) for part in condition.either))
        return [tuple(itertools.chain(*chosen)) for chosen in every]
    return [(condition,)]


@lru_cache(maxsize=1 << 14)
def _axes(condition: Condition) -> frozenset[int]:
    inner = [c.axes for c in condition.either]
    return frozenset().union(axes(condition.left), axes(condition.right), *inner)


@lru_cache(maxsize=1 << 14)
def indicator(condition: Condition) -> Curve | None:
    """1 where the condition holds, as a curve of its only axis; None where there is no such form."""
    if len(condition.axes) != 1:
        return None
    if condition.relation == "any":
        return _indicator_any(condition)
    if condition.relation.startswith("not "):
        positive = indicator(~condition)
        return None if positive is None else curves.scale(positive, -1, 1)
    if condition.relation == "divides":
        rest = (
            condition.left % condition.right
            if isinstance(condition.right, int) and condition.right > 0
            else None
        )
        return None if rest is None else _indicator(rest, curves.zero)
    test = curves.zero if condition.relation == "==" else _nonnegative
    return _indicator(condition.left - condition.right, test)


def _indicator_any(condition: Condition) -> Curve | None:
    result = curves.line(0, 0)
    for part in condition.either:
        one = indicator(part) if part.axes else curves.line(0, int(bool(part.at({}))))
        if one is None:
            return None
        result = curves.maximum(result, one)
    return result


def _nonnegative(curve: Curve) -> Curve:
    return curves.at_least(curve, 0)


def _indicator(dim: Dim, test: Callable[[Curve], Curve]) -> Curve | None:
    if isinstance(dim, Size):
        return test(dim.curve)
    return test(curves.line(0, dim)) if isinstance(dim, int) else None
