"""Indexing: getitem, narrow, select, gather and their relatives."""

from __future__ import annotations

import operator
from collections.abc import Mapping
from dataclasses import dataclass, replace
from types import EllipsisType
from typing import Any

import torch

from autofix.condition import Condition, at_least
from autofix.fault import Code
from autofix.ops.base import Call, Refused, Tensor, Unmodelled, axis_of, register
from autofix.ops.join import broadcast
from autofix.ops.slicing import extent, from_start, in_range, resized, sliced, without
from autofix.ops.split import Pieces
from autofix.size import Dim, is_dim


@dataclass(frozen=True, slots=True)
class Integers(Tensor):
    """A tensor known to hold integers, and so no mask when it indexes another.

    below: they are from 0 up to less than this, where that is known
    """

    below: Dim | None = None


def getitem(call: Call, input: Any, index: Any) -> Any:
    """operator.getitem on tensors, tuples, lists, dicts, shapes and the results of split."""
    if isinstance(input, Tensor):
        return part(call, input, index)
    if isinstance(input, Pieces) and isinstance(index, int):
        return input.piece(call, index)
    if isinstance(input, Mapping) and not isinstance(index, Tensor):
        if index not in input:
            raise Refused(f"no key {index!r}")
        return input[index]
    if isinstance(index, Condition) and isinstance(input, tuple) and len(input) == 2:
        return _either(call, index, *input)
    if isinstance(input, tuple | list) and isinstance(index, int | slice):
        try:
            return input[index]
        except IndexError:
            raise Refused(f"index {index} of {len(input)} items") from None
    raise Unmodelled(f"indexing {type(input).__name__} with {index}")


def _either(call: Call, condition: Condition, otherwise: Any, then: Any) -> Any:
    """(otherwise, then)[condition]: the choice that both sides of an `if` become."""
    if is_dim(then) and is_dim(otherwise):
        return call.choose(condition, then, otherwise)
    tensors = isinstance(then, Tensor) and type(then) is type(otherwise)
    if not tensors or then.ndim != otherwise.ndim:
        raise Unmodelled("two sides of an `if` that differ in more than size")
    pairs = zip(then.shape, otherwise.shape, strict=True)
    return replace(then, shape=tuple(call.choose(condition, *pair) for pair in pairs))


def part(call: Call, tensor: Tensor, index: Any, nothing: bool = False) -> Tensor:
    """What an index picks; `nothing`: it may be nothing at all, as where it is assigned to."""
    return _part(call, tensor, index if isinstance(index, tuple) else (index,), nothing)


def _part(call: Call, tensor: Tensor, index: tuple[Any, ...], nothing: bool) -> Tensor:
    """Basic indexing first, as torch does; what arrays pick is broadcast and put in their place."""
    out: list[Dim] = []
    arrays: list[tuple[int, tuple[Dim, ...]]] = []  # position in `out`, shape
    dims = iter(tensor.shape)
    for item in _without_ellipsis(index, tensor.ndim):
        if item is None:
            out.append(1)
        elif isinstance(item, slice):
            out.append((extent if nothing else sliced)(call, next(dims), item))
        elif isinstance(item, Tensor | tuple | list):
            arrays.append((len(out), _picked(call, next(dims), item)))
            out.append(None)  # what the arrays pick comes here
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
    match [i for i, item in enumerate(index) if isinstance(item, EllipsisType)]:
        case []:
            return (*index, *rest)
        case [dots]:
            return (*index[:dots], *rest, *index[dots + 1 :])
    raise Unmodelled("an index with several ellipses")


def _picked(call: Call, n: Dim, item: Any) -> tuple[Dim, ...]:
    """The shape of an index array; a list's numbers are checked, a tensor's are not known."""
    if isinstance(item, Tensor):
        if not isinstance(item, Integers):
            raise Unmodelled("an index tensor that may be a mask")
        in_reach(call, n, item)
        return item.shape
    if not all(isinstance(number, int) and not isinstance(number, bool) for number in item):
        raise Unmodelled(f"index {item}")
    for number in {min(item), max(item)} if item else ():
        in_range(call, n, number)
    return (len(item),)


