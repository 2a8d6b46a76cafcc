"""The checker confirms what is true and refuses what was tampered with; what it confirms runs in torch."""

from __future__ import annotations

import itertools
import math
import random
from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import oracle
import pytest
import torch
import torch.nn.functional as F
from agreement import MODES
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from networks import random_network
from torch import Tensor, nn

from autofix import AutofixError, check_model, fix_model
from autofix.analyse import Analysis, Mode
from autofix.certificate import Axis, Certificate, check
from autofix.changes import Changes
from autofix.condition import Box
from autofix.examples.mri import BadCNN, StridedCNN
from autofix.outcome import Report
from autofix.poly import NotProved, Poly
from autofix.repair import Fix
from autofix.size import BATCH
from autofix.verify import certify

IMAGE = (1, 1, "H", "W")


def spatial(certificate: Certificate, cut: Axis) -> Certificate:
    """The certificate with the same claim on every spatial axis, another one."""
    return replace(certificate, axes=tuple((a, old if a == BATCH else cut) for a, old in certificate.axes))


def recheck(fix: Fix, certificate: Certificate, changes: Changes | None = None) -> int:
    analysis = fix.report.analysis
    mode = analysis.modes[certificate.training]
    programs = [piece.program for piece in mode.pieces]
    return check(certificate, programs, analysis.changes if changes is None else changes)


@pytest.fixture(scope="module")
def bad_cnn() -> Fix:
    """Repaired from 5 on, by one pixel of padding; its period is 2."""
    return fix_model(BadCNN(), min_input=5)


@pytest.fixture(scope="module")
def strided() -> Fix:
    """Three strides of 2: its period is 8."""
    return fix_model(StridedCNN(), min_input=10)


