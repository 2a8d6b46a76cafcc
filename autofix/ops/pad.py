"""Padding: constant, reflect, replicate and circular, as modules and torch.nn.functional.pad."""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F

from autofix.condition import any_of, at_least
from autofix.fault import Code
from autofix.ops.base import Call, Refused, Tensor, ranks, register
from autofix.ops.formula import not_empty
from autofix.size import Dim, smaller


def pad_size(call: Call, n: Dim, before: Dim, after: Dim, mode: str) -> Dim:
    """n + before + after, with each mode's own bounds; negative amounts crop."""
    match mode:
        case "constant":
            _crop_fits(call, n, before, after)
        case "reflect":
            _bounded(call, n, before, after, "reflection padding is less than the size", n - 1)
            not_empty(call, n)
        case "circular":
            _bounded(call, n, before, after, "circular padding is at most the size", n)
            not_empty(call, n, silent=True)
        case "replicate":
            not_empty(call, n)
        case _:
            raise Refused(f"padding mode {mode!r}")
    result = n + before + after
    if not _grows(before, after):
        what = "crop leaves no negative size"
        call.require(at_least(result, 0), Code.EMPTY, what, needs=0, gets=result)
        not_empty(call, result, "something is left after the crop", silent=True)
    return result


def _grows(*sides: Dim) -> bool:
    return all(isinstance(side, int) and side >= 0 for side in sides)


def _bounded(call: Call, n: Dim, before: Dim, after: Dim, what: str, most: Dim) -> None:
    for side in (before, after):
        if not isinstance(side, int) or side > 0:
            call.require(at_least(most, side), Code.PADDING, what, needs=side + n - most, gets=n)


def _crop_fits(call: Call, n: Dim, before: Dim, after: Dim) -> None:
    """torch crops before it pads."""
    if _grows(before, after):
        return
    left = n + smaller(before, 0) + smaller(after, 0)
    call.require(at_least(left, 0), Code.EMPTY, "crop is at most the size", needs=0, gets=left)


def padded(call: Call, input: Tensor, pad: Any, mode: str = "constant", value: Any = None) -> Tensor:
    """torch.nn.functional.pad: pairs of amounts, the last dimension first."""
    amounts = tuple(pad)
    if len(amounts) % 2 or len(amounts) > 2 * input.ndim:
        raise Refused(f"{len(amounts)} padding amounts for {input.ndim} dimensions")
    rank = len(amounts) // 2
    if mode != "constant" and input.ndim not in (rank + 1, rank + 2):
        raise Refused(f"padding mode {mode!r} with {len(amounts)} amounts for {input.ndim} dimensions")
    shape = list(input.shape)
    for index in range(rank):
        axis = input.ndim - 1 - index
        shape[axis] = pad_size(call, shape[axis], amounts[2 * index], amounts[2 * index + 1], mode)
    if mode in ("reflect", "replicate") and not _grows(*amounts):  # torch is content with one axis
        some = any_of(at_least(size, 1) for size in shape[-rank:])
        call.require(some, Code.EMPTY, "something is left after the crop", needs=1)
    return Tensor(tuple(shape))


def pad_layer(call: Call, input: Tensor, padding: Any, *, mode: str, nd: int) -> Tensor:
    """torch.nn.ConstantPad1d/2d/3d, ZeroPad, ReflectionPad, ReplicationPad and CircularPad."""
    if mode == "circular" and input.ndim not in (nd + 1, nd + 2):
        raise Refused(f"a tensor with {input.ndim} dimensions where {nd + 1} or {nd + 2} are needed")
    return padded(call, input, padding, mode)


