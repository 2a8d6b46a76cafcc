"""Operators that leave every size as it is: activations, dropout, unary arithmetic, copies and casts."""

from __future__ import annotations

from typing import Any, NamedTuple

import torch
import torch.nn.functional as F
from torch import nn

from autofix.condition import divides
from autofix.fault import Code
from autofix.ops.base import Call, Refused, Tensor, Unmodelled, axis_of, numel, register, same_features, words
from autofix.ops.index import Integers
from autofix.ops.scalar import Trait


def neutral(call: Call, input: Any, *args: Any, **options: Any) -> Tensor:
    """A tensor of the same shape."""
    if not isinstance(input, Tensor):
        raise Unmodelled("the argument is no tensor")
    return Tensor(input.shape)


def same_kind(call: Call, input: Any, *args: Any, **options: Any) -> Tensor:
    """A copy: integers stay integers."""
    return input if type(input) is Integers else neutral(call, input, *args, **options)


def whole(call: Call, input: Any, *args: Any, **options: Any) -> Tensor:
    """torch.Tensor.long and its like."""
    return input if isinstance(input, Integers) else Integers(neutral(call, input).shape)


def moved(call: Call, input: Tensor, *args: Any, **options: Any) -> Tensor:
    """torch.Tensor.to: another device, or another type."""
    given = (*args, *options.values())
    if any(
        value in (torch.long, torch.int, torch.short) for value in given if isinstance(value, torch.dtype)
    ):
        return whole(call, input)
    typed = (torch.dtype, Tensor)  # another tensor's type is not known
    other = any(isinstance(value, typed) or value == Trait("dtype") for value in given)
    return neutral(call, input) if other else same_kind(call, input)


def channel_dropout(call: Call, input: Tensor, *args: Any, **options: Any) -> Tensor:
    """torch.nn.functional.dropout1d, which alone of its kind asks for a rank."""
    if input.ndim not in (2, 3):
        raise Refused(f"dropout1d() of a tensor with {input.ndim} dimensions")
    return input


def converted(call: Call, x: Tensor, dtype: Any = None, non_blocking: bool = False) -> Tensor | str:
    """The tensor with another type; without one, the name of the type that it has."""
    return "torch.FloatTensor" if dtype is None else x


def parametric_relu(call: Call, input: Tensor, weight: Tensor) -> Tensor:
    """torch.nn.functional.prelu: one slope, or one for each channel."""
    slopes = numel(weight.shape)
    if slopes != 1:
        if input.ndim < 2:
            raise Refused(f"{slopes} slopes for a tensor without channels")
        same_features(call, input.shape[1], slopes)
    return input


