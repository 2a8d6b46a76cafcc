"""Resizing: interpolation, adaptive and fractional pooling, shuffles and sampling grids."""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import nn

from autofix.condition import at_least, divides, equal
from autofix.fault import Code
from autofix.ops.base import (
    Call,
    Refused,
    Tensor,
    Unmodelled,
    register,
    same_number,
)
from autofix.ops.formula import not_empty
from autofix.ratio import rational
from autofix.size import Dim

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
        if mode == "area":
            call.require(at_least(result, 0), Code.EMPTY, "output size is not negative", needs=0, gets=result)
        not_empty(call, result, "output is not empty", silent=mode == "area")
    return Tensor((*lead, *out))


def _check_mode(mode: str, rank: int, align_corners: bool | None, antialias: bool) -> None:
    if rank not in _RANKS.get(mode, (1, 2, 3)):
        raise Refused(f"mode {mode!r} for {rank} spatial dimensions")
    if mode in ("nearest", "nearest-exact", "area") and align_corners is not None:
        raise Refused(f"align_corners with mode {mode!r}")
    if antialias and mode not in ("bilinear", "bicubic", "lanczos"):
        raise Refused(f"antialias with mode {mode!r}")


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
    call.require(
        equal(grid.shape[-1], rank),
        Code.JOIN,
        "grid has a place for each axis",
        needs=rank,
        gets=grid.shape[-1],
    )
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
        "F.interpolate(x, scale_factor=(1.5, 0.8), mode='bicubic', recompute_scale_factor=True) @ 2,3,H,W",
        "F.interpolate(x, scale_factor=(0.3, 1.1), mode='area') @ 2,3,H,W",
        "F.interpolate(x, scale_factor=(0.6, 1.7), mode='bilinear', antialias=True) @ 2,3,H,W",
        "F.interpolate(x, scale_factor=2, mode='trilinear') @ 2,3,D,H,W",
        "F.interpolate(x[..., 3:], size=(5, 4)) @ 2,3,H,W",
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
    {
        F.upsample_nearest: {"mode": "nearest"},
        F.upsample_bilinear: {"mode": "bilinear", "align_corners": True},
    },
    samples=(
        "F.upsample_bilinear(x, scale_factor=(0.5, 3)) @ 2,3,H,W",
        "F.upsample_nearest(x, (5, 4)) @ 2,3,H,W",
    ),
)
register(
    "pixel shuffle",
    pixel_shuffle,
    (nn.PixelShuffle, F.pixel_shuffle),
    reads=("upscale_factor",),
    samples=(
        "nn.PixelShuffle(3) @ 2,18,H,W",
        "F.pixel_shuffle(x, 2) @ 2,C,3,W",
        "F.pixel_shuffle(x, 2) @ 8,H,W",
        "F.pixel_shuffle(x, 1) @ 8,H",
    ),
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
        "F.grid_sample(x, torch.ones(2, 5, 4, 2), align_corners=False) @ B,3,H,W",
        "F.grid_sample(x[:, :, 3:], torch.ones(2, 5, 4, 2), align_corners=False) @ 2,3,H,W",
        "F.grid_sample(torch.ones(2, 0, 5, 4), x, align_corners=False) @ 2,H,W,2",
        "F.grid_sample(torch.ones(2, 3, 5, 4), x, align_corners=False) @ 2,3,H,N",
        "F.grid_sample(x, torch.ones(2, 5, 1), align_corners=False) @ 2,3,H",
    ),
)
register(
    "affine grid",
    affine_grid,
    (F.affine_grid,),
    samples=(
        "F.affine_grid(x, (2, 3, 5, 4), align_corners=False) @ N,H,3",
        "F.affine_grid(x, (2, 1, 3, 5, 4), align_corners=False) @ N,3,4",
        "F.affine_grid(x, (2, 3, y.shape[0] - 3, 4), align_corners=False) @ 2,2,3 ; H",
    ),
)