register(
    "pad",
    padded,
    (F.pad, torch.constant_pad_nd),
    samples=(
        "F.pad(x, (1, 2)) @ 2,3,H,W",
        "F.pad(x, (1, 2, 0, 3)) @ 2,3,H,W",
        "F.pad(x, (-1, -2, 3, -4)) @ 2,3,H,W",
        "F.pad(x, (-3, 2, 1, 0)) @ 2,3,H,W",
        "F.pad(x, (0, 0, 0, 0, 1, 2)) @ 2,3,H,W",
        "F.pad(x, [0, x.shape[3] % 2, 0, x.shape[2] % 3]) @ 2,3,H,W",
        "F.pad(x, [(7 - x.shape[-1]) // 2, 7 - x.shape[-1] - (7 - x.shape[-1]) // 2]) @ 2,3,H,W",
        "F.pad(x, (2, 1), mode='reflect') @ 2,3,H",
        "F.pad(x, (1, 3, 2, 0), mode='reflect') @ 2,3,H,W",
        "F.pad(x, (-2, 1, 2, -1), mode='reflect') @ 2,3,H,W",
        "F.pad(x, (1, 3, 2, 0), mode='replicate') @ 2,3,H,W",
        "F.pad(x, (-5, 4, 1, -2), mode='replicate') @ 2,3,H,W",
        "F.pad(x, (1, 3, 2, 0), mode='circular') @ 2,3,H,W",
        "F.pad(x, (-3, 2, 1, -2), mode='circular') @ 2,3,H,W",
        "F.pad(x, (1, 2, 0, 1, 3, 0), mode='replicate') @ 2,3,D,H,W",
        "F.pad(x, (1, 2, 3)) @ 2,H",
        "F.pad(x, (1, 1, 1, 1)) @ 2,H",
        "F.pad(x, (1, 1, 1, 1, 1, 1)) @ 2,H",
        "F.pad(x, (-3, -2)) @ 2,H",
        "F.pad(x[..., 3:], (2, 1), mode='reflect') @ 2,2,H",
        "F.pad(x[..., 3:], (2, 1), mode='replicate') @ 2,2,H",
        "F.pad(x[..., 3:], (2, 1), mode='circular') @ 2,2,H",
        "F.pad(x[..., 3:], (0, 0), mode='circular') @ 2,2,H",
        "F.pad(x[..., 3:], (0, 0), mode='reflect') @ 2,2,H",
        "F.pad(x[..., 1:], (0, 0, 0, 1), mode='circular') @ 2,2,H,W",
        "F.pad(x[..., 3:], (-1, 0)) @ 2,H",
        "F.pad(x, (-3, -2), mode='reflect') @ 2,3,H",
        "F.pad(x, (-3, -2), mode='replicate') @ 2,3,H",
        "F.pad(x, (-3, -2), mode='circular') @ 2,3,H",
    ),
)
_MODES = (("ConstantPad", "constant"), ("ZeroPad", "constant"), ("ReflectionPad", "reflect"),
          ("ReplicationPad", "replicate"), ("CircularPad", "circular"))  # fmt: skip
register(
    "pad",
    pad_layer,
    {cls: preset for name, mode in _MODES for cls, preset in ranks(name + "{}d", mode=mode).items()},
    reads=("padding",),
    samples=(
        "nn.ConstantPad1d((1, -3), 2.0) @ 2,3,H",
        "nn.ConstantPad2d((1, 2, -2, 0), 0.5) @ 2,3,H,W",
        "nn.ConstantPad3d((1, 2, 0, 3, -1, 0), 0.5) @ 2,3,D,H,W",
        "nn.ZeroPad2d((0, 1, 2, 3)) @ 2,3,H,W",
        "nn.ReflectionPad1d((1, 3)) @ 2,3,H",
        "nn.ReflectionPad2d((1, 3, 2, 4)) @ 2,3,H,W",
        "nn.ReflectionPad3d((1, 0, 2, 1, 3, 0)) @ 2,3,D,H,W",
        "nn.ReplicationPad2d((3, 1, 0, 2)) @ 2,3,H,W",
        "nn.CircularPad1d((2, 3)) @ 2,H",
        "nn.CircularPad2d((1, 3, 2, 4)) @ 2,3,H,W",
        "nn.CircularPad3d((1, 0, 2, 1, 3, 0)) @ 2,3,D,H,W",
    ),
)
