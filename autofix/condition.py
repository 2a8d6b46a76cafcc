"""What must hold of sizes, and the decision of it over every size of a box. No torch.

A condition is decided exactly where it depends on one axis (its indicator is a `Curve`) and where it compares
polynomials of the periodic pieces of several axes (Newton's forward differences over one grid of periods).
Anything else is looked at on a grid and, if nothing fails there, called undecided: never proved.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any, Final

import numpy as np

from autofix import curve as curves
from autofix.curve import Curve
from autofix.size import Dim, Growth, Joint, Point, Size, at, axes

Box = Mapping[int, tuple[int, int | None]]  # input axis -> smallest size, largest size (None: unbounded)
LARGEST_GRID: Final = 2_000_000
LOOK: Final = 40  # sizes per axis that are looked at where nothing better is known


@dataclass(frozen=True)
class Condition:
    """`left relation right`, or a disjunction of `either`. relation: ">=", "==" or "divides" (right | left)."""

    relation: str
    left: Dim = 0
    right: Dim = 0
    either: tuple[Condition, ...] = ()

    def at(self, point: Point) -> Any:
        """Whether it holds at a point (bool) or at each point of a grid (array)."""
        if self.relation.endswith("any"):
            holds = self.either[0].at(point)
            for other in self.either[1:]:
                holds = holds | other.at(point)
            return holds if self.relation == "any" else np.logical_not(holds)
        return _TEST[self.relation](at(self.left, point), at(self.right, point))

    @property
    def axes(self) -> frozenset[int]:
        return _axes(self)

    def __invert__(self) -> Condition:
        relation = self.relation.removeprefix("not ")
        return replace(self, relation=relation if relation != self.relation else f"not {relation}")


_TEST: dict[str, Callable[[Any, Any], Any]] = {
    ">=": lambda a, b: a >= b,
    "==": lambda a, b: a == b,
    "divides": lambda a, b: (a % np.maximum(b, 1) == 0) & (b > 0),
    "not >=": lambda a, b: a < b,
    "not ==": lambda a, b: a != b,
    "not divides": lambda a, b: a % b != 0,
}


def at_least(left: Dim, right: Dim) -> Condition:
    return Condition(">=", left, right)


def equal(left: Dim, right: Dim) -> Condition:
    return Condition("==", left, right)


def divides(divisor: Dim, number: Dim) -> Condition:
    return Condition("divides", number, divisor)


def any_of(conditions: Iterable[Condition]) -> Condition:
    return Condition("any", either=tuple(conditions))


@lru_cache(maxsize=1 << 14)
def _axes(condition: Condition) -> frozenset[int]:
    inner = [c.axes for c in condition.either]
    return frozenset().union(axes(condition.left), axes(condition.right), *inner)


@lru_cache(maxsize=1 << 14)
def indicator(condition: Condition) -> Curve | None:
    """1 where the condition holds, as a curve of its only axis; None where it has several, or no such form."""
    if len(condition.axes) != 1:
        return None
    if condition.relation == "any":
        return _indicator_any(condition)
    if condition.relation.startswith("not "):
        positive = indicator(~condition)
        return None if positive is None else curves.scale(positive, -1, 1)
    if condition.relation == "divides":
        rest = condition.left % condition.right if isinstance(condition.right, int) and condition.right > 0 else None
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


@dataclass(frozen=True)
class Decision:
    """holds: True (proved), False (`point` is a counterexample) or None (undecided: nothing failed that was seen)."""

    holds: bool | None
    point: tuple[tuple[int, int], ...] = ()


PROVED: Final = Decision(True)
UNDECIDED: Final = Decision(None)


def decide(condition: Condition, box: Box) -> Decision:
    """Does the condition hold at every point of the box? The counterexample has the smallest sizes."""
    if not condition.axes:
        return PROVED if condition.at({}) else Decision(False, ())
    curve = indicator(condition)
    if curve is not None:
        (axis,) = condition.axes
        failing = curve.smallest(*box[axis])
        return PROVED if failing is None else Decision(False, ((axis, failing),))
    if condition.relation == "any" and any(decide(part, box).holds for part in condition.either):
        return PROVED
    return _decide_joint(condition, box)


def _decide_joint(condition: Condition, box: Box) -> Decision:
    order = sorted(condition.axes)
    growth = _growth_of(condition)
    lengths = [_length(growth, axis, box[axis]) for axis in order]
    bounded = all(box[a][1] is not None and n > box[a][1] - box[a][0] for a, n in zip(order, lengths, strict=True))  # type: ignore[operator]
    exact = (growth is not None or bounded) and np.prod(lengths, dtype=float) <= LARGEST_GRID
    if not exact:
        lengths = [min(n, max(LOOK, int(LARGEST_GRID ** (1 / len(order))) // 8)) for n in lengths]
    point = _grid(order, box, lengths)
    failing = _smallest_failure(np.broadcast_to(condition.at(point), lengths), order, box)
    if failing is not None:
        return Decision(False, failing)
    if exact and (bounded or (growth is not None and _proved(condition, point, order, growth, box))):
        return PROVED
    return UNDECIDED


def _growth_of(condition: Condition) -> dict[int, Growth] | None:
    if condition.either:
        return _growth_of_parts(condition)
    if condition.relation in ("divides", "not divides"):
        difference = condition.left % condition.right
    else:
        difference = condition.left - condition.right
    return difference.growth if isinstance(difference, Joint) else None


def _growth_of_parts(condition: Condition) -> dict[int, Growth] | None:
    """A disjunction of conditions on one axis each repeats along each axis."""
    merged: dict[int, Growth] = {}
    for part in condition.either:
        curve = indicator(part)
        if curve is None and part.axes:
            return None
        for axis in part.axes:
            old = merged.get(axis, Growth(0, 1, 0))
            assert curve is not None
            merged[axis] = Growth(max(old.settled, curve.settled), math.lcm(old.period, curve.period), 0)
    return merged


def _length(growth: dict[int, Growth] | None, axis: int, bounds: tuple[int, int | None]) -> int:
    """How many sizes along an axis decide: the head and degree + 1 periods, or all there are."""
    lowest, highest = bounds
    most = LOOK if growth is None else max(0, growth[axis].settled + 1 - lowest)
    if growth is not None:
        most += growth[axis].period * (growth[axis].degree + 1)
    if highest is None:
        return most
    count = highest - lowest + 1
    return count if growth is None else min(most, count)


def _grid(order: list[int], box: Box, lengths: list[int]) -> Point:
    ranges = [np.arange(box[axis][0], box[axis][0] + n, dtype=np.int64) for axis, n in zip(order, lengths, strict=True)]
    return dict(zip(order, np.meshgrid(*ranges, indexing="ij", sparse=True), strict=True))


def _smallest_failure(holds: Any, order: list[int], box: Box) -> tuple[tuple[int, int], ...] | None:
    failing = np.argwhere(~np.asarray(holds, dtype=bool))
    if not len(failing):
        return None
    best = failing[np.lexsort((failing.sum(axis=1), failing.max(axis=1)))[0]]
    return tuple((axis, box[axis][0] + int(step)) for axis, step in zip(order, best, strict=True))


def _proved(condition: Condition, point: Point, order: list[int], growth: dict[int, Growth], box: Box) -> bool:
    """Every forward difference has the right sign, so the condition goes on for ever.

    A polynomial in the turn count k is the sum of its forward differences at 0 times binomials of k, which
    are never negative (Newton's series); so non-negative differences prove `>=`, and zero ones prove `==`.
    """
    if condition.relation not in (">=", "=="):
        return all(growth[axis].degree == 0 for axis in order)  # the grid was a whole period
    shape = [len(point[axis].ravel()) for axis in order]
    values = np.broadcast_to(at(condition.left - condition.right, point), shape).astype(np.int64)
    for position, axis in enumerate(order):
        values = _differences(values, position, growth[axis], box[axis])
    return bool((values >= 0).all())


def _differences(values: Any, position: int, growth: Growth, bounds: tuple[int, int | None]) -> Any:
    head = max(0, growth.settled + 1 - bounds[0])
    if bounds[1] is not None and values.shape[position] == bounds[1] - bounds[0] + 1:
        return values  # the whole axis was enumerated
    values = np.moveaxis(values, position, 0)
    turns = values[head:].reshape(growth.degree + 1, growth.period, *values.shape[1:])
    parts = [values[:head]]
    for _ in range(growth.degree + 1):
        parts.append(turns[0])
        turns = np.diff(turns, axis=0)
    return np.moveaxis(np.concatenate(parts), 0, position)
