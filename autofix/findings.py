"""Analysis -> faults: for each requirement that fails within the asked sizes, the smallest size and why."""

from __future__ import annotations

import itertools
import math
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from typing import Any, Final

import numpy as np

from autofix import curve as curves
from autofix.analyse import Analysis, Mode, Piece, bounds
from autofix.condition import NEVER, Box, Condition, indicator
from autofix.curve import Curve
from autofix.decision import LOOK, decide
from autofix.explain import Failure, chain, describe_fault
from autofix.explore import MOST_SECONDS
from autofix.fault import Fault
from autofix.interpret import Requirement
from autofix.region import Region
from autofix.size import BATCH, Shared

Point = dict[int, int]
FURTHEST: Final = 2048  # how far from the smallest size equal sizes are looked at


def find_faults(analysis: Analysis, box: Box) -> tuple[Fault, ...]:
    """The faults of both modes, each once, in execution order."""
    found: dict[tuple[Any, ...], tuple[int, Fault]] = {}
    for failure in failures(analysis, box):
        fault = describe_fault(failure, analysis.inputs.axes)
        own = failure.requirement.condition == NEVER  # what the model raises: each message is one fault
        key = fault.code, fault.site, fault.axis, fault.message if own else failure.requirement.what
        if key not in found:
            fault = replace(fault, chain=chain(failure.piece, failure.requirement.site, failure.point))
        else:
            mode = fault.mode if found[key][1].mode == fault.mode else "both"
            fault = replace(min(found[key][1], fault, key=lambda one: (max(one.size), one.size)), mode=mode)
        found[key] = (failure.requirement.site, fault)
    return tuple(fault for _, fault in sorted(found.values(), key=lambda item: item[0]))


def failures(analysis: Analysis, box: Box) -> Iterator[Failure]:
    """What fails in the box, mode by mode; silent failures where torch raises nothing at all.

    Where not every path was followed, as far as is seen in half a minute.
    """
    until = math.inf if analysis.complete else time.monotonic() + MOST_SECONDS
    for mode in analysis.modes:
        within = bounds(box, mode.training)
        everywhere = mode.accepted.covers(within).holds
        for piece in mode.pieces:
            if not everywhere:
                for requirement, point in _first_failures(mode, piece, within, until):
                    yield Failure(mode, piece, requirement, point)
            inside = _both(piece.domain, mode.accepted_on(piece))
            for requirement in _before(until, mode.required(piece, silent=True)):
                silent = _failing_where(requirement.condition, inside, within)
                if silent is not None:
                    yield Failure(mode, piece, requirement, silent)


def first_failure(analysis: Analysis, box: Box) -> tuple[bool, dict[int, int]] | None:
    """A size of the box that is not accepted, or not soundly so, and the mode in which.

    Where not every path was followed, of the sizes that take those that were.
    """
    for mode in analysis.modes:
        within = bounds(box, mode.training)
        if not analysis.complete:
            failing = (mode.failing_on(piece, within) for piece in mode.pieces)
            point = next((point for point in failing if point is not None), None)
            if point is not None:
                return mode.training, point
            continue
        for region in (mode.accepted, mode.sound):
            decision = region.covers(within)
            if decision.holds is False:
                lowest = {axis: low for axis, (low, _) in within.items()}
                return mode.training, {**lowest, **dict(decision.point)}
    return None


def decided(analysis: Analysis, box: Box) -> bool:
    """Whether the formulas prove every size of the box, silent faults included."""
    if analysis.unmodelled or not analysis.complete:
        return False
    return all(
        region.covers(bounds(box, mode.training)).holds
        for mode in analysis.modes
        for region in (mode.accepted, mode.sound)
    )


def _before(until: float, requirements: list[Requirement]) -> Iterator[Requirement]:
    """Each once, while there is time."""
    return itertools.takewhile(lambda _: time.monotonic() < until, dict.fromkeys(requirements))


def _first_failures(mode: Mode, piece: Piece, box: Box, until: float) -> Iterator[tuple[Requirement, Point]]:
    """Requirements that are the first to fail at some size: what torch raises, never a consequence of it."""
    alive = _Alive(box, piece)
    for requirement in _before(until, mode.required(piece, silent=False)):
        point = alive.failing(requirement.condition)
        if point is not None:
            yield requirement, point


