"""The sizes of a model layer by layer at one input, going on through the layer that fails."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from torch import nn

from autofix.analyse import Piece
from autofix.arguments import hyper_at, references, resolved, row_of
from autofix.capture import capture_plain
from autofix.errors import UsageError
from autofix.explain import spatial_sizes
from autofix.inputs import input_shapes
from autofix.interpret import Requirement, interpret
from autofix.meta import to_meta
from autofix.ops.base import Tensor
from autofix.program import AXIS_NAMES, Program
from autofix.size import BATCH, at


@dataclass(frozen=True)
class ShapeRow:
    """One site: shapes without the batch, `after` None, `before` () where there is none; `error` says why."""

    name: str
    cls: str
    hyper: str
    before: tuple[int, ...]
    after: tuple[int, ...] | None
    formula: str
    error: str | None


class ShapesTable(tuple[ShapeRow, ...]):
    """The rows of `autofix shapes`, in execution order."""


def shapes(model: nn.Module, input_shape: tuple[int, ...]) -> ShapesTable:
    """The table for one concrete input shape, batch and channels included.

    Raises UsageError where the shape contradicts the model's first layer.
    """
    rank = len(input_shape) - 2
    if rank not in AXIS_NAMES:
        raise UsageError(
            f"--input has {len(input_shape)} numbers; batch, channels and 1 to 3 sizes are needed"
        )
    inferred = input_shapes(model).shapes[0]
    if inferred is not None and (len(inferred) != len(input_shape) or inferred[1] != input_shape[1]):
        want = ",".join(str(1 if d == "B" else d) for d in inferred)
        raise UsageError(
            f"--input {','.join(map(str, input_shape))} does not fit the first layer, which takes {want}"
        )
    inputs = input_shapes(model, (*input_shape[:2], *AXIS_NAMES[rank]))
    program = capture_plain(to_meta(model), inputs).evaluating
    point = {BATCH: input_shape[0], **dict(enumerate(input_shape[2:]))}
    box = dict.fromkeys(point, (1, None))
    tensors = [None if dims is None else Tensor(dims) for dims in inputs.dims()]
    piece = Piece(program, interpret(program, tensors, box, point))
    return ShapesTable(_rows(program, piece, point))


def _rows(program: Program, piece: Piece, point: dict[int, int]) -> Iterator[ShapeRow]:
    from autofix.describe import describe

    failing: dict[int, Requirement] = {}
    for requirement in piece.meaning.requirements:
        if not requirement.train and not bool(requirement.condition.at(point)):
            failing.setdefault(requirement.site, requirement)
    names = {BATCH: "batch", **dict(enumerate(program.inputs.axes))}
    for site, value in zip(program.sites, piece.meaning.values, strict=True):
        if not site.kind.startswith("call") or not isinstance(value, Tensor):
            continue
        sources = [piece.meaning.values[r] for r in references((site.args, site.kwargs))]
        before = next((s for s in sources if isinstance(s, Tensor)), None)
        after = spatial_sizes(value, point)
        yield ShapeRow(
            name=site.name,
            cls=site.op_name,
            hyper=_hyper(site, piece),
            before=_shape(before, point),
            after=_shape(value, point) if min(after, default=1) > 0 else None,
            formula=" x ".join(describe(d, names) for d in (value.shape[2:] or value.shape[1:])),
            error=_error(failing.get(site.index), point) or piece.meaning.unmodelled.get(site.index),
        )


def _shape(value: Tensor | None, point: dict[int, int]) -> tuple[int, ...]:
    """The shape without the batch; () where there is none, as behind a layer that fails."""
    shape = () if value is None else tuple(int(at(dim, point)) for dim in value.shape[1:])
    return shape if min(shape, default=1) > 0 else ()


def _error(requirement: Requirement | None, point: dict[int, int]) -> str | None:
    if requirement is None:
        return None
    numbers = [None if d is None else int(at(d, point)) for d in (requirement.needs, requirement.gets)]
    words = f": needs {numbers[0]}, gets {numbers[1]}" if None not in numbers else ""
    return f"{requirement.code.id} {requirement.what}{words}"


def _hyper(site: Any, piece: Piece) -> str:
    """The hyperparameters that decide sizes, where they are not the default."""
    row = row_of(site)
    if row is None or not row[0].knobs:
        return ""
    hyper = hyper_at(site, *resolved(site, piece.meaning.values))
    parts = [f"k{_short(tuple(hyper['weight'].shape[2:]))}"] if "weight" in hyper else []
    for name, letter, default in _SHORT:
        value = hyper.get(name)
        if value is not None and _short(value) != default:
            parts.append(f"{letter}{_short(value)}")
    return " ".join(parts)


_SHORT = (
    ("kernel_size", "k", ""),
    ("stride", "s", "1"),
    ("padding", "p", "0"),
    ("dilation", "d", "1"),
    ("output_padding", "op", "0"),
    ("ceil_mode", "ceil", "False"),
)


def _short(value: Any) -> str:
    if isinstance(value, tuple | list):
        return str(value[0]) if len(set(value)) == 1 else "x".join(map(str, value))
    return str(value)
