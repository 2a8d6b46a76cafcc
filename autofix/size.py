"""Size: an exact function of the input size, with the arithmetic of sizes. No torch.

A dimension is a plain int, a `Size` (a `Curve` of one input axis) or a `Joint` (several axes at once, as in
H * W). The operators here also define how mixed arithmetic with the search's own expressions is dispatched:
anything that is none of these is given its turn by `NotImplemented`.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any, Final

import numpy as np

from autofix import curve as curves
from autofix.curve import Curve

BATCH = -1  # the batch is an input axis like any other, before the spatial axes 0, 1, 2

Point = Mapping[int, Any]  # input axis -> its size: an int, or an array of sizes that broadcasts
Dim = Any  # int | Size | Joint | an expression of the search; formulas do not look


class _Arithmetic:
    """+ - * // % among ints, sizes and joints."""

    __slots__ = ()

    def __add__(self, other: Dim) -> Dim:
        return _combine("+", self, other)

    def __radd__(self, other: Dim) -> Dim:
        return _combine("+", other, self)

    def __sub__(self, other: Dim) -> Dim:
        return _combine("-", self, other)

    def __rsub__(self, other: Dim) -> Dim:
        return _combine("-", other, self)

    def __mul__(self, other: Dim) -> Dim:
        return _combine("*", self, other)

    def __rmul__(self, other: Dim) -> Dim:
        return _combine("*", other, self)

    def __floordiv__(self, other: Dim) -> Dim:
        return _combine("//", self, other)

    def __rfloordiv__(self, other: Dim) -> Dim:
        return _combine("//", other, self)

    def __mod__(self, other: Dim) -> Dim:
        return _combine("%", self, other)

    def __rmod__(self, other: Dim) -> Dim:
        return _combine("%", other, self)

    def __neg__(self) -> Dim:
        return _combine("*", self, -1)


@dataclass(frozen=True, slots=True)
class Size(_Arithmetic):
    """A curve of one input axis."""

    axis: int
    curve: Curve

    def at(self, point: Point) -> Any:
        n = point[self.axis]
        return self.curve(n) if isinstance(n, int) else self.curve.many(n)

    def __str__(self) -> str:
        from autofix.describe import formula

        return formula(self.curve)


@dataclass(frozen=True)
class Growth:
    """How a joint size behaves along one axis: a polynomial of `degree` on each residue class."""

    settled: int
    period: int
    degree: int


@dataclass(frozen=True)
class Joint(_Arithmetic):
    """An expression over several input axes; `growth` is None where it settles nowhere that is known.

    Parts are shared, so what is asked of a whole expression is worked out once for each part.
    """

    op: str
    left: Dim
    right: Dim
    axes: frozenset[int] = field(init=False, compare=False, repr=False)
    divisors: tuple[Dim, ...] = field(init=False, compare=False, repr=False)
    _hash: int = field(init=False, compare=False, repr=False)

    def __post_init__(self) -> None:
        own = (self.right,) if self.op in ("//", "%") and not isinstance(self.right, int) else ()
        both = (*divisors(self.left), *divisors(self.right), *own)
        object.__setattr__(self, "axes", axes(self.left) | axes(self.right))
        object.__setattr__(self, "divisors", tuple(dict.fromkeys(both)))
        object.__setattr__(self, "_hash", hash((self.op, self.left, self.right)))

    def __hash__(self) -> int:
        return self._hash

    def at(self, point: Point) -> Any:
        if not isinstance(point, Shared):
            return _evaluate(self, point, {})
        value = _evaluate(self, point, point.known)
        point.forget()
        return value

    @property
    def growth(self) -> dict[int, Growth] | None:
        return _growth(self)

    def __str__(self) -> str:
        from autofix.describe import describe

        return describe(self)


def _divisor(b: Any) -> Any:
    """Anything but zero in its place: a condition says nothing of points where it divides by zero."""
    return b or 1 if isinstance(b, int) else np.where(b == 0, 1, b)


_APPLY: dict[str, Callable[[Any, Any], Any]] = {
    "+": lambda a, b: a + b,
    "-": lambda a, b: a - b,
    "*": lambda a, b: a * b,
    "//": lambda a, b: a // _divisor(b),
    "%": lambda a, b: a % _divisor(b),
    "max": np.maximum,
    "min": np.minimum,
}


