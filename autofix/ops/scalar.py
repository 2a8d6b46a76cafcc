"""What Python asks and computes of sizes in a traced graph: attributes, lengths, rounding, assertions."""

from __future__ import annotations

import builtins
import functools
import math
import operator
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch

from autofix.condition import Condition, at_least, equal
from autofix.fault import Code
from autofix.ops.arithmetic import negation, number, truth
from autofix.ops.arrange import matrix_transpose, short_transpose
from autofix.ops.base import Call, Refused, Tensor, Unmodelled, axis_of, numel, register, spread
from autofix.ops.split import Pieces
from autofix.ratio import NotExactError, Ratio
from autofix.size import Dim, is_dim, larger, smaller

__all__ = ["number"]


@dataclass(frozen=True)
class Trait:
    """Something of a tensor that says nothing of its size, such as its dtype."""

    name: str


def attribute(call: Call, input: Any, name: str, *default: Any) -> Any:
    """getattr on a tensor, or on a named tuple of results."""
    if isinstance(input, tuple) and name in getattr(input, "_fields", ()):
        return getattr(input, name)
    if not isinstance(input, Tensor):
        raise Unmodelled(f"attribute {name} of {type(input).__name__}")
    if name in ("shape", "ndim"):
        return getattr(input, name)
    if name in ("T", "mT", "mH", "H"):
        return (matrix_transpose if name.startswith("m") else short_transpose)(call, input)
    if name in ("data", "real", "imag"):
        return input
    if name in ("dtype", "device", "layout"):
        return Trait(name)
    if name in ("is_cuda", "is_mps", "is_xpu", "is_sparse", "is_quantized", "is_meta"):
        return False
    raise Unmodelled(f"attribute {name} of a tensor")


def size(call: Call, input: Tensor, dim: int | None = None) -> Any:
    """torch.Tensor.size."""
    if dim is None:
        return input.shape
    if input.ndim == 0:
        raise Refused("size() of a dimension of a tensor that has none")
    return input.shape[axis_of(dim, input.ndim)]


def rank(call: Call, input: Tensor) -> int:
    """torch.Tensor.dim."""
    return input.ndim


def count(call: Call, input: Any) -> Dim:
    """torch.numel, torch.Size.numel."""
    return numel(input.shape if isinstance(input, Tensor) else input)


def length(call: Call, input: Any) -> Dim:
    """len of a tensor, a shape or a sequence."""
    if isinstance(input, Pieces):
        raise Unmodelled("the number of pieces of a dimension whose size varies")
    if not isinstance(input, Tensor):
        return len(input)
    if input.ndim == 0:
        raise Refused("len() of a tensor without dimensions")
    return input.shape[0]


def rounding(call: Call, value: Any, *digits: Any, function: Callable[..., Any], name: str) -> Any:
    """math.floor, math.ceil, math.trunc, int and round of sizes and their ratios."""
    if isinstance(value, int | float | str):
        return function(value, *digits)
    if isinstance(value, Ratio) and not digits:
        try:
            return getattr(value, name)()
        except NotExactError as reason:
            raise Unmodelled(str(reason)) from reason
    if isinstance(value, Tensor):
        raise Unmodelled(f"{name} of a number that has no formula: a root of sizes, or a quotient of two")
    if not is_dim(value) or digits:
        raise Unmodelled(f"{name} of {type(value).__name__}")
    return value


def as_float(call: Call, value: Any) -> Any:
    """float of a size: exact, as sizes are far below 2**53."""
    if isinstance(value, int | float | str):
        return float(value)
    if not is_dim(value) and not isinstance(value, Ratio):
        raise Unmodelled(f"float of {type(value).__name__}")
    return Ratio(value, 1) if is_dim(value) else value


