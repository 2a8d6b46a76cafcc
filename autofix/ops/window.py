"""Convolution and transposed convolution, as modules and functions."""

from __future__ import annotations

from typing import Any

import torch.nn.functional as F

from autofix.condition import any_of, at_least
from autofix.fault import Code
from autofix.ops.base import (
    Call,
    Refused,
    Tensor,
    per_axis,
    ranks,
    register,
    same_number,
    spatial,
    weight_shape,
)
from autofix.ops.formula import effective_kernel, kernel_fits, not_empty, transposed_size, window_size
from autofix.ops.knobs import DILATION, OUTPUT_PADDING, PADDING, STRIDE, TRANSPOSED_PADDING
from autofix.ops.pad import pad_size
from autofix.size import Dim


def convolution(
    call: Call,
    input: Tensor,
    weight: Tensor,
    bias: Any = None,
    stride: Any = 1,
    padding: Any = 0,
    dilation: Any = 1,
    groups: int = 1,
    padding_mode: str = "zeros",
    *,
    nd: int,
) -> Tensor:
    """torch.nn.functional.conv1d/2d/3d, and the modules with every padding mode."""
    rank = _rank(weight, nd)
    lead, sizes = spatial(input, rank)
    same_number(
        call, lead[-1], weight.shape[1] * groups, Code.CHANNELS, "input has the channels of the weight"
    )
    strides, dilations, kernels = per_axis(stride, rank), per_axis(dilation, rank), weight.shape[2:]
    if padding == "same" and any(s != 1 for s in strides):
        raise Refused("padding='same' with a stride other than 1")
    out = []
    for axis, n in enumerate(sizes):
        total, before = _padding(padding, kernels, dilations, axis, rank)
        if padding_mode != "zeros":
            pad_size(call, n, before, total - before, padding_mode)
        not_empty(call, n)
        kernel_fits(call, n + total, 0, kernels[axis], dilations[axis])
        out.append(window_size(n + total, kernels[axis], strides[axis], 0, dilations[axis]))
    return Tensor((*lead[:-1], weight.shape[0], *out))


def _rank(weight: Tensor, nd: int) -> int:
    """The number of spatial axes, which a kernel of another length contradicts: Conv1d(2, 4, (1, 2))."""
    if weight.ndim != nd + 2:
        raise Refused(f"a kernel with {weight.ndim - 2} axes where the layer has {nd}")
    return nd


def _padding(padding: Any, kernels: Any, dilations: Any, axis: int, rank: int) -> tuple[Dim, Dim]:
    """Zeros on both sides together, and before; 'same' puts the odd one after."""
    if padding == "valid":
        return 0, 0
    if padding == "same":
        total = effective_kernel(kernels[axis], dilations[axis]) - 1
        return total, total // 2
    each = per_axis(padding, rank)[axis]
    return 2 * each, each


def transposed_convolution(
    call: Call,
    input: Tensor,
    weight: Tensor,
    bias: Any = None,
    stride: Any = 1,
    padding: Any = 0,
    output_padding: Any = 0,
    groups: int = 1,
    dilation: Any = 1,
    *,
    nd: int,
) -> Tensor:
    """torch.nn.functional.conv_transpose1d/2d/3d."""
    rank = _rank(weight, nd)
    lead, sizes = spatial(input, rank)
    same_number(call, lead[-1], weight.shape[0], Code.CHANNELS, "input has the channels of the weight")
    strides, dilations = per_axis(stride, rank), per_axis(dilation, rank)
    paddings, extras = per_axis(padding, rank), per_axis(output_padding, rank)
    out = []
    for axis, n in enumerate(sizes):
        shape = weight.shape[2 + axis], strides[axis], paddings[axis], dilations[axis]
        out.append(_transposed(call, n, shape, extras[axis]))
    return Tensor((*lead[:-1], weight.shape[1] * groups, *out))


def _transposed(call: Call, n: Dim, shape: tuple[Any, Any, Any, Any], extra: Dim) -> Dim:
    kernel, stride, padding, dilation = shape
    not_empty(call, n)
    below = any_of((at_least(stride - 1, extra), at_least(dilation - 1, extra)))
    call.require(below, Code.LIMIT, "output padding is less than the stride or the dilation")
    result = transposed_size(n, kernel, stride, padding, dilation, extra)
    call.require(at_least(result, 0), Code.EMPTY, "output size is not negative", needs=0, gets=result)
    not_empty(call, result, "output is not empty", silent=True)
    return result


