"""Indexing: getitem, narrow, select, gather and their relatives."""

from __future__ import annotations

import operator
from collections.abc import Mapping
from dataclasses import dataclass, replace
from types import EllipsisType
from typing import Any

import torch

from autofix.condition import at_least
from autofix.fault import Code
from autofix.ops.arrange import axes_of
from autofix.ops.base import Call, Refused, Tensor, Unmodelled, axis_of, register
from autofix.ops.join import broadcast
from autofix.ops.slicing import in_range, resized, sliced, without
from autofix.ops.split import Pieces
from autofix.size import Dim, is_dim


@dataclass(frozen=True, slots=True)
class Integers(Tensor):
    """A tensor known to hold integers, and so no mask when it indexes another."""


def getitem(call: Call, input: Any, index: Any) -> Any:
    """operator.getitem on tensors, tuples, lists, dicts, shapes and the results of split."""
    if isinstance(input, Tensor):
        return _getitem_tensor(call, input, index if isinstance(index, tuple) else (index,))
    if isinstance(input, Pieces) and isinstance(index, int):
        return input.piece(call, index)
    if isinstance(input, Mapping) and not isinstance(index, Tensor):
        if index not in input:
            raise Refused(f"no key {index!r}")
        return input[index]
    if isinstance(input, tuple | list) and isinstance(index, int | slice):
        try:
            return input[index]
        except IndexError:
            raise Refused(f"index {index} of {len(input)} items") from None
    raise Unmodelled(f"indexing {type(input).__name__} with {index}")


def _getitem_tensor(call: Call, tensor: Tensor, index: tuple[Any, ...]) -> Tensor:
    """Basic indexing first, as torch does; what arrays pick is broadcast and put in their place."""
    out: list[Dim] = []
    arrays: list[tuple[int, tuple[Dim, ...]]] = []  # position in `out`, shape
    dims = iter(tensor.shape)
    for item in _without_ellipsis(index, tensor.ndim):
        if item is None:
            out.append(1)
        elif isinstance(item, slice):
            out.append(sliced(call, next(dims), item))
        elif isinstance(item, Tensor | tuple | list):
            arrays.append((len(out), _picked(call, next(dims), item)))
            out.append(0)
        elif is_dim(item) and not isinstance(item, bool):
            in_range(call, next(dims), item)
        else:
            raise Unmodelled(f"index {item}")
    return replace(tensor, shape=_with_arrays(call, out, arrays) if arrays else tuple(out))


def _without_ellipsis(index: tuple[Any, ...], rank: int) -> tuple[Any, ...]:
    """The index with `...` written out, and `:` for the dimensions that it does not name."""
    used = sum(item is not None and not isinstance(item, EllipsisType) for item in index)
    if used > rank:
        raise Refused(f"{used} indices of a tensor with {rank} dimensions")
    rest = (slice(None),) * (rank - used)
    dots = [i for i, item in enumerate(index) if isinstance(item, EllipsisType)]
    if len(dots) > 1:
        raise Unmodelled("an index with two ellipses")
    return (*index[: dots[0]], *rest, *index[dots[0] + 1 :]) if dots else (*index, *rest)


def _picked(call: Call, n: Dim, item: Any) -> tuple[Dim, ...]:
    """The shape of an index array; a list's numbers are checked, a tensor's are not known."""
    if isinstance(item, Tensor):
        if not isinstance(item, Integers):
            raise Unmodelled("an index tensor that may be a mask")
        _known(n)
        return item.shape
    if not all(isinstance(number, int) and not isinstance(number, bool) for number in item):
        raise Unmodelled(f"index {item}")
    for number in {min(item), max(item)} if item else ():
        in_range(call, n, number)
    return (len(item),)


def _known(n: Dim) -> None:
    if not isinstance(n, int):
        raise Unmodelled("an index tensor along a dimension whose size varies may reach out of it")


def _with_arrays(call: Call, out: list[Dim], arrays: list[tuple[int, tuple[Dim, ...]]]) -> tuple[Dim, ...]:
    positions = [position for position, _ in arrays]
    shape = broadcast(call, *(shape for _, shape in arrays))
    rest = [n for position, n in enumerate(out) if position not in positions]
    adjacent = positions[-1] - positions[0] == len(positions) - 1
    start = positions[0] if adjacent else 0
    return (*rest[:start], *shape, *rest[start:])


