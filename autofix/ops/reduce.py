"""Reductions over dimensions: sum, mean, norm, var, max, argmax, median."""

from __future__ import annotations

from typing import Any, NamedTuple

import torch

from autofix.condition import at_least
from autofix.fault import Code
from autofix.ops.arrange import axes_of
from autofix.ops.base import Call, Tensor, axis_of, register
from autofix.ops.formula import not_empty
from autofix.ops.index import Integers
from autofix.ops.join import broadcast
from autofix.size import Dim


class Found(NamedTuple):
    """What torch.max(x, dim) and its like return."""

    values: Tensor
    indices: Tensor


class Extremes(NamedTuple):
    """What torch.aminmax returns."""

    min: Tensor
    max: Tensor


def reduced(input: Tensor, dim: Any, keepdim: bool = False) -> tuple[tuple[Dim, ...], tuple[int, ...]]:
    """The shape after reducing over dimensions (all for None and for an empty list), and which those are."""
    axes = axes_of(() if dim is None else (dim,), input.ndim) or tuple(range(input.ndim))
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
        not_empty(call, input.shape[position], "reduced dimension is not empty")
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
    axis = axis_of(dim, input.ndim)
    shape, _ = reduced(input, axis, keepdim)
    if input.ndim:
        not_empty(call, input.shape[axis], "reduced dimension is not empty")
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


def functions_and_methods(*names: str) -> tuple[Any, ...]:
    """The functions and the methods of these names."""
    return (
        *(getattr(torch, name, None) for name in names),
        *(name for name in names if hasattr(torch.Tensor, name)),
    )


register(
    "reduction",
    reduction,
    functions_and_methods(
        "sum", "mean", "prod", "nansum", "nanmean", "logsumexp", "all", "any", "count_nonzero"
    ),
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
    (*functions_and_methods("norm"), torch.linalg.norm, torch.linalg.vector_norm),
    samples=(
        "x.norm(dim=1, keepdim=True) @ 2,3,H,W",
        "torch.linalg.vector_norm(x, 2, (2, 3)) @ 2,3,H,W",
        "x.norm(2) @ 2,H",
    ),
)
register(
    "deviation",
    deviation,
    {target: {} for target in functions_and_methods("var", "std")}
    | {torch.var_mean: {"pair": True}, torch.std_mean: {"pair": True}},
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
    functions_and_methods("amax", "amin"),
    samples=(
        "x[:, :, 3:].amax((2, 3)) @ 2,3,H,W",
        "torch.amin(x, 2, keepdim=True) @ 2,3,H,W",
        "x[..., 5:].amax(1) @ 2,3,H,W",
    ),
)
register(
    "argmax",
    arg_extreme,
    functions_and_methods("argmax", "argmin"),
    samples=(
        "x[:, :, 3:].argmax(2) @ 2,3,H,W",
        "torch.argmin(x, dim=1, keepdim=True) @ 2,3,H,W",
        "x.argmax() @ 2,H",
    ),
)
register(
    "max",
    maximum,
    functions_and_methods("max", "min"),
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
    functions_and_methods("median", "nanmedian"),
    samples=("x[..., 2:].median(2).values @ 2,3,H", "x[:, 9:].median() @ 2,H"),
)
register("mode", found, functions_and_methods("mode"), samples=("x[:, 4:].mode(1)[0] @ 2,H,W",))
register(
    "kthvalue",
    kth,
    functions_and_methods("kthvalue"),
    samples=("x.kthvalue(4, 1, True)[0] @ 2,H,W", "x.sum().kthvalue(x.shape[1], 0)[0] @ 2,H"),
)
register(
    "aminmax", extremes, functions_and_methods("aminmax"), samples=("x[:, 4:].aminmax(dim=1).max @ 2,H,W",)
)
