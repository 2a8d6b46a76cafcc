"""Max, average and power pooling over windows, and max unpooling."""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F

from autofix.condition import at_least
from autofix.fault import Code
from autofix.ops.base import Call, Refused, Tensor, per_axis, ranks, register, same_number, spatial
from autofix.ops.formula import effective_kernel, not_empty, window_size
from autofix.ops.knobs import CEIL_MODE, DILATION, POOL_KERNEL, POOL_PADDING, STRIDE
from autofix.size import Dim


def pool(
    call: Call,
    input: Tensor,
    kernel_size: Any,
    stride: Any = None,
    padding: Any = 0,
    dilation: Any = 1,
    ceil_mode: bool = False,
    return_indices: bool = False,
    *,
    nd: int,
) -> Any:
    """torch.nn.functional.max_pool1d/2d/3d."""
    lead, sizes = spatial(input, nd)
    kernels, paddings, dilations = per_axis(kernel_size, nd), per_axis(padding, nd), per_axis(dilation, nd)
    strides = kernels if stride is None or stride == [] else per_axis(stride, nd)
    out = []
    for axis, n in enumerate(sizes):
        shape = kernels[axis], strides[axis], paddings[axis], dilations[axis]
        out.append(_pooled(call, n, *shape, ceil_mode))
    result = Tensor((*lead, *out))
    return (result, result) if return_indices else result


def _pooled(
    call: Call, n: Dim, kernel: Dim, stride: Dim, padding: Dim, dilation: Dim, ceil_mode: bool
) -> Dim:
    reach = effective_kernel(kernel, dilation)
    call.require(at_least(reach, 2 * padding), Code.LIMIT, "pool padding is at most half the kernel")
    not_empty(call, n)
    result = window_size(n, kernel, stride, padding, dilation, ceil_mode)
    call.require(
        at_least(result, 1), Code.KERNEL, "kernel fits the padded input", needs=reach, gets=n + 2 * padding
    )
    return result


def average_pool(
    call: Call,
    input: Tensor,
    kernel_size: Any,
    stride: Any = None,
    padding: Any = 0,
    ceil_mode: bool = False,
    count_include_pad: bool = True,
    divisor_override: int | None = None,
    *,
    nd: int,
) -> Any:
    """torch.nn.functional.avg_pool1d/2d/3d."""
    return pool(call, input, kernel_size, stride, padding, 1, ceil_mode, nd=nd)