def narrow(call: Call, input: Tensor, dim: int, start: Dim, length: Dim) -> Tensor:
    """torch.narrow."""
    axis = axis_of(dim, input.ndim)
    n = input.shape[axis]
    if isinstance(start, Tensor):
        raise Unmodelled("narrow() from a tensor")
    call.require(at_least(length, 0), Code.INDEX, "length is not negative", needs=0, gets=length)
    if isinstance(start, int) and start < 0:
        call.require(at_least(n, -start), Code.INDEX, "start is within the dimension", needs=-start, gets=n)
        start = n + start
    elif not isinstance(start, int):
        call.require(at_least(start, 0), Code.INDEX, "start is not negative", needs=0, gets=start)
    call.require(
        at_least(n, start + length), Code.INDEX, "slice is within the dimension", needs=start + length, gets=n
    )
    return resized(input, axis, length)


def select(call: Call, input: Tensor, dim: int, index: Dim) -> Tensor:
    """torch.select."""
    if input.ndim == 0:
        raise Refused("select() of a tensor without dimensions")
    axis = axis_of(dim, input.ndim)
    in_range(call, input.shape[axis], index)
    return without(input, axis)


def index_select(call: Call, input: Tensor, dim: int, index: Tensor) -> Tensor:
    """torch.index_select along a dimension of fixed size."""
    axis = axis_of(dim, input.ndim)
    if index.ndim > 1:
        raise Refused(f"index_select() with an index of {index.ndim} dimensions")
    _known(input.shape[axis])
    return resized(input, axis, index.shape[0] if index.shape else 1)


def gather(call: Call, input: Tensor, dim: int, index: Tensor, *, sparse_grad: bool = False) -> Tensor:
    """torch.gather along a dimension of fixed size."""
    axis = axis_of(dim, input.ndim)
    _fits(call, index, input, axis)
    _known(input.shape[axis])
    return replace(input, shape=index.shape)


def _fits(call: Call, index: Tensor, other: Tensor, axis: int) -> None:
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
        _fits(call, index, src, -1)
    _known(input.shape[axis])
    return input


def take_along_dim(call: Call, input: Tensor, indices: Tensor, dim: int | None = None) -> Tensor:
    """torch.take_along_dim along a dimension of fixed size."""
    if dim is None or indices.ndim != input.ndim:
        raise Unmodelled("take_along_dim() of a flattened tensor")
    axis = axis_of(dim, input.ndim)
    _known(input.shape[axis])
    rest = broadcast(call, without(input, axis).shape, without(indices, axis).shape)
    return replace(input, shape=(*rest[:axis], indices.shape[axis], *rest[axis:]))


def roll(call: Call, input: Tensor, shifts: Any, dims: Any = None) -> Tensor:
    """torch.roll."""
    count = [len(value) if isinstance(value, tuple | list) else 1 for value in (shifts, dims)]
    if dims is not None and count[0] != count[1]:
        raise Refused(f"roll() with {count[0]} shifts and {count[1]} dimensions")
    for dim in () if dims is None else dims if isinstance(dims, tuple | list) else (dims,):
        axis_of(dim, input.ndim)
    return input


def flip(call: Call, input: Tensor, *dims: Any) -> Tensor:
    """torch.flip."""
    axes_of(dims, input.ndim)
    return input


def rot90(call: Call, input: Tensor, k: int = 1, dims: Any = (0, 1)) -> Tensor:
    """torch.rot90."""
    first, second = axes_of((dims,), input.ndim)
    shape = list(input.shape)
    if k % 2:
        shape[first], shape[second] = shape[second], shape[first]
    return replace(input, shape=tuple(shape))


