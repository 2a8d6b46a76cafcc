"""Max, average and power pooling over windows."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F

from autofix.condition import at_least
from autofix.fault import Code
from autofix.ops.base import Call, Refused, Tensor, per_axis, ranks, register, spatial
from autofix.ops.formula import effective_kernel, not_empty, window_size
from autofix.ops.knobs import CEIL_MODE, DILATION, POOL_KERNEL, POOL_PADDING, STRIDE
from autofix.size import Dim, smaller


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
    if not return_indices:
        return result
    last = [
        last_covered(n, *shape)
        for n, shape in zip(sizes, zip(out, kernels, strides, paddings, dilations, strict=True), strict=True)
    ]
    return result, Indices(result.shape, sizes, None if None in last else tuple(last))


@dataclass(frozen=True, slots=True)
class Indices(Tensor):
    """Where pooled values came from: the plane that was pooled, and its last place that a window covers."""

    plane: tuple[Dim, ...]
    last: tuple[Dim, ...] | None


def last_covered(n: Dim, windows: Dim, kernel: Dim, stride: Dim, padding: Dim, dilation: Dim) -> Dim | None:
    """The last place along an axis that a window covers; None where dilation leaves gaps."""
    return smaller((windows - 1) * stride - padding + kernel, n) - 1 if dilation == 1 else None


def _pooled(
    call: Call, n: Dim, kernel: Dim, stride: Dim, padding: Dim, dilation: Dim, ceil_mode: bool
) -> Dim:
    reach = effective_kernel(kernel, dilation)
    for number, name in ((kernel, "kernel"), (stride, "stride")):
        if isinstance(number, int) and number < 1:
            raise Refused(f"a {name} of {number}")
        if not isinstance(number, int):
            call.require(at_least(number, 1), Code.LIMIT, f"{name} is at least 1", needs=1, gets=number)
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
    _, sizes = spatial(input, nd)
    for n, kernel in zip(sizes, per_axis(kernel_size, nd), strict=True):
        if nd == 3:  # torch checks this here alone, and looks past the padding
            call.require(at_least(n, kernel), Code.KERNEL, "kernel fits the bare input", needs=kernel, gets=n)
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
    if abs(norm_type) == math.inf:
        return pool(call, input, kernel_size, stride, 0, 1, ceil_mode, nd=nd)
    return average_pool(call, input, kernel_size, stride, 0, ceil_mode, nd=nd)


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
        "nn.MaxPool1d(3, 2, padding=2) @ 2,2,H",
        "F.max_pool1d(x, 1) @ 2,2,H",
        "F.max_pool1d(x, 0) @ 2,2,H",
        "F.max_pool1d(x, 3, x.shape[1] - 1) @ 2,H,W",
        "nn.MaxPool1d(2, 1, padding=1)(x[..., 3:]) @ 2,2,H",
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
        "F.avg_pool2d(x, (x.shape[2] // 4, 2)) @ 2,2,H,W",
        "F.avg_pool1d(x, x.shape[1] - 3, 2) @ 2,H,W",
        "F.avg_pool1d(x, 2, x.shape[1] - 3) @ 2,H,W",
        "nn.AvgPool2d((3, 2), stride=(2, 1), padding=(1, 0), count_include_pad=False) @ 2,2,H,W",
        "nn.AvgPool2d((2, 3), stride=(3, 2), padding=(1, 1), ceil_mode=True) @ 2,2,H,W",
        "nn.AvgPool3d((2, 1, 3), stride=(2, 1, 2), ceil_mode=True) @ 2,2,D,H,W",
        "nn.AvgPool3d((3, 1, 2), stride=(1, 2, 1), padding=(1, 0, 0)) @ 2,2,D,H,W",
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
        "F.lp_pool2d(x, float('inf'), (3, 2), ceil_mode=True) @ 2,2,H,W",
        "F.lp_pool1d(x, float('inf'), 3, stride=1) @ 2,2,H",
        "F.lp_pool3d(x, 2, (2, 1, 3), ceil_mode=True) @ 2,2,D,H,W",
    ),
)
