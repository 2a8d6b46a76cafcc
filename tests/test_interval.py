"""Intervals hold every result of the arithmetic they stand for."""

from __future__ import annotations

import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from autofix import fix_model
from autofix.certificate import Axis, Span, check
from autofix.interval import Interval
from autofix.poly import NotProved
from autofix.size import BATCH, larger

ends = st.integers(-9, 9)


@given(ends, ends, ends, ends, st.integers(1, 4), st.booleans())
def test_every_result_is_inside(a: int, width: int, b: int, other: int, divisor: int, endless: bool) -> None:
    x = Interval(a, math.inf if endless else a + abs(width))
    y = Interval(b, b + abs(other))
    for m in range(a, a + abs(width) + 1):
        for n in range(b, b + abs(other) + 1):
            for result, number in (
                (x + y, m + n),
                (x - y, m - n),
                (3 - x, 3 - m),
                (x * y, m * n),
                (x * -2 + 1, m * -2 + 1),
                (x // divisor, m // divisor),
                (-((-x) // divisor), -(-m // divisor)),
                (x % divisor, m % divisor),
                (larger(x, y), max(m, n)),
            ):
                assert result.low <= number <= result.high


def test_bounds_are_tight() -> None:
    """Those of a chain of monotone operators are reached."""
    n = Interval(9, math.inf)
    assert (n + 2 - 3) // 2 + 1 == Interval(5, math.inf)
    assert Interval(4, 6) % 8 == Interval(4, 6)
    assert Interval(-3, 2) * Interval(-1, 4) == Interval(-12, 8)


@pytest.mark.parametrize("divisor", [0, -2, Interval(0, 3)])
def test_no_division_by_what_may_be_zero(divisor: Any) -> None:
    with pytest.raises(ArithmeticError):
        Interval(1, 2) // divisor


def test_a_chain_of_any_period_is_proved() -> None:
    """Forty strides of 2; the smallest size that is claimed is the smallest that works."""
    model = nn.Sequential(*(nn.Conv1d(1, 1, (3,), stride=2) for _ in range(40)))
    fix = fix_model(model, min_input=64)
    assert fix.proved
    assert fix.optimal
    assert len(fix.edits) == 35  # 64, 31, 15, 7, 3, 1: five fit, and each of the others has to be padded
    certificate = fix.verdict.certificates[0]
    program, changes = fix.report.analysis.evaluating.pieces[0].program, fix.report.analysis.changes
    assert check(certificate, [program], changes) == certificate.requirements > 0
    from dataclasses import replace

    for cut in (Span(62, None), Span(0, None), Span(70, 64), Axis(64, 1, 0)):
        claims = tuple((axis, old if axis == BATCH else cut) for axis, old in certificate.axes)
        with pytest.raises(NotProved):
            check(replace(certificate, axes=claims), [program], changes)
