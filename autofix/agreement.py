"""Does a trace agree with the model's own run, at a size that should work?"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, Final

import numpy as np

from autofix.analyse import Analysis, Mode, Piece, smallest
from autofix.arguments import row_of
from autofix.fault import Code
from autofix.fidelity import follows
from autofix.meta import raised
from autofix.program import InputShapes
from autofix.size import BATCH

TOGETHER: Final = 1 << 16  # sizes of all axes together among which unequal ones are looked for
LARGER: Final = (48, 64, 80, 96, 112, 128, 160, 192, 224, 256, 299, 320, 384, 448, 512)  # and these
TRIED: Final = (64, 32, 128, 224, 256, 16, 96, 512, 8, 48, 299)  # sizes at which a model is likely to work


def difference(analysis: Analysis) -> str | None:
    """Where a trace and the model's own run differ, at a size that should work; None where they agree."""
    for mode in analysis.modes:
        if mode.training and mode.pieces[0].program is analysis.evaluating.pieces[0].program:
            continue
        found = _difference_in(mode, analysis.inputs)
        if found is not None:
            return found
    return None


def _difference_in(mode: Mode, inputs: InputShapes) -> str | None:
    count = range(len(inputs.axes))
    points = [{BATCH: 2, **dict.fromkeys(count, size)} for size in TRIED]
    working = next((point for point in points if bool(mode.accepts(point))), None)
    if working is None:
        working = any_working(mode, inputs)
    if working is not None:
        piece = mode.piece_at(working)
        if piece is None or piece.meaning.unmodelled:
            return None
        return follows(piece.program, piece.meaning, working, mode.training)
    mode.pieces[0].program.root.train(mode.training)
    for point in points[:4]:
        piece = mode.piece_at(point)
        if piece is None or _refuses_values(mode, piece, point):
            continue
        if raised(mode.pieces[0].program.root, inputs, point) is None:
            return f"the model works at {point[0]}, its trace does not"
    return None


def _refuses_values(mode: Mode, piece: Piece, point: Mapping[int, int]) -> bool:
    """Whether something is refused that the meta device may let pass: an index, a limit, what has no value.

    Of a transposed convolution it takes any channels.
    """
    failing = [r for r in mode.required(piece, silent=False) if not bool(r.condition.at(point))]
    names = {r.site: row_of(piece.program.sites[r.site]) for r in failing if r.code is Code.CHANNELS}
    transposed = any(row is not None and row[0].name == "transposed convolution" for row in names.values())
    return transposed or any(r.code in (Code.EMPTY, Code.INDEX, Code.LIMIT) for r in failing)


def any_working(mode: Mode, inputs: InputShapes) -> dict[int, int] | None:
    """A size that is accepted, the same along all axes; None where there is none near."""
    sizes = np.arange(1, 1025)
    point = {BATCH: np.full(len(sizes), 2), **dict.fromkeys(range(len(inputs.axes)), sizes)}
    good = np.flatnonzero(np.broadcast_to(mode.accepts(point), sizes.shape))
    return {BATCH: 2, **dict.fromkeys(range(len(inputs.axes)), int(good[0]) + 1)} if len(good) else None


def unequal_working(mode: Mode, count: int) -> dict[int, int] | None:
    """The smallest sizes, not the same on all axes, at which the model works; None where none are near."""
    if count == 1:
        return None
    near = edge(TOGETHER, count)
    further = [n for n in LARGER if n > near] if count < 4 else []
    ranges = [np.append(np.arange(1, near + 1), np.array(further, dtype=np.int64))] * count
    grid = np.meshgrid(*ranges, indexing="ij", sparse=True)
    point: dict[int, Any] = {BATCH: 2, **dict(enumerate(grid))}
    works = np.broadcast_to(mode.accepts(point) & mode.sound.at(point), [len(r) for r in ranges])
    found = smallest(works, ranges)
    return None if found is None else {BATCH: 2, **dict(enumerate(found))}


def edge(together: int, count: int) -> int:
    """How many sizes along each of so many axes give that many together."""
    return math.floor(math.pow(together, 1 / count) + 1e-9)
