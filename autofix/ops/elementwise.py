"""Arithmetic, comparison and logic of tensors and numbers, element by element."""

from __future__ import annotations

import operator
from numbers import Integral
from typing import Any

import torch

from autofix.condition import equal
from autofix.fault import Code
from autofix.ops.base import Call, Refused, Tensor, Unmodelled, register, words
from autofix.ops.index import Integers
from autofix.ops.join import broadcast, broadcast_into
from autofix.ratio import Ratio
from autofix.size import Joint, Size, is_dim


def elementwise(
    call: Call,
    *operands: Any,
    scalar: str = "",
    inplace: bool = False,
    closed: bool = False,
    **options: Any,
) -> Any:
    """torch.add and its like over tensors and numbers; without tensors, Python's own operator.

    closed: of integers it makes integers
    """
    if options.get("out") is not None:
        raise Unmodelled("out=")
    tensors = [value for value in (*operands, *options.values()) if isinstance(value, Tensor)]
    if not tensors:
        _divides_by_something(call, scalar, operands)
        whole = _whole(call, scalar, *operands) if scalar in ("truediv", "floordiv") else None
        return _numbers(scalar, operands) if whole is None else whole
    if inplace and isinstance(operands[0], Tensor):
        target = operands[0].shape
        for other in tensors:
            broadcast_into(call, target, other.shape)
        return Tensor(target)
    whole = closed and all(isinstance(value, Integers | Integral | Size | Joint) for value in operands)
    return (Integers if whole else Tensor)(broadcast(call, *(tensor.shape for tensor in tensors)))


def _divides_by_something(call: Call, name: str, operands: tuple[Any, ...]) -> None:
    if name not in ("floordiv", "truediv", "mod"):
        return
    divisor = operands[1].numerator if isinstance(operands[1], Ratio) else operands[1]
    if isinstance(divisor, Size | Joint):
        call.require(~equal(divisor, 0), Code.ASSERTION, "the divisor is not zero", needs=1, gets=divisor)
    elif isinstance(divisor, int | float) and divisor == 0:
        raise Refused("a division by zero")


def _whole(call: Call, name: str, dim: Any, divisor: Any) -> Any:
    """The quotient of two sizes, or of a size and a fraction of one, where it is a whole number; or None.

    Then the doubles of h * w / 7 / 7 are whole numbers too, and what is divided by them comes out exactly.
    """
    if not is_dim(dim) or not isinstance(divisor, Ratio):
        found = call.quotient(dim, divisor) if _varies(dim) and _varies(divisor) else None
        return found if found is None or name == "floordiv" else Ratio(found, 1)
    whole = call.quotient(divisor.numerator, divisor.denominator) if divisor.whole else None
    found = None if whole is None else call.quotient(dim, whole)
    return None if found is None else Ratio(found, 1)


def _varies(value: Any) -> bool:
    return is_dim(value) and not isinstance(value, int)


def _numbers(name: str, operands: tuple[Any, ...]) -> Any:
    if not name:
        raise Unmodelled("no operand is a tensor")
    from autofix.ops.scalar import number

    return number(name, *operands)


def where(call: Call, condition: Tensor, *branches: Any, **named: Any) -> Tensor:
    """torch.where with both branches."""
    if len(branches) + len(named) != 2:
        raise Unmodelled("where(condition) alone: its result depends on the values")
    shape = elementwise(call, condition, *branches, **named)
    assert isinstance(shape, Tensor)
    return shape


_OPERATORS = words(
    "add sub mul truediv floordiv mod pow and_ or_ xor lshift rshift eq ne lt le gt ge neg pos abs invert"
)
_INPLACE_OPERATORS = words("iadd isub imul itruediv ifloordiv imod ipow iand ior ixor ilshift irshift")
_REFLECTED = words("add sub mul truediv floordiv mod pow and or xor lshift rshift")
_FUNCTIONS = words(
    """
    add sub subtract mul multiply div divide true_divide floor_divide remainder fmod pow float_power
    maximum minimum fmax fmin atan2 arctan2 hypot logaddexp logaddexp2 eq ne lt le gt ge not_equal less
    less_equal greater greater_equal logical_and logical_or logical_xor bitwise_and bitwise_or bitwise_xor
    bitwise_left_shift bitwise_right_shift copysign heaviside nextafter xlogy rsub isclose ldexp lerp
    addcmul addcdiv clamp clip clamp_min clamp_max masked_fill complex polar threshold
    """
)


_CLOSED = words(
    """
    add sub subtract mul multiply floordiv floor_divide mod remainder fmod neg pos abs maximum minimum clamp
    clip clamp_min clamp_max lshift rshift bitwise_left_shift bitwise_right_shift rsub
    """
)


