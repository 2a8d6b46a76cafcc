"""Resizing: interpolation, adaptive and fractional pooling, shuffles and sampling grids."""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import nn

from autofix.condition import at_least, divides, equal
from autofix.fault import Code
from autofix.ops.base import Call, Refused, Tensor, Unmodelled, per_axis, ranks, register, same_number, spatial
from autofix.ops.formula import not_empty
from autofix.size import Dim, rational

_RANKS = {"linear": (1,), "bilinear": (2,), "bicubic": (2,), "trilinear": (3,), "lanczos": (2,)}


def scaled_size(n: Dim, factor: Any) -> Dim:
    """floor(n * factor), as torch computes it in doubles."""
    if isinstance(factor, int):
        return n * factor
    fraction = rational(float(factor)) if isinstance(factor, float) else None
    if fraction is None:
        raise Unmodelled(f"scale factor {factor} is no small fraction")
    return n * fraction.numerator // fraction.denominator


def interpolate(
    call: Call,
    input: Tensor,
    size: Any = None,
    scale_factor: Any = None,
    mode: str = "nearest",
    align_corners: bool | None = None,
    recompute_scale_factor: bool | None = None,
    antialias: bool = False,
) -> Tensor:
    """torch.nn.functional.interpolate: the size given, or floor(n * scale_factor)."""
    rank = input.ndim - 2
    _check_mode(mode, rank, align_corners, antialias)
    if (size is None) == (scale_factor is None) or (recompute_scale_factor and size is not None):
        raise Refused("exactly one of size and scale_factor is needed")
    lead, sizes = input.shape[:2], input.shape[2:]
    given = size if size is not None else scale_factor
    values = tuple(given) if isinstance(given, tuple | list) else (given,) * rank
    if len(values) != rank:
        raise Refused(f"{len(values)} values for {rank} spatial dimensions")
    out = values if size is not None else tuple(scaled_size(n, s) for n, s in zip(sizes, values, strict=True))
    for n, result in zip(sizes, out, strict=True):
        not_empty(call, n)
        not_empty(call, result, "output is not empty", silent=mode == "area")
    return Tensor((*lead, *out))


def _check_mode(mode: str, rank: int, align_corners: bool | None, antialias: bool) -> None:
    if rank not in _RANKS.get(mode, (1, 2, 3)):
        raise Refused(f"mode {mode!r} for {rank} spatial dimensions")
    if mode in ("nearest", "nearest-exact", "area") and align_corners is not None:
        raise Refused(f"align_corners with mode {mode!r}")
    if antialias and mode not in ("bilinear", "bicubic", "lanczos"):
        raise Refused(f"antialias with mode {mode!r}")


def adaptive_pool(call: Call, input: Tensor, output_size: Any, return_indices: bool = False, *, nd: int) -> Any:
    """torch.nn.functional.adaptive_avg_pool1d/2d/3d and adaptive_max_pool1d/2d/3d; None keeps a size."""
    lead, sizes = spatial(input, nd)
    out = []
    for n, wanted in zip(sizes, per_axis(output_size, nd), strict=True):
        not_empty(call, n)
        result = n if wanted is None else wanted
        call.require(at_least(result, 0), Code.EMPTY, "output size is not negative", needs=0, gets=result)
        not_empty(call, result, "output is not empty", silent=True)
        out.append(result)
    pooled = Tensor((*lead, *out))
    return (pooled, pooled) if return_indices else pooled


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
    """torch.nn.functional.fractional_max_pool2d/3d: output + kernel - 1 is at most the input."""
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
        call.require(at_least(n, result + kernel - 1), Code.KERNEL, what, needs=result + kernel - 1, gets=n)
        not_empty(call, result, "output is not empty")
    pooled = Tensor((*lead, *out))
    return (pooled, pooled) if return_indices else pooled


