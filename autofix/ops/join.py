"""Joins: the common shape of tensors that are combined, concatenation and stacking."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch

from autofix.condition import any_of, at_least, equal
from autofix.fault import Code
from autofix.ops.base import Call, Refused, Tensor, axis_of, register, same_number
from autofix.size import Dim, Size, identical, larger, smaller


def broadcast(call: Call, *shapes: tuple[Dim, ...]) -> tuple[Dim, ...]:
    """The common shape of tensors that are combined element by element, as numpy broadcasts them."""
    result: tuple[Dim, ...] = ()
    for shape in shapes:
        rank = max(len(result), len(shape))
        left, right = ((1,) * (rank - len(s)) + s for s in (result, shape))
        result = tuple(_meet(call, a, b) for a, b in zip(left, right, strict=True))
    return result


def _meet(call: Call, left: Dim, right: Dim) -> Dim:
    if identical(left, right) or _is_one(right):
        return left
    if _is_one(left):
        return right
    either = any_of((equal(left, right), equal(left, 1), equal(right, 1)))
    call.require(either, Code.JOIN, "sizes are equal or 1", needs=left, gets=right)
    if isinstance(left, int) and isinstance(right, int):
        return left
    what = "neither side is stretched from size 1"
    call.require(equal(left, right), Code.BROADCAST, what, needs=left, gets=right, silent=True)
    for side in (left, right):
        if isinstance(side, int):
            return side
    result = larger(left, right)
    return result * smaller(smaller(left, right), 1) if may_be_zero(left, right) else result  # 0, of 1 and 0


def may_be_zero(*dims: Dim) -> bool:
    """Whether a dimension of one axis is 0 at some size."""
    return any(isinstance(dim, Size) and dim.curve.table.min() < 1 for dim in dims)


def _is_one(dim: Dim) -> bool:
    return isinstance(dim, int) and dim == 1


def broadcast_into(call: Call, target: tuple[Dim, ...], other: tuple[Dim, ...]) -> tuple[Dim, ...]:
    """The shape of the left side of an in-place operation, into which the other must be expandable."""
    if len(other) > len(target):
        raise Refused(f"an in-place result with {len(other)} dimensions in a tensor with {len(target)}")
    for mine, theirs in zip(target[len(target) - len(other) :], other, strict=True):
        if identical(mine, theirs) or _is_one(theirs):
            continue
        either = any_of((equal(mine, theirs), equal(theirs, 1)))
        call.require(either, Code.JOIN, "sizes are equal, or 1 on the right", needs=mine, gets=theirs)
        if not isinstance(theirs, int):
            what = "the right side is not stretched from size 1"
            call.require(equal(mine, theirs), Code.BROADCAST, what, needs=mine, gets=theirs, silent=True)
    return target


@dataclass(frozen=True)
class Repeated:
    """A list that is repeated as often as a size says: `[x] * x.shape[0]`."""

    items: Sequence[Any]
    count: Dim


def cat(
    call: Call,
    tensors: Sequence[Tensor] | Repeated,
    dim: int = 0,
    *,
    axis: int | None = None,
    out: Any = None,
) -> Tensor:
    """torch.cat: sizes add up along one dimension and are equal along the others."""
    if isinstance(tensors, Repeated):
        return _repeated(
            call, cat(call, tensors.items, dim, axis=axis), tensors.count, dim if axis is None else axis
        )
    if not tensors:
        raise Refused("a concatenation of no tensors")
    parts = [t for t in tensors if t.shape != (0,)]  # torch passes over an empty vector of any company
    if not parts:
        return Tensor((0,))
    first, *others = parts
    if any(part.ndim != first.ndim for part in others) or first.ndim == 0:
        raise Refused(f"a concatenation of tensors with {', '.join(str(t.ndim) for t in parts)} dimensions")
    along = axis_of(dim if axis is None else axis, first.ndim)
    shape = list(first.shape)
    for part in others:
        for position, size in enumerate(part.shape):
            if position == along:
                shape[along] = shape[along] + size
            else:
                same_number(call, size, shape[position], Code.JOIN, "concatenated tensors have equal sizes")
    return Tensor(tuple(shape))


def _repeated(call: Call, once: Tensor, count: Dim, dim: int) -> Tensor:
    """What a list of tensors gives, where the list is repeated."""
    call.require(at_least(count, 1), Code.EMPTY, "the list is not empty", needs=1, gets=count)
    along = axis_of(dim, once.ndim)
    return Tensor((*once.shape[:along], once.shape[along] * count, *once.shape[along + 1 :]))


def stack(call: Call, tensors: Sequence[Tensor] | Repeated, dim: int = 0, *, out: Any = None) -> Tensor:
    """torch.stack: a new dimension; all sizes are equal."""
    if isinstance(tensors, Repeated):
        return _repeated(call, stack(call, tensors.items, dim), tensors.count, dim)
    if not tensors:
        raise Refused("a stack of no tensors")
    first, *others = tensors
    for tensor in others:
        if tensor.ndim != first.ndim:
            raise Refused(f"a stack of tensors with {first.ndim} and {tensor.ndim} dimensions")
        for theirs, mine in zip(tensor.shape, first.shape, strict=True):
            same_number(call, theirs, mine, Code.JOIN, "stacked tensors have equal sizes")
    along = axis_of(dim, first.ndim + 1)
    return Tensor((*first.shape[:along], len(tensors), *first.shape[along:]))


def stack_along(call: Call, tensors: Sequence[Tensor], *, along: str) -> Tensor:
    """torch.hstack, vstack, dstack and column_stack."""
    raised = [Tensor(_raised(tensor.shape, along)) for tensor in tensors]
    dim = {"h": 1, "v": 0, "d": 2, "column": 1}[along]
    return cat(call, raised, min(dim, *(tensor.ndim - 1 for tensor in raised)))


def _raised(shape: tuple[Dim, ...], along: str) -> tuple[Dim, ...]:
    """Each of these first gives its tensors the dimensions they lack, in a place of its own."""
    match along, len(shape):
        case "h", 0:
            return (1,)
        case "v", 0 | 1:
            return (1, *shape) if shape else (1, 1)
        case "d", 0 | 1 | 2:
            return ((1, *shape, 1), (*shape, 1))[len(shape) == 2] if shape else (1, 1, 1)
        case "column", 0 | 1:
            return (*shape, 1) if shape else (1, 1)
    return shape


register(
    "cat",
    cat,
    (torch.cat, torch.concat, torch.concatenate),
    samples=(
        "torch.cat([x, torch.ones(2, 3, 5, 4)], 1) @ 2,C,H,W",
        "torch.cat((x, torch.ones(2, 3, 5, 4), x), dim=-2) @ 2,C,H,W",
        "torch.cat([torch.ones(0), x], 2) @ 2,3,H,W",
        "torch.cat([x[:, :, ::2], F.max_pool2d(x, (2, 1), ceil_mode=True)], axis=3) @ 2,3,H,W",
        "torch.concat([F.interpolate(F.max_pool2d(x, 2), scale_factor=2), x], 1) @ 2,3,H,W",
        "torch.cat([x, x]) @ H",
        "torch.cat([x[:0], x[:0]]) @ H",
        "torch.cat([x.sum(), x.sum()]) @ H",
        "cat([x, y] * x.shape[2], 1) @ 2,3,H ; 2,C,W",
        "cat((y.shape[0] - 4) * [x], -1) @ 2,H ; W",
        "cat([x] * (x.shape[2] - 4), 1) @ 2,3,H",
    ),
)
register(
    "stack",
    stack,
    (torch.stack,),
    samples=(
        "torch.stack([x, torch.ones(2, 5, 4)], 1) @ N,H,W",
        "torch.stack((x, x, x), dim=-2) @ 2,H,W",
        "stack([x, y] * x.shape[1], -1) @ 2,H ; 2,W",
        "stack([x] * (x.shape[1] - 4), 0) @ 2,H",
    ),
)
register(
    "stack",
    stack_along,
    {
        torch.hstack: {"along": "h"},
        torch.vstack: {"along": "v"},
        torch.row_stack: {"along": "v"},
        torch.dstack: {"along": "d"},
        torch.column_stack: {"along": "column"},
    },
    samples=(
        "torch.hstack([x, torch.ones(2, 3, 5)]) @ 2,C,H",
        "torch.hstack([x, torch.ones(4)]) @ H",
        "torch.hstack([x[0, 0], x[0]]) @ H,W",
        "torch.vstack([x, torch.ones(4)]) @ H",
        "torch.vstack([x.sum(), torch.ones(3, 1)]) @ H",
        "torch.dstack([x.sum(), torch.ones(1, 1, 2)]) @ H",
        "torch.dstack([x, torch.ones(1, 4, 2)]) @ H",
        "torch.dstack([x, torch.ones(4, 3, 2)]) @ H,3",
        "torch.dstack([x, torch.ones(2, 3, 4, 5)]) @ 2,3,D,5",
        "torch.column_stack([x.sum(), torch.ones(1, 2)]) @ H",
        "torch.column_stack([x, torch.ones(4)]) @ H",
        "torch.column_stack([x, torch.ones(4, 2)]) @ 4,W",
        "torch.column_stack([x, torch.ones(2, 3, 4)]) @ 2,H,4",
    ),
)
