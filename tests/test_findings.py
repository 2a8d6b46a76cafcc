"""Where the failing sizes of a condition are looked for."""

from __future__ import annotations

import oracle
import torch.nn.functional as F
from torch import Tensor, nn

from autofix import check_model
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


class Unpooled(nn.Module):
    """The indices of an odd map need not fit the unpooled one; no rule describes the resize after it."""

    def forward(self, x: Tensor) -> Tensor:
        x, indices = F.max_pool2d(x, 3, 2, 1, return_indices=True)
        return F.interpolate(F.max_unpool2d(x, indices, 2, 2), scale_factor=0.7123)


def test_what_a_rule_refuses_stays_refused_beside_a_site_without_one():
    report = check_model(Unpooled(), input_shape=(1, 3, "H", "W"))
    meta = oracle.to_meta(Unpooled())
    for size in ((8, 8), (9, 9), (8, 77), (9, 78), (33, 33)):
        assert report.accepts(*size) == oracle.runs(meta, (2, 3, *size))


class AlwaysEmpty(nn.Module):
    """Averages over nothing at every size, which the meta device lets pass."""

    def forward(self, x: Tensor) -> Tensor:
        return F.interpolate(F.adaptive_avg_pool3d(x, 2)[:, :, :0], size=(8, 8, 8), mode="area")


def test_a_network_that_works_nowhere_is_described_although_the_meta_device_runs_it():
    report = check_model(AlwaysEmpty(), input_shape=(1, 3, "D", "H", "W"))
    assert report.working_sizes == "none"
    assert not report.accepts(64, 64, 64)