def _elementwise_targets() -> dict[Any, dict[str, Any]]:
    targets: dict[Any, dict[str, Any]] = {}
    for name in _OPERATORS:
        targets[getattr(operator, name)] = {"scalar": name, "closed": name in _CLOSED}
        targets[f"__{name.rstrip('_')}__"] = {"closed": name in _CLOSED}
    for name in _INPLACE_OPERATORS:
        targets[getattr(operator, name)] = {"scalar": name, "inplace": True}
        targets[f"__{name}__"] = {"inplace": True}
    targets |= {f"__r{name}__": {"closed": name in _CLOSED} for name in _REFLECTED}
    for name in _FUNCTIONS:
        targets[getattr(torch, name, None)] = {"closed": name in _CLOSED}
        if hasattr(torch.Tensor, name):
            targets[name] = {"closed": name in _CLOSED}
        if hasattr(torch.Tensor, f"{name}_"):
            targets[f"{name}_"] = {"inplace": True}
    return targets | {"copy_": {"inplace": True}}


register(
    "elementwise",
    elementwise,
    _elementwise_targets(),
    samples=(
        "x + 1 @ 2,3,H,W",
        "2 ** x @ 2,3,H,W",
        "x + torch.ones(3, 1, 5) @ 2,C,H,W",
        "torch.add(x, torch.ones(4, 1), alpha=2) @ 2,H,W",
        "x.mul(torch.ones(2, 1, 6, 4)) @ 2,3,H,W",
        "torch.ones(5) - x @ 2,3,H,W",
        "F.avg_pool2d(x, 2, (1, 2)) * F.avg_pool2d(x, (1, 2), (3, 2)) @ 2,3,H,W",
        "x.add_(torch.ones(3, 1, 5)) @ 2,3,H,W",
        "x.__imul__(torch.ones(2, 1, 5)) @ H,W",
        "x.add_(torch.ones(1, 4)) @ H,W",
        "torch.maximum(x, torch.ones(4, 3)) @ 2,H,W",
        "torch.lerp(x, torch.ones(4, 3), torch.ones(2, 1, 1)) @ N,H,W",
        "torch.addcmul(x, torch.ones(4, 3), torch.ones(2, 1, 1), value=0.5) @ N,H,W",
        "x > torch.ones(4, 3) @ 2,H,W",
        "torch.logical_and(x, torch.ones(4, 3)) @ 2,H,W",
        "-x @ 2,H,W",
        "torch.ones(x.numel() // x.shape[1]) @ 2,H,W",
        "torch.ones(int(x.numel() / (6 * x.shape[2] / 2 / 3))) @ 2,H,W",
        "torch.ones(int(x.numel() / (x.shape[1] * (x.shape[2] * 12) / 6))) @ 2,H,W",
        "torch.ones(x[:, :, : x.shape[2] // 3 * 3].numel() // (x.shape[1] * (x.shape[2] // 3))) @ 2,H,W",
        "torch.ones(int(6 * x.shape[0] / (10 * x.shape[0] / 5))) @ H",
        "torch.ones(int(x.numel() / x.shape[1] * 1.5)) @ 2,H,W",
        "torch.ones(int(x.shape[0] / 0.4)) @ H",
        "x * (x.shape[0] / ((x.shape[1] - 3) / 2)) @ H,W",
        "torch.ones(int(x.numel() / (49 * x.shape[1] / 7 / 7))) @ 7,H",
        "y[torch.arange(3) % 2 + 1] @ H ; 3,W",
        "y[1 - torch.arange(2).clamp(max=2)] @ H ; 3,W",
        "x.clamp(min=0, max=1) @ 2,H,W",
        "x.masked_fill(torch.ones(4, 1) > 0, 0.0) @ 2,H,W",
        "x * (x.shape[2] - x.shape[1] // 2) @ 2,H,W",
        "x * x.shape[2] ** -0.5 @ 2,H,W",
        "x * (24 // ((x.shape[2] // 2) * (x.shape[1] // 3))) @ 2,H,W",
        "x * (7 % (x.shape[1] // 2)) @ 2,H,W",
        "x[:, 3:] + y[:, 3:] @ 2,H ; 2,W",
        "operator.iadd(x.shape[1], x) @ 2,H",
        "torch.ones((x.shape[0] << 2, x.shape[1] >> 1)) @ H,W",
        "torch.ones((x.shape[0] ** 0, x.shape[0] ** 2, x.shape[0] << 0)) @ H",
        "torch.ones((x.shape[0] & 7, (x.shape[1] & 0) + 1)) @ H,W",
        "torch.ones((13 + x.shape[0] // -1, 9 + x.shape[1] // -2)) @ H,W",
        "torch.ones((x.shape[0] % -3 + 3, x.shape[0] % -1 + 1)) @ H",
    ),
)
register(
    "where",
    where,
    (torch.where, "where"),
    samples=(
        "torch.where(x > 0, x, 0.0) @ 2,H,W",
        "torch.where(x > 0, torch.ones(4, 1), torch.ones(2, 1, 3)) @ N,H,W",
        "torch.where(x > 0, x, other=torch.ones(4, 1)) @ 2,H,W",
    ),
)