def in_reach(call: Call, n: Dim, index: Tensor) -> None:
    """Require that an index tensor reaches nothing beyond a dimension."""
    below = index.below if isinstance(index, Integers) else None
    if below is None:
        fixed_size(n)
    else:
        what = "the index tensor stays within the dimension"
        call.require(at_least(n, below), Code.INDEX, what, needs=below, gets=n)


def fixed_size(n: Dim) -> None:
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
    start = from_start(call, n, start)
    call.require(at_least(start, 0), Code.INDEX, "start is within the dimension", needs=0, gets=start)
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
        "x[:, :, x.shape[3] - 5] @ 2,3,H,W",
        "x[:, :, 0] @ 2,3,H",
        "x[:, :, -1 * x.shape[3]] @ 2,3,H,W",
        "x[..., 5 - x.shape[2] :] @ 2,3,H,W",
        "x[:, :, : -(x.shape[2] % 3)] @ 2,3,H",
        "x[:, :, : -(x.shape[2] % 3) - 1] @ 2,3,H",
        "x[:, [2, 0, 1, 1]] @ 2,3,H,W",
        "x[:, :, [0, 4], [-3, 1]] @ 2,3,H,W",
        "x[0, :, [1, 2]] @ 2,3,H,W",
        "x[:, [1, 0, 1], :, [3]] @ 2,3,H,W",
        "x[:, [1, 0, 2], [0, -1, 3]] @ 2,3,H,W",
        "x[0, [1, 0], :, [3]] @ 2,3,H,W",
        "x[:, :, 3:][:, :, 0] @ 2,3,H",
        "x[:, :, 3:][..., -1] @ 2,3,H",
        "x[..., ::0] @ 2,H",
        "x[:, torch.arange(2)] @ 2,3,H,W",
        "x[:, :, torch.arange(y.shape[1])] @ 2,3,H ; 2,W",
        "x[0, 0, 0, 0, 0] @ 2,3,H,W",
        "x.flatten(1)[x.shape[0] - 1] @ 2,3,H,W",
        "x.reshape(x.shape[1:][::-1]) @ 1,3,H,W",
        "getitem((x, F.pad(x, (0, 0, 2, 0))), x.shape[2] % 3 == 1) @ 2,3,H,W",
        "getitem((x[..., 1:], x), x.shape[3] > 4) @ 2,3,H,W",
        "getitem((x, F.interpolate(x, y.shape[2:])), x.shape != y.shape) @ 2,3,H,W ; 2,3,4,W",
        "getitem((F.pad(x, (0, y.shape[2] - x.shape[2])), x), y.shape[2] == x.shape[2]) @ 2,3,H ; 2,3,H",
        "torch.ones(getitem((x.shape[2], 7), x.shape[2] < 7)) @ 2,3,H",
        "torch.ones(getitem((3, x.shape[2], 7), 1)) @ 2,3,H",
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
        "x.narrow(2, 0, x.shape[3] - 4) @ 2,3,H,W",
    ),
)
register(
    "select",
    select,
    (torch.select, "select"),
    samples=(
        "x.select(2, 4) @ 2,3,H,W",
        "torch.select(x, -1, -3) @ 2,3,H,W",
        "x.select(0, 2) @ H",
        "x.sum().select(0, 0) @ H",
    ),
)
register(
    "unfold method",
    unfold,
    ("unfold",),
    samples=(
        "x.unfold(2, 3, 2) @ 2,3,H,W",
        "x.unfold(2, 3, 1).unfold(3, 4, 3) @ 2,3,H,W",
        "x.unfold(2, 3, 0) @ 2,3,H",
        "x.sum().unfold(0, x.shape[1], 1) @ 2,H",
    ),
)
