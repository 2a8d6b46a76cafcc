"""Splitting a dimension: chunk, split, tensor_split, unbind."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import torch

from autofix.condition import any_of, at_least, equal
from autofix.fault import Code
from autofix.ops.base import Call, Refused, Tensor, Unmodelled, axis_of, register
from autofix.ops.join import may_be_zero
from autofix.ops.slicing import resized, sliced, without
from autofix.size import Dim, at, ceil_divide, identical, smaller


@dataclass(frozen=True)
class Pieces:
    """Equal pieces of a dimension whose size varies, and with it their number. empty: how many of nothing."""

    input: Tensor
    axis: int
    size: Dim
    empty: int = 1

    def piece(self, call: Call, index: int) -> Tensor:
        """One of them; which one is asked for says how many there must be."""
        if index < 0:
            raise Unmodelled("a piece counted from the end, of a dimension whose size varies")
        whole = self.input.shape[self.axis]
        rest = whole - index * self.size
        if index:
            there = at_least(rest, 1)
            if index < self.empty and may_be_zero(whole):
                there = any_of((there, equal(whole, 0)))
            call.require(there, Code.INDEX, "there are enough pieces", needs=1, gets=rest)
        return resized(self.input, self.axis, smaller(self.size, rest))

    @property
    def count(self) -> Dim:
        """How many there are, the last one being what is left."""
        return ceil_divide(self.input.shape[self.axis], self.size)

    def shapes(self, point: Mapping[int, int]) -> list[tuple[int, ...]]:
        """The pieces at one input size, as torch makes them."""
        whole, size = [int(at(dim, point)) for dim in self.input.shape], int(at(self.size, point))
        n = whole[self.axis]
        parts = [min(size, n - start) for start in range(0, n, size)] if n else [0] * self.empty
        return [(*whole[: self.axis], part, *whole[self.axis + 1 :]) for part in parts]

    def __iter__(self) -> Iterator[Tensor]:
        raise Unmodelled("as many tensors as the input size makes")


def _axis(input: Tensor, dim: int) -> int:
    if input.ndim == 0:
        raise Refused("splitting a tensor without dimensions")
    return axis_of(dim, input.ndim)


def chunk(call: Call, input: Tensor, chunks: int, dim: int = 0) -> Any:
    """torch.chunk: equal pieces of ceil(n / chunks), which may be fewer than asked for."""
    if chunks < 1:
        raise Refused(f"chunk() into {chunks}")
    axis = _axis(input, dim)
    n = input.shape[axis]
    size = ceil_divide(n, chunks)
    if identical(size * chunks, n) and not may_be_zero(n):  # as of two images in one batch
        return (resized(input, axis, size),) * chunks
    return _pieces(input, axis, size, chunks)


def split(call: Call, tensor: Tensor, split_size_or_sections: Any, dim: int = 0) -> Any:
    """torch.split."""
    axis = _axis(tensor, dim)
    n = tensor.shape[axis]
    if isinstance(split_size_or_sections, tuple | list):
        total: Dim = 0
        for section in split_size_or_sections:
            call.require(at_least(section, 0), Code.INDEX, "sections are not negative", needs=0, gets=section)
            total = total + section
        call.require(equal(total, n), Code.INDEX, "sections add up to the dimension", needs=total, gets=n)
        return tuple(resized(tensor, axis, section) for section in split_size_or_sections)
    size = split_size_or_sections
    least = 0 if identical(n, 0) else 1
    call.require(at_least(size, least), Code.LIMIT, "pieces have a positive size", needs=least, gets=size)
    return _pieces(tensor, axis, size)


def split_method(call: Call, input: Tensor, split_size: Any, dim: int = 0) -> Any:
    """torch.Tensor.split."""
    return split(call, input, split_size, dim)


def split_with_sizes(call: Call, input: Tensor, split_sizes: Any, dim: int = 0) -> Any:
    """torch.split_with_sizes."""
    return split(call, input, split_sizes, dim)


def _pieces(input: Tensor, axis: int, size: Dim, empty: int = 1) -> Any:
    n = input.shape[axis]
    if identical(n, 0):
        return (input,) * empty
    if not isinstance(n, int) or not isinstance(size, int):
        return Pieces(input, axis, size, empty)
    return tuple(resized(input, axis, min(size, n - start)) for start in range(0, n, max(size, 1)))


def tensor_split(call: Call, input: Tensor, indices_or_sections: Any, dim: int = 0) -> tuple[Tensor, ...]:
    """torch.tensor_split."""
    axis = _axis(input, dim)
    n = input.shape[axis]
    if isinstance(indices_or_sections, int):
        count = indices_or_sections
        if count < 1:
            raise Refused(f"tensor_split() into {count}")
        return tuple(resized(input, axis, (n + count - 1 - i) // count) for i in range(count))
    if not isinstance(indices_or_sections, tuple | list):
        raise Unmodelled("tensor_split() at a tensor of indices")
    starts, stops = (0, *indices_or_sections), (*indices_or_sections, None)
    lengths = (sliced(call, n, slice(*bounds)) for bounds in zip(starts, stops, strict=True))
    return tuple(resized(input, axis, length) for length in lengths)


def unbind(call: Call, input: Tensor, dim: int = 0) -> tuple[Tensor, ...]:
    """torch.unbind of a dimension of fixed size."""
    axis = _axis(input, dim)
    n = input.shape[axis]
    if not isinstance(n, int):
        raise Unmodelled("unbind() gives as many tensors as the input size makes")
    return (without(input, axis),) * n


register(
    "chunk",
    chunk,
    (torch.chunk, "chunk"),
    samples=(
        "x.chunk(2, 1)[1] @ 2,5,H,W",
        "torch.chunk(x, 3, dim=2)[1] @ 2,3,H,W",
        "x.chunk(4, -1)[3] @ 2,3,H,W",
        "x.chunk(3, 1)[-1] @ 2,5,H,W",
        "x.chunk(3, -1) @ 2,H,W",
        "x.chunk(1, 1)[0] @ 2,H,W",
        "x.chunk(0, 1) @ 2,3,H",
        "x.chunk(2)[0] @ H",
        "x.sum().chunk(2) @ H",
        "x[:, :0].chunk(3, 1)[2] @ 2,3,H",
        "x[:, :, 3:].chunk(3, 2) @ 2,3,H",
        "x[:, :, 3:].chunk(3, 2)[2] @ 2,3,H",
        "x[:, :, 3:].chunk(3, 2)[3] @ 2,3,H",
    ),
)
register(
    "split",
    split,
    (torch.split, torch.functional.split),
    samples=(
        "torch.split(x, 3, 2)[1] @ 2,3,H,W",
        "torch.split(x, [2, 5], dim=3)[1] @ 2,3,H,W",
        "torch.split(x, [x.shape[2] // 2, x.shape[2] - x.shape[2] // 2], dim=2)[1] @ 2,3,H,W",
        "torch.split(x, [x.shape[2] - 4, 4], 2)[1] @ 2,3,H",
        "torch.split(x, 3, 1) @ 2,H,W",
        "torch.split(x[:, 3:], 2, 1) @ 2,H",
        "torch.split(x[:, 3:], 2, 1)[1] @ 2,H",
    ),
)
register(
    "split method",
    split_method,
    ("split",),
    samples=(
        "x.split(2, 1)[1] @ 2,5,H,W",
        "x.split((1, 2), 1)[1] @ 2,3,H,W",
        "x.split(x.shape[3], 2)[1] @ 2,3,H,W",
        "x.split(x.shape[3] - 3, 2)[0] @ 2,3,H,W",
        "x.split(1, 1)[1] @ 2,2,H",
        "x.split(1, 1)[1] @ 2,1,H",
        "x.split(0, 1)[0] @ 2,1,H",
        "x[:, :0].split(0, 1)[0] @ 2,3,H",
        "x[:, :0].split(x.shape[2] - 3, 1)[0] @ 2,3,H",
    ),
)
register(
    "split with sizes",
    split_with_sizes,
    (torch.split_with_sizes, "split_with_sizes"),
    samples=("x.split_with_sizes((2, 3), 2)[0] @ 2,3,H,W",),
)
register(
    "tensor split",
    tensor_split,
    (torch.tensor_split, "tensor_split"),
    samples=(
        "x.tensor_split(3, 2)[1] @ 2,3,H,W",
        "torch.tensor_split(x, (2, 5), dim=3)[1] @ 2,3,H,W",
        "torch.tensor_split(x, 3, dim=2)[2] @ 2,3,H,W",
        "torch.tensor_split(x, (2, 5), dim=3)[0] @ 2,3,H,W",
        "x.tensor_split(1, 2)[0] @ 2,3,H",
        "x.tensor_split(0, 2) @ 2,3,H",
    ),
)
register(
    "unbind",
    unbind,
    (torch.unbind, "unbind"),
    samples=("x.unbind(1)[2] @ 2,3,H,W", "torch.unbind(x)[1] @ 2,3,H,W"),
)
