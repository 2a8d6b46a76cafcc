"""Sets of input sizes: where a list of conditions holds, exactly, and how to say so in words. No torch."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from autofix import curve as curves
from autofix.condition import Box, Condition, indicator
from autofix.curve import Curve
from autofix.decision import Decision, decide, growth_of
from autofix.size import Growth, Point, Shared


@dataclass(frozen=True)
class Region:
    """The sizes at which every one of a list of conditions holds.

    single: input axis -> indicator of the sizes allowed along it
    joint:  conditions on several axes at once
    """

    single: tuple[tuple[int, Curve], ...]
    joint: tuple[Condition, ...]
    empty: bool = False

    def at(self, point: Point) -> Any:
        """Whether a point, or each point of a grid, is inside."""
        point = point if isinstance(point, Shared) else Shared(point)
        inside: Any = np.bool_(not self.empty)
        for axis, curve in self.single:
            inside = inside & (curve.many(np.asarray(point[axis], dtype=np.int64)) == 1)
        for condition in self.joint:
            inside = inside & condition.at(point)
        return inside

    def covers(self, box: Box) -> Decision:
        """Is every point of the box inside?"""
        if self.empty:
            return Decision(False, ())
        undecided = False
        for axis, curve in self.single:
            failing = curve.smallest(*box[axis])
            if failing is not None:
                return Decision(False, ((axis, failing),))
        for condition in self.joint:
            decision = decide(condition, box)
            if decision.holds is False:
                return decision
            undecided = undecided or decision.holds is None
        return Decision(None if undecided else True)


@dataclass(frozen=True)
class Patchwork:
    """Several regions, each within its own domain: the paths of a model that branches on its size."""

    parts: tuple[tuple[Region, Region], ...]  # domain, and what holds there
    single: tuple[tuple[int, Curve], ...] = ()
    empty: bool = False

    @property
    def joint(self) -> bool:
        """The axes cannot be looked at one by one."""
        return True

    def at(self, point: Point) -> Any:
        """Whether a point is inside the region of its domain; a point of no domain is outside."""
        point = point if isinstance(point, Shared) else Shared(point)
        inside: Any = np.bool_(False)
        for domain, region_ in self.parts:
            inside = inside | (domain.at(point) & region_.at(point))
        return inside

    def covers(self, box: Box) -> Decision:
        """Is every point of the box inside? Looked at over one period of all axes, after which all repeat.

        Where they do not, the domains are taken to cover the box, and each region must do so by itself.
        """
        flat = [one for part in self.parts for one in part]
        order = sorted(
            {axis for one in flat for axis, _ in one.single}
            | {a for one in flat for c in one.joint for a in c.axes}
        )
        grid = window(flat, order, box)
        failing = np.argwhere(
            ~np.broadcast_to(self.at(dict(zip(order, grid.sparse, strict=True))), grid.shape)
        )
        if len(failing):
            best = failing[np.lexsort((failing.sum(axis=1), failing.max(axis=1)))[0]]
            return Decision(
                False, tuple((axis, int(r[i])) for axis, r, i in zip(order, grid.ranges, best, strict=True))
            )
        alone = grid.exact or all(inside.covers(box).holds for _, inside in self.parts)
        return Decision(True if alone else None)


@dataclass(frozen=True)
class Window:
    """A stretch of sizes along each axis; `exact` where everything repeats after it."""

    ranges: tuple[Any, ...]
    exact: bool

    @property
    def shape(self) -> tuple[int, ...]:
        return tuple(len(r) for r in self.ranges)

    @property
    def sparse(self) -> Any:
        return np.meshgrid(*self.ranges, indexing="ij", sparse=True)


def window(regions: Sequence[Region], order: Sequence[int], box: Box) -> Window:
    """The sizes of a box that decide what holds in all of it, as far as these can be enumerated."""
    ranges, exact = [], True
    most = int(LARGEST_WINDOW ** (1 / max(1, len(order))))
    for axis in order:
        growth, (lowest, highest) = horizon(regions, axis), box[axis]
        length = max(0, growth.settled + 1 - lowest) + growth.period if growth else most
        if highest is not None and highest - lowest + 1 <= length:
            length = highest - lowest + 1
        elif growth is None:
            exact = False
        if length > most:
            length, exact = most, False
        ranges.append(np.arange(lowest, lowest + length, dtype=np.int64))
    return Window(tuple(ranges), exact)


LARGEST_WINDOW: Final = 200_000  # points
EVERYWHERE: Final = Region((), ())


def region(conditions: Iterable[Condition]) -> Region:
    """The region of a conjunction."""
    single: dict[int, Curve] = {}
    joint: list[Condition] = []
    for condition in dict.fromkeys(part for one in conditions for part in _conjuncts(one)):
        if not condition.axes:
            if not condition.at({}):
                return Region((), (), empty=True)
            continue
        curve = indicator(condition)
        if curve is None:
            joint.append(condition)
            continue
        (axis,) = condition.axes
        single[axis] = curves.minimum(single[axis], curve) if axis in single else curve
    return Region(tuple(sorted(single.items(), key=lambda item: item[0])), tuple(joint))


def _conjuncts(condition: Condition) -> Iterator[Condition]:
    """The conditions that hold together where this one does."""
    if condition.relation != "not any":
        yield condition
        return
    for part in condition.either:
        yield from _conjuncts(~part)


def horizon(regions: Sequence[Region | Patchwork], axis: int) -> Growth | None:
    """From where on, and with what period, the regions repeat along an axis; None where it is not known."""
    settled, period = 0, 1
    for one in [r for region_ in regions for r in _flat(region_)]:
        for at_axis, curve in one.single:
            if at_axis == axis:
                settled, period = max(settled, curve.settled), math.lcm(period, curve.period)
        for condition in one.joint:
            if axis in condition.axes:
                growth = (growth_of(condition) or {}).get(axis)
                if growth is None or growth.degree:
                    return None
                settled, period = max(settled, growth.settled), math.lcm(period, growth.period)
    return Growth(settled, period, 0)


def parts(region_: Region | Patchwork) -> tuple[tuple[Region, Region], ...]:
    """The domains and what holds there; a plain region holds everywhere."""
    return ((EVERYWHERE, region_),) if isinstance(region_, Region) else region_.parts


def _flat(region_: Region | Patchwork) -> list[Region]:
    return [region_] if isinstance(region_, Region) else [one for part in region_.parts for one in part]


def describe(inside: Sequence[bool], settled: int, period: int) -> str:
    """Sizes in words, from the first settled + period of them: ">= 35", "15, then 8k-1 or 8k", "only 224"."""
    head = [n for n in range(1, settled + 1) if inside[n - 1]]
    tail = [n for n in range(settled + 1, settled + period + 1) if inside[n - 1]]
    if not tail:
        if not head:
            return "none"
        return f"only {_runs(head)}" if len(head) > 4 else f"only {_list(head)}"
    if len(tail) == period:
        start = settled + 1
        while start > 1 and inside[start - 2]:
            start -= 1
        before = [n for n in head if n < start]
        return f"{_runs(before)}, then >= {start}" if before else f">= {start}"
    return _periodic(head, tail, period)


def _periodic(head: list[int], tail: list[int], period: int) -> str:
    residues = sorted({n % period for n in tail}, key=lambda r: (r != 0, r))
    first = min(tail)
    while head and head[-1] % period in residues and not _skips(head[-1], first, residues, period):
        first = head.pop()
    if len(residues) <= 4:
        terms = " or ".join(
            _term(r, period) for r in sorted(residues, key=lambda r: r - period if r > period // 2 else r)
        )
        rest = f"{terms} from {first}"
    else:
        rest = f"n % {period} in {{{_list(sorted(residues))}}} from {first}"
    return f"{_runs(head)}, then {rest}" if head else rest


def _skips(below: int, first: int, residues: list[int], period: int) -> bool:
    return any(n % period in residues for n in range(below + 1, first))


def _term(residue: int, period: int) -> str:
    if residue == 0:
        return f"{period}k"
    return f"{period}k+{residue}" if residue <= period // 2 else f"{period}k-{period - residue}"


def _list(sizes: Sequence[int]) -> str:
    return ", ".join(str(n) for n in sizes)


def _runs(sizes: Sequence[int]) -> str:
    """1, 4-6, 9"""
    runs: list[list[int]] = []
    for n in sizes:
        if runs and runs[-1][-1] == n - 1:
            runs[-1].append(n)
        else:
            runs.append([n])
    parts = [
        str(run[0]) if len(run) == 1 else f"{run[0]}, {run[1]}" if len(run) == 2 else f"{run[0]}-{run[-1]}"
        for run in runs
    ]
    return ", ".join(parts)