def unfold(call: Call, input: Tensor, dimension: int, size: int, step: int) -> Tensor:
    """torch.Tensor.unfold: windows along a dimension, as a new last one."""
    axis = axis_of(dimension, input.ndim)
    if step < 1:
        raise Refused(f"unfold() with step {step}")
    n = input.shape[axis] if input.shape else 1
    call.require(at_least(n, size), Code.KERNEL, "window fits the dimension", needs=size, gets=n)
    if not input.shape:
        return replace(input, shape=(size,))
    return replace(input, shape=(*input.shape[:axis], (n - size) // step + 1, *input.shape[axis + 1 :], size))


register(
    "getitem",
    getitem,
    (operator.getitem,),
    samples=(
        "x[:, 1] @ 2,3,H,W",
        "x[..., 4] @ 2,3,H,W",
        "x[:, :, -3] @ 2,3,H,W",
        "x[:, :, 1:] @ 2,3,H,W",
        "x[:, :, :-2, 3:] @ 2,3,H,W",
        "x[..., ::2, 1::3] @ 2,3,H,W",
        "x[..., -3:, -4:-1] @ 2,3,H,W",
        "x[..., 2:5, :4] @ 2,3,H,W",
        "x[:, :, 2:-2:2] @ 2,3,H,W",
        "x[:, None, ..., None] @ 2,3,H",
        "x[:, :, : x.shape[3], x.shape[2] // 2 :] @ 2,3,H,W",
        "x[:, :, x.shape[2] - 5 :, : x.shape[3] - 4] @ 2,3,H,W",
        "x[:, :, x.shape[2] // 2] @ 2,3,H,W",
        "x[:, :, x.shape[3]] @ 2,3,H,W",
        "x[:, [2, 0, 1, 1]] @ 2,3,H,W",
        "x[:, :, [0, 4], [-3, 1]] @ 2,3,H,W",
        "x[0, :, [1, 2]] @ 2,3,H,W",
        "x[:, [1, 0], :, [3]] @ 2,3,H,W",
        "x[:, torch.arange(2)] @ 2,3,H,W",
        "x[0, 0, 0, 0, 0] @ 2,3,H,W",
        "x.flatten(1)[x.shape[0] - 1] @ 2,3,H,W",
        "x.reshape(x.shape[1:][::-1]) @ 1,3,H,W",
    ),
)
register(
    "narrow",
    narrow,
    (torch.narrow, "narrow"),
    samples=(
        "x.narrow(2, 1, 4) @ 2,3,H,W",
        "torch.narrow(x, -1, -3, 2) @ 2,3,H,W",
        "x.narrow(2, 0, x.shape[3]) @ 2,3,H,W",
        "x.narrow(3, x.shape[2] - 2, 1) @ 2,3,H,W",
    ),
)
register(
    "select",
    select,
    (torch.select, "select"),
    samples=("x.select(2, 4) @ 2,3,H,W", "torch.select(x, -1, -3) @ 2,3,H,W"),
)
register(
    "index select",
    index_select,
    (torch.index_select, "index_select"),
    samples=("x.index_select(1, torch.arange(2)) @ 2,3,H,W",),
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
    samples=("x.scatter(1, y.argmax(1, keepdim=True), 1.0) @ 2,3,H,W ; 2,3,5,4",),
)
register(
    "take along dim",
    take_along_dim,
    (torch.take_along_dim, "take_along_dim"),
    samples=("torch.take_along_dim(x, y.argmax(1, keepdim=True), 1) @ 2,3,H,W ; 2,3,H,W",),
)
register(
    "roll",
    roll,
    (torch.roll, "roll"),
    samples=("x.roll((1, -2), (2, 3)) @ 2,3,H,W", "torch.roll(x, 3) @ 2,3,H"),
)
register(
    "flip", flip, (torch.flip, "flip"), samples=("x.flip(2, 3) @ 2,3,H,W", "torch.flip(x, (-1,)) @ 2,3,H,W")
)
register(
    "rot90",
    rot90,
    (torch.rot90, "rot90"),
    samples=("torch.rot90(x, 1, (2, 3)) @ 2,3,H,W", "x.rot90(2, (1, 2)) @ 2,3,H,W"),
)
register(
    "unfold method",
    unfold,
    ("unfold",),
    samples=("x.unfold(2, 3, 2) @ 2,3,H,W", "x.unfold(2, 3, 1).unfold(3, 4, 3) @ 2,3,H,W"),
)
