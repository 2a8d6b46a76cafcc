"""Tables kept by runs hold what plain tables hold, and reach where no plain table does."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from unittest.mock import patch

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from test_curve import SIZES, pairs

from autofix import curve as curves
from autofix import steps
from autofix.describe import formula
from autofix.steps import Steps, TooManyRuns

CACHED = (curves.scale, curves.floor_divide, curves.remainder, curves.add, curves.multiply, curves.maximum)
numbers = st.lists(st.integers(-3, 3), min_size=1, max_size=12)


@contextmanager
def short_tables() -> Iterator[None]:
    """Every table of more than three numbers is kept by its runs."""
    with patch.object(curves, "LONGEST", 3):
        for function in (*CACHED, curves.at_least, curves.zero):
            function.cache_clear()
        yield
    for function in (*CACHED, curves.at_least, curves.zero):
        function.cache_clear()


@given(st.data())
def test_curves_of_runs_have_the_values_of_their_functions(data: st.DataObject) -> None:
    with short_tables():
        curve, f = data.draw(pairs)
        assert [curve(n) for n in SIZES] == [f(n) for n in SIZES]
        truth = curves.at_least(curve, 1)
        for lowest, highest in ((1, None), (5, 30), (17, None)):
            failing = [n for n in range(lowest, (highest or 400) + 1) if f(n) < 1]
            found = truth.smallest(lowest, highest)
            assert found == (failing[0] if failing else None) or (found or 0) > 400


@given(st.data())
def test_the_normal_form_is_unique(data: st.DataObject) -> None:
    with short_tables():
        curve, _ = data.draw(pairs)
        again = curves.add(curves.scale(curve, 3, 0), curves.scale(curve, -2, 0))
        assert again == curve
        assert hash(again) == hash(curve)


@given(numbers, numbers, st.integers(0, 4), st.integers(0, 12), st.integers(0, 12))
def test_runs_are_a_table(head: list[int], period: list[int], rise: int, first: int, last: int) -> None:
    length = len(head) + 3 * len(period) - 1
    plain = [*head, *(value + turn * rise for turn in range(3) for value in period)][:length]
    table = Steps.repeated(np.array(head), np.array(period), rise, length)
    assert np.asarray(table).tolist() == plain
    assert np.asarray(table[first:last]).tolist() == plain[first:last]
    assert np.asarray(table * 2 - 1).tolist() == [2 * value - 1 for value in plain]
    assert (table.min(), table.max()) == (min(plain), max(plain))
    positive = [i for i, value in enumerate(plain) if value > 0]
    assert ((table > 0).first(), steps.last(table > 0)) == ((positive or [-1])[0], (positive or [-1])[-1])


def test_forty_strides_of_two() -> None:
    """Powers of two, where floor divisions change, against plain arithmetic."""
    curve = curves.line()
    for _ in range(40):
        curve = curves.scale(curves.floor_divide(curves.scale(curve, 1, -1), 2), 1, 1)  # kernel 3, padding 1
    assert (curve.period, curve.rise) == (1 << 40, 1)
    for n in (sign + (turns << power) for power in range(42) for turns in (1, 3) for sign in (0, 1, 2)):
        expected = n
        for _ in range(40):
            expected = (expected - 1) // 2 + 1
        assert curve(n) == expected
    assert curves.at_least(curve, 3).smallest(1 << 40, None) == 1 << 40
    assert curves.at_least(curve, 3).smallest((2 << 40) + 1, None) is None
    assert formula(curve) in {f"(n - 1)//{1 << 40} + 1", f"(n + {(1 << 40) - 1})//{1 << 40}"}


def test_what_runs_do_not_shorten_is_refused() -> None:
    with pytest.raises(TooManyRuns):
        Steps.repeated(np.array([]), np.array([0, 1]), 2, 1 << 40)