class Shared(dict[int, Any]):
    """A point, or a grid, of which much is asked: what is worked out there is known from then on."""

    def __init__(self, point: Point) -> None:
        super().__init__(point)
        self.known: dict[Joint, Any] = {}
        self.most = MOST_KEPT // max(1, math.prod(np.size(sizes) for sizes in point.values()))

    def forget(self) -> None:
        """Keep no more than there is room for."""
        if len(self.known) > self.most:
            self.known.clear()


MOST_KEPT: Final = 50_000_000  # numbers


def _evaluate(dim: Dim, point: Point, known: dict[Joint, Any]) -> Any:
    if not isinstance(dim, Joint):
        return at(dim, point)
    if dim not in known:
        known[dim] = _APPLY[dim.op](_evaluate(dim.left, point, known), _evaluate(dim.right, point, known))
    return known[dim]


def variable(axis: int) -> Size:
    """The input size along an axis itself."""
    return Size(axis, curves.line())


def at(dim: Dim, point: Point) -> Any:
    """The value of any dimension at one point, or at a grid of them."""
    return dim if isinstance(dim, int) else dim.at(point)


def is_dim(value: Any) -> bool:
    """Whether a value is a dimension: an int, a size, a joint, or an expression of the search."""
    return isinstance(value, int | Size | Joint) or hasattr(value, "larger")


def identical(left: Dim, right: Dim) -> bool:
    """Whether two dimensions are the same function of the input size; an expression is only like itself."""
    known = int | Size | Joint
    return left is right or (isinstance(left, known) and isinstance(right, known) and left == right)


def axes(dim: Dim) -> frozenset[int]:
    """The input axes a dimension depends on."""
    if isinstance(dim, Size):
        return frozenset((dim.axis,))
    return dim.axes if isinstance(dim, Joint) else frozenset()


def divisors(dim: Dim) -> tuple[Dim, ...]:
    """What a dimension is divided by, numbers apart."""
    return dim.divisors if isinstance(dim, Joint) else ()


def _of(axis: int, curve: Curve) -> Dim:
    return int(curve.table[0]) if curve.constant else Size(axis, curve)


def _combine(op: str, left: Dim, right: Dim) -> Dim:
    if not isinstance(left, int | Size | Joint) or not isinstance(right, int | Size | Joint):
        return NotImplemented
    if isinstance(left, Size) and isinstance(right, int):
        simple = _with_int(op, left, right)
    elif isinstance(left, int) and isinstance(right, Size):
        simple = _from_int(op, left, right)
    elif isinstance(left, Size) and isinstance(right, Size) and left.axis == right.axis:
        simple = _same_axis(op, left, right)
    else:
        simple = None
    return _joint(op, left, right) if simple is None else simple


def _with_int(op: str, size: Size, number: int) -> Dim | None:
    match op:
        case "+":
            return _of(size.axis, curves.scale(size.curve, 1, number))
        case "-":
            return _of(size.axis, curves.scale(size.curve, 1, -number))
        case "*":
            return _of(size.axis, curves.scale(size.curve, number, 0))
        case "//" if number > 0:
            return _of(size.axis, curves.floor_divide(size.curve, number))
        case "%" if number > 0:
            return _of(size.axis, curves.remainder(size.curve, number))
        case "max":
            return _of(size.axis, curves.maximum(size.curve, curves.line(0, number)))
        case "min":
            return _of(size.axis, curves.minimum(size.curve, curves.line(0, number)))
    return None


def _from_int(op: str, number: int, size: Size) -> Dim | None:
    match op:
        case "+" | "*" | "max" | "min":
            return _with_int(op, size, number)
        case "-":
            return _of(size.axis, curves.scale(size.curve, -1, number))
        case "//" if number == 0:
            return 0
    return None


def _same_axis(op: str, left: Size, right: Size) -> Dim | None:
    match op:
        case "*":
            times = curves.multiply(left.curve, right.curve)
            return None if times is None else _of(left.axis, times)
        case "+":
            return _of(left.axis, curves.add(left.curve, right.curve))
        case "-":
            return _of(left.axis, curves.add(left.curve, curves.scale(right.curve, -1, 0)))
        case "max":
            return _of(left.axis, curves.maximum(left.curve, right.curve))
        case "min":
            return _of(left.axis, curves.minimum(left.curve, right.curve))
    return None