def transposed_layer(
    call: Call,
    input: Tensor,
    output_size: Any = None,
    *,
    weight: Tensor,
    stride: Any,
    padding: Any,
    output_padding: Any,
    groups: int,
    dilation: Any,
    nd: int,
) -> Tensor:
    """The forward of torch.nn.ConvTranspose1d/2d/3d: an output_size takes the place of output_padding."""
    if output_size is not None:
        output_padding = _wanted(call, input, tuple(output_size), weight, (stride, padding, dilation))
    return transposed_convolution(
        call, input, weight, None, stride, padding, output_padding, groups, dilation, nd=nd
    )


def _wanted(
    call: Call, input: Tensor, wanted: tuple[Dim, ...], weight: Tensor, hyper: tuple[Any, Any, Any]
) -> Any:
    """The output padding that gives the wanted sizes, which may come with batch and channels in front."""
    rank = weight.ndim - 2
    _, sizes = spatial(input, rank)
    if len(wanted) not in (rank, input.ndim):
        raise Refused(f"output_size has {len(wanted)} values where {rank} or {input.ndim} are needed")
    strides, paddings, dilations = (per_axis(value, rank) for value in hyper)
    extras = []
    for axis, size in enumerate(wanted[-rank:]):
        stride = strides[axis]
        smallest = transposed_size(
            sizes[axis], weight.shape[2 + axis], stride, paddings[axis], dilations[axis], 0
        )
        what = "output_size is less than a stride above the smallest output"
        call.require(at_least(size, smallest), Code.LIMIT, what, needs=smallest, gets=size)
        call.require(at_least(smallest + stride - 1, size), Code.LIMIT, what, needs=smallest, gets=size)
        extras.append(size - smallest)
    return tuple(extras)


