"""Adaptive and fractional pooling: the output size is given, not the window."""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import nn

from autofix.condition import at_least
from autofix.fault import Code
from autofix.ops.base import Call, Refused, Tensor, per_axis, ranks, register, spatial
from autofix.ops.formula import not_empty
from autofix.ops.pool import Indices
from autofix.ops.resize import scaled_size
from autofix.size import Dim


def adaptive_pool(
    call: Call, input: Tensor, output_size: Any, return_indices: bool = False, *, nd: int
) -> Any:
    """torch.nn.functional.adaptive_avg_pool1d/2d/3d and adaptive_max_pool1d/2d/3d; None keeps a size."""
    lead, sizes = spatial(input, nd)
    out = []
    if nd == 1 and None in per_axis(output_size, nd):
        raise Refused("a 1d pool needs its output size")
    for n, wanted in zip(sizes, per_axis(output_size, nd), strict=True):
        not_empty(call, n)
        result = n if wanted is None else wanted
        call.require(at_least(result, 0), Code.EMPTY, "output size is not negative", needs=0, gets=result)
        not_empty(call, result, "output is not empty", silent=True)
        out.append(result)
    pooled = Tensor((*lead, *out))
    return (pooled, _indices(pooled, sizes)) if return_indices else pooled


def adaptive_average(call: Call, input: Tensor, output_size: Any, *, nd: int) -> Any:
    """torch.nn.functional.adaptive_avg_pool1d/2d/3d: to a single value, torch takes the mean at any rank."""
    least = nd + (0 if isinstance(output_size, int) else 1)
    if nd > 1 and set(per_axis(output_size, nd)) == {1} and input.ndim >= least:
        return Tensor((*input.shape[: input.ndim - nd], *(1,) * nd))
    return adaptive_pool(call, input, output_size, nd=nd)


def _indices(pooled: Tensor, sizes: tuple[Dim, ...]) -> Indices:
    """The last window ends where the input does."""
    return Indices(pooled.shape, sizes, tuple(n - 1 for n in sizes))


def fractional_pool(
    call: Call,
    input: Tensor,
    kernel_size: Any,
    output_size: Any = None,
    output_ratio: Any = None,
    return_indices: bool = False,
    _random_samples: Any = None,
    *,
    nd: int,
) -> Any:
    """torch.nn.functional.fractional_max_pool2d/3d: output + kernel - 1 is at most the input (3d: below)."""
    lead, sizes = spatial(input, nd)
    if output_size is not None:
        out = per_axis(output_size, nd)
    elif output_ratio is not None:
        out = tuple(scaled_size(n, ratio) for n, ratio in zip(sizes, per_axis(output_ratio, nd), strict=True))
    else:
        raise Refused("output_size or output_ratio is needed")
    for n, result, kernel in zip(sizes, out, per_axis(kernel_size, nd), strict=True):
        not_empty(call, n)
        what = "windows of the kernel fit the input"
        reach = result + kernel - (1 if nd == 2 else 0)
        call.require(at_least(n, reach), Code.KERNEL, what, needs=reach, gets=n)
        call.require(at_least(result, 0), Code.EMPTY, "output size is not negative", needs=0, gets=result)
        not_empty(call, result, "output is not empty", silent=True)
    pooled = Tensor((*lead, *out))
    return (pooled, _indices(pooled, sizes)) if return_indices else pooled


register(
    "adaptive average pool",
    adaptive_average,
    {**ranks("AdaptiveAvgPool{}d"), **ranks("adaptive_avg_pool{}d", owner=F)},
    reads=("output_size",),
    samples=(
        "nn.AdaptiveAvgPool1d(3)(x[..., 4:]) @ 2,3,H",
        "nn.AdaptiveAvgPool1d(None) @ 2,3,H",
        "nn.AdaptiveAvgPool2d((2, 5)) @ 2,3,H,W",
        "nn.AdaptiveAvgPool2d((None, 4)) @ 2,3,H,W",
        "nn.AdaptiveAvgPool2d(1) @ 2,2,3,H,W",
        "nn.AdaptiveAvgPool2d(2) @ 2,2,3,H,W",
        "nn.AdaptiveAvgPool2d(1) @ H,W",
        "nn.AdaptiveAvgPool2d(1)(x[..., 3:]) @ 2,H,W",
        "nn.AdaptiveAvgPool2d((1, 1)) @ H,W",
        "nn.AdaptiveAvgPool2d(1) @ H",
        "nn.AdaptiveAvgPool2d((1, 1))(x[..., 3:]) @ 2,H,W",
        "nn.AdaptiveAvgPool1d(1) @ 2,3,4,H",
        "nn.AdaptiveAvgPool3d(1)(x[:, 3:]) @ H,W,D",
        "F.adaptive_avg_pool2d(x, (x.shape[2] - 2, 3)) @ 2,3,H,W",
        "F.adaptive_avg_pool3d(x, (2, None, 3)) @ 2,3,D,H,W",
    ),
)
register(
    "adaptive max pool",
    adaptive_pool,
    {
        **ranks("AdaptiveMaxPool{}d"),
        **ranks("adaptive_max_pool{}d", owner=F),
        **ranks("adaptive_max_pool{}d_with_indices", owner=F, return_indices=True),
        torch.adaptive_max_pool1d: {"nd": 1, "return_indices": True},
    },
    reads=("output_size", "return_indices"),
    samples=(
        "nn.AdaptiveMaxPool2d((3, None)) @ 3,H,W",
        "nn.AdaptiveMaxPool2d((3, 2), return_indices=True)(x)[1] @ 2,3,H,W",
        "nn.AdaptiveMaxPool3d((1, 2, 4)) @ 2,3,D,H,W",
        "F.adaptive_max_pool1d(x, 4, return_indices=True)[1] @ 2,3,H",
        (
            "(lambda p: F.max_unpool2d(p[0], p[1], 2))"
            "(F.adaptive_max_pool2d(x, (3, 2), return_indices=True)) @ 2,3,H,W"
        ),
    ),
)
register(
    "fractional max pool",
    fractional_pool,
    {
        nn.FractionalMaxPool2d: {"nd": 2},
        nn.FractionalMaxPool3d: {"nd": 3},
        F.fractional_max_pool2d: {"nd": 2},
        F.fractional_max_pool3d: {"nd": 3},
        F.fractional_max_pool2d_with_indices: {"nd": 2, "return_indices": True},
        F.fractional_max_pool3d_with_indices: {"nd": 3, "return_indices": True},
    },
    reads=("kernel_size", "output_size", "output_ratio", "return_indices"),
    samples=(
        "nn.FractionalMaxPool2d((2, 3), output_size=(4, 3)) @ 2,3,H,W",
        "nn.FractionalMaxPool2d((3, 2), output_ratio=(0.5, 0.8)) @ 2,3,H,W",
        "nn.FractionalMaxPool3d((1, 2, 3), output_size=(2, 3, 4)) @ 2,3,D,H,W",
        "F.fractional_max_pool2d(x, 2, output_ratio=(0.4, 0.8), return_indices=True)[1] @ 2,3,H,W",
        "F.fractional_max_pool2d(x, (2, 3), (x.shape[2] - 4, x.shape[3] - 3)) @ 2,3,H,W",
        "F.fractional_max_pool2d(x[:, :, 3:], 1, (0, x.shape[3])) @ 2,3,H,W",
    ),
)