def power_pool(
    call: Call,
    input: Tensor,
    norm_type: float,
    kernel_size: Any,
    stride: Any = None,
    ceil_mode: bool = False,
    *,
    nd: int,
) -> Any:
    """torch.nn.functional.lp_pool1d/2d/3d: an average pool of powers."""
    return pool(call, input, kernel_size, stride, 0, 1, ceil_mode, nd=nd)


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
    return Tensor((*lead, *wanted))


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
    "max pool",
    pool,
    {
        **ranks("MaxPool{}d"),
        **ranks("max_pool{}d", owner=F),
        **ranks("max_pool{}d", owner=torch),
        **ranks("max_pool{}d_with_indices", owner=F, return_indices=True),
        torch.max_pool1d_with_indices: {"nd": 1, "return_indices": True},
    },
    reads=("kernel_size", "stride", "padding", "dilation", "ceil_mode", "return_indices"),
    knobs=(CEIL_MODE, POOL_PADDING, STRIDE, DILATION, POOL_KERNEL),
    samples=(
        "nn.MaxPool1d(3, 2, padding=1) @ 2,2,H",
        "nn.MaxPool2d((3, 2), stride=(2, 3), padding=(1, 0)) @ 2,2,H,W",
        "nn.MaxPool2d((3, 2), stride=(2, 3), padding=(1, 1), ceil_mode=True) @ 2,2,H,W",
        "nn.MaxPool2d((2, 3), stride=(1, 2), dilation=(3, 2), ceil_mode=True) @ 2,2,H,W",
        "nn.MaxPool2d(2, stride=4, padding=1, ceil_mode=True) @ 2,2,H,W",
        "nn.MaxPool2d((1, 2), stride=(3, 5), ceil_mode=True) @ 2,2,H,W",
        "nn.MaxPool3d((1, 2, 3), stride=(1, 2, 2), padding=(0, 0, 1)) @ 2,2,D,H,W",
        "F.max_pool2d(x, (2, 3)) @ 2,2,H,W",
        "F.max_pool2d(x, 3, 2, 1, ceil_mode=True, return_indices=True)[1] @ 2,2,H,W",
        "nn.MaxPool2d((2, 3)) @ 2,H,W",
    ),
)
register(
    "average pool",
    average_pool,
    ranks("AvgPool{}d") | ranks("avg_pool{}d", owner=F),
    reads=lambda m: {
        n: getattr(m, n) for n in ("kernel_size", "stride", "padding", "ceil_mode", "count_include_pad")
    },
    knobs=(CEIL_MODE, POOL_PADDING, STRIDE, POOL_KERNEL),
    samples=(
        "nn.AvgPool1d(4, 3, padding=2, ceil_mode=True) @ 2,2,H",
        "nn.AvgPool2d((3, 2), stride=(2, 1), padding=(1, 0), count_include_pad=False) @ 2,2,H,W",
        "nn.AvgPool2d((2, 3), stride=(3, 2), padding=(1, 1), ceil_mode=True) @ 2,2,H,W",
        "nn.AvgPool3d((2, 1, 3), stride=(2, 1, 2), ceil_mode=True) @ 2,2,D,H,W",
        "F.avg_pool2d(x, (3, 2), (1, 2)) @ 2,2,H,W",
    ),
)
register(
    "power pool",
    power_pool,
    ranks("LPPool{}d") | ranks("lp_pool{}d", owner=F),
    reads=("norm_type", "kernel_size", "stride", "ceil_mode"),
    knobs=(CEIL_MODE, STRIDE, POOL_KERNEL),
    samples=(
        "nn.LPPool1d(2, 3, 2, ceil_mode=True) @ 2,2,H",
        "nn.LPPool2d(2, (3, 2), stride=(2, 3)) @ 2,2,H,W",
        "F.lp_pool2d(x, 2, (2, 3), ceil_mode=True) @ 2,2,H,W",
    ),
)
register(
    "max unpool",
    unpool,
    ranks("max_unpool{}d", owner=F),
    samples=(
        "F.max_unpool2d(*F.max_pool2d(x, (2, 3), return_indices=True), (2, 3)) @ 2,2,H,W",
        "F.max_unpool2d(*F.max_pool2d(x, (2, 3), return_indices=True), (2, 3), None, 0, x.shape[2:]) @ 2,2,H,W",
        "F.max_unpool2d(*F.max_pool2d(x, 3, 2, 1, return_indices=True), 3, 2, 1, x.shape) @ 2,2,H,W",
        "F.max_unpool1d(*F.max_pool1d(x, 3, 2, return_indices=True), 3, 2, output_size=(8,)) @ 2,2,H",
    ),
)
register(
    "max unpool",
    unpool_layer,
    ranks("MaxUnpool{}d"),
    reads=("kernel_size", "stride", "padding"),
    samples=(
        "nn.MaxUnpool2d((2, 3))(*F.max_pool2d(x, (2, 3), return_indices=True)) @ 2,2,H,W",
        "nn.MaxUnpool2d((2, 3))(*F.max_pool2d(x, (2, 3), return_indices=True), x.shape) @ 2,2,H,W",
        "nn.MaxUnpool1d(2)(*F.max_pool1d(x, 2, return_indices=True), output_size=x.shape[2:]) @ 2,2,H",
        "nn.MaxUnpool3d((1, 2, 3))(*F.max_pool3d(x, (1, 2, 3), return_indices=True)) @ 1,1,D,H,W",
    ),
)
