"""Failure -> Fault: where, why, with what numbers, and the sizes that led there."""

from __future__ import annotations

import re
import traceback
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from autofix.analyse import Mode, Piece
from autofix.arguments import references
from autofix.condition import NEVER
from autofix.errors import CaptureError
from autofix.fault import Code, Fault, Location, Step
from autofix.frames import is_users
from autofix.guard import one_line
from autofix.interpret import Requirement
from autofix.meta import raised
from autofix.ops.base import Tensor
from autofix.program import Program
from autofix.size import BATCH, at, is_dim


@dataclass(frozen=True)
class Failure:
    """A requirement that fails, the path it is on, and the smallest size at which it is the first to fail."""

    mode: Mode
    piece: Piece
    requirement: Requirement
    point: Mapping[int, int]


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
        message=_with_numbers(_message(requirement, needs, gets), failure) + _of_batch(failure),
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


def _of_batch(failure: Failure) -> str:
    """The batch, where it alone is to blame."""
    alone = failure.requirement.condition.axes == {BATCH}
    return f", with a batch of {failure.point[BATCH]}" if alone else ""


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
