"""Program -> Analysis: which sizes are accepted, which requirements fail where."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any, Final

import numpy as np

from autofix import curve as curves
from autofix.changes import UNCHANGED, Changes
from autofix.condition import Box, Condition, any_of, equal, indicator
from autofix.decision import decide
from autofix.fault import Code
from autofix.interpret import Meaning, Requirement, interpret
from autofix.ops.base import Tensor
from autofix.program import InputShapes, Program
from autofix.region import EVERYWHERE, Patchwork, Region, region, window
from autofix.size import BATCH, Shared

MOST_PIECES: Final = 64  # paths of one model that are followed before coverage is given up
MOST_SECONDS: Final = 30.0


@dataclass(frozen=True)
class Piece:
    """One path through the model, and the sizes that take it; `point`: those that were followed."""

    program: Program
    meaning: Meaning
    point: Mapping[int, int] = field(default_factory=dict, compare=False)

    @cached_property
    def domain(self) -> Region:
        return region(self.meaning.conditions)


@dataclass(frozen=True)
class Mode:
    """A model in eval or in train mode, as the paths that together describe it.

    strict: what fails silently is not accepted either
    """

    training: bool
    pieces: tuple[Piece, ...]
    strict: bool = False

    def required(self, piece: Piece, silent: bool) -> list[Requirement]:
        """The requirements of a path in this mode, in execution order."""
        asked = [
            r for r in piece.meaning.requirements if r.silent == silent and (self.training or not r.train)
        ]
        return [r for r in asked if not self._meant(piece, r)] if silent else asked

    def _decisive(self, piece: Piece, silent: bool) -> list[Requirement]:
        more = self.required(piece, silent=True) if self.strict and not silent else []
        return [*self.required(piece, silent), *more]

    def meant(self, piece: Piece) -> frozenset[int]:
        """The sites of broadcasts that happen at every size that works."""
        return frozenset(r.site for r in piece.meaning.requirements if r.silent and self._meant(piece, r))

    def _meant(self, piece: Piece, requirement: Requirement) -> bool:
        """Whether a side is 1 at every size that gets there: then this is what the model computes."""
        if requirement.code is not Code.BROADCAST or len(requirement.condition.axes) != 1:
            return False
        stretched = any_of(equal(side, 1) for side in (requirement.needs, requirement.gets))
        curve, (axis,) = indicator(stretched), requirement.condition.axes
        others = (r for r in self.required(piece, silent=False) if r.site != requirement.site)
        accepted = dict(region(r.condition for r in others).single).get(axis)
        if curve is None or accepted is None:
            return False
        apart = curves.minimum(accepted, curves.scale(curve, -1, 1))
        works, differs = (curves.scale(one, -1, 1).smallest(1, None) for one in (accepted, apart))
        return works is not None and differs is None

    def accepted_on(self, piece: Piece) -> Region:
        """Where torch raises nothing, among the sizes that take this path."""
        return region(r.condition for r in self.required(piece, silent=False))

    @cached_property
    def accepted(self) -> Region | Patchwork:
        """Where torch raises nothing, among the sizes that are described."""
        return self._together(silent=False)

    @cached_property
    def sound(self) -> Region | Patchwork:
        """Where no silent fault happens either."""
        return self._together(silent=True)

    def failing_on(self, piece: Piece, box: Box) -> dict[int, int] | None:
        """The smallest point of a box, among those looked at, that takes a path and fails on it."""
        regions = [piece.domain, self.accepted_on(piece)]
        regions.append(region(r.condition for r in self.required(piece, silent=True)))
        order = sorted(
            {axis for one in regions for axis, _ in one.single}
            | {axis for one in regions for condition in one.joint for axis in condition.axes}
        )
        grid = window(regions, order, box)
        point = dict(zip(order, grid.sparse, strict=True))
        taken, *fine = (np.broadcast_to(one.at(point), grid.shape) for one in regions)
        found = smallest(taken & ~np.logical_and.reduce(fine), grid.ranges)
        lowest = {axis: bounds[0] for axis, bounds in box.items()}
        return None if found is None else {**lowest, **dict(zip(order, found, strict=True))}

    def _together(self, silent: bool) -> Region | Patchwork:
        parts = tuple((p.domain, region(r.condition for r in self._decisive(p, silent))) for p in self.pieces)
        if len(parts) == 1 and parts[0][0] == EVERYWHERE:
            return parts[0][1]
        return Patchwork(parts)

    def described(self, point: Mapping[int, Any]) -> Any:
        """Whether some path stands for a point."""
        known: Any = np.bool_(False)
        point = Shared(point)
        for piece in self.pieces:
            known = known | piece.domain.at(point)
        return known

    def accepts(self, point: Mapping[int, Any]) -> Any:
        """Whether torch raises nothing there; points on no known path count as refused."""
        point = Shared(point)
        return self.described(point) & self.accepted.at(point)

    def piece_at(self, point: Mapping[int, int]) -> Piece | None:
        return next((piece for piece in self.pieces if piece.domain.at(point)), None)


@dataclass(frozen=True)
class Analysis:
    """Everything known of a model's sizes.

    complete: every size in the box it was made for is on a path that was followed
    """

    inputs: InputShapes
    evaluating: Mode
    training: Mode
    complete: bool = True
    changes: Changes = UNCHANGED

    @property
    def modes(self) -> tuple[Mode, Mode]:
        return self.evaluating, self.training

    @property
    def one_path(self) -> bool:
        """Whether one reading of the model stands for every size in each mode, whatever is edited."""
        return all(
            len(mode.pieces) == 1 and mode.pieces[0].domain == EVERYWHERE and not mode.pieces[0].program.asked
            for mode in self.modes
        )

    @property
    def strict(self) -> Analysis:
        """The same, where what fails silently is not accepted either."""
        evaluating, training = (replace(mode, strict=True) for mode in self.modes)
        return replace(self, evaluating=evaluating, training=training)

    @cached_property
    def largest_batch(self) -> int | None:
        """Up to which batch nothing fails that depends on the batch alone; None without end, or below two."""
        asked = (
            requirement.condition
            for mode in self.modes
            for piece in mode.pieces
            for silent in (False, True)
            for requirement in mode.required(piece, silent)
        )
        found = (decide(condition, {BATCH: (2, None)}) for condition in asked if condition.axes == {BATCH})
        failing = [dict(decision.point)[BATCH] for decision in found if decision.holds is False]
        largest = min(failing, default=0) - 1
        return largest if largest > 1 else None

    @property
    def paths_stay(self) -> bool:
        """Whether no edit changes the path that a size takes: its forks ask nothing that an edit changes."""
        pieces = [piece for mode in self.modes for piece in mode.pieces]
        return all(
            piece.program.told is not None
            and not piece.program.asked
            and {told.site for told in piece.program.told} >= set(piece.meaning.asked)
            for piece in pieces
        )

    @property
    def unmodelled(self) -> tuple[str, ...]:
        """Sites without a rule, each with the reason."""
        found: dict[str, None] = {}
        for mode in self.modes:
            for piece in mode.pieces:
                for site, why in piece.meaning.unmodelled.items():
                    found[f"{piece.program.label(site)}: {why}"] = None
        return tuple(found)


Follow = Callable[[bool, Mapping[int, int]], Piece]  # training, point -> the path taken there


def analyse(
    follow: Follow,
    inputs: InputShapes,
    box: Box,
    start: Mapping[int, int],
    changes: Changes = UNCHANGED,
    one_graph: Callable[[], bool] = lambda: False,
    within: Box | None = None,
) -> Analysis:
    """Follow the model's paths until they cover the box, in both modes; with one graph these are the same.

    one_graph: asked when the paths of eval mode are known
    within: sizes that are to work; the first path on which one fails is the last that is followed
    """
    evaluating, covered = _explore(follow, False, box, start, within)
    training, covered_too = (
        (Mode(True, evaluating.pieces), covered)
        if one_graph()
        else _explore(follow, True, box, start, within)
    )
    return Analysis(inputs, evaluating, training, covered and covered_too, changes)


def _explore(
    follow: Follow, training: bool, box: Box, start: Mapping[int, int], within: Box | None
) -> tuple[Mode, bool]:
    mode, until = Mode(training, (follow(training, start),)), time.monotonic() + MOST_SECONDS
    within = None if within is None else bounds(within, training)
    while len(mode.pieces) < MOST_PIECES and time.monotonic() < until:
        if within is not None and mode.failing_on(mode.pieces[-1], within) is not None:
            return mode, False
        missing = uncovered(mode, box)
        if missing is None:
            return mode, True
        if not missing:
            return mode, False
        piece = follow(training, {**start, **missing})
        if not piece.domain.at({**start, **missing}):
            return mode, False
        mode = Mode(training, (*mode.pieces, piece))
    return mode, False


def uncovered(mode: Mode, box: Box) -> dict[int, int] | None:
    """A point of the box on no followed path; None where there is none, {} where that is not known.

    Equal sizes on all axes come first: they are what most inputs are.
    """
    domains = [piece.domain for piece in mode.pieces]
    if EVERYWHERE in domains:
        return None
    order = sorted(
        {axis for d in domains for axis, _ in d.single}
        | {a for d in domains for c in d.joint for a in c.axes}
    )
    grid = window(domains, order, box)
    missing = ~np.broadcast_to(mode.described(dict(zip(order, grid.sparse, strict=True))), grid.shape)
    found = smallest(missing, grid.ranges)
    if found is None:
        return None if grid.exact or both_ways([piece.meaning.conditions for piece in mode.pieces]) else {}
    return dict(zip(order, found, strict=True))


def both_ways(paths: Sequence[tuple[Condition, ...]], depth: int = 0) -> bool:
    """Whether both sides of each fork are among the paths, or there are no sizes on one of them."""
    if not paths or any(len(path) == depth for path in paths):
        return bool(paths)
    fork = paths[0][depth]
    for side in (fork, ~fork):
        taken = [path for path in paths if path[depth] == side]
        if not both_ways(taken, depth + 1) and not nowhere((*paths[0][:depth], side)):
            return False
    return True


def nowhere(conditions: Iterable[Condition]) -> bool:
    """Whether what they ask along one axis holds at no size."""
    together = region(conditions)
    holds = (curves.scale(curve, -1, 1) for _, curve in together.single)
    return together.empty or any(curve.smallest(1, None) is None for curve in holds)


def smallest(inside: Any, ranges: Sequence[Any]) -> tuple[int, ...] | None:
    """The smallest point of a grid that is inside, equal sizes first; None where there is none."""
    found = np.argwhere(inside)
    if not len(found):
        return None
    if not ranges:
        return ()
    largest = found.max(axis=1)
    best = found[np.lexsort((found.sum(axis=1), largest, largest > found.min(axis=1)))[0]]
    return tuple(int(values[i]) for values, i in zip(ranges, best, strict=True))


def follow_program(programs: tuple[Program, ...], box: Box, changes: Changes | None = None) -> Follow:
    """Paths of a program that is the same at every size, but for the rank its operators give."""
    tensors = [None if dims is None else Tensor(dims) for dims in programs[0].inputs.dims()]
    known: dict[tuple[int, tuple[tuple[int, int], ...]], Piece] = {}

    def follow(training: bool, point: Mapping[int, int]) -> Piece:
        program = programs[training]
        key = id(program), tuple(sorted(point.items()))
        if key not in known:
            known[key] = Piece(program, interpret(program, tensors, box, point, changes), point)
        return known[key]

    return follow


def bounds(box: Box, training: bool) -> Box:
    """The box in a mode: batch norm asks for more than one value, so that training needs a batch of 2."""
    return {**box, BATCH: (2, box[BATCH][1])} if training else box


def everything(axes: int) -> Box:
    """Every size from 1 up, along each axis and for the batch."""
    return dict.fromkeys((BATCH, *range(axes)), (1, None))
