"""Program -> Analysis: which sizes are accepted, which requirements fail where."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Final

import numpy as np

from autofix.changes import Changes
from autofix.condition import Box, Condition, any_of
from autofix.curve import LONGEST
from autofix.interpret import Meaning, Requirement, interpret
from autofix.ops.base import Tensor
from autofix.program import InputShapes, Program
from autofix.region import Region, horizon, region
from autofix.size import BATCH

MOST_PIECES: Final = 48  # paths of one model that are followed before coverage is given up


@dataclass(frozen=True)
class Piece:
    """One path through the model, and the sizes that take it."""

    program: Program
    meaning: Meaning

    @cached_property
    def domain(self) -> Region:
        return region((*self.program.conditions, *self.meaning.conditions))


@dataclass(frozen=True)
class Mode:
    """A model in eval or in train mode, as the paths that together describe it."""

    training: bool
    pieces: tuple[Piece, ...]

    def required(self, piece: Piece, silent: bool) -> list[Requirement]:
        """The requirements of a path in this mode, in execution order."""
        return [r for r in piece.meaning.requirements if r.silent == silent and (self.training or not r.train)]

    @cached_property
    def accepted(self) -> Region:
        """Where torch raises nothing, among the sizes that are described."""
        return region(guarded(r, piece) for piece in self.pieces for r in self.required(piece, silent=False))

    @cached_property
    def sound(self) -> Region:
        """Where no silent fault happens either."""
        return region(guarded(r, piece) for piece in self.pieces for r in self.required(piece, silent=True))

    def described(self, point: Mapping[int, Any]) -> Any:
        """Whether some path stands for a point."""
        known: Any = np.bool_(False)
        for piece in self.pieces:
            known = known | piece.domain.at(point)
        return known

    def accepts(self, point: Mapping[int, Any]) -> Any:
        """Whether torch raises nothing there; points on no known path count as refused."""
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
    changes: Changes = Changes()

    @property
    def modes(self) -> tuple[Mode, Mode]:
        return self.evaluating, self.training

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
    follow: Follow, inputs: InputShapes, box: Box, start: Mapping[int, int], changes: Changes = Changes()
) -> Analysis:
    """Follow the model's paths until they cover the box, in both modes."""
    evaluating, covered = _explore(follow, False, box, start)
    training, covered_too = _explore(follow, True, box, start)
    return Analysis(inputs, evaluating, training, covered and covered_too, changes)


def _explore(follow: Follow, training: bool, box: Box, start: Mapping[int, int]) -> tuple[Mode, bool]:
    mode = Mode(training, (follow(training, start),))
    while len(mode.pieces) < MOST_PIECES:
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
    """A point of the box on no followed path; None where there is none, {} where that is not known."""
    domains = [piece.domain for piece in mode.pieces]
    if any(not domain.single and not domain.joint and not domain.empty for domain in domains):
        return None
    order = sorted({axis for domain in domains for axis, _ in domain.single} | {a for d in domains for c in d.joint for a in c.axes})
    ranges, exact = [], True
    for axis in order:
        growth = horizon(domains, axis)
        lowest, highest = box[axis]
        exact = exact and growth is not None
        last = max(lowest, growth.settled + 1) + growth.period - 1 if growth else lowest + 40
        ranges.append(np.arange(lowest, min(last, highest if highest is not None else last) + 1, dtype=np.int64))
    if np.prod([len(r) for r in ranges], dtype=float) > LONGEST:
        return {}
    grids = np.meshgrid(*ranges, indexing="ij", sparse=True)
    missing = np.argwhere(~np.broadcast_to(mode.described(dict(zip(order, grids, strict=True))), [len(r) for r in ranges]))
    if not len(missing):
        return None if exact else {}
    best = missing[np.lexsort((missing.sum(axis=1), missing.max(axis=1)))[0]]
    return {axis: int(values[i]) for axis, values, i in zip(order, ranges, best, strict=True)}


def follow_program(
    programs: tuple[Program, ...], box: Box, changes: Changes | None = None
) -> Follow:
    """Paths of a program that is the same at every size, but for the rank its operators give."""
    tensors = [None if dims is None else Tensor(dims) for dims in programs[0].inputs.dims()]
    known: dict[tuple[int, tuple[tuple[int, int], ...]], Piece] = {}

    def follow(training: bool, point: Mapping[int, int]) -> Piece:
        program = programs[training]
        key = id(program), tuple(sorted(point.items()))
        if key not in known:
            known[key] = Piece(program, interpret(program, tensors, box, point, changes))
        return known[key]

    return follow


def guarded(requirement: Requirement, piece: Piece) -> Condition:
    """The requirement, where the piece's path is taken."""
    conditions: Sequence[Condition] = (*piece.program.conditions, *piece.meaning.conditions)
    return any_of((*(~c for c in conditions), requirement.condition)) if conditions else requirement.condition


def everything(axes: int) -> Box:
    """Every size from 1 up, along each axis and for the batch."""
    return {axis: (1, None) for axis in (BATCH, *range(axes))}
