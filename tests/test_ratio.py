"""Fractions of sizes against Python's own floats."""

from __future__ import annotations

import math
import operator
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from autofix.ops.arithmetic import number
from autofix.ops.base import Tensor, Unmodelled
from autofix.ratio import Ratio
from autofix.size import at, variable

H = variable(0)
SIZES = [*range(1, 130), 511, 4096, 99_999]

factors = (
    st.integers(-6, 9)
    | st.floats(-4, 4).map(lambda f: round(f, 2))
    | st.sampled_from([0.5, 0.25, 1.5, 0.375])
)
steps = st.lists(
    st.tuples(st.sampled_from(["add", "sub", "mul", "truediv", "floordiv"]), factors), max_size=3
)
ROUNDINGS: dict[str, Callable[[float], int]] = {
    "floor": math.floor,
    "ceil": math.ceil,
    "trunc": int,
    "round": round,
}


@given(steps, st.sampled_from(sorted(ROUNDINGS)))
def test_what_is_described_is_what_floats_do(steps: list[tuple[str, Any]], rounding: str) -> None:
    value: Any = H
    plain = list[Any](SIZES)
    try:
        for name, operand in steps:
            value = number(name, value, operand)
            plain = [getattr(operator, name)(n, operand) for n in plain]
        result = getattr(value, rounding)() if isinstance(value, Ratio) else value
        result = ROUNDINGS[rounding](result) if isinstance(result, float) else result
    except (Unmodelled, ArithmeticError):
        assume(False)
    assert [int(at(result, {0: n})) for n in SIZES] == [ROUNDINGS[rounding](n) for n in plain]


@given(st.sampled_from(["lt", "le", "gt", "ge", "eq", "ne"]), st.integers(1, 9), factors)
def test_comparisons_agree_with_floats(name: str, divisor: int, bound: float) -> None:
    condition = number(name, number("truediv", H, divisor), bound)
    assert [bool(condition.at({0: n})) for n in SIZES] == [
        getattr(operator, name)(n / divisor, bound) for n in SIZES
    ]


@pytest.mark.parametrize(
    "compute",
    [
        lambda: number("mul", H, 0.7).floor(),  # 0.7 * 90 is 62.99999999999999
        lambda: number("mul", number("truediv", H, 49), 49),  # 1 / 49 * 49 is 0.9999999999999999
        lambda: number("floordiv", number("pow", H, 0.5), 1),
        lambda: number("pow", 2, H),
        lambda: number("and_", H, 6),
        lambda: number("add", number("lt", H, 3), 1),
    ],
)
def test_what_has_no_exact_form_is_not_described(compute: Callable[[], Any]) -> None:
    with pytest.raises((Unmodelled, ArithmeticError)):
        compute()


def test_a_root_is_a_number_but_no_size() -> None:
    """x * n**-0.5 has the shape of x, whatever the root is."""
    assert number("pow", H, -0.5).shape == ()


def test_a_quotient_of_sizes_is_some_number() -> None:
    """It may scale a tensor; rounded, it would have to be exact."""
    quotient = number("truediv", 224, H)
    assert quotient == Tensor(())
    with pytest.raises((Unmodelled, ArithmeticError)):
        number("floordiv", H, number("truediv", H, 49))
