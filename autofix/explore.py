"""Follow a model's paths until they cover the sizes that are asked for."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Final

import numpy as np

from autofix import curve as curves
from autofix.analyse import Analysis, Mode, Piece, bounds, smallest
from autofix.changes import UNCHANGED, Changes
from autofix.condition import Box, Condition
from autofix.interpret import interpret
from autofix.ops.base import Tensor
from autofix.program import InputShapes, Program
from autofix.region import EVERYWHERE, region, window
from autofix.size import BATCH

MOST_PIECES: Final = 64  # paths of one model that are followed before coverage is given up
MOST_SECONDS: Final = 30.0
FURTHER: Final = 2048  # sizes, equal on all axes, at which a path is looked for that was not followed


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
    if found is not None:
        return dict(zip(order, found, strict=True))
    if grid.exact or both_ways([piece.meaning.conditions for piece in mode.pieces]):
        return None
    return _further(mode, order, box)


def _further(mode: Mode, order: Sequence[int], box: Box) -> dict[int, int]:
    """A point beyond the grid where all sizes grow alike; {} where none was seen."""
    steps = np.arange(FURTHER, dtype=np.int64)
    ends = {axis: box[axis][1] or box[axis][0] + FURTHER for axis in order}
    point = {axis: np.minimum(box[axis][0] + steps, ends[axis]) for axis in order}
    missing = np.flatnonzero(~np.broadcast_to(mode.described(point), steps.shape))
    return {axis: int(sizes[missing[0]]) for axis, sizes in point.items()} if len(missing) else {}


def both_ways(paths: Sequence[tuple[Condition, ...]], depth: int = 0) -> bool:
    """Whether every answer at each fork is among the paths, but for those that no size gives."""
    if not paths or any(len(path) == depth for path in paths):
        return bool(paths)
    before, sides = paths[0][:depth], list(dict.fromkeys(path[depth] for path in paths))
    if ~sides[0] not in sides and not nowhere((*before, *(~side for side in sides))):
        return False
    taken = {side: [path for path in paths if path[depth] == side] for side in sides}
    return all(both_ways(taken[side], depth + 1) or nowhere((*before, side)) for side in sides)


def nowhere(conditions: Iterable[Condition]) -> bool:
    """Whether what they ask along one axis holds at no size."""
    together = region(conditions)
    holds = (curves.scale(curve, -1, 1) for _, curve in together.single)
    return together.empty or any(curve.smallest(1, None) is None for curve in holds)


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


def everything(axes: int) -> Box:
    """Every size from 1 up, along each axis and for the batch."""
    return dict.fromkeys((BATCH, *range(axes)), (1, None))
