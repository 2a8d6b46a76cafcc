"""A size at which the model works, for what an insert is to keep."""

from __future__ import annotations

from typing import Any, Final

import numpy as np

from autofix.agreement import unequal_working
from autofix.size import BATCH
from autofix.solve.request import Request

USUAL: Final = (224, 299, 256, 32, 64, 128)
FURTHEST: Final = 8192  # sizes, the same along all axes, among which one that works is looked for


def working_size(request: Request) -> dict[int, int] | None:
    """As `_working_size`, which looks at many sizes, once."""
    if "working size" not in request.memo:
        request.memo["working size"] = _working_size(request)
    found: dict[int, int] | None = request.memo["working size"]
    return found


def _working_size(request: Request) -> dict[int, int] | None:
    """The reference size if the model works there, else one at which it does on all axes alike.

    A size at which torch raises nothing but the result is wrong comes last.
    """
    mode = request.original.evaluating
    count = len(request.reference)
    usual = np.array([*USUAL, *range(1, FURTHEST)])
    point: dict[int, Any] = {axis: np.append(own, usual) for axis, own in enumerate(request.reference)}
    point[BATCH] = 2
    shape = (len(usual) + 1,)
    accepted = np.broadcast_to(mode.accepts(point), shape)
    sound = np.flatnonzero(accepted & np.broadcast_to(mode.sound.at(point), shape))
    if len(sound):
        return _at(point, int(sound[0]))
    first = np.flatnonzero(accepted)
    return unequal_working(mode, count) or (_at(point, int(first[0])) if len(first) else None)


def _at(point: dict[int, Any], index: int) -> dict[int, int]:
    return {axis: 2 if axis == BATCH else int(sizes[index]) for axis, sizes in point.items()}