class UNet(nn.Module):
    """One level: the upsampled map is a pixel short at odd sizes."""

    def __init__(self) -> None:
        super().__init__()
        self.down, self.last = nn.Conv2d(1, 1, 3, stride=2, padding=1), nn.Conv2d(2, 1, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        return self.last(torch.cat([x, F.interpolate(self.down(x), scale_factor=2)], 1))


@pytest.fixture(scope="module")
def unet() -> Fix:
    """Repaired by an insert."""
    return fix_model(UNet(), min_input=4, input_shape=IMAGE)


def test_true_certificates(bad_cnn: Fix, strided: Fix, unet: Fix) -> None:
    for fix in (bad_cnn, strided, unet):
        assert fix.proved
        assert [c.training for c in fix.verdict.certificates] == [False, True]
        for certificate in fix.verdict.certificates:
            assert recheck(fix, certificate) == certificate.requirements > 0


@pytest.mark.parametrize(
    "cut",
    [
        Axis(10, 0, 8),
        Axis(10, 3, 8),  # a longer head says the same
        Axis(11, 0, 8),  # and less may be said
        Axis(10, 0, 16),
        Axis(10, 1, 0),
        Axis(10, 40, 0),
    ],
    ids=str,
)
def test_other_ways_to_say_it(strided: Fix, cut: Axis) -> None:
    for certificate in strided.verdict.certificates:
        assert recheck(strided, spatial(certificate, cut)) == certificate.requirements


@pytest.mark.parametrize(
    "cut",
    [
        Axis(10, 0, 1),  # periods that do not divide
        Axis(10, 0, 4),
        Axis(10, 0, 7),
        Axis(10, 0, 12),
        Axis(6, 0, 8),  # sizes that fail
        Axis(1, 9, 8),
        Axis(6, 8, 0),
        Axis(10, 0, 0),  # claims about no size at all
        Axis(10, -1, 8),
        Axis(10, 8, -8),
        Axis(0, 20, 8),
    ],
    ids=str,
)
def test_corrupted_sizes(strided: Fix, cut: Axis) -> None:
    for certificate in strided.verdict.certificates:
        with pytest.raises(NotProved):
            recheck(strided, spatial(certificate, cut))


def test_one_axis_is_enough(strided: Fix) -> None:
    """Each axis is looked at, not the first alone."""
    certificate = strided.verdict.certificates[0]
    for axis, _ in certificate.axes[1:]:
        wrong = tuple((a, Axis(6, 0, 8) if a == axis else cut) for a, cut in certificate.axes)
        with pytest.raises(NotProved):
            recheck(strided, replace(certificate, axes=wrong))


def test_an_axis_left_out(strided: Fix) -> None:
    certificate = strided.verdict.certificates[0]
    with pytest.raises(NotProved):
        recheck(strided, replace(certificate, axes=certificate.axes[:-1]))


def test_changes_that_are_not_made(bad_cnn: Fix, strided: Fix, unet: Fix) -> None:
    for fix in (bad_cnn, strided, unet):
        for certificate in fix.verdict.certificates:
            with pytest.raises(NotProved):
                recheck(fix, certificate, Changes())


def test_wrong_changes(strided: Fix) -> None:
    """The right layer with a stride instead of a padding, and the right padding on another layer."""
    ((key, _),) = strided.report.analysis.changes.edits.items()
    certificate = strided.verdict.certificates[0]
    for edits in ({key: {"stride": (3, 3, 3)}}, {key: {"padding": (1, 1, 0)}}, {key: {"padding": (0, 0, 0)}}):
        with pytest.raises(NotProved):
            recheck(strided, certificate, Changes(edits))


def test_a_requirement_that_fails_at_one_residue() -> None:
    """Groups of five, without the first: only sizes 5k + 1 work."""

    class Groups(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return x[..., 1:].unflatten(-1, (-1, 5))

    report = check_model(Groups(), input_shape=(1, 1, "W"))
    program = report.analysis.evaluating.pieces[0].program
    good = Certificate(((BATCH, Axis(1, 0, 1)), (0, Axis(6, 1, 0))), False)
    assert check(good, [program], Changes()) > 0
    for cut in (Axis(6, 0, 5), Axis(6, 2, 0), Axis(6, 1, 5), Axis(5, 2, 0)):
        with pytest.raises(NotProved):
            check(replace(good, axes=((BATCH, Axis(1, 0, 1)), (0, cut))), [program], Changes())


def test_a_bounded_range_says_no_more_than_it_covers() -> None:
    """A table of 9 rows: sizes up to 9 work, 10 does not."""

    class Table(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.table, self.conv = nn.Parameter(torch.zeros(9)), nn.Conv1d(1, 1, 5)

        def forward(self, x: Tensor) -> Tensor:
            size = x.shape[-1]
            return self.conv(x) + self.table.narrow(0, 0, size)[4:]

    fix = fix_model(Table(), min_input=5, max_input=9, input_shape=(1, 1, "W"))
    assert fix.proved
    certificate = fix.verdict.certificates[0]
    assert dict(certificate.axes)[0] == Axis(5, 5, 0)
    for cut in (Axis(5, 6, 0), Axis(5, 0, 1), Axis(9, 2, 0), Axis(5, 5, 1)):
        with pytest.raises(NotProved):
            recheck(fix, spatial(certificate, cut))


class Sorted(nn.Module):
    """An operator without a rule, on the way or aside."""

    def __init__(self, used: bool) -> None:
        super().__init__()
        self.conv, self.used = nn.Conv2d(1, 1, 3), used

    def forward(self, x: Tensor) -> Tensor:
        y = torch.histc(x, bins=4)
        return self.conv(x) * y.sum() if self.used else self.conv(x)


@pytest.mark.parametrize("used", [True, False])
def test_an_unmodelled_operator_is_never_proved(used: bool) -> None:
    report = check_model(Sorted(used), min_input=3, input_shape=IMAGE)
    assert report.unmodelled
    assert not report.proved
    assert not report.ok
    box = {BATCH: (1, None), 0: (3, None), 1: (3, None)}
    assert certify(report.analysis, box, Changes())[0] == ()
    with pytest.raises(AutofixError):
        fix_model(Sorted(used), min_input=2, input_shape=IMAGE)


def confirmed(report: Report, box: Box) -> Iterable[tuple[Mode, Certificate]]:
    found, _ = certify(report.analysis, box, Changes())
    return zip(report.analysis.modes, found, strict=False)


def sizes_of(certificate: Certificate, chance: random.Random) -> tuple[int, ...]:
    """Sizes that a certificate speaks of, drawn from all of its cases and a few turns on."""
    found = []
    for axis, cut in sorted(certificate.axes):
        if axis == BATCH:
            continue
        case = chance.randrange(cut.head + cut.period)
        found.append(cut.first + case + (chance.randrange(4) * cut.period if case >= cut.head else 0))
    return tuple(found)


def where_proved(analysis: Analysis, least: int) -> Box:
    return {BATCH: (1, None), **dict.fromkeys(range(len(analysis.inputs.axes)), (least, None))}


@settings(max_examples=20, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
@given(st.integers(0, 10**6), st.sampled_from([1, 2, 3, 5, 8, 13, 32]))
def test_what_is_confirmed_runs(seed: int, least: int) -> None:
    network = random_network(seed)
    report = check_model(network.build(), input_shape=network.template)
    meta, chance = oracle.to_meta(network.build()), random.Random(seed)
    for mode, certificate in confirmed(report, where_proved(report.analysis, least)):
        for _ in range(6):
            sizes = sizes_of(certificate, chance)
            for training, batch in MODES:
                if training == mode.training and (batch > 1 or not training):
                    shape = oracle.fill(network.template, sizes, batch)
                    assert oracle.runs(meta, shape, training), oracle.refusal(meta, shape, training)


def test_random_networks_are_confirmed_often_enough() -> None:
    """Or the test before this one would say little."""
    count = 0
    for seed in range(12):
        network = random_network(seed)
        report = check_model(network.build(), input_shape=network.template)
        count += len(list(confirmed(report, where_proved(report.analysis, 32))))
    assert count >= 6


PLANES = st.tuples(*[st.integers(-3, 6)] * 3)  # constant, and what each of two axes adds a turn


@settings(max_examples=300, suppress_health_check=[HealthCheck.too_slow])
@given(PLANES, PLANES)
def test_a_quotient_that_is_proved_is_right_at_every_turn(
    left: tuple[int, ...], right: tuple[int, ...]
) -> None:
    """Axes differ: the one that is swapped, or left out, gives another quotient."""
    a, b = (Poly({(): np.int64(c), (0,): np.int64(h), (1,): np.int64(w)}) for c, h, w in (left, right))
    turns = list(itertools.product(range(6), repeat=2))
    tops, bottoms = ([c + h * i + w * j for i, j in turns] for c, h, w in (left, right))
    try:
        quotient, rest = (a // b).terms, (a % b).terms
    except NotProved:
        return
    pairs = list(zip(tops, bottoms, strict=True))
    assert all(bottom >= 1 for bottom in bottoms)
    assert values(quotient, turns) == [top // bottom for top, bottom in pairs]
    assert values(rest, turns) == [top % bottom for top, bottom in pairs]


def values(terms: Mapping[tuple[int, ...], Any], turns: Iterable[tuple[int, ...]]) -> list[int]:
    """A polynomial of two axes at some turns."""
    return [sum(int(c) * math.prod(turn[axis] for axis in p) for p, c in terms.items()) for turn in turns]


@settings(max_examples=300, suppress_health_check=[HealthCheck.too_slow])
@given(st.tuples(PLANES, PLANES), PLANES, st.sampled_from([0, 0, 1]))
def test_a_product_divided_by_a_factor_is_the_other_one(
    factors: tuple[tuple[int, ...], tuple[int, ...]], divisor: tuple[int, ...], spare: int
) -> None:
    """Exactly where the divisor is positive, and nothing is left over."""
    first, second, last = (
        Poly({(): np.int64(c), (0,): np.int64(h), (1,): np.int64(w)}) for c, h, w in (*factors, divisor)
    )
    whole = (first * second * last + spare).over(last)
    turns = list(itertools.product(range(4), repeat=2))
    if divisor[0] < 1 or min(divisor) < 0 or (spare and divisor != (1, 0, 0)):
        assert whole is None
    else:
        assert whole is not None
        assert values(whole.terms, turns) == values((first * second + spare).terms, turns)


@pytest.mark.parametrize(
    ("top", "bottom", "proved"),
    [
        ((0, 0, 0), (1, 2, 0), True),  # nothing, over n
        ((1, 2, 3), (1, 2, 3), True),  # n over n
        ((0, 2, 3), (1, 2, 3), True),  # one less
        ((2, 4, 0), (1, 2, 0), True),
        ((0, 0, 0), (0, 2, 0), False),  # over what is 0 at first
        ((2, 3, 3), (1, 2, 3), False),  # the quotient changes from turn to turn
        ((1, 3, 2), (1, 2, 3), False),  # the axes are exchanged
    ],
)
def test_which_quotients_are_proved(top: tuple[int, ...], bottom: tuple[int, ...], proved: bool) -> None:
    a, b = (Poly({(): np.int64(c), (0,): np.int64(h), (1,): np.int64(w)}) for c, h, w in (top, bottom))
    try:
        found = int((a // b).terms.get((), 0))
    except NotProved:
        assert not proved
        return
    assert proved
    assert found == top[0] // bottom[0]


class Views(nn.Module):
    """Several views of one scene: their features, side by side again; `spare` more than there are."""

    def __init__(self, spare: int = 0) -> None:
        super().__init__()
        self.conv, self.spare = nn.Conv2d(3, 4, 3), spare

    def forward(self, x: Tensor) -> Tensor:
        b, n, c, h, w = x.shape
        x = self.conv(x.reshape(b * n, c, h, w))
        return x.flatten(2).permute(2, 0, 1).reshape(x.shape[2] * x.shape[3], b + self.spare, -1)


def test_a_view_that_divides_by_a_size_is_proved() -> None:
    fix = fix_model(Views(), input_shape=("B", 4, 3, "H", "W"), min_input=1)
    assert fix.proved
    assert fix.model(torch.randn(2, 4, 3, 1, 5)).shape == (5, 2, 16)  # padded by 1


def test_a_view_that_divides_by_another_size_is_not() -> None:
    report = check_model(Views(1), input_shape=("B", 4, 3, "H", "W"), min_input=3)
    assert not report.ok
    assert not report.accepts(5, 5, batch=2)
    assert report.accepts(5, 5, batch=1)
    assert certify(report.analysis, {0: (3, None), 1: (3, None), BATCH: (1, None)}, Changes())[0] == ()
