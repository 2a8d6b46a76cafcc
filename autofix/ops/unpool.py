"""Max unpooling: pooled values go back to the places that their indices name."""

from __future__ import annotations

from typing import Any

import torch.nn.functional as F

from autofix.condition import at_least, equal
from autofix.fault import Code
from autofix.ops.base import (
    Call,
    Refused,
    Tensor,
    Unmodelled,
    per_axis,
    ranks,
    register,
    same_number,
    spatial,
)
from autofix.ops.formula import not_empty
from autofix.ops.pool import Indices
from autofix.size import Dim, identical, product


def unpool(
    call: Call,
    input: Tensor,
    indices: Tensor,
    kernel_size: Any,
    stride: Any = None,
    padding: Any = 0,
    output_size: Any = None,
    *,
    nd: int,
) -> Tensor:
    """torch.nn.functional.max_unpool1d/2d/3d: (n - 1) * s - 2p + k, or up to a stride beside it."""
    lead, sizes = spatial(input, nd)
    kernels, paddings = per_axis(kernel_size, nd), per_axis(padding, nd)
    strides = kernels if stride is None or stride == [] else per_axis(stride, nd)
    for mine, theirs in zip(input.shape, indices.shape, strict=True):
        same_number(call, theirs, mine, Code.JOIN, "indices have the shape of the input")
    usual = tuple(
        (n - 1) * s - 2 * p + k for n, s, p, k in zip(sizes, strides, paddings, kernels, strict=True)
    )
    wanted = usual if output_size is None else _wanted(call, tuple(output_size), usual, strides)
    for n in sizes:
        not_empty(call, n)
    for size in wanted:
        not_empty(call, size, "output is not empty")
    _places_fit(call, indices, wanted)
    return Tensor((*lead, *wanted))


def _places_fit(call: Call, indices: Tensor, wanted: tuple[Dim, ...]) -> None:
    """Indices count through the plane that was pooled; in another plane they are other places, or none."""
    if not isinstance(indices, Indices) or indices.last is None:
        raise Unmodelled("the places that the indices of a max unpool point to")
    last: Dim = 0
    for place, size in zip(indices.last, indices.plane, strict=True):
        last = last * size + place
    what = "indices are inside the output"
    call.require(at_least(product(wanted), last + 1), Code.INDEX, what, needs=last + 1, gets=product(wanted))
    for size, pooled in zip(wanted[1:], indices.plane[1:], strict=True):
        if not identical(size, pooled):
            what = "output has the size that was pooled, so that places stay where they were"
            call.require(equal(size, pooled), Code.JOIN, what, needs=pooled, gets=size, silent=True)


def _wanted(
    call: Call, wanted: tuple[Dim, ...], usual: tuple[Dim, ...], strides: tuple[Dim, ...]
) -> tuple[Dim, ...]:
    if len(wanted) not in (len(usual), len(usual) + 2):
        raise Refused(
            f"output_size has {len(wanted)} values where {len(usual)} or {len(usual) + 2} are needed"
        )
    wanted = wanted[-len(usual) :]
    for given, normal, stride in zip(wanted, usual, strides, strict=True):
        what = "output_size is within a stride of the usual output"
        call.require(at_least(given, normal - stride + 1), Code.LIMIT, what, needs=normal, gets=given)
        call.require(at_least(normal + stride - 1, given), Code.LIMIT, what, needs=normal, gets=given)
    return wanted


def unpool_layer(
    call: Call,
    input: Tensor,
    indices: Tensor,
    output_size: Any = None,
    *,
    kernel_size: Any,
    stride: Any,
    padding: Any,
    nd: int,
) -> Tensor:
    """The forward of torch.nn.MaxUnpool1d/2d/3d."""
    return unpool(call, input, indices, kernel_size, stride, padding, output_size, nd=nd)


register(
    "max unpool",
    unpool,
    ranks("max_unpool{}d", owner=F),
    samples=(
        (
            "(lambda p: F.max_unpool2d(p[0], p[1], (2, 3)))"
            "(F.max_pool2d(x, (2, 3), return_indices=True)) @ 2,2,H,W"
        ),
        (
            "(lambda p: F.max_unpool2d(p[0], p[1], (2, 3), None, 0, x.shape[2:]))"
            "(F.max_pool2d(x, (2, 3), return_indices=True)) @ 2,2,H,W"
        ),
        (
            "(lambda p: F.max_unpool2d(p[0], p[1], 3, 2, 1, x.shape))"
            "(F.max_pool2d(x, 3, 2, 1, return_indices=True)) @ 2,2,H,W"
        ),
        (
            "(lambda p: F.max_unpool1d(p[0], p[1], 3, 2, 0, (8,)))"
            "(F.max_pool1d(x, 3, 2, return_indices=True)) @ 2,2,H"
        ),
        (
            "(lambda p: F.max_unpool1d(p[0], p[1], 2, 3, 1, (2 * x.shape[2] - 1,)))"
            "(F.max_pool1d(torch.cat([x, x], 2), 2, 3, 1, return_indices=True)) @ 2,2,H"
        ),
    ),
)
register(
    "max unpool",
    unpool_layer,
    ranks("MaxUnpool{}d"),
    reads=("kernel_size", "stride", "padding"),
    samples=(
        (
            "(lambda p: nn.MaxUnpool2d((2, 3))(p[0], p[1]))"
            "(F.max_pool2d(x, (2, 3), return_indices=True)) @ 2,2,H,W"
        ),
        (
            "(lambda p: nn.MaxUnpool2d((2, 3))(p[0], p[1], x.shape))"
            "(F.max_pool2d(x, (2, 3), return_indices=True)) @ 2,2,H,W"
        ),
        (
            "(lambda p: nn.MaxUnpool1d(2)(p[0], p[1], output_size=x.shape[2:]))"
            "(F.max_pool1d(x, 2, return_indices=True)) @ 2,2,H"
        ),
        (
            "(lambda p: nn.MaxUnpool3d((1, 2, 3))(p[0], p[1]))"
            "(F.max_pool3d(x, (1, 2, 3), return_indices=True)) @ 1,1,D,H,W"
        ),
        (
            "(lambda p: nn.MaxUnpool2d(3, 4, 3)(p[0], p[1]))"
            "(F.max_pool2d(x, 2, return_indices=True)) @ 1,2,H,W"
        ),
        (
            "(lambda p: nn.MaxUnpool1d(4, 2)(p[0], p[1], x.shape[2:]))"
            "(F.max_pool1d(x, 2, return_indices=True)) @ 1,2,H"
        ),
        (
            "(lambda p: nn.MaxUnpool1d(4, 2)(p[0], p[1], (x.shape[2] + 3,)))"
            "(F.max_pool1d(x, 2, return_indices=True)) @ 1,2,H"
        ),
        (
            "(lambda p: nn.MaxUnpool1d(9, 1)(p[0][..., 3:], p[1][..., 3:]))"
            "(F.max_pool1d(x, 1, return_indices=True)) @ 1,2,H"
        ),
        (
            "(lambda p, q: nn.MaxUnpool1d(4)(p[0], q[1]))"
            "(F.max_pool1d(x, 2, return_indices=True), F.max_pool1d(y, 2, return_indices=True))"
            " @ 1,2,H ; 1,2,W"
        ),
    ),
)
