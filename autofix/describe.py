"""Sizes in words: the shortest exact formula of a curve, and of a dimension over several axes. No torch.

A formula is Python: `(n + 1)//2`, `8*((n + 7)//8)`, `max(n - 5, 0)`, `-n % 32`. Where a curve has none of
these forms its values are listed.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator, Mapping
from fractions import Fraction
from functools import lru_cache
from typing import Final

import numpy as np

from autofix import curve as curves
from autofix.curve import Curve, Table
from autofix.size import BATCH, Dim, Joint, Size
from autofix.steps import Steps

LISTED: Final = 12  # values of a curve that is listed
_STRENGTH: Final = {"+": 1, "-": 1, "*": 2, "//": 2, "%": 2}
_OPERATORS: Final = {ast.Add: 1, ast.Sub: 1, ast.Mult: 2, ast.FloorDiv: 2, ast.Mod: 2}
_ATOM: Final = 4


def describe(dim: Dim, names: Mapping[int, str] | None = None) -> str:
    """A dimension as a formula of its axes; without names they are n0, n1 ... and B for the batch."""
    if isinstance(dim, Size):
        return formula(dim.curve, _name(dim.axis, names))
    if not isinstance(dim, Joint):
        return str(dim)
    left, right = describe(dim.left, names), describe(dim.right, names)
    if dim.op in ("max", "min"):
        return f"{dim.op}({left}, {right})"
    strength = _STRENGTH[dim.op]
    divided = dim.op == "*" and isinstance(_operator(left), ast.FloorDiv | ast.Mod)  # exact, but hard to read
    left = left if _strength(left) >= strength and not divided else f"({left})"
    loose = dim.op == "+" or (dim.op == "*" and "//" not in right and "%" not in right)
    right = right if _strength(right) > strength or (loose and _strength(right) == strength) else f"({right})"
    return f"{left} {dim.op} {right}" if strength == 1 else f"{left}{dim.op}{right}"


def _name(axis: int, names: Mapping[int, str] | None) -> str:
    usual = "B" if axis == BATCH else f"n{axis}"
    return usual if names is None else names.get(axis, usual)


def _operator(text: str) -> ast.operator | None:
    """The operator that a text applies last."""
    try:
        top = ast.parse(text, mode="eval").body
    except SyntaxError:
        return None
    return top.op if isinstance(top, ast.BinOp) else None


def _strength(text: str) -> int:
    """How tightly a text holds together: 1 a sum, 2 a product, 3 a sign, 4 a name, number or call."""
    try:
        top = ast.parse(text, mode="eval").body
    except SyntaxError:
        return 0
    if isinstance(top, ast.UnaryOp):
        return 3
    return _OPERATORS[type(top.op)] if isinstance(top, ast.BinOp) else _ATOM


@lru_cache(maxsize=4096)
def formula(curve: Curve, name: str = "n") -> str:
    """A curve as a formula of its axis."""
    if isinstance(curve.table, Steps):
        return next(_stairs(curve, name), None) or _listed(curve, name)
    kinds = (_floor, _scaled, _remainder, _line_and_remainder) if curve.settled == 0 else (_clamped,)
    for kind in kinds:
        texts = list(kind(curve, name))
        if texts:
            return min(texts, key=len)
    return _listed(curve, name)


def _stairs(curve: Curve, name: str) -> Iterator[str]:
    """(n + c)//q + b, of a curve that repeats too late to be listed."""
    starts, period = curve.table.starts + 1, curve.period
    if curve.settled or curve.rise != 1 or len(starts) > 2:
        return
    inside = -int(starts[-1]) % period
    outer = curve(int(starts[-1])) - (int(starts[-1]) + inside) // period
    ends = (1, int(starts[-1]) - 1 or 1, int(starts[-1]), period)
    if all((n + inside) // period + outer == curve(n) for n in ends):
        yield _plus(f"({_plus(name, inside)})//{period}" if inside else f"{name}//{period}", outer)


def _listed(curve: Curve, name: str) -> str:
    count = curve.settled + curve.period
    values = ", ".join(str(curve(n)) for n in range(1, min(count, LISTED) + 1))
    dots = ", ..." if count > LISTED else ""
    return f"{values}{dots} for {name} = 1, 2, ...; then +{curve.rise} every {curve.period}"


def _plus(text: str, number: int) -> str:
    if not text:
        return str(number)
    return f"{text} + {number}" if number > 0 else f"{text} - {-number}" if number else text


def _times(factor: int, text: str) -> str:
    """factor * text, of a text that holds together as a product's right side must."""
    if factor == 1:
        return text
    held = text if _strength(text) > 2 else f"({text})"
    return f"-{held}" if factor == -1 else f"{factor}*{held}"


def _floor(curve: Curve, name: str) -> Iterator[str]:
    """(p*n + c)//q + b, with the one c that fits the whole period, if any."""
    slope = Fraction(curve.rise, curve.period)
    p, q = slope.numerator, slope.denominator
    sizes = np.arange(1, curve.period + 1)
    lowest = int((curve.table * q - p * sizes).max())
    if not np.array_equal((p * sizes + lowest) // q, curve.table):
        return
    scaled = _times(p, name) if p else ""
    if q == 1:
        yield f"{lowest} - {_times(-p, name)}" if p < 0 < lowest else _plus(scaled, lowest)
        return
    for outer in {lowest // q, -(-lowest // q), 0}:
        inside = _plus(scaled, lowest - outer * q)
        yield _plus(f"{inside}//{q}" if _strength(inside) > 1 else f"({inside})//{q}", outer)


def _scaled(curve: Curve, name: str) -> Iterator[str]:
    """a*f + b, of a curve whose values are equal modulo a."""
    factor = _step(curve)
    if factor < 2 or curve.period == 1:
        return
    base = int(curve.table[0]) % factor
    for offset in {base, base - factor}:
        inner = curves.scale(curve, 1, -offset)
        inner = Curve(inner.table // factor, 0, inner.period, inner.rise // factor)
        for text in [*_floor(inner, name), *_remainder(inner, name)]:
            yield _plus(_times(factor, text), offset)


def _step(curve: Curve) -> int:
    """The largest number modulo which all values are equal."""
    return int(np.gcd.reduce(np.append(curve.table - curve.table[0], curve.rise)))


def _remainder(curve: Curve, name: str) -> Iterator[str]:
    """(n + c) % m + b and (c - n) % m + b."""
    period = curve.period
    if curve.rise or period == 1:
        return
    lowest = int(curve.table.min())
    values = curve.table - lowest
    sizes = np.arange(1, period + 1)
    upward, downward = int(values[0] - 1) % period, int(values[0] + 1) % period
    if _equal((sizes + upward) % period, values):
        short = upward - period if 2 * upward > period else upward
        inside = _plus(name, short)
        yield _plus(f"{inside} % {period}" if inside == name else f"({inside}) % {period}", lowest)
    if _equal((downward - sizes) % period, values):
        yield _plus(f"({downward} - {name}) % {period}" if downward else f"-{name} % {period}", lowest)


def _line_and_remainder(curve: Curve, name: str) -> Iterator[str]:
    """p*n + (n + c) % m + b."""
    slope = curve.rise // curve.period
    if slope == 0 or curve.rise % curve.period:
        return
    for text in _remainder(curves.add(curve, curves.line(-slope, 0)), name):
        yield f"{_times(slope, name)} + {text}"


def _equal(left: Table, right: Table) -> bool:
    return bool(np.array_equal(left, right))


def _clamped(curve: Curve, name: str) -> Iterator[str]:
    """max or min of what the curve is in the end and what it is at first."""
    tail = _without_head(curve)
    if tail is None:
        return
    first, last = int(curve.table[0]), int(curve.table[curve.settled - 1])
    starts = [curves.line(0, first), curves.line(0, last)]
    if curve.settled > 1:
        slope = int(curve.table[1]) - first
        starts.append(curves.line(slope, first - slope))
    for start in starts:
        for word, clamp in (("max", curves.maximum), ("min", curves.minimum)):
            if clamp(tail, start) == curve:
                texts = sorted((formula(tail, name), formula(start, name)), key=lambda text: name not in text)
                yield f"{word}({', '.join(texts)})"


def _without_head(curve: Curve) -> Curve | None:
    """The curve that continues the tail back to n = 1."""
    turns = -(-curve.settled // curve.period)
    sizes = np.arange(1, curve.period + 1)
    table = curve.many(sizes + turns * curve.period) - turns * curve.rise
    return curves.normal(table, 0, curve.period, curve.rise)
