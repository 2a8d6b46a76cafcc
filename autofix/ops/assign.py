"""Assignment to a part of a tensor: x[index] = value."""

from __future__ import annotations

import operator
from itertools import dropwhile
from typing import Any

from autofix.fault import Code
from autofix.ops.base import Call, Tensor, Unmodelled, register, same_number
from autofix.ops.index import Integers, part
from autofix.ops.join import broadcast_into
from autofix.size import Dim, identical


def setitem(call: Call, input: Any, index: Any, value: Any) -> None:
    """operator.setitem on tensors: the value is expandable to what the index names; its leading ones go."""
    if not isinstance(input, Tensor):
        raise Unmodelled(f"assignment to an item of {type(input).__name__}")
    if isinstance(index, Tensor) and not isinstance(index, Integers):
        _masked(call, input, index, value)
        return
    target = part(call, input, index, nothing=True)
    if isinstance(value, Tensor):
        given = dropwhile(lambda n: identical(n, 1), value.shape)
        broadcast_into(call, target.shape, tuple(given))


def set_data(call: Call, input: Any, name: str, value: Any) -> None:
    """x.data = value, as a layer masks its own weights: a tensor of the same shape."""
    if name != "data" or _shape(input) != _shape(value):
        raise Unmodelled(f"assignment of another shape to {name}")


def _shape(value: Any) -> tuple[Dim, ...]:
    if not isinstance(value, Tensor):
        raise Unmodelled(f"assignment of {type(value).__name__}")
    return value.shape


def _masked(call: Call, input: Tensor, mask: Tensor, value: Any) -> None:
    """x[mask] = number, with a mask of x's own shape."""
    if isinstance(value, Tensor) or mask.ndim != input.ndim:
        raise Unmodelled("assignment of a tensor, or of a part, by a mask")
    for mine, theirs in zip(input.shape, mask.shape, strict=True):
        same_number(call, theirs, mine, Code.JOIN, "the mask has the shape of the tensor")


register(
    "setitem",
    setitem,
    (operator.setitem,),
    samples=(
        "(lambda y: (setitem(y, (slice(None), slice(0, 2)), 0.0), y)[1])(x * 1) @ 2,3,H",
        "(lambda y: (setitem(y, (slice(None), slice(None), slice(1, -1)), x), y)[1])(x * 1) @ 2,3,H",
        "(lambda z: (setitem(z, (slice(None), slice(None, 4)), y), z)[1])(x * 1) @ 2,6,H ; 1,2,4,W",
        "(lambda z: (setitem(z, (slice(None), slice(None), 3), y), z)[1])(x * 1) @ 2,6,H ; 6",
        "(lambda z: (setitem(z, y > 0, 0.0), z)[1])(x * 1) @ 2,6,H ; 2,6,W",
    ),
)
register(
    "set data",
    set_data,
    (setattr,),
    samples=("(lambda y: (setattr(y, 'data', x * 2), y)[1])(x * 1) @ 2,3,H",),
)
