"""Reshaping: flatten, unflatten, view and reshape.

The number of elements is what torch requires. Where a `-1` would move pixels into the batch, torch raises
nothing, and the requirement that it does not happen is silent.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import torch
from torch import nn

from autofix.condition import any_of, at_least, divides, equal
from autofix.fault import Code
from autofix.ops.base import Call, Refused, Tensor, Unmodelled, axis_of, register, same_number, spread
from autofix.ops.factor import cancel
from autofix.ops.whole import axis_by_axis
from autofix.size import Dim, identical, product


def sizes_of(sizes: Sequence[Any]) -> tuple[Dim, ...]:
    """The sizes of `view(2, 3)` and `view((2, 3))` alike."""
    sizes = spread(sizes)
    if any(isinstance(size, Tensor | torch.dtype | str) for size in sizes):
        raise Unmodelled("a size that is no number")
    return tuple(sizes)


def flatten(call: Call, input: Tensor, start_dim: int = 0, end_dim: int = -1) -> Tensor:
    """torch.flatten."""
    start, end = axis_of(start_dim, input.ndim), axis_of(end_dim, input.ndim)
    if start > end:
        raise Refused("flatten() starts after it ends")
    merged = product(input.shape[start : end + 1])
    return replace(input, shape=(*input.shape[:start], merged, *input.shape[end + 1 :]))


def unflatten(call: Call, input: Tensor, dim: int, sizes: Any) -> Tensor:
    """torch.unflatten."""
    axis = axis_of(dim, input.ndim)
    parts = fitted(call, (input.shape[axis],), sizes_of((sizes,)))
    return replace(input, shape=(*input.shape[:axis], *parts, *input.shape[axis + 1 :]))


def reshape(call: Call, input: Tensor, *sizes: Any, shape: Any = None) -> Tensor:
    """torch.reshape, torch.Tensor.reshape."""
    sizes = sizes_of(sizes or (shape,))
    result = fitted(call, input.shape, sizes)
    if sizes and is_inferred(sizes[0]):
        _keep_batch(call, input.shape, sizes[1:])
    return replace(input, shape=result)


def view(call: Call, input: Tensor, *sizes: Any) -> Tensor:
    """torch.Tensor.view; not the view as another dtype."""
    result = reshape(call, input, *sizes)
    _keep_layout(call, input.shape, result.shape)
    return result


def view_as(call: Call, input: Tensor, other: Tensor) -> Tensor:
    """torch.Tensor.view_as."""
    return view(call, input, other.shape)


def _keep_layout(call: Call, shape: Sequence[Dim], asked: Sequence[Dim]) -> None:
    """Require a cut in the view wherever memory has one, unless there is no element."""
    heads, apart = [*(asked[:end] for end, _ in enumerate(asked)), asked], call.apart()
    for cut in sorted(apart.always | apart.sometimes):
        sides = [cancel(call, head, shape[:cut]) for head in heads]
        sizes = [(product(left), product(right)) for left, right in sides]
        if not any(identical(*both) for both in sizes):
            if cut in apart.sometimes:
                raise Unmodelled(
                    "a slice before it cuts something off at some sizes only; reshape would copy"
                )
            fits = any_of([*(equal(*both) for both in sizes), equal(product(shape), 0)])
            call.require(fits, Code.LAYOUT, "view keeps apart what lies apart in memory; reshape copies")


def reshape_as(call: Call, input: Tensor, other: Tensor) -> Tensor:
    """torch.Tensor.reshape_as."""
    return reshape(call, input, other.shape)


def is_inferred(size: Dim) -> bool:
    """Whether a size is the -1 that stands for what is left."""
    return isinstance(size, int) and size == -1


def fitted(call: Call, shape: Sequence[Dim], sizes: Sequence[Dim]) -> tuple[Dim, ...]:
    """The sizes with -1 worked out, and the requirement that the elements fit them."""
    wild = [position for position, size in enumerate(sizes) if is_inferred(size)]
    if len(wild) > 1:
        raise Refused("only one dimension can be inferred")
    least = len(wild)  # beside a -1, a zero leaves it undetermined
    fixed = [size for size in sizes if not is_inferred(size)]
    for size in fixed:
        call.require(at_least(size, least), Code.RESHAPE, "sizes are not negative", needs=least, gets=size)
    left, right = cancel(call, shape, fixed)
    have, want = product(left), product(right)
    if not wild:
        for sides in axis_by_axis(call, left, right) or [(have, want)]:
            same_number(call, *sides, Code.RESHAPE, "the number of elements stays the same")
        return tuple(sizes)
    if isinstance(want, int) and want == 0:
        raise Refused("a size of 0 beside -1")
    if not identical(want, 1):
        what = "the number of elements is a multiple of the given sizes"
        call.require(divides(want, have), Code.RESHAPE, what, needs=want, gets=have)
        have = have // want
    return tuple(have if is_inferred(size) else size for size in sizes)


def _keep_batch(call: Call, shape: Sequence[Dim], rest: Sequence[Dim]) -> None:
    """Require silently that a leading -1 takes in whole dimensions, and never a part of an image.

    Whole: the sizes asked for are the input's last ones, or all, or several rows, or divide the last of the
    others (groups).
    Rows of a fixed head are neither at a size that it was not made for: `view(-1, 16)` of 16 channels over a
    map of 2 x 2 gives four rows for each sample.
    """
    left, asked = list(shape), list(rest)
    while left and asked and identical(left[-1], asked[-1]):
        left.pop()
        asked.pop()
    if not asked or any(_equal_products(call, left[i:], asked) for i in range(len(left))):
        return
    if cancel(call, asked, left[1:])[1] == [1]:  # frames of a video, heads of an attention
        return
    want, last = product(asked), left[-1]
    if isinstance(want, int) and isinstance(last, int) and last % want == 0:
        return
    have = product(left[1:])
    what = "view(-1, ...) keeps the batch: one row for each sample"
    call.require(equal(have, want), Code.BATCH, what, needs=want, gets=have, silent=True)


def _equal_products(call: Call, left: Sequence[Dim], right: Sequence[Dim]) -> bool:
    """Whether two products of dimensions are the same at every size."""
    return all(identical(product(side), 1) for side in cancel(call, left, right))


register(
    "flatten",
    flatten,
    (nn.Flatten, torch.flatten, "flatten", torch.ravel, "ravel"),
    reads=("start_dim", "end_dim"),
    samples=(
        "nn.Flatten() @ 2,3,H,W",
        "nn.Flatten(2, 3) @ 2,3,D,H,W",
        "torch.flatten(x, 1, -2) @ 2,3,H,W",
        "x.flatten(2) @ 2,3,H,W",
        "x.ravel() @ 2,H,W",
        "torch.flatten(x.sum()) @ 2,H",
        "torch.flatten(x, 2, 2) @ 2,3,H,W",
        "x.flatten(3, 1) @ 2,3,H,W",
        "torch.flatten(x) @ H",
    ),
)
register(
    "unflatten",
    unflatten,
    (nn.Unflatten, torch.unflatten, "unflatten"),
    reads=lambda m: {"dim": m.dim, "sizes": m.unflattened_size},
    samples=(
        "nn.Unflatten(2, (3, 2)) @ 2,3,H",
        "nn.Unflatten(-1, (-1, 4)) @ 2,3,H,W",
        "torch.unflatten(x, 2, (2, -1)) @ 2,3,H,W",
        "x.unflatten(3, (-1, x.shape[2])) @ 2,3,H,W",
    ),
)
register(
    "reshape",
    reshape,
    (torch.reshape, "reshape"),
    samples=(
        "x.reshape(2, -1) @ 2,3,H,W",
        "torch.reshape(x, (2, -1, 5)) @ 2,3,H,W",
        "torch.reshape(x, shape=[-1]) @ 2,3,H,W",
        "x.permute(0, 2, 3, 1).reshape(-1, 3) @ B,3,H,W",
        "x.permute(0, 2, 3, 1).reshape(-1, x.shape[2] * x.shape[3], 3) @ B,3,H,W",
        "x.reshape(-1, 2, 2, x.shape[2], x.shape[3]) @ B,4,H,W",
        "x.flatten(0, 1).reshape(-1, 2, 2, x.shape[2] * x.shape[3]) @ B,4,2,H,W",
        "x.reshape(2, 3, -1, -1) @ 2,3,H,W",
        "x.reshape(0, -1) @ 2,3,H",
        "x.reshape(x.shape[0] - 2, x.shape[0] - 2) @ H",
        "x.sum((2,)).reshape(0, -1) @ 2,3,H",
        "x[2:].reshape(0, 3) @ H,3",
        "x.reshape(x.shape[0] * x.shape[2], -1) @ B,3,H,W",
    ),
)
register(
    "view",
    view,
    ("view",),
    samples=(
        "x.view(2, -1) @ 2,3,H,W",
        "x.view(x.size(0), -1, x.size(3)) @ B,3,H,W",
        "x.view(-1, 12) @ B,3,H,W",
        "x.view(2, 6, -1) @ 2,3,H,W",
        "x.view(2, 3, 6, 4) @ 2,3,H,W",
        "x.view((2, 3, x.shape[2] * x.shape[3])) @ 2,3,H,W",
        "x.view(x.shape[0], 3, x.shape[2] // 2, 2, -1, 3) @ B,3,H,W",
        "x.view(2, -1, x.shape[2] - 3) @ 2,3,H,W",
        "x.view(2, x.shape[1] // 2, 2, x.shape[2] // 3, 3) @ 2,H,W",
        "F.avg_pool2d(x, (4, 2)).view(2, 3, x.shape[2] // 8, 2, x.shape[3] // 6, 3) @ 2,3,H,W",
        "x.view(x.shape[1] // 2, 3, x.shape[2] // 3, 3, -1).view(2, x.shape[1], x.shape[2]) @ 2,H,W",
        "x.permute(0, 2, 3, 1).view(2, -1) @ 2,3,H,W",
        "x.permute(0, 2, 3, 1).view(2, -1, 3) @ 2,3,H,W",
        "x.transpose(1, 2).view(-1, 3) @ 2,3,H",
        "x.transpose(2, 3).view(2, 3, -1) @ 2,3,H,W",
        "x[:, :, 1:-1].view(2, 3, -1) @ 2,3,H,W",
        "x[:, :, ::2].view(6, -1, x.shape[3]) @ 2,3,H,W",
        "x[:, :2].view(4, -1) @ 2,3,H,W",
        "x[:, :2].view(2, -1) @ 2,3,H,W",
        "x.expand(2, 3, x.shape[2]).view(-1, x.shape[2]) @ 2,1,H",
        "F.avg_pool2d(x.permute(0, 3, 1, 2), 2).view(2, -1) @ 2,H,W,3",
        "x.permute(0, 2, 3, 1).view(2, -1, 4, 3) @ 2,3,H,W",
        "x.t().view(-1) @ H,W",
        "x[3:].t().view(-1) @ H,2",
    ),
)
register("reshape as", reshape_as, ("reshape_as",), samples=("x.reshape_as(y) @ 2,6,H ; 2,3,W",))
register(
    "view as",
    view_as,
    ("view_as",),
    samples=("x.view_as(y) @ 2,3,H,W ; 3,2,W,H", "x.permute(0, 2, 3, 1).view_as(y) @ 2,3,H,W ; 2,H,W,3"),
)
