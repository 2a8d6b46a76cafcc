"""The shortest path and the constraint solver are two searches for one optimum: they agree, tier by tier."""

from __future__ import annotations

import time
from itertools import islice
from typing import Any

import pytest
from hypothesis import HealthCheck, assume, given, settings
from network_builder import Network
from networks import small_chains
from torch import Tensor, nn

from autofix import check_model, fix_model
from autofix.changes import UNCHANGED, Setting
from autofix.outcome import Report
from autofix.solve.edits import all_groups
from autofix.solve.knobs import Group, Sample
from autofix.solve.request import Request
from autofix.solve.search import sample_at
from autofix.solve.tiers import optima
from autofix.solve.walk import TooMany, options, shortest

MOST = 64


def cost_of(setting: Setting, groups: list[Group]) -> tuple[int, ...]:
    by_key = {group.key: group for group in groups}
    chosen = [
        next(o for o in options(by_key[key], False) if o.knobs == knobs) for key, knobs in setting.items()
    ]
    return tuple(sum(option.cost[tier] for option in chosen) for tier in range(3))


KNOBS = ("padding", "stride", "ceil_mode", "output_padding")


def question(
    report: Report, sizes: list[int], allow: tuple[str, ...] = KNOBS
) -> tuple[list[Group], list[Sample]]:
    """What may change, and single sizes at which the model shall work, in both modes."""
    request = Request(
        analyse=lambda changes: report.analysis,
        original=report.analysis,
        box=report.box,
        allow=allow,
        frozen=(),
        reference=(32,) * len(report.axes),
        deadline=time.monotonic() + 60,
    )
    points = [{-1: 2, **dict.fromkeys(range(len(report.axes)), size)} for size in sizes]
    samples = [sample_at(report.analysis, training, p) for p in points for training in (False, True)]
    return all_groups(request), [sample for sample in samples if sample]


@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
@given(small_chains())
def test_both_searches_find_the_same_optimum(network: Network) -> None:
    report = check_model(network.build(), input_shape=network.template)
    assume(not report.unmodelled)
    groups, samples = question(report, [3, 6])
    try:
        found = list(islice(shortest(groups, samples, False, UNCHANGED), MOST))
    except TooMany:
        assume(False)
    solved, proved = optima(groups, samples, False, UNCHANGED, (), time.monotonic() + 60, MOST)
    assert proved
    assert bool(found) == bool(solved)
    assert len({cost_of(setting, groups) for setting in (*found, *solved)}) <= 1
    if max(len(found), len(solved)) < MOST:
        assert set(map(frozen, found)) == set(map(frozen, solved))


def frozen(setting: Setting) -> frozenset[Any]:
    return frozenset((key, tuple(sorted(knobs.items()))) for key, knobs in setting.items())


class Twice(nn.Module):
    """One layer at two sites: one decision."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(1, 1, (3, 5))

    def forward(self, x: Tensor) -> Tensor:
        return self.conv(self.conv(x).relu())


def test_one_layer_at_two_sites_is_one_edit() -> None:
    groups, samples = question(check_model(Twice()), [4])
    (setting,) = shortest(groups, samples, False, UNCHANGED)
    assert list(setting.values()) == [{"padding": (1, 2)}]
    assert cost_of(setting, groups) == (1, 1, 3)


def test_both_searches_take_one_view_of_a_dilation_that_may_change() -> None:
    model = nn.Sequential(nn.Conv2d(1, 1, (3, 2), dilation=(2, 4)))
    groups, samples = question(check_model(model), [1], ("padding", "dilation"))
    found = list(shortest(groups, samples, False, UNCHANGED))
    solved, _ = optima(groups, samples, False, UNCHANGED, (), time.monotonic() + 60, MOST)
    assert found
    assert set(map(frozen, found)) == set(map(frozen, solved))


def test_many_edits_of_a_deep_chain_are_found_at_once() -> None:
    """300 unpadded convolutions, of which 290 have to be padded: the solver alone takes its whole time."""
    fix = fix_model(nn.Sequential(*(nn.Conv1d(1, 1, 3) for _ in range(300))), min_input=21)
    assert (len(fix.edits), fix.optimal, fix.proved) == (145, True, True)


def test_many_open_branches_are_left_to_the_solver() -> None:
    class Dense(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.convs = nn.ModuleList(nn.Conv2d(1, 1, (2, 3), (1, 2)) for _ in range(12))

        def forward(self, x: Tensor) -> tuple[Tensor, ...]:
            return tuple(conv(x) for conv in self.convs)

    groups, samples = question(check_model(Dense()), [1])
    with pytest.raises(TooMany):
        list(shortest(groups, samples, False, UNCHANGED))


class Stretched(nn.Module):
    """At the sizes asked for, padding one layer alone leaves a side of the join that is 1 by chance."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.second = nn.Conv1d(1, 1, 3, 2), nn.Conv1d(1, 1, 5, 2)
        self.third = nn.Conv1d(1, 1, 3)

    def forward(self, x: Tensor) -> Tensor:
        x = self.second(self.first(x))
        return self.third(x) + x


def test_a_size_that_is_1_by_chance_is_no_join() -> None:
    """By hand: the third layer keeps its size only with padding 1, and the second needs 2 for the kernel."""
    groups, samples = question(check_model(Stretched(), input_shape=(1, 1, "L")), [3, 6])
    walked = list(islice(shortest(groups, samples, False, UNCHANGED), MOST))
    solved, proved = optima(groups, samples, False, UNCHANGED, (), time.monotonic() + 60, MOST)
    assert proved
    expected = {("module", "second"): {"padding": (2,)}, ("module", "third"): {"padding": (1,)}}
    assert walked == solved == [expected]
