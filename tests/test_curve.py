"""Curves against plain Python on a range of sizes, and the uniqueness of their normal form."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from autofix import curve as curves
from autofix.curve import Curve, CurveTooLong

SIZES = range(1, 200)

Function = Callable[[int], int]
Pair = tuple[Curve, Function]

small = st.integers(-7, 7)
divisors = st.integers(1, 6)


def unary(pair: Pair) -> st.SearchStrategy[Pair]:
    curve, f = pair
    return st.one_of(
        st.builds(lambda a, b: (curves.scale(curve, a, b), lambda n: a * f(n) + b), small, small),
        st.builds(lambda d: (curves.floor_divide(curve, d), lambda n: f(n) // d), divisors),
        st.builds(lambda d: (curves.remainder(curve, d), lambda n: f(n) % d), divisors),
        st.builds(lambda c: (curves.at_least(curve, c), lambda n: int(f(n) >= c)), small),
        st.just((curves.zero(curve), lambda n: int(f(n) == 0))),
    )


def binary(pairs: tuple[Pair, Pair]) -> st.SearchStrategy[Pair]:
    (a, f), (b, g) = pairs
    results: list[Pair] = [
        (curves.add(a, b), lambda n: f(n) + g(n)),
        (curves.maximum(a, b), lambda n: max(f(n), g(n))),
        (curves.minimum(a, b), lambda n: min(f(n), g(n))),
    ]
    product = curves.multiply(a, b)
    if product is not None:
        results.append((product, lambda n: f(n) * g(n)))
    return st.sampled_from(results)


lines = st.builds(lambda a, b: (curves.line(a, b), lambda n: a * n + b), st.integers(-3, 3), small)
pairs = st.recursive(
    lines, lambda inner: inner.flatmap(unary) | st.tuples(inner, inner).flatmap(binary), max_leaves=4
)


@given(pairs)
def test_a_curve_has_the_values_of_its_function(pair: Pair) -> None:
    curve, f = pair
    assert [curve(n) for n in SIZES] == [f(n) for n in SIZES]


@given(pairs)
def test_many_sizes_at_once_are_the_single_ones(pair: Pair) -> None:
    curve, _ = pair
    assert curve.many(curves.np.array(SIZES)).tolist() == [curve(n) for n in SIZES]


@given(pairs, pairs)
def test_equal_functions_have_equal_curves(left: Pair, right: Pair) -> None:
    (a, f), (b, g) = left, right
    last = max(a.settled, b.settled) + a.period * b.period
    same = all(f(n) == g(n) for n in range(1, last + 1)) and a.rise * b.period == b.rise * a.period
    assert (a == b) == same
    if same:
        assert hash(a) == hash(b)


@given(pairs)
def test_another_way_to_the_same_function_gives_the_same_curve(pair: Pair) -> None:
    curve, _ = pair
    half = curves.floor_divide(curve, 2)
    assert curves.add(curves.scale(half, 2, 0), curves.remainder(curve, 2)) == curve
    assert curves.scale(curves.scale(curve, -1, 3), -1, 3) == curve
    assert curves.maximum(curve, curves.scale(curve, 1, -1)) == curve


@given(pairs)
def test_the_normal_form_is_the_shortest(pair: Pair) -> None:
    curve, _ = pair
    assert len(curve.table) == curve.settled + curve.period
    for period in range(1, curve.period):
        if curve.rise * period % curve.period == 0:
            rise = curve.rise * period // curve.period
            start = curve.settled + 1
            assert any(curve(n + period) != curve(n) + rise for n in range(start, start + curve.period))
    if curve.settled:
        assert curve(curve.settled + curve.period) != curve(curve.settled) + curve.rise


@given(pairs, st.integers(1, 30), st.none() | st.integers(30, 90))
def test_the_smallest_failure_is_found(pair: Pair, lowest: int, highest: int | None) -> None:
    curve, f = pair
    indicator = curves.at_least(curve, 0)
    failing = [n for n in range(lowest, (highest or 400) + 1) if f(n) < 0]
    assert indicator.smallest(lowest, highest) == (failing[0] if failing else None)


@settings(max_examples=20)
@given(pairs, st.integers(0, 9), st.integers(1, 3))
def test_stretching_changes_nothing(pair: Pair, more: int, times: int) -> None:
    curve, f = pair
    settled, period = curve.settled + more, curve.period * times
    table = curve.stretch(settled, period)
    assert table.tolist() == [f(n) for n in range(1, settled + period + 1)]
    assert curves.normal(table, settled, period, curve.rise * times) == curve


def test_a_period_that_is_too_long_is_refused() -> None:
    curve = curves.line()
    for prime in (2, 3, 5, 7, 11, 13, 17):
        curve = curves.add(curve, curves.remainder(curves.line(), prime))
    with pytest.raises(CurveTooLong):
        curves.add(curve, curves.remainder(curves.line(), 19))


def test_products_of_what_repeats() -> None:
    """A parity times a residue, a line times what is 3 in the end; a line times a parity has two slopes."""
    n = curves.line()
    parity, residue = curves.remainder(n, 2), curves.remainder(n, 3)
    both = curves.multiply(parity, residue)
    halves = curves.multiply(curves.floor_divide(n, 2), curves.minimum(n, curves.line(0, 3)))
    thirds = curves.multiply(curves.add(n, residue), curves.scale(curves.line(0, 1), 5, 0))
    assert both is not None
    assert halves is not None
    assert thirds is not None
    for k in range(1, 30):
        assert both(k) == k % 2 * (k % 3)
        assert halves(k) == k // 2 * min(k, 3)
        assert thirds(k) == (k + k % 3) * 5
    assert curves.multiply(n, parity) is None
    assert curves.multiply(n, n) is None
