"""The functions of Python's operator module on sizes: exact arithmetic; comparisons give conditions."""

from __future__ import annotations

import operator
from collections.abc import Callable
from typing import Any, Final

import torch

from autofix import ratio
from autofix.condition import Condition, all_of, any_of, equal, negated
from autofix.ops.base import Tensor, Unmodelled
from autofix.ops.join import Repeated
from autofix.ratio import NotExactError, Ratio
from autofix.size import Dim, is_dim, larger, product

_PLAIN = int | float | complex | str | torch.dtype | torch.device | None


def number(name: str, *operands: Any) -> Any:
    """`add`, `iadd`, `lt` ... on numbers, sizes, ratios, truths and shapes."""
    name = name if name in _EXACT else name.removeprefix("i")
    name = {"and": "and_", "or": "or_"}.get(name, name)
    if all(isinstance(value, _PLAIN) for value in operands):
        return getattr(operator, name)(*operands)
    if any(isinstance(value, tuple | list) for value in operands):
        return _sequence(name, *operands)
    if name not in _EXACT:
        raise Unmodelled(f"{name} of a size")
    try:
        return _EXACT[name](*operands)
    except NotExactError as reason:
        raise Unmodelled(f"{name}: {reason}") from reason


def _sequence(name: str, left: Any, right: Any = None) -> Any:
    """Concatenation, repetition and comparison of shapes."""
    both = isinstance(left, tuple | list) and isinstance(right, tuple | list)
    if both and name == "add":
        return (*left, *right)
    if name == "mul" and not both:
        items, count = (left, right) if isinstance(left, tuple | list) else (right, left)
        if is_dim(count):
            return items * count if isinstance(count, int) else Repeated(items, count)
    if not both or name not in ("eq", "ne"):
        raise Unmodelled(f"{name} of a shape")
    same = len(left) == len(right) and all_of(number("eq", a, b) for a, b in zip(left, right, strict=True))
    return same if name == "eq" else negation(same)


def negation(value: Any) -> Any:
    """`not value`."""
    return negated(truth(value))


def truth(value: Any) -> Any:
    """bool of a number or a condition: a size is true where it is not 0."""
    if isinstance(value, Condition | bool):
        return value
    if not _whole(value):
        raise Unmodelled(f"the truth of {type(value).__name__}")
    return value != 0 if isinstance(value, int) else ~equal(value, 0)


def _whole(*values: Any) -> bool:
    """Whether Python's own operators keep them exact: ints and dimensions."""
    return all(is_dim(value) and not isinstance(value, bool) for value in values)


def _add(a: Any, b: Any) -> Any:
    return a + b if _whole(a, b) else ratio.add(a, b)


def _negative(a: Any) -> Any:
    return ratio.negative(a) if isinstance(a, Ratio) else -a


def _multiply(a: Any, b: Any) -> Any:
    return a * b if _whole(a, b) else ratio.multiply(a, b)


def _divide(a: Any, b: Any) -> Any:
    if isinstance(b, Ratio) or (_whole(b) and not isinstance(b, int)):
        return Tensor(())  # some number, as in flow * (w / w_before): no size any more
    return ratio.divide(a, b)


def _floor_divide(a: Any, b: Any) -> Any:
    if isinstance(b, int) and b < 0:
        a, b = _negative(a), -b
    if isinstance(b, float) and ratio.simplest(b) != b:
        raise NotExactError(f"Python's a // {b} is not floor(a / {b})")  # 19 // 0.38 is 49, 19 / 0.38 is 50
    return a // b if _whole(a, b) else ratio.divide(a, b).floor()


def _remainder(a: Any, b: Any) -> Any:
    if not _whole(a, b):
        raise NotExactError("the remainder of a fraction of a size")
    return -(-a % -b) if isinstance(b, int) and b < 0 else a % b


def _power(a: Any, b: Any) -> Any:
    if _whole(a) and isinstance(b, float) and not b.is_integer():
        return Tensor(())  # some number, as in x * n**-0.5: no size any more
    if not (_whole(a) and isinstance(b, int) and b >= 0):
        raise NotExactError("only a size to a fixed whole power")
    return product((a,) * b)


def _shift(a: Any, b: Any, apply: Callable[[Any, int], Any]) -> Any:
    if not (_whole(a) and isinstance(b, int)):
        raise NotExactError("only a size shifted by a fixed number of bits")
    return apply(a, 1 << b)


def absolute(a: Any) -> Any:
    """abs of a dimension."""
    if not _whole(a):
        raise NotExactError("the absolute value of a fraction of a size")
    return larger(a, -a)


def _equal(a: Any, b: Any) -> Any:
    if a is None or b is None or isinstance(a, str) or isinstance(b, str):
        return False
    if all(isinstance(value, Condition | bool) for value in (a, b)):
        return negation(a) if b is False else a if b is True else _both_or_neither(a, b)
    return ratio.same(a, b)


def _both_or_neither(a: Any, b: Any) -> Any:
    if a is True or a is False:
        return _equal(b, a)
    return any_of((all_of((a, b)), all_of((~a, ~b))))


def _and(a: Any, b: Any) -> Any:
    if _whole(a, b):
        return low_bits(a, b)
    return all_of((_condition(a), _condition(b)))


def low_bits(a: Dim, mask: Any) -> Dim:
    """n & (2**k - 1)."""
    if not isinstance(mask, int) or mask < 0 or mask & (mask + 1):
        raise NotExactError("bits of a size other than the lowest ones")
    return a % (mask + 1)


def _condition(value: Any) -> Any:
    if isinstance(value, Condition | bool):
        return value
    raise NotExactError(f"{type(value).__name__} where a condition is expected")


_EXACT: Final[dict[str, Callable[..., Any]]] = {
    "add": _add,
    "sub": lambda a, b: a - b if _whole(a, b) else ratio.add(a, _negative(b)),
    "mul": _multiply,
    "truediv": _divide,
    "floordiv": _floor_divide,
    "mod": _remainder,
    "pow": _power,
    "lshift": lambda a, b: _shift(a, b, operator.mul),
    "rshift": lambda a, b: _shift(a, b, operator.floordiv),
    "neg": _negative,
    "pos": lambda a: a,
    "abs": absolute,
    "ge": ratio.not_below,
    "le": lambda a, b: ratio.not_below(b, a),
    "lt": lambda a, b: ~ratio.not_below(a, b),
    "gt": lambda a, b: ~ratio.not_below(b, a),
    "eq": _equal,
    "ne": lambda a, b: negation(_equal(a, b)),
    "and_": _and,
    "or_": lambda a, b: negation(all_of((negation(_condition(a)), negation(_condition(b))))),
    "invert": lambda a: ~a if isinstance(a, Condition) else -a - 1,
    "not_": negation,
}
