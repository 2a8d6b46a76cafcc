"""Where the failing sizes of a condition are looked for."""

from __future__ import annotations

from autofix.condition import any_of, at_least, divides
from autofix.findings import _failing_where
from autofix.size import BATCH, variable

H, W = variable(0), variable(1)


def test_a_failure_far_out_is_found_with_and_without_the_batch():
    never_at_600 = any_of((at_least(599, H), at_least(W, 601), at_least(H, 601)))
    for box in ({0: (1, None), 1: (1, None)}, {BATCH: (2, None), 0: (1, None), 1: (1, None)}):
        found = _failing_where(never_at_600, lambda point: point[0] == point[1], box)
        assert found == {**({BATCH: 2} if BATCH in box else {}), 0: 600, 1: 600}


def test_a_condition_on_the_batch_alone_has_no_diagonal():
    odd = divides(2, variable(BATCH) + 1)
    assert _failing_where(odd, lambda point: point[BATCH] < 2, {BATCH: (1, None)}) is None
