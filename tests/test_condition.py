"""Conditions decided over every size of a box, against brute force."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from test_size import Pair, dims, single

from autofix.condition import Box, Condition, any_of, at_least, divides, equal, indicator
from autofix.decision import decide
from autofix.size import BATCH, at, larger, variable

H, W = variable(0), variable(1)
FAR = 60
ORDER = (BATCH, 0, 1)

Test = tuple[Condition, Any]


def compared(left: Pair, right: Pair, relation: str) -> Test:
    (a, f), (b, g) = left, right
    if relation == ">=":
        return at_least(a, b), lambda point: f(point) >= g(point)
    return equal(a, b), lambda point: f(point) == g(point)


def divided(pair: Pair, divisor: int) -> Test:
    dim, f = pair
    return divides(divisor, dim), lambda point: f(point) % divisor == 0


def negated(test: Test) -> Test:
    condition, holds = test
    return ~condition, lambda point: not holds(point)


def either(tests: list[Test]) -> Test:
    return any_of(c for c, _ in tests), lambda point: any(holds(point) for _, holds in tests)


def conditions(inner: st.SearchStrategy[Pair]) -> st.SearchStrategy[Test]:
    plain = st.builds(compared, inner, inner, st.sampled_from([">=", "=="])) | st.builds(
        divided, inner, st.integers(1, 5)
    )
    return st.recursive(
        plain, lambda c: c.map(negated) | st.lists(c, min_size=1, max_size=3).map(either), max_leaves=3
    )


def points(box: Box, far: int) -> list[dict[int, int]]:
    ranges = [range(box[axis][0], min(box[axis][1] or far, far) + 1) for axis in ORDER]
    return [dict(zip(ORDER, sizes, strict=True)) for sizes in itertools.product(*ranges)]


bounds = st.tuples(st.integers(1, 6), st.none() | st.integers(6, 12))
boxes = st.builds(lambda h, w: {BATCH: (1, 2), 0: h, 1: w}, bounds, bounds)


@given(conditions(dims))
def test_a_condition_holds_where_its_expression_does(test: Test) -> None:
    condition, holds = test
    for point in points({BATCH: (1, 2), 0: (1, 9), 1: (1, 9)}, FAR):
        assert bool(condition.at(point)) == holds(point)


@given(conditions(single), bounds)
def test_one_axis_is_decided_with_the_smallest_failure(test: Test, bound: tuple[int, int | None]) -> None:
    condition, holds = test
    decision = decide(condition, {0: bound})
    failing = [n for n in range(bound[0], (bound[1] or 500) + 1) if not holds({0: n})]
    if indicator(condition) is None and decision.holds is None:
        assert not failing or failing[0] > 40
    elif not condition.axes:
        assert decision.holds == holds({0: 1})
    else:
        assert decision.holds == (not failing)
        assert decision.point == (((0, failing[0]),) if failing else ())


@given(conditions(dims), boxes)
def test_a_decision_is_sound(test: Test, box: Box) -> None:
    condition, holds = test
    decision = decide(condition, box)
    if decision.holds:
        assert all(holds(point) for point in points(box, 25))
    elif decision.holds is False:
        point = {axis: box[axis][0] for axis in ORDER} | dict(decision.point)
        assert not holds(point)
        assert all(box[a][0] <= n <= (box[a][1] or n) for a, n in decision.point)


@given(
    conditions(dims),
    st.tuples(st.integers(1, 3), st.integers(3, 9)),
    st.tuples(st.integers(1, 3), st.integers(3, 9)),
)
def test_a_bounded_box_is_always_decided(test: Test, h: tuple[int, int], w: tuple[int, int]) -> None:
    condition, holds = test
    box = {BATCH: (1, 2), 0: h, 1: w}
    assert decide(condition, box).holds == all(holds(point) for point in points(box, FAR))


@given(conditions(dims), boxes)
def test_the_negation_is_the_negation(test: Test, box: Box) -> None:
    condition, _ = test
    assert ~~condition == condition
    for point in points(box, 8):
        assert bool(condition.at(point)) != bool((~condition).at(point))


def test_several_axes_are_proved_for_ever() -> None:
    every = {0: (1, None), 1: (1, None)}
    assert decide(at_least(H * W, 1), every).holds
    assert decide(at_least(H * W, H), every).holds
    assert decide(equal((2 * H) * W, H * (W + W)), every).holds
    assert decide(divides(4, (2 * H) * (2 * W)), every).holds
    assert decide(at_least((H // 2) * (W // 2), 1), {0: (2, None), 1: (2, None)}).holds
    assert decide(at_least(H * W, 2), every).point == ((0, 1), (1, 1))
    assert decide(equal(H * W, H), every).point == ((0, 1), (1, 2))


def test_what_is_only_looked_at_is_not_proved() -> None:
    from autofix.size import larger

    far = at_least(100_000_000, larger(H * W, H + W))
    assert decide(far, {0: (1, None), 1: (1, None)}).holds is None
    assert int(at(H * W, {0: 20_000, 1: 20_000})) > 100_000_000
    bounded = {0: (1, 2000), 1: (1, 2000)}  # too many to look at each, and right up to the last
    assert decide(at_least(2000 * 2000, larger(H * W, H + W)), bounded).holds is None
    assert decide(at_least(2000 * 2000 - 1, larger(H * W, H + W)), bounded).point == ((0, 2000), (1, 2000))


def test_a_failure_beyond_the_first_period_is_found() -> None:
    assert decide(at_least(H, W), {0: (5, None), 1: (1, None)}).point == ((0, 5), (1, 6))
    assert decide(at_least(H, W), {0: (2, 3), 1: (1, 3)}).point == ((0, 2), (1, 3))


@given(conditions(dims), boxes)
def test_a_counterexample_is_the_smallest(test: Test, box: Box) -> None:
    condition, holds = test
    decision = decide(condition, box)
    if decision.holds is False and len(condition.axes) > 1 and not condition.either:
        axes = [axis for axis, _ in decision.point]
        lowest = {axis: box[axis][0] for axis in ORDER}
        failing = [
            p for p in points(box, 16) if not holds({**p, **{a: lowest[a] for a in ORDER if a not in axes}})
        ]
        sizes = [(max(p[a] for a in axes), sum(p[a] for a in axes)) for p in failing]
        found = [n for _, n in decision.point]
        assert max(found) > 16 or (max(found), sum(found)) == min(sizes)


def test_neither_a_condition_nor_its_opposite_holds_where_it_divides_by_zero():
    n = variable(0)
    for condition in (
        at_least(n // (n // 4), 4),
        equal(n % (n // 4), 0),
        divides(2, n // (n // 4)),
        any_of((at_least(n // (n // 4), 4), at_least(n, 100))),
    ):
        assert not condition.at({0: 3})
        assert not (~condition).at({0: 3})
        sizes = np.arange(1, 9)
        with np.errstate(all="raise"):
            assert not condition.at({0: sizes})[:3].any()
            assert not (~condition).at({0: sizes})[:3].any()
            assert (condition.at({0: sizes}) | (~condition).at({0: sizes}))[3:].all()


def test_what_cannot_be_negative_needs_no_maximum_and_a_multiple_no_remainder():
    pixels = variable(BATCH) * ((variable(0) + 7) // 8) * ((variable(1) + 7) // 8)
    assert larger(pixels, 0) == larger(0, pixels) == pixels
    assert larger(pixels - 3, 0) != pixels - 3
    assert divides(pixels, pixels * 64) == at_least(pixels, 1)