def _read_convolution(module: Any) -> dict[str, Any]:
    names = ("stride", "padding", "dilation", "groups", "padding_mode")
    shape = (module.out_channels, module.in_channels // module.groups, *module.kernel_size)
    return {"weight": weight_shape(module, shape)} | {name: getattr(module, name) for name in names}


def _read_transposed(module: Any) -> dict[str, Any]:
    names = ("stride", "padding", "output_padding", "groups", "dilation")
    shape = (module.in_channels, module.out_channels // module.groups, *module.kernel_size)
    return {"weight": weight_shape(module, shape)} | {name: getattr(module, name) for name in names}


register(
    "convolution",
    convolution,
    {**ranks("Conv{}d"), **ranks("conv{}d", owner=F)},
    reads=_read_convolution,
    knobs=(PADDING, STRIDE, DILATION),
    samples=(
        "nn.Conv1d(2, 3, 3) @ 2,2,H",
        "nn.Conv1d(2, 4, 5, stride=3, padding=1, dilation=2, groups=2) @ 2,2,H",
        "nn.Conv2d(2, 3, (3, 5), stride=(1, 2), padding=(1, 0)) @ 2,2,H,W",
        "nn.Conv2d(2, 3, (2, 3), stride=(3, 2), padding=(0, 2), dilation=(3, 1)) @ 2,2,H,W",
        "nn.Conv2d(2, 3, (4, 3), padding='same', dilation=(1, 2)) @ 2,2,H,W",
        "nn.Conv2d(2, 3, (4, 3), padding='valid', stride=(1, 3)) @ 2,2,H,W",
        "nn.Conv2d(2, 3, (3, 5), padding=(1, 2), padding_mode='reflect') @ 2,2,H,W",
        "nn.Conv2d(2, 3, (3, 5), padding=(1, 3), padding_mode='circular', stride=(2, 1)) @ 2,2,H,W",
        "nn.Conv2d(2, 3, (3, 5), padding=(2, 1), padding_mode='replicate') @ 2,2,H,W",
        "nn.Conv2d(2, 3, (4, 3), padding='same', padding_mode='reflect') @ 2,2,H,W",
        "nn.Conv3d(2, 3, (1, 2, 3), stride=(2, 1, 3), padding=(0, 1, 0)) @ 2,2,D,H,W",
        "F.conv2d(x, torch.ones(3, 2, 3, 2), stride=(2, 1), padding=(0, 1)) @ 2,2,H,W",
        "nn.Conv2d(2, 3, 3) @ 2,H,W",
        "nn.Conv1d(2, 3, 4, padding=1, padding_mode='circular') @ 2,H",
        "nn.Conv1d(2, 3, 1, padding=1)(x[..., 3:]) @ 2,2,H",
        "nn.Conv2d(2, 3, (1, 2), padding='valid', padding_mode='reflect') @ 2,2,H,W",
        "F.conv1d(x, torch.ones(4, 2, 3), groups=2) @ 2,H,W",
        "F.conv1d(x, torch.ones(3, 2, 3)) @ 2,H,W",
        "nn.Conv1d(2, 3, (1, 2)) @ 2,2,H,W",
        "nn.Conv1d(2, 3, (2,)) @ 2,2,H",
        "F.conv1d(x, torch.ones(3, 2, 1, 2)) @ 2,2,H",
        "F.conv2d(x, torch.ones(3, 2, 2)) @ 2,2,H",
        "torch.nn.utils.parametrizations.weight_norm(nn.Conv2d(2, 3, (3, 4))) @ 2,2,H,W",
        "torch.nn.utils.parametrizations.spectral_norm(nn.Conv2d(2, 3, (2, 5))) @ 2,2,H,W",
        "torch.nn.utils.weight_norm(nn.Conv2d(2, 3, (3, 4))) @ 2,2,H,W",
    ),
)
register(
    "transposed convolution",
    transposed_convolution,
    ranks("conv_transpose{}d", owner=F),
    knobs=(OUTPUT_PADDING, TRANSPOSED_PADDING, STRIDE),
    samples=(
        "F.conv_transpose1d(x, torch.ones(2, 3, 4), stride=3, padding=4) @ 2,2,H",
        "F.conv_transpose1d(x, torch.ones(3, 2, 2)) @ 2,H,W",
        "F.conv_transpose1d(x[..., 3:], torch.ones(2, 3, 4)) @ 2,2,H",
        "F.conv_transpose2d(x, torch.ones(2, 3, 3, 2), stride=(2, 1), padding=(2, 0)) @ 2,2,H,W",
        "F.conv_transpose2d(x, torch.ones(2, 3, 3, 2), stride=(2, 1), output_padding=(1, 1)) @ 2,2,H,W",
        "F.conv_transpose2d(x, torch.ones(2, 3, 3, 2), dilation=(2, 3), output_padding=(1, 2)) @ 2,2,H,W",
        "F.conv_transpose3d(x, torch.ones(2, 3, 1, 2, 3), stride=(1, 2, 3), padding=(0, 1, 2)) @ 2,2,D,H,W",
    ),
)
register(
    "transposed convolution",
    transposed_layer,
    ranks("ConvTranspose{}d"),
    reads=_read_transposed,
    knobs=(OUTPUT_PADDING, TRANSPOSED_PADDING, STRIDE),
    samples=(
        "nn.ConvTranspose1d(2, 3, 3, stride=2, padding=2, output_padding=1) @ 2,2,H",
        "nn.ConvTranspose2d(2, 3, (3, 2), stride=(2, 3), padding=(3, 1), output_padding=(1, 2)) @ 2,2,H,W",
        "nn.ConvTranspose2d(2, 4, (2, 3), stride=(1, 2), padding=(2, 0), dilation=(3, 1)) @ 2,2,H,W",
        "nn.ConvTranspose1d(4, 6, 3, stride=2, groups=2) @ 2,4,H",
        "nn.ConvTranspose1d(2, 3, (2, 3)) @ 2,2,H,W",
        "nn.ConvTranspose3d(2, 3, (1, 2, 3), stride=(1, 2, 2), padding=(0, 1, 2)) @ 2,2,D,H,W",
        "nn.ConvTranspose2d(2, 3, (2, 3)) @ 2,H,W",
        "nn.ConvTranspose2d(2, 3, (3, 2), (2, 3))(x, output_size=(2 * x.shape[2], 3 * x.shape[3])) @ 2,2,H,W",
        "nn.ConvTranspose2d(2, 3, (3, 2), (2, 3))(x, (9, 8)) @ 2,2,H,W",
        "nn.ConvTranspose1d(2, 3, 2, 2, dilation=5)(x, (11,)) @ 2,2,H",
        "nn.ConvTranspose1d(2, 3, 2, 2, dilation=5)(x, (12,)) @ 2,2,H",
        "nn.ConvTranspose2d(2, 3, (2, 3), (2, 3), dilation=(5, 1))(x, (11, 3 * x.shape[3])) @ 2,2,H,W",
        "nn.ConvTranspose2d(2, 3, (2, 5), (2, 3), (0, 1))(x, (2 * x.shape[2], 12)) @ 2,2,H,W",
        "nn.ConvTranspose2d(2, 3, 3, (2, 3), (1, 0))(x, (5, 7, 2 * x.shape[2], 3 * x.shape[3])) @ 2,2,H,W",
    ),
)
