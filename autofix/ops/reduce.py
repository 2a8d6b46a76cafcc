"""Reductions over dimensions, softmax, cumulative sums, sorting."""

from __future__ import annotations

from typing import Any, NamedTuple

import torch
import torch.nn.functional as F
from torch import nn

from autofix.condition import at_least
from autofix.fault import Code
from autofix.ops.arrange import axes_of
from autofix.ops.base import Call, Refused, Tensor, axis_of, register
from autofix.ops.index import Integers
from autofix.ops.join import broadcast
from autofix.ops.slicing import resized
from autofix.size import Dim


class Found(NamedTuple):
    """What torch.max(x, dim) and its like return."""

    values: Tensor
    indices: Tensor


class Extremes(NamedTuple):
    """What torch.aminmax returns."""

    min: Tensor
    max: Tensor


def _not_empty(call: Call, n: Dim) -> None:
    if not isinstance(n, int) or n < 1:
        call.require(at_least(n, 1), Code.EMPTY, "reduced dimension is not empty", needs=1, gets=n)


def reduced(input: Tensor, dim: Any, keepdim: bool = False) -> tuple[tuple[Dim, ...], tuple[int, ...]]:
    """The shape after reducing over dimensions (all for None and for an empty list), and which those are."""
    given = () if dim is None else dim if isinstance(dim, tuple | list) else (dim,)
    axes = axes_of((tuple(given),), input.ndim) or tuple(range(input.ndim))
    if keepdim:
        return tuple(1 if i in axes else n for i, n in enumerate(input.shape)), axes
    return tuple(n for i, n in enumerate(input.shape) if i not in axes), axes


def reduction(
    call: Call,
    input: Tensor,
    dim: Any = None,
    keepdim: bool = False,
    *,
    axis: Any = None,
    keepdims: bool = False,
    **options: Any,
) -> Tensor:
    """torch.sum, mean, prod, logsumexp, all, any ...: those that have a value for no elements."""
    return Tensor(reduced(input, axis if dim is None else dim, keepdim or keepdims)[0])


def norm(
    call: Call, input: Tensor, p: Any = "fro", dim: Any = None, keepdim: bool = False, **options: Any
) -> Tensor:
    """torch.norm, torch.linalg.norm, torch.linalg.vector_norm."""
    return reduction(call, input, dim, keepdim)


def deviation(
    call: Call,
    input: Tensor,
    dim: Any = None,
    unbiased: bool = True,
    keepdim: bool = False,
    *,
    pair: bool = False,
    **options: Any,
) -> Any:
    """torch.var, torch.std, torch.var_mean, torch.std_mean."""
    if isinstance(dim, bool):  # var(unbiased)
        dim = None
    result = reduction(call, input, dim, keepdim, axis=options.get("axis"))
    return (result, result) if pair else result


def extreme(call: Call, input: Tensor, dim: Any = (), keepdim: bool = False, *, axis: Any = None) -> Tensor:
    """torch.amax, torch.amin."""
    given = dim if axis is None else axis
    shape, axes = reduced(input, given, keepdim)
    for position in axes:
        _not_empty(call, input.shape[position])
    return Tensor(shape)


def arg_extreme(
    call: Call, input: Tensor, dim: int | None = None, keepdim: bool = False, *, axis: Any = None
) -> Tensor:
    """torch.argmax, torch.argmin."""
    return Integers(extreme(call, input, axis if dim is None else dim, keepdim).shape)


def maximum(
    call: Call, input: Tensor, dim: Any = None, keepdim: bool = False, *, other: Any = None, axis: Any = None
) -> Any:
    """torch.max, torch.min: of all elements, along a dimension, or of two tensors."""
    second = dim if isinstance(dim, Tensor) else other
    if second is not None:
        return Tensor(broadcast(call, input.shape, second.shape))
    given = axis if dim is None else dim
    return extreme(call, input) if given is None else found(call, input, given, keepdim)


def found(call: Call, input: Tensor, dim: int = -1, keepdim: bool = False) -> Found:
    """torch.mode; torch.max and torch.median along a dimension."""
    shape, axes = reduced(input, axis_of(dim, input.ndim), keepdim)
    if input.ndim:
        _not_empty(call, input.shape[axes[0]])
    return Found(Tensor(shape), Integers(shape))