class _Alive:
    """The sizes of a box at which nothing has failed so far."""

    def __init__(self, box: Box, piece: Piece) -> None:
        self.box, self.domain, self.joint = box, piece.domain.joint, list(piece.domain.joint)
        self.single: dict[int, Curve] = dict.fromkeys(box, curves.line(0, 1))
        self.single.update(dict(piece.domain.single))
        self.seen: set[Condition] = set()
        self.known: dict[Any, tuple[int, Any]] = {}  # grid -> joint conditions read so far, where they hold

    def failing(self, condition: Condition) -> Point | None:
        """The smallest size at which the condition is the first to fail; from now on it is taken to hold."""
        if condition in self.seen:
            return None
        self.seen.add(condition)
        curve = indicator(condition)
        if curve is None:
            return self._joint_failing(condition)
        (axis,) = condition.axes
        fails = curves.minimum(self.single[axis], curves.scale(curve, -1, 1))
        lowest = curves.scale(fails, -1, 1).smallest(*self.box[axis])
        point = None if lowest is None else self._complete({axis: lowest})
        if point is not None and not all(bool(part.at(point)) for part in self.domain):
            axes = frozenset((axis,)).union(*(part.axes for part in self.domain))
            point = self._on_path(condition, {a: self.box[a] for a in sorted(axes)})
        self.single[axis] = curves.minimum(self.single[axis], curve)
        return point

    def _on_path(self, condition: Condition, box: Box) -> Point | None:
        """Where it fails at sizes that take the path, which depends on several axes."""
        found = _on_grid(condition, self._at, box) or _on_diagonal(condition, self._at, box)
        return None if found is None else self._complete(found)

    def _joint_failing(self, condition: Condition) -> Point | None:
        if not condition.axes:
            if condition.at({}):
                return None
            point = _failing_where(condition, self._at, self.box) if self.joint else self._complete({})
            self.joint.append(condition)
            return point
        failing = _failing_where(condition, self._at, {a: self.box[a] for a in condition.axes})
        self.joint.append(condition)
        return None if failing is None else self._complete(failing)

    def _at(self, point: Mapping[int, Any]) -> Any:
        inside = self._joint_at(point)
        for axis in point:
            inside = inside & (self.single[axis].many(np.asarray(point[axis], dtype=np.int64)) == 1)
        return inside

    def _joint_at(self, point: Mapping[int, Any]) -> Any:
        """Where the joint conditions hold; on a grid asked for before, only the new ones are read."""
        key = tuple((axis, np.asarray(sizes).tobytes()) for axis, sizes in point.items())
        count, inside = self.known.get(key, (0, np.bool_(True)))
        point = Shared(point)
        for condition in self.joint[count:]:
            if condition.axes <= point.keys() and np.any(inside):
                inside = inside & condition.at(point)
        self.known[key] = len(self.joint), inside
        return inside

    def _complete(self, point: Point) -> Point | None:
        """The smallest sizes along the other axes that are still alive; None where there are none."""
        for axis, (lowest, highest) in self.box.items():
            if axis not in point:
                size = curves.scale(self.single[axis], -1, 1).smallest(lowest, highest)
                if size is None:
                    return None
                point = {**point, axis: size}
        return point


def _both(domain: Region, accepted: Region) -> Callable[[Mapping[int, Any]], Any]:
    """Whether points are in both; asked of the same grid for each requirement, it is worked out once."""
    known: dict[tuple[tuple[int, bytes], ...], Any] = {}

    def inside(point: Mapping[int, Any]) -> Any:
        key = tuple((axis, np.asarray(sizes).tobytes()) for axis, sizes in point.items())
        if key not in known:
            known[key] = domain.at(point) & accepted.at(point)
        return known[key]

    return inside


def _failing_where(condition: Condition, inside: Any, box: Box) -> Point | None:
    """The smallest point of a box at which a condition fails although `inside` holds."""
    decision = decide(condition, box)
    if decision.holds is not False:
        return None
    whole = {axis: lowest for axis, (lowest, _) in box.items()} | dict(decision.point)
    if bool(inside(whole)):
        return whole
    return _on_grid(condition, inside, box) or _on_diagonal(condition, inside, box)


def _on_grid(condition: Condition, inside: Any, box: Box) -> Point | None:
    """The smallest failing point near the smallest sizes."""
    order = sorted(box)
    ranges = [_look(box[axis], len(order)) for axis in order]
    point = dict(zip(order, np.meshgrid(*ranges, indexing="ij", sparse=True), strict=True))
    shape = [len(r) for r in ranges]
    within = np.broadcast_to(inside(point), shape)
    if not within.any():
        return None
    failing = np.argwhere(within & ~np.broadcast_to(condition.at(point), shape))
    if not len(failing):
        return None
    best = failing[np.lexsort((failing.sum(axis=1), failing.max(axis=1)))[0]]
    return {axis: int(values[i]) for axis, values, i in zip(order, ranges, best, strict=True)}


def _on_diagonal(condition: Condition, inside: Any, box: Box) -> Point | None:
    """The smallest failing point with equal sizes on all axes, further out."""
    spatial, rest = [axis for axis in box if axis != BATCH], {a: box[a][0] for a in box if a == BATCH}
    if not spatial:
        return None
    lowest = max(box[axis][0] for axis in spatial)
    highest = min((high for axis in spatial if (high := box[axis][1]) is not None), default=lowest + FURTHEST)
    sizes = np.arange(lowest, min(highest, lowest + FURTHEST) + 1, dtype=np.int64)
    point = {**dict.fromkeys(spatial, sizes), **rest}
    within = np.broadcast_to(inside(point), sizes.shape)
    if not within.any():
        return None
    found = sizes[within & ~np.broadcast_to(condition.at(point), sizes.shape)]
    return {**dict.fromkeys(spatial, int(found[0])), **rest} if len(found) else None


def _look(bounds: tuple[int, int | None], axes: int) -> Any:
    count = {1: 4096, 2: 256, 3: LOOK}.get(axes, LOOK // 3)
    last = bounds[0] + count if bounds[1] is None else min(bounds[1], bounds[0] + count)
    return np.arange(bounds[0], last + 1, dtype=np.int64)