def gated_linear_unit(call: Call, input: Tensor, dim: int = -1) -> Tensor:
    """torch.nn.functional.glu: halves one dimension."""
    if input.ndim == 0:
        raise Refused("a number cannot be halved")
    along = axis_of(dim, input.ndim)
    size = input.shape[along]
    call.require(divides(2, size), Code.DIVISIBLE, "halved size is even", needs=2, gets=size)
    return Tensor((*input.shape[:along], size // 2, *input.shape[along + 1 :]))


def named_tuple(call: Call, *items: Any, kind: Any, **named: Any) -> Any:
    """The constructor of a named tuple, as a model's outputs use it."""
    return kind(*items, **named)


_MODULES = words(
    """
    ReLU ReLU6 LeakyReLU RReLU ELU CELU SELU GELU SiLU Mish Sigmoid LogSigmoid Tanh Tanhshrink Hardtanh
    Hardswish Hardsigmoid Hardshrink Softshrink Softplus Softsign Threshold Dropout Dropout2d
    Dropout3d AlphaDropout FeatureAlphaDropout Identity
    """
)
_ACTIVATIONS = words(
    """
    relu relu6 leaky_relu rrelu elu celu selu gelu silu mish sigmoid logsigmoid tanh tanhshrink hardtanh
    hardswish hardsigmoid hardshrink softshrink softplus softsign threshold dropout dropout2d
    dropout3d alpha_dropout feature_alpha_dropout relu_ leaky_relu_ rrelu_ elu_ celu_ selu_ hardtanh_
    threshold_
    """
)
_UNARY = words(
    """
    abs absolute acos acosh angle arccos arccosh arcsin arcsinh arctan arctanh asin asinh atan atanh
    bernoulli bitwise_not ceil
    conj cos cosh deg2rad digamma erf erfc erfinv exp exp2 expm1 fix floor frac i0 isfinite isinf
    isnan isneginf isposinf isreal lgamma log log10 log1p log2 logical_not logit mvlgamma nan_to_num neg
    negative positive rad2deg real reciprocal relu round rsqrt sgn sigmoid sign signbit sin sinc sinh sqrt
    square tan tanh trunc dropout alpha_dropout feature_dropout feature_alpha_dropout selu celu
    rrelu renorm zeros_like ones_like empty_like full_like rand_like randn_like randint_like
    """
)
_METHODS = words(
    """
    bfloat16 bool byte char double float half type_as requires_grad_ zero_ fill_ normal_ uniform_ hardshrink
    exponential_ random_ resolve_conj resolve_neg
    """
)
_COPIES = words("clone detach cpu cuda pin_memory share_memory_")
_LIBRARIES = (
    "torchvision.ops.stochastic_depth.stochastic_depth",
    "torchvision.ops.stochastic_depth.StochasticDepth",
    "torchvision.ops.misc.FrozenBatchNorm2d",
)


def _targets() -> tuple[Any, ...]:
    targets = [getattr(nn, name, None) for name in _MODULES]
    targets += [getattr(F, name, None) for name in _ACTIVATIONS]
    for name in _UNARY:
        targets.append(getattr(torch, name, None))
        targets.append(getattr(torch, f"{name}_", None))
    targets += [name for name in (*_UNARY, *_METHODS) if hasattr(torch.Tensor, name)]
    targets += [f"{name}_" for name in _UNARY if hasattr(torch.Tensor, f"{name}_")]
    return tuple(dict.fromkeys((*targets, *_LIBRARIES)))


register(
    "neutral",
    neutral,
    _targets(),
    samples=(
        "nn.ReLU() @ 2,3,H,W",
        "nn.GELU() @ 2,H",
        "nn.Dropout2d(0.5) @ 2,3,H,W",
        "nn.Identity() @ 2,H",
        "nn.Hardswish() @ 2,3,H,W",
        "F.leaky_relu(x, 0.2) @ 2,3,H,W",
        "F.dropout(x, 0.5, training=True) @ 2,3,H,W",
        "torch.sigmoid(x) @ 2,3,H,W",
        "torch.exp(x).sqrt() @ 2,3,H,W",
        "x.contiguous().float().detach() @ 2,3,H,W",
        "x.relu_() @ 2,3,H,W",
        "torch.zeros_like(x) @ 2,3,H,W",
    ),
)
register(
    "copy",
    same_kind,
    (torch.clone, torch.detach, "detach_", *_COPIES),
    samples=("x.clone().contiguous().detach() @ 2,H,W", "y[x.long().clone().detach().cpu()] @ H ; 3,W"),
)
register(
    "whole numbers",
    whole,
    ("long", "int", "short"),
    samples=("x.long() @ 2,H", "y[x.int().long()] @ H ; 3,W", "x[torch.arange(y.shape[0]).long()] @ H ; W"),
)
register(
    "to",
    moved,
    ("to",),
    samples=(
        "x.to(torch.float64) @ 2,H",
        "y[x.to(torch.long).to('cpu')] @ H ; 3,W",
        "y[x.to(dtype=torch.int)] @ H ; 3,W",
    ),
)
register(
    "dropout of channels in one dimension",
    channel_dropout,
    (nn.Dropout1d, F.dropout1d),
    samples=("nn.Dropout1d() @ 2,C,H", "nn.Dropout1d() @ 2,2,H,W", "F.dropout1d(x, 0.5) @ H,W"),
)
register(
    "type",
    converted,
    ("type",),
    samples=("x.type(torch.float64) @ 2,3,H", "(x * 1).type(x.type()) @ 2,H"),
)
register(
    "prelu",
    parametric_relu,
    (F.prelu, nn.PReLU, "prelu"),
    reads=lambda m: {"weight": Tensor(tuple(m.weight.shape))},  # type: ignore[arg-type]
    samples=(
        "nn.PReLU() @ 2,C,H",
        "nn.PReLU(4) @ 2,C,H",
        "F.prelu(x, torch.ones(3)) @ N,C",
        "F.prelu(x, torch.ones(3)) @ H",
    ),
)
register(
    "glu",
    gated_linear_unit,
    (F.glu, nn.GLU),
    reads=("dim",),
    samples=(
        "nn.GLU(1) @ 2,C,3,W",
        "F.glu(x) @ 2,H,W",
        "F.glu(x, dim=-2) @ 2,H,W",
        "F.glu(x) @ H",
        "F.glu(x.sum()) @ H",
    ),
)
register(
    "named tuple",
    named_tuple,
    (NamedTuple,),
    samples=("torch.nn.modules.module._IncompatibleKeys(x, x + 1) @ 2,H,W",),
)
