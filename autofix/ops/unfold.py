"""Unfold and fold: windows as columns, and back."""

from __future__ import annotations

from typing import Any

import torch.nn.functional as F
from torch import nn

from autofix.condition import at_least, divides
from autofix.fault import Code
from autofix.ops.base import Call, Refused, Tensor, per_axis, register, same_number, spatial
from autofix.ops.formula import kernel_fits, not_empty, window_size
from autofix.size import product


def unfold(
    call: Call, input: Tensor, kernel_size: Any, dilation: Any = 1, padding: Any = 0, stride: Any = 1
) -> Tensor:
    """torch.nn.functional.unfold: N, C*k*k, number of windows."""
    lead, sizes = spatial(input, 2)
    kernels, dilations = per_axis(kernel_size, 2), per_axis(dilation, 2)
    paddings, strides = per_axis(padding, 2), per_axis(stride, 2)
    counts = []
    for n, k, s, p, d in zip(sizes, kernels, strides, paddings, dilations, strict=True):
        not_empty(call, n)
        kernel_fits(call, n, p, k, d)
        counts.append(window_size(n, k, s, p, d))
    return Tensor((*lead[:-1], lead[-1] * product(kernels), product(counts)))


def fold(
    call: Call,
    input: Tensor,
    output_size: Any,
    kernel_size: Any,
    dilation: Any = 1,
    padding: Any = 0,
    stride: Any = 1,
) -> Tensor:
    """torch.nn.functional.fold: the inverse of unfold."""
    if input.ndim not in (2, 3):
        raise Refused(f"a tensor with {input.ndim} dimensions where 2 or 3 are needed")
    sizes, kernels, dilations = per_axis(output_size, 2), per_axis(kernel_size, 2), per_axis(dilation, 2)
    paddings, strides = per_axis(padding, 2), per_axis(stride, 2)
    counts = [
        window_size(n, k, s, p, d)
        for n, k, s, p, d in zip(sizes, kernels, strides, paddings, dilations, strict=True)
    ]
    for count in counts:
        call.require(at_least(count, 1), Code.KERNEL, "kernel fits the padded output", needs=1, gets=count)
    same_number(call, input.shape[-1], product(counts), Code.RESHAPE, "there is one column for each window")
    area = product(kernels)
    call.require(divides(area, input.shape[-2]), Code.DIVISIBLE, "rows are a multiple of the kernel's area")
    return Tensor((*input.shape[:-2], input.shape[-2] // area, *sizes))


register(
    "unfold",
    unfold,
    (nn.Unfold, F.unfold),
    reads=("kernel_size", "dilation", "padding", "stride"),
    samples=(
        "nn.Unfold((2, 3), dilation=(1, 2), padding=(1, 0), stride=(2, 1)) @ 2,2,H,W",
        "F.unfold(x, (3, 2)) @ 3,2,H,W",
        "F.unfold(x, (2, 5), padding=(0, 1), stride=(1, 2)) @ 2,2,H,W",
        "F.unfold(x, (3, 2)) @ 2,H,W",
        "F.unfold(x[..., 3:], (1, 2), padding=1) @ 2,2,H,W",
    ),
)
register(
    "fold",
    fold,
    (nn.Fold, F.fold),
    reads=("output_size", "kernel_size", "dilation", "padding", "stride"),
    samples=(
        "nn.Fold((4, 5), (2, 3)) @ 2,12,H",
        "nn.Fold((5, 4), (2, 3)) @ 12,H",
        "nn.Fold((5, 4), (2, 3)) @ 12,H,8,1",
        "F.fold(x, (4, 5), (2, 3)) @ 2,C,9",
        "F.fold(x, (4, 5), (2, 2)) @ 2,C,12",
        "F.fold(x[..., 3:], (2, 5), (3, 2)) @ 2,6,L",
        "F.fold(F.unfold(x, (3, 2)), x.shape[2:], (3, 2)) @ 2,2,H,W",
    ),
)
