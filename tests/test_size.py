"""Sizes and joints against plain Python, what they simplify to, and their formulas against their values."""

from __future__ import annotations

import itertools
import operator
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from autofix.describe import describe, formula
from autofix.ratio import rational
from autofix.size import (
    BATCH,
    Joint,
    Size,
    at,
    axes,
    ceil_divide,
    larger,
    product,
    smaller,
    variable,
)

B, H, W = variable(BATCH), variable(0), variable(1)
NAMES = {BATCH: "B", 0: "H", 1: "W"}
POINTS = [{BATCH: b, 0: h, 1: w} for b in (1, 2, 3) for h in range(1, 14) for w in range(1, 14, 2)]

Pair = tuple[Any, Callable[[dict[int, int]], int]]
OPERATIONS: list[tuple[Callable[[Any, Any], Any], Callable[[int, int], int]]] = [
    (operator.add, operator.add),
    (operator.sub, operator.sub),
    (operator.mul, operator.mul),
    (larger, max),
    (smaller, min),
]
DIVISIONS: list[tuple[Callable[[Any, int], Any], Callable[[int, int], int]]] = [
    (operator.floordiv, operator.floordiv),
    (operator.mod, operator.mod),
    (ceil_divide, lambda a, b: -(-a // b)),
]


def combine(left: Pair, right: Pair, operation: Any) -> Pair:
    (a, f), (b, g) = left, right
    exact, plain = operation
    return exact(a, b), lambda point: plain(f(point), g(point))


def divided(pair: Pair, divisor: int, operation: Any) -> Pair:
    dim, f = pair
    exact, plain = operation
    return exact(dim, divisor), lambda point: plain(f(point), divisor)


def leaf(axis: int) -> Pair:
    return variable(axis), lambda point: point[axis]


def constant(value: int) -> Pair:
    return value, lambda point: value


leaves = st.sampled_from([BATCH, 0, 1]).map(leaf) | st.integers(-4, 4).map(constant)
along_h = st.just(leaf(0)) | st.integers(-4, 4).map(constant)


def grown(inner: st.SearchStrategy[Pair]) -> st.SearchStrategy[Pair]:
    return st.builds(combine, inner, inner, st.sampled_from(OPERATIONS)) | st.builds(
        divided, inner, st.integers(1, 5), st.sampled_from(DIVISIONS)
    )


dims = st.recursive(leaves, grown, max_leaves=6)
single = st.recursive(along_h, grown, max_leaves=5)


@given(dims)
def test_a_dimension_has_the_values_of_its_expression(pair: Pair) -> None:
    dim, f = pair
    assert [int(at(dim, point)) for point in POINTS] == [f(point) for point in POINTS]


@given(dims)
def test_a_dimension_depends_on_its_axes_only(pair: Pair) -> None:
    dim, _ = pair
    used = axes(dim)
    pinned = [{axis: n if axis in used else 1 for axis, n in point.items()} for point in POINTS]
    assert [int(at(dim, p)) for p in pinned] == [int(at(dim, p)) for p in POINTS]


@given(dims)
def test_growth_is_a_polynomial_on_every_residue(pair: Pair) -> None:
    dim, f = pair
    growth = dim.growth if isinstance(dim, Joint) else None
    for axis, grows in (growth or {}).items():
        others = {BATCH: 3, 0: 5, 1: 4}
        steps = range(grows.degree + 2)
        for start in range(grows.settled + 1, grows.settled + min(grows.period, 40) + 1):
            values = [f({**others, axis: start + k * grows.period}) for k in steps]
            for _ in range(grows.degree + 1):
                values = [b - a for a, b in itertools.pairwise(values)]
            assert values == [0]


@given(dims)
def test_a_formula_is_exact(pair: Pair) -> None:
    dim, f = pair
    text = describe(dim, NAMES)
    if " for " in text:  # listed
        return
    for point in POINTS:
        scope = {"B": point[BATCH], "H": point[0], "W": point[1], "max": max, "min": min}
        assert eval(text, scope) == f(point), text


@given(single, single)
def test_equal_sizes_are_one_object_of_thought(left: Pair, right: Pair) -> None:
    (a, f), (b, g) = left, right
    if not all(isinstance(dim, int | Size) for dim in (a, b)):
        return
    assert (a == b) == all(f({0: n}) == g({0: n}) for n in range(1, 4000))


@pytest.mark.parametrize(
    ("dim", "text"),
    [
        (H, "H"),
        (H - 2, "H - 2"),
        (3 - 2 * H, "3 - 2*H"),
        ((H + 3) // 4, "(H + 3)//4"),
        ((H - 3) // 2 + 1, "(H - 1)//2"),
        ((H - 2) // 2, "H//2 - 1"),
        (3 * H // 2, "3*H//2"),
        (2 * (H // 2), "2*(H//2)"),
        (8 * ((H + 7) // 8), "8*((H + 7)//8)"),
        (8 * ((H + 7) // 8) - 1, "8*((H + 7)//8) - 1"),
        (((H + 1) // 2 + 1) // 2, "(H + 3)//4"),
        (larger(H - 5, 0), "max(H - 5, 0)"),
        (smaller(H, 5), "min(H, 5)"),
        ((larger(H, 7) - 7) // 2 + 1, "max((H - 5)//2, 1)"),
        (-H % 32, "-H % 32"),
        ((H + 1) % 4, "(H + 1) % 4"),
        (H + H % 3, "H + H % 3"),
        (B * (H // 2) * W * 16, "B*(H//2)*W*16"),
        (H * W // 7, "H*W//7"),
        (H * (W % 3), "H*(W % 3)"),
        ((H - 1) * (W + 1) - 3, "(H - 1)*(W + 1) - 3"),
        (H - (W - 1), "H - (W - 1)"),
        (larger(H * W, 5), "max(H*W, 5)"),
        (H // 2 + H % 3, "1, 3, 1, 3, 4, 3 for H = 1, 2, ...; then +3 every 6"),
    ],
)
def test_formulas_read_well(dim: Any, text: str) -> None:
    assert describe(dim, NAMES) == text


def test_without_names_axes_are_numbered() -> None:
    assert str(B * (H - 1) * W) == "B*(n0 - 1)*n1"
    assert str(H // 2) == "n//2"
    assert formula((H // 2).curve, "W") == "W//2"


@pytest.mark.parametrize(
    ("dim", "simple"),
    [
        (H - H, 0),
        (H - H + 3, 3),
        (H % 1, 0),
        ((2 * H) % 2, 0),
        (2 * (H // 2) + H % 2, H),
        (larger(H, 1), H),
        (smaller(H, 0), 0),
        (B * W * 16 * 3, B * W * 48),
        ((B * 16 * W) // 8, (2 * B) * W),
        ((B * W * 16) // 24, (B * W * 2) // 3),
        ((H * 6 * W * 5) // 10, (H * 3) * W),
        (0 * (B * H), 0),
        (product((2, H, 3)), 6 * H),
        (product(()), 1),
        (larger(5 - H, 0) * smaller(H, 5), smaller(H, 5) * larger(5 - H, 0)),
    ],
)
def test_arithmetic_simplifies(dim: Any, simple: Any) -> None:
    assert dim == simple


@given(st.integers(1, 40), st.integers(1, 40))
def test_a_rational_factor_is_what_floats_compute(numerator: int, denominator: int) -> None:
    factor = numerator / denominator
    fraction = rational(factor)
    if fraction is not None:
        assert all(int(n * factor) == n * fraction.numerator // fraction.denominator for n in range(2000))


def test_a_factor_that_floats_round_down_is_refused() -> None:
    assert int(90 * 0.7) == 62
    assert rational(0.7) is None