def median(call: Call, input: Tensor, dim: Any = None, keepdim: bool = False) -> Any:
    """torch.median, torch.nanmedian: of no elements at all it is nan."""
    return Tensor(()) if dim is None else found(call, input, dim, keepdim)


def kth(call: Call, input: Tensor, k: Dim, dim: int = -1, keepdim: bool = False) -> Found:
    """torch.kthvalue."""
    n = input.shape[axis_of(dim, input.ndim)] if input.ndim else 1
    call.require(at_least(n, k), Code.INDEX, "k is within the dimension", needs=k, gets=n)
    return found(call, input, dim, keepdim)


def extremes(call: Call, input: Tensor, *, dim: int | None = None, keepdim: bool = False) -> Extremes:
    """torch.aminmax."""
    result = extreme(call, input, dim, keepdim)
    return Extremes(result, result)


def along(
    call: Call, input: Tensor, dim: int | None = None, *args: Any, axis: Any = None, **options: Any
) -> Tensor:
    """torch.softmax, torch.cumsum: the same shape, along a dimension that exists."""
    given = axis if dim is None else dim
    if given is not None:
        axis_of(given, input.ndim)
    return Tensor(input.shape)


def softmax2d(call: Call, input: Tensor) -> Tensor:
    """torch.nn.Softmax2d."""
    if input.ndim not in (3, 4):
        raise Refused(f"Softmax2d of a tensor with {input.ndim} dimensions")
    return input


def cumulative(call: Call, input: Tensor, dim: int) -> Found:
    """torch.cummax, torch.cummin."""
    axis_of(dim, input.ndim)
    return Found(Tensor(input.shape), Integers(input.shape))


def top(call: Call, input: Tensor, k: Dim, dim: int = -1, largest: bool = True, sorted: bool = True) -> Found:
    """torch.topk."""
    axis = axis_of(dim, input.ndim)
    n = input.shape[axis] if input.shape else 1
    call.require(at_least(n, k), Code.INDEX, "k is within the dimension", needs=k, gets=n)
    result = resized(input, axis, k) if input.shape else input
    return Found(result, Integers(result.shape))


def sort(call: Call, input: Tensor, dim: int = -1, descending: bool = False, stable: bool = False) -> Found:
    """torch.sort."""
    axis_of(dim, input.ndim)
    return Found(input, Integers(input.shape))


def argsort(
    call: Call, input: Tensor, dim: int = -1, descending: bool = False, stable: bool = False
) -> Tensor:
    """torch.argsort."""
    return sort(call, input, dim).indices


def difference(call: Call, input: Tensor, n: int = 1, dim: int = -1) -> Tensor:
    """torch.diff."""
    if input.ndim == 0:
        raise Refused("diff() of a number")
    axis = axis_of(dim, input.ndim)
    size = input.shape[axis] - n
    call.require(
        at_least(size, 0), Code.INDEX, "differences of enough elements", needs=n, gets=input.shape[axis]
    )
    return resized(input, axis, size)


def _both(*names: str) -> tuple[Any, ...]:
    """The functions and the methods of these names."""
    return (
        *(getattr(torch, name, None) for name in names),
        *(name for name in names if hasattr(torch.Tensor, name)),
    )