def extreme(call: Call, *values: Any, pick: Callable[[Dim, Dim], Dim], plain: Callable[..., Any]) -> Any:
    """min and max of sizes."""
    items = spread(values)
    if all(isinstance(value, int | float) for value in items):
        return plain(items)
    if not all(is_dim(value) for value in items):
        raise Unmodelled(f"{plain.__name__} of {', '.join(type(value).__name__ for value in items)}")
    return functools.reduce(pick, items)


_DEFINED_FROM = {"sqrt": 0, "log": 1, "log2": 1, "log10": 1}


def calculate(call: Call, value: Any, *others: Any, function: Callable[..., Any]) -> Any:
    """math.sqrt and other functions of fixed numbers; of a size some give some number, which is no size."""
    least = _DEFINED_FROM.get(function.__name__)
    if least is not None and isinstance(value, int) and value < least:
        raise Refused(f"{function.__name__} of {value}")
    if least is not None and is_dim(value) and not isinstance(value, int):
        what = f"{function.__name__} is defined"
        call.require(at_least(value, least), Code.ASSERTION, what, needs=least, gets=value)
        return Tensor(())
    if not all(isinstance(one, int | float | tuple | list) for one in (value, *others)):
        raise Unmodelled(f"{function.__name__} of a size")
    return function(value, *others)


def total(call: Call, values: Any, start: Any = None, *, name: str) -> Any:
    """sum and math.prod of sizes."""
    if not isinstance(values, tuple | list):
        raise Unmodelled(f"{name} of {type(values).__name__}")
    first = (0 if name == "add" else 1) if start is None else start
    return functools.reduce(lambda a, b: number(name, a, b), values, first)


def logical(call: Call, value: Any, function: Callable[[Any], Any]) -> Any:
    """bool and `not` of a number or a condition."""
    return function(value)


def assertion(call: Call, condition: Any, message: Any = "") -> None:
    """torch._assert and `assert` on sizes."""
    holds = truth(condition)
    what = (
        f"the model asserts: {message}"
        if isinstance(message, str) and message
        else "the model's own assertion"
    )
    whole = holds if isinstance(holds, Condition) else equal(int(holds), 1)
    conjunction = whole.relation == "not any"  # one requirement for each part
    for part in [~one for one in whole.either] if conjunction else [whole]:
        call.require(part, Code.ASSERTION, what)


def plain_arithmetic(call: Call, *operands: Any, name: str) -> Any:
    """abs of a size."""
    if any(isinstance(value, Tensor) for value in operands):
        raise Unmodelled(f"{name} of a tensor as of a number")
    return number(name, *operands)


_ROUNDINGS: dict[Any, dict[str, Any]] = {
    math.floor: {"function": math.floor, "name": "floor"},
    math.ceil: {"function": math.ceil, "name": "ceil"},
    math.trunc: {"function": math.trunc, "name": "trunc"},
    builtins.int: {"function": builtins.int, "name": "trunc"},
    builtins.round: {"function": builtins.round, "name": "round"},
    torch.sym_int: {"function": builtins.int, "name": "trunc"},
}
_FIXED = [
    "sqrt",
    "log",
    "log2",
    "log10",
    "exp",
    "pow",
    "gcd",
    "lcm",
    "isqrt",
    "sin",
    "cos",
    "isfinite",
    "hypot",
    "fabs",
]

