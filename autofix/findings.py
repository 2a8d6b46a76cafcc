"""Analysis -> faults: for each requirement that fails within the asked sizes, the smallest size and why."""

from __future__ import annotations

import re
import traceback
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any, Final

import numpy as np

from autofix import curve as curves
from autofix.analyse import Analysis, Mode, Piece
from autofix.arguments import references
from autofix.condition import NEVER, Box, Condition, indicator
from autofix.curve import Curve
from autofix.decision import LOOK, decide
from autofix.errors import CaptureError
from autofix.fault import Code, Fault, Location, Step
from autofix.frames import is_users
from autofix.guard import one_line
from autofix.interpret import Requirement
from autofix.meta import raised
from autofix.ops.base import Tensor
from autofix.program import Program
from autofix.region import Region
from autofix.size import BATCH, at, is_dim

Point = dict[int, int]
FURTHEST: Final = 2048  # how far from the smallest size equal sizes are looked at


@dataclass(frozen=True)
class Failure:
    """A requirement that fails, the path it is on, and the smallest size at which it is the first to fail."""

    mode: Mode
    piece: Piece
    requirement: Requirement
    point: Mapping[int, int]


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
    """What fails in the box, mode by mode; silent failures where torch raises nothing at all."""
    for mode in analysis.modes:
        bounds = {**box, BATCH: (2, None)} if mode.training else box
        everywhere = mode.accepted.covers(bounds).holds
        for piece in mode.pieces:
            if not everywhere:
                for requirement, point in _first_failures(mode, piece, bounds):
                    yield Failure(mode, piece, requirement, point)
            inside = _both(piece.domain, mode.accepted_on(piece))
            for requirement in dict.fromkeys(mode.required(piece, silent=True)):
                silent = _failing_where(requirement.condition, inside, bounds)
                if silent is not None:
                    yield Failure(mode, piece, requirement, silent)


def first_failure(analysis: Analysis, box: Box) -> tuple[bool, dict[int, int]] | None:
    """A size of the box that is not accepted, or not soundly so, and the mode in which.

    Where not every path was followed, of the sizes that take those that were.
    """
    for mode in analysis.modes:
        bounds = {**box, BATCH: (2, None) if mode.training else box[BATCH]}
        if not analysis.complete:
            failing = (mode.failing_on(piece, bounds) for piece in mode.pieces)
            point = next((point for point in failing if point is not None), None)
            if point is not None:
                return mode.training, point
            continue
        for region in (mode.accepted, mode.sound):
            decision = region.covers(bounds)
            if decision.holds is False:
                lowest = {axis: low for axis, (low, _) in bounds.items()}
                return mode.training, {**lowest, **dict(decision.point)}
    return None


def decided(analysis: Analysis, box: Box) -> bool:
    """Whether the formulas prove every size of the box, silent faults included."""
    if analysis.unmodelled or not analysis.complete:
        return False
    return all(
        region.covers({**box, BATCH: (2, None) if mode.training else box[BATCH]}).holds
        for mode in analysis.modes
        for region in (mode.accepted, mode.sound)
    )


def _first_failures(mode: Mode, piece: Piece, box: Box) -> Iterator[tuple[Requirement, Point]]:
    """Requirements that are the first to fail at some size: what torch raises, never a consequence of it."""
    alive = _Alive(box, piece)
    for requirement in dict.fromkeys(mode.required(piece, silent=False)):
        point = alive.failing(requirement.condition)
        if point is not None:
            yield requirement, point