register(
    "reduction",
    reduction,
    _both("sum", "mean", "prod", "nansum", "nanmean", "logsumexp", "all", "any", "count_nonzero"),
    samples=(
        "x.mean((2, 3)) @ 2,3,H,W",
        "torch.mean(x, dim=[-1, 1], keepdim=True) @ 2,3,H,W",
        "x.sum(2) @ 2,3,H,W",
        "torch.sum(x, axis=-1, keepdims=True) @ 2,3,H,W",
        "x.mean() @ 2,3,H,W",
        "x[:, :, 4:].mean(2) @ 2,3,H,W",
        "torch.logsumexp(x, 2, True) @ 2,3,H,W",
        "x.sum((1, 1)) @ 2,3,H,W",
        "(x > 0).any(3) @ 2,3,H,W",
        "x.prod(1) @ 2,3,H",
    ),
)
register(
    "norm",
    norm,
    (*_both("norm"), torch.linalg.norm, torch.linalg.vector_norm),
    samples=(
        "x.norm(dim=1, keepdim=True) @ 2,3,H,W",
        "torch.linalg.vector_norm(x, 2, (2, 3)) @ 2,3,H,W",
        "x.norm(2) @ 2,H",
    ),
)
register(
    "deviation",
    deviation,
    dict.fromkeys(_both("var", "std"), {}) | dict.fromkeys((torch.var_mean, torch.std_mean), {"pair": True}),
    samples=(
        "x.var(1, False, True) @ 2,3,H,W",
        "torch.std(x, dim=(2, 3), unbiased=False) @ 2,3,H,W",
        "x.var(False) @ 2,3,H",
        "torch.var_mean(x, (1, 3), keepdim=True)[1] @ 2,3,H,W",
    ),
)
register(
    "amax",
    extreme,
    _both("amax", "amin"),
    samples=(
        "x[:, :, 3:].amax((2, 3)) @ 2,3,H,W",
        "torch.amin(x, 2, keepdim=True) @ 2,3,H,W",
        "x[..., 5:].amax(1) @ 2,3,H,W",
    ),
)
register(
    "argmax",
    arg_extreme,
    _both("argmax", "argmin"),
    samples=(
        "x[:, :, 3:].argmax(2) @ 2,3,H,W",
        "torch.argmin(x, dim=1, keepdim=True) @ 2,3,H,W",
        "x.argmax() @ 2,H",
    ),
)
register(
    "max",
    maximum,
    _both("max", "min"),
    samples=(
        "x[:, :, 4:].max(2)[0] @ 2,3,H,W",
        "torch.max(x, dim=3, keepdim=True).indices @ 2,3,H,W",
        "x[..., 4:].max() @ 2,3,H,W",
        "torch.max(x, x[:, :, :1]) @ 2,3,H,W",
        "torch.min(x, y) @ 2,H,W ; 2,W,H",
    ),
)
register(
    "median",
    median,
    _both("median", "nanmedian"),
    samples=("x[..., 2:].median(2).values @ 2,3,H", "x[:, 9:].median() @ 2,H"),
)
register("mode", found, _both("mode"), samples=("x[:, 4:].mode(1)[0] @ 2,H,W",))
register("kthvalue", kth, _both("kthvalue"), samples=("x.kthvalue(4, 1, True)[0] @ 2,H,W",))
register("aminmax", extremes, _both("aminmax"), samples=("x[:, 4:].aminmax(dim=1).max @ 2,H,W",))
register(
    "softmax",
    along,
    (
        nn.Softmax,
        nn.LogSoftmax,
        nn.Softmin,
        F.softmax,
        F.log_softmax,
        F.softmin,
        *_both("softmax", "log_softmax"),
    ),
    reads=("dim",),
    samples=(
        "nn.Softmax(dim=1) @ 2,3,H,W",
        "F.log_softmax(x, dim=-1) @ 2,H",
        "x.softmax(3) @ 2,3,H",
        "F.softmin(x, 2) @ 2,3,H",
    ),
)
register(
    "softmax2d", softmax2d, (nn.Softmax2d,), samples=("nn.Softmax2d() @ 2,3,H,W", "nn.Softmax2d() @ 2,H")
)
register(
    "cumulative sum",
    along,
    _both("cumsum", "cumprod", "logcumsumexp"),
    samples=("x.cumsum(2) @ 2,3,H,W", "torch.cumprod(x, dim=3) @ 2,3,H"),
)
register(
    "cumulative maximum", cumulative, _both("cummax", "cummin"), samples=("torch.cummax(x, 2)[0] @ 2,3,H,W",)
)
register(
    "topk",
    top,
    _both("topk"),
    samples=("x.topk(4, dim=2)[0] @ 2,3,H,W", "torch.topk(x, 3).indices @ 2,3,H,W"),
)
register(
    "sort",
    sort,
    _both("sort"),
    samples=("x.sort(2).values @ 2,3,H,W", "torch.sort(x, descending=True)[1] @ 2,H"),
)
register("argsort", argsort, _both("argsort"), samples=("x.argsort(1) @ 2,3,H,W",))
register(
    "diff", difference, _both("diff"), samples=("torch.diff(x, dim=2) @ 2,3,H,W", "x.diff(3, -1) @ 2,3,H,W")
)
