"""The sizes that a model accepts: from where on all of them, and which they are in words."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from autofix import curve as curves
from autofix import steps
from autofix.agreement import edge, unequal_working
from autofix.analyse import Analysis, Mode
from autofix.condition import Condition
from autofix.curve import LONGEST
from autofix.decision import decide, growth_of
from autofix.region import Patchwork, Region, describe, horizon, parts
from autofix.size import BATCH

SEEN_TOGETHER: Final = 9216  # sizes that are looked at in every combination of the axes
FAR: Final = 1 << 14  # where the search for a minimum gives up: no network needs a larger input to begin with


@dataclass(frozen=True)
class Accepted:
    """What is asked of an analysis about all sizes at once."""

    analysis: Analysis

    @property
    def axes(self) -> tuple[str, ...]:
        return self.analysis.inputs.axes

    def minimum(self, mode: Mode, batch: int) -> tuple[int | None, ...]:
        """Per axis, the smallest size from which every size is accepted; None if there is none."""
        nowhere: tuple[int | None, ...] = (None,) * len(self.axes)
        accepted = mode.accepted
        if accepted.empty or self.analysis.unmodelled:
            return nowhere
        if not self.analysis.complete:
            return self._minimum_equal(mode, batch)
        lowest = [_from(accepted, axis) for axis in range(len(self.axes))]
        known = [low for low in lowest if low is not None]
        return tuple(lowest) if len(known) < len(lowest) else self._cube(mode, known, batch)

    def _minimum_equal(self, mode: Mode, batch: int) -> tuple[int | None, ...]:
        """Where not every path was followed: for equal sizes on all axes, which are followed first."""
        if self._unknown(mode, batch):
            return (None,) * len(self.axes)
        inside, last, period = self._along_diagonal(mode, batch)
        if not all(inside[last : last + period]):
            return (None,) * len(self.axes)
        refused = [n for n, good in enumerate(inside, 1) if not good]
        return ((refused[-1] if refused else 0) + 1,) * len(self.axes)

    def _cube(self, mode: Mode, lowest: list[int], batch: int) -> tuple[int | None, ...]:
        """Raise all axes together until the conditions on several of them hold too."""
        proved = self._raised(mode, lowest, batch, undecided=False)
        if proved is not None:
            return proved
        seen = self._raised(mode, lowest, batch, undecided=True)
        if seen is None:
            return (None,) * len(lowest)
        inside, last, period = self._along_diagonal(mode, batch)
        goes_on = all(inside[max(seen) - 1 :]) and all(inside[last : last + period])
        return seen if goes_on else (None,) * len(lowest)

    def _raised(self, mode: Mode, lowest: list[int], batch: int, undecided: bool) -> tuple[int, ...] | None:
        """The smallest cube in which nothing fails; what is undecided counts only where it is asked to."""
        batches = (1, 1) if mode.training and batch == 1 else (batch, self.analysis.largest_batch)

        def holds(cube: int) -> bool:
            box: dict[int, tuple[int, int | None]] = {
                a: (max(low, cube), None) for a, low in enumerate(lowest)
            }
            found = mode.accepted.covers({BATCH: batches, **box}).holds
            return bool(found) or (undecided and found is None)

        low, high = 0, 1
        while not holds(high):
            low, high = high, high * 2
            if high > FAR:
                return None
        while high - low > 1:
            middle = (low + high) // 2
            low, high = (low, middle) if holds(middle) else (middle, high)
        return tuple(max(value, high) for value in lowest)

    def in_words(self) -> str:
        """Alike for all axes or one by one; train mode apart if it differs."""
        if not self.analysis.complete:
            return self._followed_sizes()
        evaluated, trained = (self._sizes_of(mode) for mode in self.analysis.modes)
        return evaluated if evaluated == trained else f"{evaluated} (train mode: {trained})"

    def _followed_sizes(self) -> str:
        """Where not every path was followed: of equal sizes, on which they are followed first."""
        mode = self.analysis.evaluating
        unknown = self._unknown(mode, 2)
        if not unknown:
            text = describe(*self._along_diagonal(mode, 2))
            return f"{text} (equal sizes on all axes; others were not all followed)"
        inside = np.broadcast_to(mode.accepts(self._equal(np.arange(1, unknown), 2)), unknown - 1)
        seen = describe([*inside.tolist(), False], unknown - 1, 1)
        return f"{seen.removeprefix('only ')} among 1-{unknown - 1}; larger sizes were not all followed"

    def _unknown(self, mode: Mode, batch: int) -> int:
        """The smallest size, equal on all axes, on no path that was followed; 0 where none was seen."""
        known = np.broadcast_to(mode.described(self._equal(np.arange(1, FAR), batch)), FAR - 1)
        return 0 if known.all() else int(np.argmin(known)) + 1

    def _equal(self, sizes: Any, batch: int) -> dict[int, Any]:
        """Points with the same size along each axis."""
        return {BATCH: np.full(len(sizes), batch), **dict.fromkeys(range(len(self.axes)), sizes)}

    def _sizes_of(self, mode: Mode) -> str:
        if mode.accepted.empty:
            return "none"
        every = {**dict.fromkeys(range(len(self.axes)), (1, None)), BATCH: (2, None)}
        alone = isinstance(mode.accepted, Region) and all(
            BATCH in condition.axes and decide(condition, every).holds for condition in mode.accepted.joint
        )
        if not alone:
            return self._diagonal(mode)
        each = [self._along(axis, mode.accepted) for axis in range(len(self.axes))]
        if len(set(each)) == 1:
            return each[0]
        return "; ".join(f"{name} {text}" for name, text in zip(self.axes, each, strict=True))

    def _along(self, axis: int, accepted: Region | Patchwork) -> str:
        growth = horizon([Region(accepted.single, ())], axis)
        assert growth is not None
        if growth.settled + growth.period > LONGEST:
            return self._far(axis, accepted)
        sizes = np.arange(1, growth.settled + growth.period + 1)
        inside = np.ones(len(sizes), dtype=bool)
        for at_axis, curve in accepted.single:
            if at_axis == axis:
                inside &= curve.many(sizes) == 1
        return describe(inside.tolist(), growth.settled, growth.period)

    def _far(self, axis: int, accepted: Region | Patchwork) -> str:
        """Where the sizes repeat too late to be listed."""
        (curve,) = (curve for at_axis, curve in accepted.single if at_axis == axis)
        start, least = _from(accepted, axis), curves.scale(curve, -1, 1).smallest(1, None)
        if start is None:
            return f"some from {least} on, with gaps at every scale"
        return f">= {start}" if least == start else f"some from {least} on, then >= {start}"

    def _diagonal(self, mode: Mode) -> str:
        """Equal sizes along all axes, in words."""
        inside, last, period = self._along_diagonal(mode, 2)
        text = describe(inside, last, period)
        other = unequal_working(mode, len(self.axes)) if not any(inside) else None
        if other is not None:
            first = " x ".join(str(other[axis]) for axis in range(len(self.axes)))
            return f"{first} and others; {text} of the same size on all axes"
        mixed = len(self.axes) > 1 and self._not_a_box(mode, np.array(inside))
        return f"{text} (equal sizes on all axes)" if mixed else text

    def _along_diagonal(self, mode: Mode, batch: int) -> tuple[list[bool], int, int]:
        """Which equal sizes are accepted, looked at far enough; from where on they repeat, and how often."""
        settled, period = 0, 1
        flat = [Region(one.single, ()) for piece in parts(mode.accepted) for one in piece]
        for axis in range(len(self.axes)):
            growth = horizon(flat, axis)
            assert growth is not None
            settled, period = max(settled, growth.settled), int(np.lcm(period, growth.period))
        joint = [c for piece in parts(mode.accepted) for one in piece for c in one.joint]
        period = _common_period([period, *(p for condition in joint for p in _periods(condition))])
        window = max(settled + period, FAR if joint else 256)  # what several axes give together grows slowly
        window += -window % period
        sizes = np.arange(1, window + period + 1)
        inside = np.broadcast_to(mode.accepts(self._equal(sizes, batch)), len(sizes))
        tail, divisors = inside[-2 * period :], [p for p in range(1, period) if period % p == 0]
        period = next((p for p in divisors if np.array_equal(tail[p:], tail[:-p])), period)
        last = len(inside) - period
        while last > 0 and inside[last - 1] == inside[last - 1 + period]:
            last -= 1
        return inside.tolist(), last, period

    def _not_a_box(self, mode: Mode, inside: Any) -> bool:
        """Whether unequal sizes work, or not, other than each of them would along all axes."""
        axes = range(len(self.axes))
        sizes = np.arange(1, min(len(inside), edge(SEEN_TOGETHER, len(axes))) + 1)
        grid = dict(zip(axes, np.meshgrid(*[sizes] * len(axes), indexing="ij", sparse=True), strict=True))
        each = np.logical_and.reduce(np.broadcast_arrays(*(inside[n - 1] for n in grid.values())))
        return bool(np.any(mode.accepts({BATCH: 2, **grid}) != each))


def _periods(condition: Condition) -> list[int]:
    """After how many sizes a condition on several axes repeats along each of them, where that is known."""
    return [growth.period for axis, growth in (growth_of(condition) or {}).items() if axis != BATCH]


def _common_period(periods: list[int]) -> int:
    """The least common multiple, of the first ones only where all together repeat too late to look at."""
    common = 1
    for period in dict.fromkeys(periods):
        together = math.lcm(common, period)
        common = together if together <= FAR else common
    return common


def _from(whole: Region | Patchwork, axis: int) -> int | None:
    """The smallest size from which on every size along one axis is inside, the other axes apart."""
    lowest = 1
    for at_axis, curve in whole.single:
        if at_axis == axis:
            refused = steps.last(curve.table == 0)
            if refused >= curve.settled:
                return None
            lowest = max(lowest, refused + 2)
    return lowest
