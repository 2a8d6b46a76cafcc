"""A recorded path, read again with other hyperparameters: what the model's Python would record, without it.

Python takes the same way wherever it sees the same: numbers, ranks, kinds of values, and the truth of what
it asks. All of it is compared at every call; where anything differs, there is no answer.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from typing import Any

from autofix.analyse import Piece
from autofix.choices import may_run_anyway
from autofix.condition import Condition
from autofix.interpret import Interpreter
from autofix.layout import matters
from autofix.ops.base import Tensor
from autofix.program import Told
from autofix.ratio import Ratio
from autofix.size import Joint, Size


def replayed(piece: Piece, interpreter: Interpreter, point: Mapping[int, int]) -> Piece | None:
    """The path with the interpreter's changes, at the sizes at which Python still takes it."""
    if piece.program.told is None or interpreter.raises or matters(piece.program):
        return None
    asked: dict[int, list[Told]] = defaultdict(list)
    for told in piece.program.told:
        asked[told.calls].append(told)
    try:
        for site, before in zip(piece.program.sites, piece.meaning.values, strict=True):
            value = interpreter.step(site)
            if seen(value) != seen(before) or (site.under and not may_run_anyway(site, value)):
                return None
            if not all(_answers(interpreter, told) for told in asked[site.index + 1]):
                return None
    except Exception:  # whatever it is, tracing will say it of the model's own code
        return None
    return Piece(piece.program, interpreter.meaning(), point)


def _answers(interpreter: Interpreter, told: Told) -> bool:
    """Whether Python is told the same as when the path was recorded."""
    known = len(interpreter.conditions)
    same = interpreter.decide(told.question(interpreter.values[told.site])) is told.truth
    if len(interpreter.conditions) > known:
        interpreter.asked[-1] = told.site
        return same and not told.within
    return same


def seen(value: Any) -> Any:
    """What the model's Python can tell of a value: numbers that are fixed, the kind of those that vary."""
    if isinstance(value, Tensor):
        return type(value), tuple(dim if isinstance(dim, int) else "size" for dim in value.shape)
    if isinstance(value, Size | Joint):
        return "size"
    if isinstance(value, Ratio):
        return "ratio", value.denominator, value.exact
    if isinstance(value, Condition):
        return "condition", bool(value.axes), bool(value.divides_by)
    if isinstance(value, tuple | list):
        return type(value), tuple(map(seen, value))
    if isinstance(value, dict):
        return tuple((key, seen(item)) for key, item in value.items())
    if isinstance(value, slice):
        return "slice", seen(value.start), seen(value.stop), seen(value.step)
    return value
