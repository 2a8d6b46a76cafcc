"""Tensors made from sizes: zeros, full, arange, linspace, eye, tensor and the new_ methods."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch

from autofix.condition import at_least
from autofix.fault import Code
from autofix.ops.base import Call, Refused, Tensor, Unmodelled, numel, register, spread
from autofix.ops.index import Integers
from autofix.ops.reshape import sizes_of
from autofix.size import Dim, ceil_divide, is_dim


def filled(call: Call, *size: Any, **options: Any) -> Tensor:
    """torch.zeros, torch.ones, torch.empty, torch.rand, torch.randn."""
    sizes = sizes_of(size or (options["size"],))
    if not all(is_dim(n) for n in sizes):
        raise Unmodelled("a size that is no whole number")
    for n in sizes:
        call.require(at_least(n, 0), Code.LIMIT, "sizes are not negative", needs=0, gets=n)
    return Tensor(sizes)


def full(call: Call, size: Any, fill_value: Any = None, **options: Any) -> Tensor:
    """torch.full."""
    return filled(call, size)


def new(call: Call, input: Tensor, *size: Any, **options: Any) -> Tensor:
    """torch.Tensor.new_zeros, new_ones, new_empty."""
    return filled(call, *size, **options)


def new_of(call: Call, input: Tensor, *size: Any, **options: Any) -> Tensor:
    """torch.Tensor.new: sizes one by one or as a shape; a list, and a tuple of plain numbers, is data."""
    if not size:
        return Tensor((0,))
    for given in size:
        if isinstance(given, list) or (isinstance(given, tuple) and all(isinstance(n, int) for n in given)):
            raise Unmodelled("new() of a sequence, which may be a shape or data")
    return filled(call, *size)


def new_full(call: Call, input: Tensor, size: Any, fill_value: Any = None, **options: Any) -> Tensor:
    """torch.Tensor.new_full."""
    return filled(call, size)


def meshgrid(call: Call, *tensors: Any, indexing: str | None = None) -> tuple[Tensor, ...]:
    """torch.meshgrid: one tensor for each axis; "xy" exchanges the first two."""
    given = spread(tensors)
    if any(tensor.ndim > 1 for tensor in given) or indexing not in (None, "ij", "xy"):
        raise Refused("meshgrid() of tensors with several dimensions")
    sizes = [numel(tensor.shape) for tensor in given]
    if indexing == "xy":
        sizes[:2] = sizes[1::-1]
    return (Tensor(tuple(sizes)),) * len(sizes)


def random_integers(call: Call, *arguments: Any, **options: Any) -> Tensor:
    """torch.randint, with and without a lower bound."""
    made = filled(call, options["size"] if "size" in options else arguments[-1])
    return Integers(made.shape)


def arange(
    call: Call, *bounds: Any, start: Any = 0, end: Any = None, step: Any = 1, **options: Any
) -> Tensor:
    """torch.arange of whole numbers: ceil((end - start) / step) of them."""
    if len(bounds) == 1:
        (end,) = bounds
    elif bounds:
        start, end, step = (*bounds, step)[:3]
    if not isinstance(step, int) or step == 0 or not is_dim(start) or not is_dim(end):
        raise Unmodelled("arange() of fractions, or with a step that varies")
    extent = end - start if step > 0 else start - end
    call.require(at_least(extent, 0), Code.LIMIT, "arange() counts towards its end", needs=0, gets=extent)
    count = ceil_divide(extent, abs(step))
    if "dtype" in options:
        return Tensor((count,))
    rises = isinstance(start, int) and start >= 0 and step > 0
    return Integers((count,), start + (count - 1) * step + 1 if rises else None)


def linspace(call: Call, start: Any, end: Any, steps: Any, **options: Any) -> Tensor:
    """torch.linspace, torch.logspace."""
    return filled(call, steps)


def eye(call: Call, n: Dim, m: Dim | None = None, **options: Any) -> Tensor:
    """torch.eye."""
    return filled(call, n, n if m is None else m)


def permutation(call: Call, n: Dim, **options: Any) -> Tensor:
    """torch.randperm."""
    return Integers(filled(call, n).shape)


def tensor(call: Call, data: Any, **options: Any) -> Tensor:
    """torch.tensor, torch.as_tensor, torch.asarray: the shape of nested lists."""
    return data if isinstance(data, Tensor) else Tensor(_nested(data))


def new_tensor(call: Call, input: Tensor, data: Any, **options: Any) -> Tensor:
    """torch.Tensor.new_tensor."""
    return tensor(call, data)


def _nested(data: Any) -> tuple[Dim, ...]:
    if not isinstance(data, Sequence) or isinstance(data, str):
        return ()
    shapes = {item.shape if isinstance(item, Tensor) else _nested(item) for item in data}
    if len(shapes) > 1:
        raise Refused("nested lists of different lengths")
    return (len(data), *(shapes.pop() if shapes else ()))


register(
    "filled",
    filled,
    (torch.zeros, torch.ones, torch.empty, torch.rand, torch.randn),
    samples=(
        "torch.zeros(2, x.shape[1] - 3) @ 2,H",
        "torch.rand(x.shape[1:] + (4,)) @ 2,H,W",
        "torch.ones(size=(x.size(2), x.size(1))) @ 2,H,W",
    ),
)
register("full", full, (torch.full,), samples=("torch.full((x.shape[1], 2), 1.5) @ 2,H",))
register(
    "new",
    new,
    ("new_zeros", "new_ones", "new_empty"),
    samples=("x.new_zeros(2, x.shape[1] * 2) @ 2,H", "x.new_ones((x.shape[2], 3)) @ 2,H,W"),
)
register(
    "new of sizes",
    new_of,
    ("new",),
    samples=("x.new(2, x.shape[1] * 2) @ 2,H", "x.new() @ 2,H"),
)
register("new full", new_full, ("new_full",), samples=("x.new_full((x.shape[1], 2), 1.5) @ 2,H",))
register(
    "random integers",
    random_integers,
    (torch.randint,),
    samples=("torch.randint(0, 5, (x.shape[1], 2)) @ 2,H",),
)
register(
    "arange",
    arange,
    (torch.arange,),
    samples=(
        "torch.arange(x.shape[1] - 2) @ 2,H",
        "torch.arange(1, x.shape[1], 3) @ 2,H",
        "torch.arange(x.shape[1], x.shape[2], device=x.device) @ 2,H,W",
        "torch.arange(end=x.shape[1], start=4, step=-2) @ 2,H",
        "torch.arange(x.shape[1], 3, -1) @ 2,H",
    ),
)
register(
    "linspace",
    linspace,
    (torch.linspace, torch.logspace),
    samples=("torch.linspace(-1, 1, x.shape[1]) @ 2,H", "torch.linspace(-1, 1, steps=x.shape[1] - 2) @ 2,H"),
)
register(
    "eye",
    eye,
    (torch.eye,),
    samples=("torch.eye(x.shape[1], x.shape[2] - 1) @ 2,H,W", "torch.eye(x.shape[1]) @ 2,H"),
)
register("permutation", permutation, (torch.randperm,), samples=("torch.randperm(x.shape[1]) @ 2,H",))
register(
    "tensor",
    tensor,
    (torch.tensor, torch.as_tensor, torch.asarray),
    samples=("tensor([x.shape[1], 2, 3]) + x @ 2,H", "tensor(x.shape) @ 2,H,W"),
)
register(
    "new tensor",
    new_tensor,
    ("new_tensor",),
    samples=("x.new_tensor([[1.0, 2.0, 3.0]]) @ 2,H", "x.new_tensor([[1.0, 2.0], [3.0]]) @ 2,H"),
)
register(
    "meshgrid",
    meshgrid,
    (torch.meshgrid, getattr(torch._C._VariableFunctions, "meshgrid", None)),
    samples=(
        "torch.meshgrid(x[0, 0, 0], x[0, 0, :, 0], indexing='ij') @ 2,3,H,W",
        "torch.meshgrid([x[0, 0, 0], x[0, 0, :, 0], x[0, :, 0, 0]], indexing='xy') @ 2,3,H,W",
        "torch.meshgrid(x[0, 0, 0], x[0, 0]) @ 2,3,H,W",
    ),
)
