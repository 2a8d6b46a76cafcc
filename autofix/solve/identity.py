"""Does an insert change anything at the sizes at which the model already worked?"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, Final

import numpy as np

from autofix.agreement import TOGETHER, edge
from autofix.analyse import Mode, Piece
from autofix.arguments import resolved
from autofix.changes import Key, program_keys
from autofix.insertion import Adaptive, CropBack, Insertion, RoundUp, operands
from autofix.ops.base import Tensor
from autofix.size import BATCH, Dim, at, product
from autofix.solve.request import Request

MOST: Final = 4096  # sizes along each axis
FURTHER: Final = 1024  # equal sizes on all axes


def keeps(request: Request, key: Key, insertion: Insertion) -> bool:
    """Whether it is the identity there, as far as the sizes looked at show."""
    if isinstance(insertion, RoundUp | CropBack):
        return True  # made of what works: no such size is rounded
    mode = request.original.evaluating
    passes = isinstance(insertion, Adaptive) and insertion.passes
    return all(
        _same(mode, piece, _compared(before, passes), _compared(after, passes), len(request.reference))
        for piece in mode.pieces
        for before, after in _changed(piece, key, insertion)
    )


def _compared(tensor: Tensor, passes: bool) -> tuple[Dim, ...]:
    """The sizes that have to stay: where maps with as many elements pass, their number alone."""
    return (product(tensor.shape[2:]),) if passes else tensor.shape


def _changed(piece: Piece, key: Key, insertion: Any) -> Iterator[tuple[Tensor, Tensor]]:
    """The operands of the call before and after the insert, in the model as it is."""
    for site, keys in zip(piece.program.sites, program_keys(piece.program), strict=True):
        if keys[1] == key and insertion.after:
            value = piece.meaning.values[site.index]
            yield value, insertion.resize_value(value)
        elif keys[1] == key:
            args = resolved(site, piece.meaning.values)
            pairs = (operands(one, Tensor) for one in (args, insertion.resize(args)))
            yield from ((a, b) for a, b in zip(*pairs, strict=True) if a.shape != b.shape)


def _same(mode: Mode, piece: Piece, before: Sequence[Dim], after: Sequence[Dim], rank: int) -> bool:
    near, equal = (
        [np.arange(1, min(MOST, edge(TOGETHER, rank)) + 1)] * rank,
        [np.arange(1, FURTHER + 1)] * rank,
    )
    for grid in (equal, np.meshgrid(*near, indexing="ij", sparse=True)):
        point: dict[int, Any] = {BATCH: 2, **dict(enumerate(grid))}
        worked = piece.domain.at(point) & mode.accepts(point) & mode.sound.at(point)
        for a, b in zip(before, after, strict=True):
            if np.any(worked & (at(a, point) != at(b, point))):
                return False
    return True
