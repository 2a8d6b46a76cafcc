"""Sliding windows: convolution, transposed convolution, pooling, unfold and fold.

Output sizes are those of torch.nn.Conv2d, ConvTranspose2d, MaxPool2d, AvgPool2d, LPPool2d, MaxUnpool2d, Unfold and
Fold as documented (https://docs.pytorch.org/docs/stable/nn.html), one function per formula, one axis at a time.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

import torch
import torch.nn.functional as F
from torch import nn

from autofix.condition import at_least, divides
from autofix.fault import Code
from autofix.ops.base import Call, Knob, Refused, Tensor, per_axis, register, same_number, spatial
from autofix.ops.pad import pad_size
from autofix.size import Dim, ceil_divide, product, smaller


def effective_kernel(kernel: Dim, dilation: Dim) -> Dim:
    """d * (k - 1) + 1: the extent of a dilated kernel."""
    return dilation * (kernel - 1) + 1


def window_size(n: Dim, kernel: Dim, stride: Dim, padding: Dim, dilation: Dim, ceil_mode: bool = False) -> Dim:
    """floor((n + 2p - d(k-1) - 1) / s) + 1; with ceil_mode, no window may start in the right padding."""
    room = n + 2 * padding - effective_kernel(kernel, dilation)
    if ceil_mode:
        return smaller(ceil_divide(room, stride) + 1, ceil_divide(n + padding, stride))
    return room // stride + 1


def transposed_size(n: Dim, kernel: Dim, stride: Dim, padding: Dim, dilation: Dim, output_padding: Dim) -> Dim:
    """(n - 1) * s - 2p + d(k-1) + output_padding + 1."""
    return (n - 1) * stride - 2 * padding + effective_kernel(kernel, dilation) + output_padding


def _fits(call: Call, n: Dim, padding: Dim, kernel: Dim, dilation: Dim) -> None:
    reach = effective_kernel(kernel, dilation)
    padded = n + 2 * padding
    call.require(at_least(padded, reach), Code.KERNEL, "kernel fits the padded input", needs=reach, gets=padded)


def _not_empty(call: Call, n: Dim) -> None:
    call.require(at_least(n, 1), Code.EMPTY, "input is not empty", needs=1, gets=n)


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
) -> Tensor:
    """torch.nn.functional.conv1d/2d/3d, and the modules with every padding mode."""
    rank = weight.ndim - 2
    lead, sizes = spatial(input, rank)
    same_number(call, lead[-1], weight.shape[1] * groups, Code.CHANNELS, "input has the channels of the weight")
    strides, dilations, kernels = per_axis(stride, rank), per_axis(dilation, rank), weight.shape[2:]
    if padding == "same" and any(s != 1 for s in strides):
        raise Refused("padding='same' with a stride other than 1")
    out = []
    for axis, n in enumerate(sizes):
        total, before = _padding(padding, kernels, dilations, axis, rank)
        if padding_mode != "zeros":
            pad_size(call, n, before, total - before, padding_mode)
        _not_empty(call, n)
        out.append(_convolved(call, n + total, kernels[axis], strides[axis], dilations[axis]))
    return Tensor((*lead[:-1], weight.shape[0], *out))


def _convolved(call: Call, padded: Dim, kernel: Dim, stride: Dim, dilation: Dim) -> Dim:
    _fits(call, padded, 0, kernel, dilation)
    return window_size(padded, kernel, stride, 0, dilation)


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
    output_size: Any = None,
) -> Tensor:
    """torch.nn.functional.conv_transpose1d/2d/3d, and the modules called with an output_size."""
    rank = weight.ndim - 2
    lead, sizes = spatial(input, rank)
    same_number(call, lead[-1], weight.shape[0], Code.CHANNELS, "input has the channels of the weight")
    strides, dilations = per_axis(stride, rank), per_axis(dilation, rank)
    paddings, extras = per_axis(padding, rank), per_axis(output_padding, rank)
    wanted = per_axis(tuple(output_size)[-rank:], rank) if output_size is not None else None
    out = []
    for axis, n in enumerate(sizes):
        _not_empty(call, n)
        shape = weight.shape[2 + axis], strides[axis], paddings[axis], dilations[axis]
        out.append(_transposed(call, n, shape, extras[axis], None if wanted is None else wanted[axis]))
    return Tensor((*lead[:-1], weight.shape[1] * groups, *out))


def _transposed(call: Call, n: Dim, shape: tuple[Any, Any, Any, Any], extra: Dim, wanted: Dim | None) -> Dim:
    kernel, stride, padding, dilation = shape
    if wanted is not None:
        smallest = transposed_size(n, kernel, stride, padding, dilation, 0)
        what = "output_size is within stride of the smallest output"
        call.require(at_least(wanted, smallest), Code.LIMIT, what, needs=smallest, gets=wanted)
        call.require(at_least(smallest + stride - 1, wanted), Code.LIMIT, what, needs=smallest, gets=wanted)
        extra = wanted - smallest
    result = transposed_size(n, kernel, stride, padding, dilation, extra)
    call.require(at_least(result, 1), Code.EMPTY, "output is not empty", needs=1, gets=result)
    return result


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


def _pooled(call: Call, n: Dim, kernel: Dim, stride: Dim, padding: Dim, dilation: Dim, ceil_mode: bool) -> Dim:
    reach = effective_kernel(kernel, dilation)
    call.require(at_least(reach, 2 * padding), Code.LIMIT, "pool padding is at most half the kernel")
    _not_empty(call, n)
    result = window_size(n, kernel, stride, padding, dilation, ceil_mode)
    call.require(at_least(result, 1), Code.KERNEL, "kernel fits the padded input", needs=reach, gets=n + 2 * padding)
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
    call: Call, input: Tensor, norm_type: float, kernel_size: Any, stride: Any = None, ceil_mode: bool = False, *, nd: int
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
    """torch.nn.functional.max_unpool1d/2d/3d."""
    lead, sizes = spatial(input, nd)
    kernels, paddings = per_axis(kernel_size, nd), per_axis(padding, nd)
    strides = kernels if stride is None or stride == [] else per_axis(stride, nd)
    for mine, theirs in zip(input.shape, indices.shape, strict=True):
        same_number(call, theirs, mine, Code.JOIN, "indices have the shape of the input")
    default = [(n - 1) * s - 2 * p + k for n, s, p, k in zip(sizes, strides, paddings, kernels, strict=True)]
    if output_size is None:
        return Tensor((*lead, *default))
    wanted = tuple(output_size)[-nd:]
    for given, usual, stride_ in zip(wanted, default, strides, strict=True):
        what = "output_size is within stride of the usual output"
        call.require(at_least(given, usual - stride_ + 1), Code.LIMIT, what, needs=usual, gets=given)
        call.require(at_least(usual + stride_ - 1, given), Code.LIMIT, what, needs=usual, gets=given)
    return Tensor((*lead, *wanted))


def unfold(call: Call, input: Tensor, kernel_size: Any, dilation: Any = 1, padding: Any = 0, stride: Any = 1) -> Tensor:
    """torch.nn.functional.unfold: N, C*k*k, number of windows."""
    lead, sizes = spatial(input, 2)
    kernels, dilations = per_axis(kernel_size, 2), per_axis(dilation, 2)
    paddings, strides = per_axis(padding, 2), per_axis(stride, 2)
    counts = []
    for n, k, s, p, d in zip(sizes, kernels, strides, paddings, dilations, strict=True):
        _not_empty(call, n)
        _fits(call, n, p, k, d)
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


def _weight(module: nn.Module) -> Tensor:
    weight = module.weight
    assert isinstance(weight, torch.Tensor)
    return Tensor(tuple(weight.shape))


def _read_convolution(module: nn.Module) -> dict[str, Any]:
    names = ("stride", "padding", "dilation", "groups", "padding_mode")
    return {"weight": _weight(module)} | {name: getattr(module, name) for name in names}


def _read_transposed(module: nn.Module) -> dict[str, Any]:
    names = ("stride", "padding", "output_padding", "groups", "dilation")
    return {"weight": _weight(module)} | {name: getattr(module, name) for name in names}


def _rank(hyper: Mapping[str, Any]) -> int:
    return int(hyper["nd"]) if "nd" in hyper else hyper["weight"].ndim - 2


def _shape(hyper: Mapping[str, Any], axis: int) -> tuple[int, int, int]:
    """Kernel, stride and dilation along an axis."""
    rank = _rank(hyper)
    kernel = hyper["weight"].shape[2 + axis] if "weight" in hyper else per_axis(hyper["kernel_size"], rank)[axis]
    stride = hyper.get("stride", 1 if "weight" in hyper else None)
    stride = kernel if stride is None or stride == [] else per_axis(stride, rank)[axis]
    return kernel, stride, per_axis(hyper.get("dilation", 1), rank)[axis]


def _present(hyper: Mapping[str, Any], name: str, axis: int) -> int | None:
    """The value a knob has now; None for padding='same', which is already what a repair would reach for."""
    if name == "stride":
        return _shape(hyper, axis)[1]
    value = hyper.get(name, {"dilation": 1}.get(name, 0))
    if value == "same":
        return None
    return 0 if value == "valid" else int(per_axis(value, _rank(hyper))[axis])


def _knob(name: str, values: Callable[[Mapping[str, Any], int], Iterable[int]], kind: Any = None) -> Knob:
    def domain(hyper: Mapping[str, Any], axis: int) -> tuple[int, ...]:
        present = _present(hyper, name, axis)
        return () if present is None else tuple(dict.fromkeys((present, *values(hyper, axis))))

    return Knob(name, domain, kind or (lambda hyper, axis, value: 4))


def _reach(hyper: Mapping[str, Any], axis: int) -> int:
    kernel, _, dilation = _shape(hyper, axis)
    return int(effective_kernel(kernel, dilation))


def _padding_kind(hyper: Mapping[str, Any], axis: int, value: int) -> int:
    return 1 if value <= (_reach(hyper, axis) - 1) // 2 else 3


def _always(rank: int) -> Any:
    return lambda hyper, axis, value: rank


# Padding beyond the effective kernel - 1 would make windows that see nothing else.
PADDING = _knob("padding", lambda h, a: range(_reach(h, a)), _padding_kind)
POOL_PADDING = _knob("padding", lambda h, a: range(_reach(h, a) // 2 + 1), _padding_kind)
STRIDE = _knob("stride", lambda h, a: range(_shape(h, a)[1], 0, -1))
DILATION = _knob("dilation", lambda h, a: range(_shape(h, a)[2], 0, -1))
POOL_KERNEL = _knob("kernel_size", lambda h, a: range(_shape(h, a)[0], 0, -1))
OUTPUT_PADDING = _knob("output_padding", lambda h, a: range(max(_shape(h, a)[1:])), _always(3))
TRANSPOSED_PADDING = _knob("padding", lambda h, a: range(_reach(h, a)), _padding_kind)
CEIL_MODE = Knob("ceil_mode", lambda h, a: (int(h.get("ceil_mode", 0)), 1 - int(h.get("ceil_mode", 0))), _always(2), False)


def _ranks(*names: str, owner: Any = nn) -> dict[Any, dict[str, Any]]:
    """The 1d, 2d and 3d forms of a target, each presetting its rank."""
    return {getattr(owner, f"{name}{d}d", None): {"nd": d} for name in names for d in (1, 2, 3)}


register(
    "convolution",
    convolution,
    (nn.Conv1d, nn.Conv2d, nn.Conv3d, F.conv1d, F.conv2d, F.conv3d),
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
    ),
)
register(
    "transposed convolution",
    transposed_convolution,
    (nn.ConvTranspose1d, nn.ConvTranspose2d, nn.ConvTranspose3d, F.conv_transpose1d, F.conv_transpose2d, F.conv_transpose3d),
    reads=_read_transposed,
    knobs=(OUTPUT_PADDING, TRANSPOSED_PADDING, STRIDE),
    samples=(
        "nn.ConvTranspose1d(2, 3, 3, stride=2, padding=2, output_padding=1) @ 2,2,H",
        "nn.ConvTranspose2d(2, 3, (3, 2), stride=(2, 3), padding=(3, 1), output_padding=(1, 2)) @ 2,2,H,W",
        "nn.ConvTranspose2d(2, 4, (2, 3), stride=(1, 2), padding=(2, 0), dilation=(3, 1), groups=2) @ 2,2,H,W",
        "nn.ConvTranspose3d(2, 3, (1, 2, 3), stride=(1, 2, 2), padding=(0, 1, 2)) @ 2,2,D,H,W",
        "F.conv_transpose2d(x, torch.ones(2, 3, 3, 2), stride=(2, 1), padding=(2, 0)) @ 2,2,H,W",
    ),
)
register(
    "max pool",
    pool,
    _ranks("MaxPool") | _ranks("max_pool", owner=F) | {torch.max_pool1d: {"nd": 1}, torch.max_pool2d: {"nd": 2}, torch.max_pool3d: {"nd": 3}},
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
    _ranks("AvgPool") | _ranks("avg_pool", owner=F),
    reads=lambda m: {n: getattr(m, n) for n in ("kernel_size", "stride", "padding", "ceil_mode", "count_include_pad")},
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
    _ranks("LPPool") | _ranks("lp_pool", owner=F),
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
    _ranks("MaxUnpool") | _ranks("max_unpool", owner=F),
    reads=("kernel_size", "stride", "padding"),
    samples=(
        "F.max_unpool2d(*F.max_pool2d(x, (2, 3), return_indices=True), (2, 3)) @ 2,2,H,W",
        "F.max_unpool2d(*F.max_pool2d(x, (2, 3), return_indices=True), (2, 3), output_size=x.shape[2:]) @ 2,2,H,W",
    ),
)
register(
    "unfold",
    unfold,
    (nn.Unfold, F.unfold),
    reads=("kernel_size", "dilation", "padding", "stride"),
    samples=(
        "nn.Unfold((2, 3), dilation=(1, 2), padding=(1, 0), stride=(2, 1)) @ 2,2,H,W",
        "F.unfold(x, (3, 2)) @ 2,2,H,W",
    ),
)
register(
    "fold",
    fold,
    (nn.Fold, F.fold),
    reads=("output_size", "kernel_size", "dilation", "padding", "stride"),
    samples=("nn.Fold((4, 5), (2, 3)) @ 2,12,H", "F.fold(F.unfold(x, (3, 2)), x.shape[2:], (3, 2)) @ 2,2,H,W"),
)
