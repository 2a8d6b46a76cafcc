"""Picking by an index tensor: index_select, gather, scatter, take_along_dim.

What an index tensor holds is not known here. Along a dimension of fixed size it is right at every input size
or at none, which running the model shows; along one that varies these operators are not described.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import torch

from autofix.condition import at_least
from autofix.fault import Code
from autofix.ops.base import Call, Refused, Tensor, Unmodelled, axis_of, numel, register, same_number
from autofix.ops.index import fixed_size, in_reach
from autofix.ops.join import broadcast
from autofix.ops.slicing import resized, without


def index_select(call: Call, input: Tensor, dim: int, index: Tensor) -> Tensor:
    """torch.index_select along a dimension of fixed size, or by an arange."""
    axis = axis_of(dim, input.ndim)
    if index.ndim > 1:
        raise Refused(f"index_select() with an index of {index.ndim} dimensions")
    in_reach(call, input.shape[axis], index)
    return resized(input, axis, numel(index.shape))


def gather(call: Call, input: Tensor, dim: int, index: Tensor, *, sparse_grad: bool = False) -> Tensor:
    """torch.gather along a dimension of fixed size."""
    axis = axis_of(dim, input.ndim)
    _fits(call, index, input, axis)
    fixed_size(input.shape[axis])
    return replace(input, shape=index.shape)


def _fits(call: Call, index: Tensor, other: Tensor, axis: int | None = None) -> None:
    if index.ndim != other.ndim:
        raise Refused(f"an index with {index.ndim} dimensions for a tensor with {other.ndim}")
    for position, (small, large) in enumerate(zip(index.shape, other.shape, strict=True)):
        if position != axis:
            call.require(
                at_least(large, small), Code.JOIN, "index is at most the input", needs=small, gets=large
            )


def scatter(
    call: Call, input: Tensor, dim: int, index: Tensor, src: Any, *args: Any, reduce: Any = None
) -> Tensor:
    """torch.scatter, torch.scatter_add along a dimension of fixed size."""
    axis = axis_of(dim, input.ndim)
    _fits(call, index, input, axis)
    if isinstance(src, Tensor):
        _fits(call, index, src)
    fixed_size(input.shape[axis])
    return input


def index_add(
    call: Call, input: Tensor, dim: int, index: Tensor, source: Tensor, *args: Any, alpha: Any = 1
) -> Tensor:
    """torch.index_add, torch.index_copy: a slice of the source for each index."""
    axis = axis_of(dim, input.ndim)
    if index.ndim > 1 or source.ndim != input.ndim:
        raise Refused(f"an index of {index.ndim} and a source of {source.ndim} dimensions for {input.ndim}")
    _picks(call, input, axis, index)
    for position, size in enumerate(source.shape):
        wanted = numel(index.shape) if position == axis else input.shape[position]
        same_number(call, size, wanted, Code.JOIN, "the source has a slice for each index")
    return input


def index_fill(call: Call, input: Tensor, dim: int, index: Tensor, value: Any) -> Tensor:
    """torch.index_fill."""
    if index.ndim > 1:
        raise Refused(f"index_fill() with an index of {index.ndim} dimensions")
    _picks(call, input, axis_of(dim, input.ndim), index)
    return input


def _picks(call: Call, input: Tensor, axis: int, index: Tensor) -> None:
    in_reach(call, input.shape[axis] if input.shape else 1, index)


def take_along_dim(call: Call, input: Tensor, indices: Tensor, dim: int | None = None) -> Tensor:
    """torch.take_along_dim along a dimension of fixed size."""
    if dim is None or indices.ndim != input.ndim:
        raise Unmodelled("take_along_dim() of a flattened tensor")
    axis = axis_of(dim, input.ndim)
    fixed_size(input.shape[axis])
    rest = broadcast(call, without(input, axis).shape, without(indices, axis).shape)
    return replace(input, shape=(*rest[:axis], indices.shape[axis], *rest[axis:]))


register(
    "index select",
    index_select,
    (torch.index_select, "index_select"),
    samples=(
        "x.index_select(1, torch.arange(2)) @ 2,3,H,W",
        "x.index_select(-1, torch.arange(x.shape[2] - 2)) @ 2,3,H,W",
        "x.index_select(0, torch.arange(0, y.shape[0], 2)) @ H ; W",
        "x.index_select(1, y.argmax()) @ 2,3,H ; 2,W",
        "x.index_select(1, y.argmax(1)) @ 2,3,H ; 2,W,3",
    ),
)
register(
    "gather",
    gather,
    (torch.gather, "gather"),
    samples=("x.gather(1, y.argmax(1, keepdim=True)) @ 2,3,H,W ; 2,3,5,4",),
)
register(
    "scatter",
    scatter,
    (torch.scatter, torch.scatter_add, "scatter", "scatter_", "scatter_add", "scatter_add_"),
    samples=(
        "x.scatter(1, y.argmax(1, keepdim=True), 1.0) @ 2,3,H,W ; 2,3,5,4",
        "x.scatter(1, y.argmax(1, keepdim=True), torch.ones(1, 2, 5)) @ 2,3,5 ; N,3,W",
    ),
)
register(
    "index add",
    index_add,
    [
        *(torch.index_add, torch.index_copy),
        *("index_add", "index_add_", "index_copy", "index_copy_"),
    ],
    samples=(
        "x.index_add(1, torch.arange(2), torch.ones(2, 2, 5)) @ 2,3,W",
        "x.index_add(1, y.argmax(1), torch.ones(2, 6, 5)) @ 2,3,5 ; 2,W,3",
        "torch.index_copy(x, -1, torch.arange(y.shape[0]), torch.ones(2, 3, 4)) @ 2,3,W ; H",
        "torch.zeros(2, x.shape[1] + 2).index_add_(1, torch.arange(2, x.shape[1] + 2), x) @ 2,H",
    ),
)
register(
    "index fill",
    index_fill,
    (torch.index_fill, "index_fill", "index_fill_"),
    samples=(
        "x.index_fill(1, torch.arange(y.shape[0]), 1.0) @ 2,H ; W",
        "x.index_fill(1, y.argmax(1), 1.0) @ 2,3 ; 2,W,3",
        "x.sum().index_fill(0, torch.arange(y.shape[0]), 1.0) @ 2,H ; W",
    ),
)
register(
    "take along dim",
    take_along_dim,
    (torch.take_along_dim, "take_along_dim"),
    samples=("torch.take_along_dim(x, y.argmax(1, keepdim=True), 1) @ 2,3,H,W ; 2,3,H,W",),
)
