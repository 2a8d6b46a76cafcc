"""Does a condition hold at every size of a box? Decided exactly where its pieces are periodic. No torch."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from autofix.condition import Box, Condition, at_least, indicator
from autofix.size import Growth, Joint, Point, at

LARGEST_GRID: Final = 2_000_000
FURTHER: Final = 4096  # sizes that are looked at where all axes grow alike
LOOK: Final = 40  # sizes per axis that are looked at where nothing better is known


@dataclass(frozen=True)
class Decision:
    """holds: True (proved), False (`point` is a counterexample) or None (nothing seen to fail)."""

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
    if condition.relation == "not any":
        return _decide_all([~part for part in condition.either], box)
    if condition.relation == "not >=":
        return decide(at_least(condition.right, condition.left + 1), box)
    return _decide_joint(condition, box)


def _decide_all(conditions: Iterable[Condition], box: Box) -> Decision:
    """A conjunction: the smallest of its parts' counterexamples."""
    decisions = [decide(part, box) for part in conditions]
    failing = [decision for decision in decisions if decision.holds is False]
    if Decision(False) in failing:  # a part that holds nowhere
        return Decision(False, tuple((axis, lowest) for axis, (lowest, _) in sorted(box.items())))
    if failing:
        return min(failing, key=lambda decision: _extent(decision, box))
    return PROVED if all(decision.holds for decision in decisions) else UNDECIDED


def _extent(decision: Decision, box: Box) -> tuple[int, int]:
    """The largest size of a counterexample, then their sum, where the other axes are at their smallest."""
    sizes = {axis: bounds[0] for axis, bounds in box.items()} | dict(decision.point)
    return max(sizes.values()), sum(sizes.values())


def _decide_joint(condition: Condition, box: Box) -> Decision:
    order = sorted(condition.axes)
    growth = growth_of(condition)
    lengths = [] if growth is None else [_length(growth[axis], box[axis]) for axis in order]
    if growth is None or np.prod(lengths, dtype=float) > LARGEST_GRID:
        return _look(condition, order, box)
    point = _grid(order, box, lengths)
    failing = _smallest_failure(condition, point, order)
    if failing is not None:
        return Decision(False, _smaller_failure(condition, failing, order, box))
    if _proved(condition, point, order, growth, box):
        return PROVED
    return _look(condition, order, box)


def _look(condition: Condition, order: list[int], box: Box) -> Decision:
    """Every point of a bounded box that is not too large; of others the first ones, which prove nothing."""
    counts = [None if box[axis][1] is None else _count(box[axis]) for axis in order]
    whole = None not in counts and np.prod([n or 0 for n in counts], dtype=float) <= LARGEST_GRID
    most = max(LOOK, int(LARGEST_GRID ** (1 / len(order))) // 8)
    each = LOOK if len(order) < 4 else LOOK // 3
    lengths = [each if n is None else n if whole else min(n, most) for n in counts]
    failing = _smallest_failure(condition, _grid(order, box, lengths), order)
    if failing is None and not whole:
        failing = _along_diagonal(condition, order, box)
    if failing is not None:
        return Decision(False, failing)
    return PROVED if whole else UNDECIDED


def _along_diagonal(condition: Condition, order: list[int], box: Box) -> tuple[tuple[int, int], ...] | None:
    """The first failure where all axes grow alike, further out."""
    steps = np.arange(FURTHER, dtype=np.int64)
    ends = [FURTHER if box[axis][1] is None else _count(box[axis]) - 1 for axis in order]
    point = {a: box[a][0] + np.minimum(steps, end) for a, end in zip(order, ends, strict=True)}
    failing = np.flatnonzero(~np.broadcast_to(condition.at(point), steps.shape))
    return tuple((axis, int(point[axis][failing[0]])) for axis in order) if len(failing) else None


def _count(bounds: tuple[int, int | None]) -> int:
    lowest, highest = bounds
    assert highest is not None
    return max(0, highest - lowest + 1)


def growth_of(condition: Condition) -> dict[int, Growth] | None:
    if condition.either:
        return _growth_of_parts(condition)
    if condition.relation in ("divides", "not divides"):
        difference = condition.left % condition.right
    else:
        difference = condition.left - condition.right
    growth = difference.growth if isinstance(difference, Joint) else None
    if growth and condition.relation == "not ==" and any(g.degree for g in growth.values()):
        return None  # a polynomial that differs on the whole grid may still meet the other later
    return growth


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


def _length(growth: Growth, bounds: tuple[int, int | None]) -> int:
    """How many sizes along an axis decide: the head and degree + 1 periods, or all there are."""
    most = max(0, growth.settled + 1 - bounds[0]) + growth.period * (growth.degree + 1)
    return most if bounds[1] is None else min(most, _count(bounds))


def _grid(order: list[int], box: Box, lengths: list[int]) -> dict[int, Any]:
    ranges = [
        np.arange(box[axis][0], box[axis][0] + n, dtype=np.int64)
        for axis, n in zip(order, lengths, strict=True)
    ]
    return dict(zip(order, np.meshgrid(*ranges, indexing="ij", sparse=True), strict=True))


def _smallest_failure(
    condition: Condition, point: Mapping[int, Any], order: list[int]
) -> tuple[tuple[int, int], ...] | None:
    """The failing point of a grid whose largest size is smallest, then the sum of its sizes."""
    holds = np.broadcast_to(condition.at(point), [point[axis].size for axis in order])
    failing = np.argwhere(~np.asarray(holds, dtype=bool))
    if not len(failing):
        return None
    sizes = failing + [int(point[axis].flat[0]) for axis in order]
    largest = sizes.max(axis=1)
    sizes = sizes[largest == largest.min()]
    best = sizes[sizes.sum(axis=1).argmin()]
    return tuple((axis, int(size)) for axis, size in zip(order, best, strict=True))


def _smaller_failure(
    condition: Condition, failing: tuple[tuple[int, int], ...], order: list[int], box: Box
) -> tuple[tuple[int, int], ...]:
    """The smallest failure whose sizes are all at most the largest of a known one."""
    largest = max(size for _, size in failing)
    lengths = [_count((low, min(largest, high or largest))) for low, high in (box[axis] for axis in order)]
    if np.prod(lengths, dtype=float) > LARGEST_GRID:
        return failing
    return _smallest_failure(condition, _grid(order, box, lengths), order) or failing


def _proved(
    condition: Condition, point: Point, order: list[int], growth: dict[int, Growth], box: Box
) -> bool:
    """Every forward difference has the right sign, so the condition goes on for ever.

    A polynomial in the turn count k is the sum of its forward differences at 0 times binomials of k, which
    are never negative (Newton's series); so non-negative differences prove `>=`, and zero ones prove `==`.
    """
    if condition.relation not in (">=", "=="):
        return True  # a remainder has degree 0: the grid was a whole period
    shape = [point[axis].size for axis in order]
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
