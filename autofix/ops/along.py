"""Operations along one dimension that keep the others: softmax, cumulative sums, sorting, topk, diff."""

from __future__ import annotations

from typing import Any

import torch.nn.functional as F
from torch import nn

from autofix.condition import at_least
from autofix.fault import Code
from autofix.ops.base import Call, Refused, Tensor, axis_of, register
from autofix.ops.index import Integers
from autofix.ops.reduce import Found, functions_and_methods
from autofix.ops.slicing import not_vanished, resized
from autofix.size import Dim, larger


def along(
    call: Call, input: Tensor, dim: int | None = None, *args: Any, axis: Any = None, **options: Any
) -> Tensor:
    """torch.softmax, torch.cumsum: the same shape, along a dimension that exists."""
    given = axis if dim is None else dim
    if given is not None:
        axis_of(given, input.ndim)
    return Tensor(input.shape)


def gumbel_softmax(
    call: Call, logits: Tensor, tau: float = 1, hard: bool = False, eps: float = 1e-10, dim: int = -1
) -> Tensor:
    """torch.nn.functional.gumbel_softmax."""
    return along(call, logits, dim)


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
    result = larger(input.shape[axis] - n, 0)
    not_vanished(call, input.shape[axis], result)
    return resized(input, axis, result)


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
        *functions_and_methods("softmax", "log_softmax"),
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
    "gumbel softmax",
    gumbel_softmax,
    (F.gumbel_softmax,),
    samples=("F.gumbel_softmax(x, 0.5, dim=1) @ 2,3,H,W", "F.gumbel_softmax(x, hard=True, dim=2) @ 2,3"),
)
register(
    "softmax2d",
    softmax2d,
    (nn.Softmax2d,),
    samples=("nn.Softmax2d() @ 2,3,H,W", "nn.Softmax2d() @ 3,H,W", "nn.Softmax2d() @ 2,H"),
)
register(
    "cumulative sum",
    along,
    (*functions_and_methods("cumsum", "cumprod", "logcumsumexp"), "cumsum_", "cumprod_"),
    samples=("x.cumsum(2).cumsum_(-1) @ 2,3,H,W", "torch.cumprod(x, dim=3) @ 2,3,H"),
)
register(
    "cumulative maximum",
    cumulative,
    functions_and_methods("cummax", "cummin"),
    samples=("torch.cummax(x, 2)[0] @ 2,3,H,W",),
)
register(
    "topk",
    top,
    functions_and_methods("topk"),
    samples=(
        "x.topk(4, dim=2)[0] @ 2,3,H,W",
        "torch.topk(x, 3).indices @ 2,3,H,W",
        "x.sum().topk(x.shape[1])[0] @ 2,H",
    ),
)
register(
    "sort",
    sort,
    functions_and_methods("sort"),
    samples=("x.sort(2).values @ 2,3,H,W", "torch.sort(x, descending=True)[1] @ 2,H"),
)
register("argsort", argsort, functions_and_methods("argsort"), samples=("x.argsort(1) @ 2,3,H,W",))
register(
    "diff",
    difference,
    functions_and_methods("diff"),
    samples=(
        "torch.diff(x, dim=2) @ 2,3,H,W",
        "x.diff(3, -1) @ 2,3,H,W",
        "x.diff() @ H",
        "x.sum().diff() @ H",
    ),
)