def _joint(op: str, left: Dim, right: Dim) -> Dim:
    if op == "*" and (left == 0 or right == 0):
        return 0
    if (op in ("+", "-") and right == 0) or (op in ("*", "//") and right == 1):
        return left
    if (op == "+" and left == 0) or (op == "*" and left == 1):
        return right
    if op == "//" and isinstance(right, int) and right > 1 and isinstance(left, Joint) and left.op == "*":
        rest, divisor = _cancel(left, right)
        if divisor != right:
            return rest // divisor
    if op == "max" and 0 in (left, right) and _never_negative(left) and _never_negative(right):
        return right if left == 0 else left
    if op == "*" and isinstance(left, int):
        left, right = right, left
    if op == "*" and isinstance(right, int) and isinstance(left, Joint) and left.op == "*":
        return _gathered(left, right)
    return _made(op, left, right)


_made = lru_cache(maxsize=1 << 16)(Joint)  # one object for one expression, so that comparing two is quick


@lru_cache(maxsize=1 << 14)
def _never_negative(dim: Dim) -> bool:
    if isinstance(dim, Joint):
        return dim.op != "-" and _never_negative(dim.left) and _never_negative(dim.right)
    if isinstance(dim, Size):
        return dim.curve.rise >= 0 and int(dim.curve.table.min()) >= 0
    return bool(dim >= 0)


def _gathered(product: Joint, factor: int) -> Dim:
    """(x * k) * factor with one constant, on the right."""
    if isinstance(product.right, int):
        return product.left * (product.right * factor)
    return _made("*", product, factor)


def _cancel(product: Joint, divisor: int) -> tuple[Dim, int]:
    """(k * x) // (k * d) == x // d: a product and a divisor without their common constant factors."""
    factors = []
    for factor in (product.left, product.right):
        rest, common = factor, math.gcd(divisor, content(factor))
        if isinstance(factor, Joint) and factor.op == "*":
            rest, divisor = _cancel(factor, divisor)
        elif common > 1:
            rest, divisor = factor // common, divisor // common
        factors.append(rest)
    return factors[0] * factors[1], divisor


@lru_cache(maxsize=1 << 14)
def _growth(dim: Dim) -> dict[int, Growth] | None:
    if isinstance(dim, int):
        return {}
    if isinstance(dim, Size):
        return {dim.axis: Growth(dim.curve.settled, dim.curve.period, 1 if dim.curve.rise else 0)}
    left, right = _growth(dim.left), _growth(dim.right)
    if left is None or right is None or dim.op in ("max", "min"):
        return None
    if dim.op in ("//", "%"):
        return _divided(left, dim.right, dim.op) if isinstance(dim.right, int) and dim.right > 0 else None
    merged = {}
    for axis in left.keys() | right.keys():
        a, b = left.get(axis, Growth(0, 1, 0)), right.get(axis, Growth(0, 1, 0))
        degree = a.degree + b.degree if dim.op == "*" else max(a.degree, b.degree)
        merged[axis] = Growth(max(a.settled, b.settled), math.lcm(a.period, b.period), degree)
    return merged


def _divided(growth: dict[int, Growth], divisor: int, op: str) -> dict[int, Growth]:
    """Integer polynomials repeat modulo the divisor once the turn count does."""
    degrees = {axis: g.degree if op == "//" else 0 for axis, g in growth.items()}
    return {axis: Growth(g.settled, g.period * divisor, degrees[axis]) for axis, g in growth.items()}


def content(dim: Dim) -> int:
    """The largest known integer that divides a dimension at every size."""
    if isinstance(dim, int):
        return abs(dim)
    return curves.content(dim.curve) if isinstance(dim, Size) else 1


def larger(left: Dim, right: Dim) -> Dim:
    """max(left, right) for ints, sizes, and expressions that define it."""
    if isinstance(left, int) and isinstance(right, int):
        return max(left, right)
    combined = _combine("max", left, right)
    if combined is not NotImplemented:
        return combined
    return left.larger(right) if hasattr(left, "larger") else right.larger(left)


def smaller(left: Dim, right: Dim) -> Dim:
    """min(left, right)."""
    if isinstance(left, int) and isinstance(right, int):
        return min(left, right)
    return -larger(-left, -right)


def ceil_divide(dim: Dim, divisor: Dim) -> Dim:
    """The smallest integer not below dim / divisor."""
    return -((-dim) // divisor)


def product(dims: Any) -> Dim:
    """The product of dimensions; 1 for none. The constants are gathered in front."""
    constant, symbolic = 1, []
    for dim in dims:
        if isinstance(dim, int):
            constant *= dim
        else:
            symbolic.append(dim)
    result: Dim = 1
    for dim in symbolic:
        result = dim if isinstance(result, int) else result * dim
    return result * constant if symbolic else constant