register(
    "getattr",
    attribute,
    (builtins.getattr,),
    samples=(
        "torch.ones(x.shape, dtype=x.dtype, device=x.device) @ 2,3,H,W",
        "x.reshape(x.ndim - 2, -1) @ 2,3,H,W",
        "x.mT @ 2,3,H,W",
        "x.max(2).values @ 2,3,H,W",
    ),
)
register(
    "size",
    size,
    ("size",),
    samples=(
        "x.new_ones(x.size()) @ 2,H,W",
        "x.view(x.size(-1), -1) @ 2,H,W",
        "torch.ones(x.size(0)) @ H",
        "torch.ones(x.sum().size(0)) @ H",
    ),
)
register("dim", rank, ("dim", "ndimension"), samples=("x.flatten(x.dim() - 2) @ 2,H,W",))
register(
    "numel",
    count,
    (torch.numel, "numel", "nelement"),
    samples=("torch.ones(x.numel()) @ H,W", "torch.ones(x.shape[1:].numel()) @ 2,H,W"),
)
register(
    "len",
    length,
    (builtins.len, "__len__"),
    samples=("torch.ones((len(x), 2)) @ H,W", "torch.ones(len(x)) @ H", "torch.ones(len(x.sum())) @ H"),
)
register(
    "rounding",
    rounding,
    _ROUNDINGS,
    samples=(
        "torch.ones((math.floor(x.shape[0] / 2), math.ceil(x.shape[1] / 3))) @ H,W",
        "torch.ones((int(x.shape[0] * 0.75), round(x.shape[1] / 4))) @ H,W",
        "torch.ones((int(x.shape[0] * 0.6 + 2), round(x.shape[1] * 1.3))) @ H,W",
        "torch.ones((math.trunc(x.shape[0] / -2) + 9, math.floor(-x.shape[1] / 2 + 0.5) + 9)) @ H,W",
        "torch.ones((math.ceil(1.5 * x.shape[0] - 0.25), int(x.shape[1] / 0.4))) @ H,W",
    ),
)
register(
    "float",
    as_float,
    (builtins.float, torch.sym_float),
    samples=("torch.ones(int(float(x.shape[0]) / 2)) @ H",),
)
register(
    "min and max",
    extreme,
    {
        builtins.min: {"pick": smaller, "plain": builtins.min},
        builtins.max: {"pick": larger, "plain": builtins.max},
        torch.sym_min: {"pick": smaller, "plain": builtins.min},
        torch.sym_max: {"pick": larger, "plain": builtins.max},
    },
    samples=("torch.ones((min(x.shape), max(x.shape[0] - 4, 3))) @ H,W",),
)
register(
    "fixed numbers",
    calculate,
    {getattr(math, name): {"function": getattr(math, name)} for name in _FIXED},
    samples=(
        "torch.ones(int(math.sqrt(x.shape[0]))) @ 9,H",
        "x * math.sqrt(x.shape[1] - 4) @ 2,H",
        "x * math.log(x.shape[1] - 4) @ 2,H",
        "x / math.log2(x.shape[1] // 3) @ 2,H",
        "x / math.log10(x.shape[1] - 2) @ 2,H",
    ),
)
register(
    "sum and product",
    total,
    {builtins.sum: {"name": "add"}, math.prod: {"name": "mul"}},
    samples=("torch.ones((sum(x.shape[1:]), math.prod(x.shape))) @ 2,H,W",),
)
register(
    "truth",
    logical,
    {
        builtins.bool: {"function": truth},
        operator.truth: {"function": truth},
        operator.not_: {"function": negation},
    }
    | {torch.sym_not: {"function": negation}},
    samples=(
        "[torch._assert(bool(x.shape[0] % 3), 'rest'), x][1] @ H",
        "[torch._assert(not_(x.shape[0] % 2), 'even'), x][1] @ H",
    ),
)
register(
    "assertion",
    assertion,
    (torch._assert,),
    samples=(
        "[torch._assert(x.shape[1] % 2 == 0, 'even'), x][1] @ 2,H,W",
        "[torch._assert(x.shape[1:] == (3, 4), 'one size'), x][1] @ 2,H,W",
        "[torch._assert((x.shape[0] > 2) & (x.shape[1] <= 2 * x.shape[0]), 'wide'), x][1] @ H,W",
        "[torch._assert((x.shape[0] / 3 >= 1.5) | (x.shape[1] != 4), 'either'), x][1] @ H,W",
    ),
)
register(
    "abs",
    plain_arithmetic,
    {builtins.abs: {"name": "abs"}},
    samples=("torch.ones(abs(x.shape[0] - x.shape[1])) @ H,W",),
)