class _Alive:
    """The sizes of a box at which nothing has failed so far."""

    def __init__(self, box: Box, piece: Piece) -> None:
        self.box, self.joint = box, list(piece.domain.joint)
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
        self.single[axis] = curves.minimum(self.single[axis], curve)
        lowest = curves.scale(fails, -1, 1).smallest(*self.box[axis])
        return None if lowest is None else self._complete({axis: lowest})

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
    count = {1: 4096, 2: 256, 3: LOOK}.get(axes, LOOK // 2)
    last = bounds[0] + count if bounds[1] is None else min(bounds[1], bounds[0] + count)
    return np.arange(bounds[0], last + 1, dtype=np.int64)


def describe_fault(failure: Failure, axes: tuple[str, ...]) -> Fault:
    """The fault in words and numbers, at one failing size; without the chain that led to it."""
    mode, piece, requirement, point = failure.mode, failure.piece, failure.requirement, failure.point
    site = piece.program.sites[requirement.site]
    needs, gets = (None if d is None else int(at(d, point)) for d in (requirement.needs, requirement.gets))
    where = sorted(axis for axis in requirement.condition.axes if axis >= 0)
    fault = Fault(
        code=requirement.code,
        site=site.name,
        op=site.op_name,
        message=_with_numbers(_message(requirement, needs, gets), failure),
        axis=axes[where[0]] if len(where) == 1 else "",
        size=tuple(point.get(axis, 1) for axis in range(len(axes))),
        needs=needs,
        gets=gets,
        mode="train" if mode.training else "eval",
        silent=requirement.silent,
        called_at=site.location,
    )
    own = requirement.condition == NEVER and requirement.code is Code.ASSERTION
    return _as_raised(fault, failure) if own else fault


def _as_raised(fault: Fault, failure: Failure) -> Fault:
    """What the model's own code raises at this very size, and where: the path was followed at another one."""
    root, inputs = failure.piece.program.root, failure.piece.program.inputs
    root.train(failure.mode.training)
    try:
        error = raised(root, inputs, {BATCH: 2, **failure.point})
    except CaptureError:
        return fault
    frames = [] if error is None else traceback.extract_tb(error.__traceback__)
    own = next((frame for frame in reversed(frames) if is_users(frame.filename)), None)
    if error is None or own is None:
        return fault
    place = Location(own.filename, own.lineno or 0, own.line or "", own.end_lineno, own.end_colno)
    message = f"the model raises {one_line(error)}"
    return replace(fault, site=own.name, op=type(root).__name__, message=message, called_at=place)


def _message(requirement: Requirement, needs: int | None, gets: int | None) -> str:
    numbers = f": needs {needs}, gets {gets}" if needs is not None and gets is not None else ""
    if requirement.code is Code.REFUSED:
        return requirement.what
    return f"{requirement.what}{numbers}"


def _with_numbers(message: str, failure: Failure) -> str:
    """A model's own message, formatted while it was recorded, with the sizes in the place of their names."""

    def number(match: re.Match[str]) -> str:
        values = failure.piece.meaning.values
        sites = (site.index for site in failure.piece.program.sites if site.name == match[1])
        dim = next((values[index] for index in sites), None)
        return str(at(dim, failure.point)) if is_dim(dim) else match[0]

    return re.sub(r"(?:Proxy|Symbol)\((\w+)\)", number, message) if "(" in message else message


def chain(piece: Piece, site: int, point: Mapping[int, int]) -> tuple[Step, ...]:
    """The sizes that led to a site: each earlier site on its first input's path that changed them."""
    steps: list[Step] = []
    current = _first_input(piece.program, piece, site)
    after = () if current is None else spatial_sizes(piece.meaning.values[current], point)
    while current is not None:
        source = _first_input(piece.program, piece, current)
        if source is not None:
            before = spatial_sizes(piece.meaning.values[source], point)
            if before != after:
                called = piece.program.sites[current]
                steps.append(Step(called.name, called.op_name, before, after))
            after = before
        current = source
    return tuple(reversed(steps))


def _first_input(program: Program, piece: Piece, site: int) -> int | None:
    """The first tensor a site computes from."""
    for ref in references((program.sites[site].args, program.sites[site].kwargs)):
        value = piece.meaning.values[ref]
        if isinstance(value, Tensor) and program.sites[ref].kind != "get_attr":
            return ref
        if isinstance(value, tuple | list) and any(isinstance(item, Tensor) for item in value):
            return ref
    return None


def spatial_sizes(value: Any, point: Mapping[int, int]) -> tuple[int, ...]:
    """The sizes of a value without batch and channels; of the first tensor, where it holds several."""
    if isinstance(value, tuple | list):
        value = next((item for item in value if isinstance(item, Tensor)), None)
    if not isinstance(value, Tensor):
        return ()
    dims = value.shape[2:] if value.ndim > 2 else value.shape
    return tuple(int(at(dim, point)) for dim in dims)