def pixel_shuffle(call: Call, input: Tensor, upscale_factor: int) -> Tensor:
    """torch.nn.functional.pixel_shuffle: C*r*r, H, W -> C, H*r, W*r."""
    *lead, channels, height, width = _image(input)
    area = upscale_factor * upscale_factor
    what = "channels are a multiple of the squared factor"
    call.require(divides(area, channels), Code.DIVISIBLE, what, needs=area, gets=channels)
    return Tensor((*lead, channels // area, height * upscale_factor, width * upscale_factor))


def pixel_unshuffle(call: Call, input: Tensor, downscale_factor: int) -> Tensor:
    """torch.nn.functional.pixel_unshuffle: C, H, W -> C*r*r, H/r, W/r."""
    *lead, channels, height, width = _image(input)
    for n in (height, width):
        what = "size is a multiple of the downscale factor"
        call.require(divides(downscale_factor, n), Code.DIVISIBLE, what, needs=downscale_factor, gets=n)
    grown = channels * downscale_factor * downscale_factor
    return Tensor((*lead, grown, height // downscale_factor, width // downscale_factor))


def _image(input: Tensor) -> tuple[Dim, ...]:
    if input.ndim < 3:
        raise Refused(f"a tensor with {input.ndim} dimensions where 3 or more are needed")
    return input.shape


def channel_shuffle(call: Call, input: Tensor, groups: int) -> Tensor:
    """torch.nn.functional.channel_shuffle."""
    _image(input)
    what = "channels are a multiple of the groups"
    call.require(divides(groups, input.shape[1]), Code.DIVISIBLE, what, needs=groups, gets=input.shape[1])
    return input


def grid_sample(
    call: Call,
    input: Tensor,
    grid: Tensor,
    mode: str = "bilinear",
    padding_mode: str = "zeros",
    align_corners: bool | None = None,
) -> Tensor:
    """torch.nn.functional.grid_sample: the batch and channels of the input at the places of the grid."""
    rank = input.ndim - 2
    if input.ndim != grid.ndim or rank not in (2, 3):
        raise Refused(f"a grid with {grid.ndim} dimensions for a tensor with {input.ndim}")
    same_number(call, grid.shape[0], input.shape[0], Code.JOIN, "grid has the batch of the input")
    call.require(equal(grid.shape[-1], rank), Code.JOIN, "grid has a place for each axis", needs=rank, gets=grid.shape[-1])
    for n in input.shape[2:]:
        not_empty(call, n)
    return Tensor((*input.shape[:2], *grid.shape[1:-1]))


def affine_grid(call: Call, theta: Tensor, size: Any, align_corners: bool | None = None) -> Tensor:
    """torch.nn.functional.affine_grid: N, H, W, 2 or N, D, H, W, 3."""
    rank = len(size) - 2
    if rank not in (2, 3) or theta.ndim != 3:
        raise Refused(f"a grid for {len(size)} dimensions")
    for got, need in zip(theta.shape, (size[0], rank, rank + 1), strict=True):
        same_number(call, got, need, Code.JOIN, "there is one affine matrix for each sample")
    for n in size:
        not_empty(call, n, "grid is not empty")
    return Tensor((size[0], *size[2:], rank))


register(
    "interpolate",
    interpolate,
    (F.interpolate, F.upsample),
    samples=(
        "F.interpolate(x, size=(5, 4)) @ 2,3,H,W",
        "F.interpolate(x, size=7, mode='nearest-exact') @ 2,3,H",
        "F.interpolate(x, size=(x.shape[3], x.shape[2] + 1), mode='bilinear') @ 2,3,H,W",
        "F.interpolate(x, size=(x.shape[2] - 2, x.shape[3] // 3)) @ 2,3,H,W",
        "F.interpolate(x, size=(x.shape[2] - 2, x.shape[3]), mode='area') @ 2,3,H,W",
        "F.interpolate(x, scale_factor=(0.5, 2), mode='bilinear', align_corners=True) @ 2,3,H,W",
        "F.interpolate(x, scale_factor=(1.5, 0.7), mode='bicubic', recompute_scale_factor=True) @ 2,3,H,W",
        "F.interpolate(x, scale_factor=(0.3, 1.1), mode='area') @ 2,3,H,W",
        "F.interpolate(x, scale_factor=(0.6, 1.7), mode='bilinear', antialias=True) @ 2,3,H,W",
        "F.interpolate(x, scale_factor=2, mode='trilinear') @ 2,3,D,H,W",
        "F.interpolate(x, scale_factor=(1.0, 2.0, 0.25)) @ 2,3,D,H,W",
    ),
)
register(
    "interpolate",
    interpolate,
    (nn.Upsample,),
    reads=("size", "scale_factor", "mode", "align_corners", "recompute_scale_factor"),
    samples=(
        "nn.Upsample(scale_factor=(0.4, 3)) @ 2,3,H,W",
        "nn.Upsample((4, 7), mode='bicubic') @ 2,3,H,W",
        "nn.Upsample(scale_factor=1.5, mode='linear') @ 2,3,H",
        "nn.UpsamplingNearest2d(scale_factor=3) @ 2,3,H,W",
        "nn.UpsamplingBilinear2d(size=(3, 6)) @ 2,3,H,W",
    ),
)
register(
    "interpolate",
    interpolate,
    {F.upsample_nearest: {"mode": "nearest"}, F.upsample_bilinear: {"mode": "bilinear", "align_corners": True}},
)
register(
    "adaptive pool",
    adaptive_pool,
    {
        **ranks("AdaptiveAvgPool{}d", "AdaptiveMaxPool{}d"),
        **ranks("adaptive_avg_pool{}d", "adaptive_max_pool{}d", owner=F),
        **ranks("adaptive_max_pool{}d_with_indices", owner=F, return_indices=True),
        torch.adaptive_max_pool1d: {"nd": 1, "return_indices": True},
    },
    reads=lambda m: {name: getattr(m, name) for name in ("output_size", "return_indices") if hasattr(m, name)},
    samples=(
        "nn.AdaptiveAvgPool1d(3) @ 2,3,H",
        "nn.AdaptiveAvgPool2d((2, 5)) @ 2,3,H,W",
        "nn.AdaptiveAvgPool2d((None, 4)) @ 2,3,H,W",
        "nn.AdaptiveMaxPool2d((3, None)) @ 3,H,W",
        "nn.AdaptiveMaxPool2d((3, 2), return_indices=True)(x)[1] @ 2,3,H,W",
        "nn.AdaptiveMaxPool3d((1, 2, 4)) @ 2,3,D,H,W",
        "F.adaptive_avg_pool2d(x, (x.shape[2] - 2, 3)) @ 2,3,H,W",
        "F.adaptive_max_pool1d(x, 4, return_indices=True)[1] @ 2,3,H",
        "F.adaptive_avg_pool3d(x, (2, None, 3)) @ 2,3,D,H,W",
    ),
)
register(
    "fractional max pool",
    fractional_pool,
    {getattr(owner, name): {"nd": nd, **preset} for owner, name, nd, preset in (
        (nn, "FractionalMaxPool2d", 2, {}), (nn, "FractionalMaxPool3d", 3, {}),
        (F, "fractional_max_pool2d", 2, {}), (F, "fractional_max_pool3d", 3, {}),
        (F, "fractional_max_pool2d_with_indices", 2, {"return_indices": True}),
        (F, "fractional_max_pool3d_with_indices", 3, {"return_indices": True}),
    )},  # fmt: skip
    reads=("kernel_size", "output_size", "output_ratio", "return_indices"),
    samples=(
        "nn.FractionalMaxPool2d((2, 3), output_size=(4, 3)) @ 2,3,H,W",
        "nn.FractionalMaxPool2d((3, 2), output_ratio=(0.5, 0.7)) @ 2,3,H,W",
        "nn.FractionalMaxPool3d((1, 2, 3), output_size=(2, 3, 4)) @ 2,3,D,H,W",
        "F.fractional_max_pool2d(x, 2, output_ratio=(0.4, 0.8), return_indices=True)[1] @ 2,3,H,W",
    ),
)
register(
    "pixel shuffle",
    pixel_shuffle,
    (nn.PixelShuffle, F.pixel_shuffle),
    reads=("upscale_factor",),
    samples=("nn.PixelShuffle(3) @ 2,18,H,W", "F.pixel_shuffle(x, 2) @ 2,C,3,W", "F.pixel_shuffle(x, 2) @ 8,H,W"),
)
register(
    "pixel unshuffle",
    pixel_unshuffle,
    (nn.PixelUnshuffle, F.pixel_unshuffle),
    reads=("downscale_factor",),
    samples=("nn.PixelUnshuffle(3) @ 2,2,H,W", "F.pixel_unshuffle(x, 2) @ 2,2,H,W"),
)
register(
    "channel shuffle",
    channel_shuffle,
    (nn.ChannelShuffle, F.channel_shuffle),
    reads=("groups",),
    samples=("nn.ChannelShuffle(3) @ 2,6,H,W", "F.channel_shuffle(x, 4) @ 2,C,3,W"),
)
register(
    "grid sample",
    grid_sample,
    (F.grid_sample, torch.grid_sampler),
    samples=(
        "F.grid_sample(x, torch.ones(2, 5, 4, 2), align_corners=False) @ 2,3,H,W",
        "F.grid_sample(torch.ones(2, 3, 5, 4), x, align_corners=False) @ 2,H,W,2",
        "F.grid_sample(x, torch.ones(2, 5, 4, 3, 3), align_corners=True) @ 2,3,D,H,W",
    ),
)
register(
    "affine grid",
    affine_grid,
    (F.affine_grid,),
    samples=("F.affine_grid(torch.ones(2, 2, 3), x.shape, align_corners=False) @ 2,3,H,W",),
)
