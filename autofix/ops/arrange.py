"""Rearranging dimensions: permute, transpose, squeeze, expand, repeat, roll, flip."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import torch

from autofix.condition import any_of, at_least, equal
from autofix.fault import Code
from autofix.ops.base import Call, Refused, Tensor, Unmodelled, axis_of, listed, register, spread
from autofix.ops.reshape import is_inferred, sizes_of
from autofix.size import Dim, identical, product


def axes_of(dims: Sequence[Any], rank: int) -> tuple[int, ...]:
    """The dimensions of `permute(0, 2, 1)` and `permute((0, 2, 1))` as distinct indices."""
    axes = tuple(axis_of(dim, rank) for dim in spread(dims))
    if len(set(axes)) != len(axes):
        raise Refused(f"repeated dimension in {axes}")
    return axes


def permute(call: Call, input: Tensor, *positions: Any, dims: Any = None) -> Tensor:
    """torch.permute."""
    axes = axes_of(positions if dims is None else (dims,), input.ndim)
    if len(axes) != input.ndim:
        raise Refused(f"permute() with {len(axes)} dimensions of a tensor that has {input.ndim}")
    return replace(input, shape=tuple(input.shape[axis] for axis in axes))


def transpose(call: Call, input: Tensor, dim0: int, dim1: int) -> Tensor:
    """torch.transpose, torch.swapaxes."""
    first, second = axis_of(dim0, input.ndim), axis_of(dim1, input.ndim)
    shape = list(input.shape)
    if shape:
        shape[first], shape[second] = shape[second], shape[first]
    return replace(input, shape=tuple(shape))


def matrix_transpose(call: Call, input: Tensor) -> Tensor:
    """torch.adjoint, Tensor.mT, Tensor.mH."""
    return transpose(call, input, -2, -1)


def short_transpose(call: Call, input: Tensor) -> Tensor:
    """torch.t, Tensor.T of a matrix."""
    if input.ndim > 2:
        raise Refused(f"t() of a tensor with {input.ndim} dimensions")
    return replace(input, shape=input.shape[::-1])


def movedim(call: Call, input: Tensor, source: Any, destination: Any) -> Tensor:
    """torch.movedim."""
    sources = axes_of((source,), input.ndim)
    targets = axes_of((destination,), input.ndim)
    if len(sources) != len(targets):
        raise Refused("movedim() needs as many destinations as sources")
    rest = iter(axis for axis in range(input.ndim) if axis not in sources)
    origin = dict(zip(targets, sources, strict=True))
    axes = [origin[axis] if axis in origin else next(rest) for axis in range(input.ndim)]
    return replace(input, shape=tuple(input.shape[axis] for axis in axes))


def squeeze(call: Call, input: Tensor, dim: Any = None) -> Tensor:
    """torch.squeeze."""
    axes = range(input.ndim) if dim is None else axes_of((dim,), input.ndim)
    kept = [n for axis, n in enumerate(input.shape) if axis not in axes or not is_one(call, n)]
    return replace(input, shape=tuple(kept))


def is_one(call: Call, n: Dim) -> bool:
    """Whether a dimension is 1, where the rank depends on it."""
    return n == 1 if isinstance(n, int) else call.decide(equal(n, 1))


def unsqueeze(call: Call, input: Tensor, dim: int) -> Tensor:
    """torch.unsqueeze."""
    axis = axis_of(dim, input.ndim + 1)
    return replace(input, shape=(*input.shape[:axis], 1, *input.shape[axis:]))


def expand(call: Call, input: Tensor, *size: Any) -> Tensor:
    """torch.Tensor.expand, torch.broadcast_to."""
    sizes = sizes_of(size)
    new = len(sizes) - input.ndim
    if new < 0 or any(is_inferred(size) for size in sizes[:new]):
        raise Refused(f"expand to {len(sizes)} dimensions of a tensor that has {input.ndim}")
    old = zip(input.shape, sizes[new:], strict=True)
    return replace(input, shape=(*sizes[:new], *(_expanded(call, n, wanted) for n, wanted in old)))


def _expanded(call: Call, n: Dim, wanted: Dim) -> Dim:
    if is_inferred(wanted) or identical(n, wanted):
        return n
    if not identical(n, 1):
        fits = equal(n, wanted) if isinstance(n, int) else any_of((equal(n, wanted), equal(n, 1)))
        call.require(
            fits, Code.JOIN, "an expanded dimension is 1, or as large as asked", needs=wanted, gets=n
        )
    return wanted


def expand_as(call: Call, input: Tensor, other: Tensor) -> Tensor:
    """torch.Tensor.expand_as."""
    return expand(call, input, other.shape)


def repeat(call: Call, input: Tensor, *repeats: Any) -> Tensor:
    """torch.Tensor.repeat."""
    counts = sizes_of(repeats)
    if len(counts) < input.ndim:
        raise Refused(f"repeat() with {len(counts)} counts of a tensor with {input.ndim} dimensions")
    for count in counts:
        call.require(at_least(count, 0), Code.LIMIT, "repeats are not negative", needs=0, gets=count)
    shape = (*(1,) * (len(counts) - input.ndim), *input.shape)
    return replace(input, shape=tuple(n * count for n, count in zip(shape, counts, strict=True)))


def tile(call: Call, input: Tensor, *dims: Any) -> Tensor:
    """torch.tile."""
    counts = sizes_of(dims)
    return repeat(call, input, (*(1,) * (input.ndim - len(counts)), *counts))


def repeat_interleave(call: Call, input: Tensor, repeats: Any, dim: int | None = None) -> Tensor:
    """torch.repeat_interleave with one number of repeats."""
    if isinstance(repeats, Tensor):
        raise Unmodelled("repeat_interleave() with a tensor of repeats")
    if dim is None:
        return replace(input, shape=(product(input.shape) * repeats,))
    axis = axis_of(dim, input.ndim)
    return repeat(call, input, [repeats if i == axis else 1 for i in range(input.ndim)])


def contiguous(call: Call, input: Tensor, memory_format: Any = None) -> Tensor:
    """torch.Tensor.contiguous."""
    return input


def roll(call: Call, input: Tensor, shifts: Any, dims: Any = None) -> Tensor:
    """torch.roll."""
    axes = [axis_of(dim, input.ndim) for dim in listed(dims)] if dims else [None]  # all of them as one
    if len(listed(shifts)) != len(axes):
        raise Refused(f"roll() with {len(listed(shifts))} shifts and {len(axes)} dimensions")
    return input


def flip(call: Call, input: Tensor, *positions: Any, dims: Any = None) -> Tensor:
    """torch.flip."""
    axes_of(positions if dims is None else (dims,), input.ndim)
    return input


_OF_TWO = ("tril", "triu", "tril_", "triu_", "fliplr")


def of_rows(call: Call, input: Tensor, *args: Any, least: int, **options: Any) -> Tensor:
    """torch.tril, torch.fliplr and their like: as large as a tensor of at least so many dimensions."""
    if input.ndim < least:
        raise Refused(f"a tensor with {input.ndim} dimensions where {least} or more are needed")
    return input


def rot90(call: Call, input: Tensor, k: int = 1, dims: Any = (0, 1)) -> Tensor:
    """torch.rot90."""
    first, second = axes_of((dims,), input.ndim)
    shape = list(input.shape)
    if k % 2:
        shape[first], shape[second] = shape[second], shape[first]
    return replace(input, shape=tuple(shape))


register(
    "permute",
    permute,
    (torch.permute, "permute"),
    samples=(
        "x.permute(0, 3, 1, 2) @ 2,3,H,W",
        "x.permute(dims=(0, 3, 1, 2)) @ 2,3,H,W",
        "torch.permute(x, (1, -1, 0, 2)) @ 2,3,H,W",
        "x.permute(0, 2, 1) @ 2,3,H,W",
    ),
)
register(
    "transpose",
    transpose,
    (
        *(torch.transpose, torch.swapaxes, torch.swapdims),
        *("transpose", "transpose_", "swapaxes", "swapdims"),
    ),
    samples=(
        "x.transpose(1, -1) @ 2,3,H,W",
        "torch.swapaxes(x, 2, 0) @ 2,3,H",
        "x.transpose(1, 4) @ 2,3,H,W",
    ),
)
register(
    "matrix transpose",
    matrix_transpose,
    (torch.adjoint, "adjoint"),
    samples=("x.mT @ 2,H,W", "x.adjoint() @ 2,3,H,W", "x.mT @ H"),
)
register(
    "short transpose", short_transpose, (torch.t, "t"), samples=("x.t() @ H,W", "x.T @ H,W", "x.t() @ 2,H,W")
)
register(
    "movedim",
    movedim,
    (torch.movedim, torch.moveaxis, "movedim", "moveaxis"),
    samples=(
        "x.movedim(1, -1) @ 2,3,H,W",
        "torch.moveaxis(x, (0, 3), (2, 0)) @ 2,3,H,W",
        "x.movedim(-1, 1) @ 2,3,H,W",
    ),
)
register(
    "squeeze",
    squeeze,
    (torch.squeeze, "squeeze", "squeeze_"),
    samples=(
        "x.squeeze(1) @ 2,1,H,W",
        "x.squeeze(2) @ 2,3,H,W",
        "x.squeeze() @ 2,1,H,W",
        "torch.squeeze(x, (0, -1)) @ 1,3,H,W",
    ),
)
register(
    "unsqueeze",
    unsqueeze,
    (torch.unsqueeze, "unsqueeze", "unsqueeze_"),
    samples=(
        "x.unsqueeze(-1) @ 2,3,H",
        "torch.unsqueeze(x, 1) @ 2,3,H",
        "x.unsqueeze(-4) @ 2,H,W",
        "x.unsqueeze(5) @ 2,H",
    ),
)
register(
    "expand",
    expand,
    ("expand", torch.broadcast_to, "broadcast_to"),
    samples=(
        "x.expand(2, -1, 5, -1) @ 2,3,H,W",
        "x.expand(4, 2, 3, 7) @ 2,1,H",
        "torch.broadcast_to(x, (2, 3, 5)) @ 3,H",
        "x.expand(-1, 2, x.shape[1]) @ 2,H",
        "x.expand(2, 3) @ 2,3,H",
    ),
)
register("expand as", expand_as, ("expand_as",), samples=("x.expand_as(y) @ 2,1,H,W ; 2,3,W,W",))
register(
    "repeat",
    repeat,
    ("repeat",),
    samples=(
        "x.repeat(2, 1, 3, 2) @ 3,H,W",
        "x.repeat((1, x.shape[2], 1)) @ 2,3,H",
        "x.repeat(2, 2) @ 2,3,H",
        "x.repeat(x.shape[2] - 4, 2, 1) @ 2,3,H",
    ),
)
register(
    "tile",
    tile,
    (torch.tile, "tile"),
    samples=("x.tile((2, 3)) @ 2,H,W", "torch.tile(x, (3, 1, 2, 2)) @ H,W"),
)
register(
    "repeat interleave",
    repeat_interleave,
    (torch.repeat_interleave, "repeat_interleave"),
    samples=("x.repeat_interleave(3, dim=2) @ 2,3,H,W", "torch.repeat_interleave(x, 2) @ 2,H"),
)
register("contiguous", contiguous, ("contiguous",), samples=("x.contiguous() @ 2,3,H,W",))
register(
    "roll",
    roll,
    (torch.roll, "roll"),
    samples=(
        "x.roll((1, -2), (2, 3)) @ 2,3,H,W",
        "torch.roll(x, 3) @ 2,3,H",
        "torch.roll(x, 2, -1) @ 2,3,H",
        "x.roll((1, 2)) @ 2,H",
        "x.roll(1, (0, 2)) @ 2,3,H",
    ),
)
register(
    "flip",
    flip,
    (torch.flip, "flip"),
    samples=(
        "x.flip(2, 3) @ 2,3,H,W",
        "torch.flip(x, (-1,)) @ 2,3,H,W",
        "torch.flip(x, dims=(1, 2)) @ 2,3,H,W",
    ),
)
register(
    "of rows",
    of_rows,
    {function: {"least": 2} for function in (torch.tril, torch.triu, torch.fliplr, *_OF_TWO)}
    | {function: {"least": 1} for function in (torch.flipud, "flipud")},
    samples=(
        "x.tril() @ H,W",
        "torch.triu(x, diagonal=1) @ 2,H,W",
        "x.tril_() @ H",
        "torch.fliplr(x) @ 2,H",
        "x.fliplr() @ H",
        "torch.flipud(x) @ H,2",
        "x.sum().flipud() @ H",
    ),
)
register(
    "rot90",
    rot90,
    (torch.rot90, "rot90"),
    samples=("torch.rot90(x, 1, (2, 3)) @ 2,3,H,W", "x.rot90(2, (1, 2)) @ 2,3,H,W"),
)
