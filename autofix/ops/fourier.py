"""Fourier transforms: torch.fft and torch.stft."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import torch

from autofix.condition import at_least
from autofix.fault import Code
from autofix.ops.base import Call, Refused, Tensor, axis_of, register
from autofix.ops.pad import pad_size
from autofix.ops.slicing import resized
from autofix.size import Dim

SizeOf = Callable[[Dim], Dim]  # from the points that go in to those that come out


def _same(n: Dim) -> Dim:
    return n


def _half(n: Dim) -> Dim:
    """What is kept of the transform of real values: n // 2 + 1."""
    return n // 2 + 1


def _whole(n: Dim) -> Dim:
    """The points that n kept ones stand for: 2 * (n - 1)."""
    return 2 * (n - 1)


def transform(
    call: Call,
    input: Tensor,
    n: Dim | None = None,
    dim: int = -1,
    norm: str | None = None,
    *,
    size: SizeOf = _same,
    whole: SizeOf = _same,
) -> Tensor:
    """torch.fft.fft and the other transforms along one dimension, of n points."""
    axis = axis_of(dim, input.ndim)
    points = whole(input.shape[axis]) if n is None else n
    call.require(at_least(points, 1), Code.EMPTY, "there is a data point", needs=1, gets=points)
    return resized(input, axis, size(points))


def several(
    call: Call,
    input: Tensor,
    s: Any = None,
    dim: Any = None,
    norm: str | None = None,
    *,
    last: tuple[SizeOf, SizeOf] = (_same, _same),
    nd: int = 0,
) -> Tensor:
    """torch.fft.fft2, torch.fft.fftn and their relatives; the last dimension may be halved."""
    count = nd or (input.ndim if s is None else len(s))
    dims = tuple(range(-count, 0)) if dim is None else tuple(dim)
    points = (None,) * len(dims) if s is None else tuple(s)
    axes = [axis_of(d, input.ndim) for d in dims]
    if len(points) != len(dims) or len(set(axes)) != len(axes):
        raise Refused(f"{len(points)} sizes for the dimensions {dims}")
    result = input
    for position, (one, n) in enumerate(zip(dims, points, strict=True)):
        size, whole = last if position == len(dims) - 1 else (_same, _same)
        result = transform(call, result, None if n == -1 else n, one, size=size, whole=whole)
    return result


def shifted(call: Call, input: Tensor, dim: Any = None) -> Tensor:
    """torch.fft.fftshift, torch.fft.ifftshift."""
    for one in () if dim is None else dim if isinstance(dim, tuple | list) else (dim,):
        axis_of(one, input.ndim)
    return input


def short_time(
    call: Call,
    input: Tensor,
    n_fft: int,
    hop_length: int | None = None,
    win_length: int | None = None,
    window: Any = None,
    center: bool = True,
    pad_mode: str = "reflect",
    normalized: bool = False,
    onesided: bool | None = None,
    return_complex: bool | None = None,
    **options: Any,
) -> Tensor:
    """torch.stft: n_fft // 2 + 1 frequencies of 1 + (n - n_fft) // hop_length frames."""
    if input.ndim not in (1, 2):
        raise Refused(f"stft() of a tensor with {input.ndim} dimensions")
    *batch, n = input.shape
    if center:
        n = pad_size(call, n, n_fft // 2, n_fft // 2, pad_mode)
    call.require(at_least(n, n_fft), Code.KERNEL, "n_fft fits the signal", needs=n_fft, gets=n)
    frames = (n - n_fft) // (n_fft // 4 if hop_length is None else hop_length) + 1
    frequencies = n_fft if onesided is False else n_fft // 2 + 1
    parts = () if return_complex else (2,)
    return Tensor((*batch, frequencies, frames, *parts))


def as_real(call: Call, input: Tensor) -> Tensor:
    """torch.view_as_real: the two parts as a last dimension."""
    return replace(input, shape=(*input.shape, 2))


def as_complex(call: Call, input: Tensor) -> Tensor:
    """torch.view_as_complex."""
    if not input.shape or input.shape[-1] != 2:
        raise Refused("view_as_complex() of a tensor whose last dimension is not 2")
    return replace(input, shape=input.shape[:-1])


_HALVED = {"size": _half}
_DOUBLED = {"whole": _whole}
register(
    "Fourier transform",
    transform,
    {
        torch.fft.fft: {},
        torch.fft.ifft: {},
        torch.fft.rfft: _HALVED,
        torch.fft.ihfft: _HALVED,
        torch.fft.irfft: _DOUBLED,
        torch.fft.hfft: _DOUBLED,
    },
    samples=(
        "torch.fft.fft(x, dim=2) @ 2,3,H,W",
        "torch.fft.ifft(x, 5) @ 2,3,H",
        "torch.fft.rfft(x) @ 2,3,H",
        "torch.fft.rfft(x, n=6, dim=-2) @ 2,3,H,W",
        "torch.fft.irfft(x) @ 2,3,H",
        "torch.fft.irfft(torch.fft.rfft(x), n=x.shape[2]) @ 2,3,H",
        "torch.fft.hfft(x, 7, 1) @ 2,H,W",
    ),
)
register(
    "Fourier transform of several dimensions",
    several,
    {
        torch.fft.fft2: {"nd": 2},
        torch.fft.ifft2: {"nd": 2},
        torch.fft.rfft2: {"nd": 2, "last": (_half, _same)},
        torch.fft.irfft2: {"nd": 2, "last": (_same, _whole)},
        torch.fft.fftn: {},
        torch.fft.ifftn: {},
        torch.fft.rfftn: {"last": (_half, _same)},
        torch.fft.irfftn: {"last": (_same, _whole)},
    },
    samples=(
        "torch.fft.fft2(x) @ 2,3,H,W",
        "torch.fft.rfft2(x, norm='ortho') @ 2,3,H,W",
        "torch.fft.irfft2(torch.fft.rfft2(x), s=(x.shape[2], x.shape[3])) @ 2,3,H,W",
        "torch.fft.irfft2(x) @ 2,3,H,W",
        "torch.fft.rfftn(x, dim=(3, 1)) @ 2,3,H,W",
        "torch.fft.rfftn(x) @ 3,H,W",
        "torch.fft.fft2(x, s=(-1, 4)) @ 2,3,H,W",
        "torch.fft.irfftn(x, s=(4, 5, 6)) @ 2,3,H,W",
    ),
)
register(
    "fftshift",
    shifted,
    (torch.fft.fftshift, torch.fft.ifftshift),
    samples=("torch.fft.fftshift(x, dim=(-2, -1)) @ 2,3,H,W", "torch.fft.ifftshift(x) @ 2,H"),
)
register(
    "stft",
    short_time,
    (torch.stft, "stft"),
    samples=(
        "torch.stft(x, 9, return_complex=True) @ 3,H",
        "torch.stft(x, 7, center=False, return_complex=False) @ 3,H",
        "torch.stft(x, 8, return_complex=True) @ H",
        "torch.stft(x, 4, return_complex=True) @ 2,3,H",
        "x.stft(6, hop_length=3, center=False, return_complex=True, onesided=False) @ 3,H",
    ),
)
register(
    "view_as_real", as_real, (torch.view_as_real,), samples=("torch.view_as_real(torch.fft.rfft(x)) @ 2,H",)
)
register(
    "view_as_complex",
    as_complex,
    (torch.view_as_complex,),
    samples=("torch.view_as_complex(torch.stack([x, x], -1)) @ 2,H", "torch.view_as_complex(x) @ 2,H,3"),
)
