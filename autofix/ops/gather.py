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
from autofix.ops.base import Call, Refused, Tensor, Unmodelled, axis_of, numel, register
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
    "take along dim",
    take_along_dim,
    (torch.take_along_dim, "take_along_dim"),
    samples=("torch.take_along_dim(x, y.argmax(1, keepdim=True), 1) @ 2,3,H,W ; 2,3,H,W",),
)
