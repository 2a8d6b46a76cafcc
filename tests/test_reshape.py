"""View and reshape on exact sizes: results stay simple, and pixels that move into the batch are noticed."""

from __future__ import annotations

from typing import Any

import pytest

from autofix.decision import decide
from autofix.describe import describe
from autofix.fault import Code
from autofix.interpret import Interpreter
from autofix.ops.base import Tensor
from autofix.ops.reshape import reshape
from autofix.ops.slicing import sliced
from autofix.ops.whole import quotient
from autofix.size import BATCH, at, product, variable

B, H, W = variable(BATCH), variable(0), variable(1)
NAMES = {BATCH: "B", 0: "H", 1: "W"}
EVERY = {BATCH: (1, None), 0: (1, None), 1: (1, None)}


def run(shape: tuple[Any, ...], sizes: tuple[Any, ...]) -> tuple[Interpreter, Tensor]:
    interpreter = Interpreter((), EVERY, {BATCH: 2, 0: 8, 1: 8})
    interpreter.site = type("Site", (), {"index": 0, "trains": True, "under": ()})()
    return interpreter, reshape(interpreter, Tensor(shape), *sizes)


@pytest.mark.parametrize(
    ("shape", "sizes", "inferred"),
    [
        ((B, 16, H, W), (B, -1), "H*W*16"),
        ((B, 16, H, W), (-1, 16, H, W), "B"),
        ((B, 16, H // 2, W), (B, 16, -1), "(H//2)*W"),
        ((B, 2 * H, W), (B, 2, -1, W), "H"),
        ((B, 16, H, W), (B, 4, -1, H * W), "4"),
        ((B, 16, 3 * H), (B, H, -1), "48"),
        ((B, 16, H), (-1, 24), "B*H*2//3"),
        ((B, 4 * H, W), (2 * H, -1), "B*W*2"),
    ],
)
def test_the_inferred_size_is_simple(shape: tuple[Any, ...], sizes: tuple[Any, ...], inferred: str) -> None:
    _, result = run(shape, sizes)
    assert describe(result.shape[sizes.index(-1)], NAMES) == inferred


@pytest.mark.parametrize(
    ("shape", "sizes"),
    [
        ((B, 16, H, W), (B, -1)),
        ((B, H, W, 16), (-1, 16)),  # channels last
        ((B, 16, H, W), (-1, H * W)),  # a softmax over each map
        ((B, 16, H, W), (-1, 16, H * W)),
        ((B, 24, H, W), (-1, 3, H, W)),  # frames that were stacked as channels
        ((B, 10, H, W), (-1, 5, 10, H, W)),  # frames that were stacked as samples
        ((B, H // 7, W // 7, 7, 7, 16), (-1, 7, 7, 16)),  # windows
        ((B, H // 7, W // 7, 7, 7, 16), (-1, 49, 16)),
        ((B, 16, H, W), (B, 16, -1)),
        ((B, 16, 5, 5), (-1, 400)),  # behind an adaptive pool
        ((4 * B, 16, H, W), (-1, 4, 16, H * W)),  # heads of an attention
        ((B, 10, H), (-1, 40, H)),  # four rows in one
    ],
)
def test_whole_dimensions_move_into_the_batch_freely(shape: tuple[Any, ...], sizes: tuple[Any, ...]) -> None:
    interpreter, _ = run(shape, sizes)
    silent = [r.condition for r in interpreter.requirements if r.silent]
    assert all(decide(condition, EVERY).holds for condition in silent)


@pytest.mark.parametrize(
    ("shape", "sizes", "fits"),
    [
        ((B, 16, H, W), (-1, 400), (5, 5)),
        ((B, 16, H // 4, W // 4), (-1, 400), (20, 23)),
        ((B, 1, H, W), (-1, 784), (28, 28)),
        ((B, 16, H, W), (-1, 16), (1, 1)),  # behind a pool that is global at one size only
        ((B, 16, H, W), (-1, 2, 200), (5, 5)),
    ],
)
def test_a_fixed_head_must_not_move_pixels_into_the_batch(
    shape: tuple[Any, ...], sizes: tuple[Any, ...], fits: tuple[int, int]
) -> None:
    interpreter, _ = run(shape, sizes)
    (silent,) = [r for r in interpreter.requirements if r.silent]
    assert silent.code is Code.BATCH
    assert silent.condition.at({BATCH: 2, 0: fits[0], 1: fits[1]})
    assert not silent.condition.at({BATCH: 2, 0: 40, 1: 40})


def test_a_row_and_a_half_moves_pixels() -> None:
    interpreter, _ = run((3 * B, 16, H, W), (-1, 4, 6, H * W))
    (silent,) = [r for r in interpreter.requirements if r.silent]
    assert not silent.condition.at({BATCH: 2, 0: 5, 1: 7})


def test_plain_ints_are_judged_as_sizes_are() -> None:
    for shape, sizes, faults in [
        ((2, 16, 10, 10), (-1, 400), 1),
        ((2, 16, 5, 5), (-1, 400), 0),
        ((2, 10, 10, 16), (-1, 16), 0),
        ((2, 24, 10, 10), (-1, 3, 10, 10), 0),
        ((8, 10, 7, 7), (-1, 4, 10, 7, 7), 0),
    ]:
        interpreter, _ = run(shape, sizes)
        assert sum(r.silent and not r.condition.at({}) for r in interpreter.requirements) == faults


@pytest.mark.parametrize(
    ("index", "length"),
    [
        (slice(1, None), "H - 1"),
        (slice(2, None), "max(H - 2, 0)"),
        (slice(None, None, 2), "(H + 1)//2"),
        (slice(1, None, 2), "H//2"),
        (slice(None, 5), "min(H, 5)"),
        (slice(-3, None), "min(H, 3)"),
        (slice(None, -2), "max(H - 2, 0)"),
        (slice(2, -2), "max(H - 4, 0)"),
        (slice(None, H // 2), "H//2"),
        (slice(H // 2, None), "(H + 1)//2"),
        (slice(1, H), "H - 1"),
    ],
)
def test_slices_of_a_size_are_exact_formulas(index: slice, length: str) -> None:
    interpreter, _ = run((H,), (H,))
    assert describe(sliced(interpreter, H, index), NAMES) == length
    assert [r.code for r in interpreter.requirements if r.silent] == [Code.EMPTY]


HALVES, THIRDS = H // 2, W // 3


@pytest.mark.parametrize(
    ("shape", "sizes", "alone"),
    [
        ((B, H, W, 5), (B, HALVES, 2, THIRDS, 3, 5), True),
        ((B, 2 * H, W), (B, HALVES, 4, THIRDS, 3), True),
        ((H, W), (HALVES, 3, THIRDS, 2), True),  # the same product
        ((H, W), (HALVES, 3, THIRDS, 3), False),  # 10 * 9 == 3 * 5 * 3 * 2, with neither side the same
        ((HALVES, 2, THIRDS, 3), (H, W), False),  # the right ones are the larger
        ((H - 3, W), (HALVES, 2, THIRDS, 3), False),
        ((H, W), (HALVES, 2, H // 3, 3), False),
    ],
)
def test_windows_are_asked_for_axis_by_axis(shape: Any, sizes: Any, alone: bool) -> None:
    """Where the products are equal only if the sizes are, and nowhere else."""
    interpreter, _ = run(shape, sizes)
    asked = [r.condition for r in interpreter.requirements if r.condition.relation == "=="]
    assert [len(condition.axes) == 1 for condition in asked] == ([True, True] if alone else [False])
    for point in ({BATCH: 2, 0: h, 1: w} for h in range(1, 20) for w in range(1, 20)):
        fits = at(product(shape), point) == at(product(sizes), point)
        assert all(condition.at(point) for condition in asked) is bool(fits)


@pytest.mark.parametrize(
    ("dim", "divisor", "expected"),
    [
        (B * H * W, B, H * W),
        (B * H * W, W * H, B),
        (6 * H * W, 3, 2 * (H * W)),
        (H // 2 * 4 * W, 2 * W, H // 2 * 2),
        (H * W, 2, None),
        (H * W, B, None),
        (H * H, H, H),
    ],
)
def test_quotients_that_are_whole(dim: Any, divisor: Any, expected: Any) -> None:
    interpreter, _ = run((B, H), (B, H))
    found = quotient(interpreter, dim, divisor)
    points = [{BATCH: b, 0: h, 1: w} for b in (1, 3) for h in (4, 7) for w in (2, 9)]
    assert (found is None) is (expected is None)
    assert expected is None or all(at(found, point) == at(expected, point) for point in points)


def test_a_product_is_divided_where_every_size_that_is_left_divides() -> None:
    """After cutting windows of 2 and 3, a height times a width divides by 6, and by no more."""
    interpreter, _ = run((B, H, W), (B, HALVES, 2, THIRDS, 3))
    point = {0: 8, 1: 9}
    assert at(quotient(interpreter, H * W, 6), point) == 12
    assert at(quotient(interpreter, B * HALVES * THIRDS, quotient(interpreter, H * W, 6)), {BATCH: 5}) == 5
    assert quotient(interpreter, H * W, 4) is None
    assert quotient(interpreter, H * W, 12) is None
