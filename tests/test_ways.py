"""Models whose own Python asks about sizes: proved on all their paths, or not called proved."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from dataclasses import dataclass, replace

import oracle
import pytest
import torch.nn.functional as F
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from autofix import AutofixError, check_model, fix_model
from autofix.certificate import Axis, Certificate, check
from autofix.changes import Changes
from autofix.poly import NotProved
from autofix.program import Program
from autofix.size import BATCH
from autofix.verify import certify

IMAGE, ONE, SOUND = (1, 3, "H", "W"), (1, 1, "H", "W"), (1, 1, "T")


class Forks(nn.Module):
    """A few layers of different needs, for the subclasses' forward."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.small = nn.Conv2d(3, 3, (3, 1)), nn.Conv2d(3, 3, (2, 3))
        self.large, self.down = nn.Conv2d(3, 3, (7, 5)), nn.Conv2d(3, 3, 3, stride=(2, 3))


class Parity(Forks):
    def forward(self, x: Tensor) -> Tensor:
        x = self.first(x)
        return self.large(x) if x.shape[2] % 2 else self.small(x)


class Square(Forks):
    """No size along one axis says which way is taken."""

    def forward(self, x: Tensor) -> Tensor:
        height, width = x.shape[2:]
        x = self.first(x)
        return self.large(x) if height == width else self.down(x)


class Area(Forks):
    def forward(self, x: Tensor) -> Tensor:
        if x.shape[2] * x.shape[3] < 200:
            return self.small(x)
        return self.down(self.large(x)) if x.shape[2] > 3 else self.small(x)


class Nested(Forks):
    """Each side asks something else; the same is asked twice."""

    def forward(self, x: Tensor) -> Tensor:
        if x.shape[2] % 3 == 1:
            x = self.down(x)
            if x.shape[3] % 2:
                return self.small(x)
            return self.first(x)
        x = self.small(x) if x.shape[3] % 4 > 1 else self.first(x)
        return self.down(x) if x.shape[2] % 3 == 1 else x


class Picks(Forks):
    """A number that a size gives picks what is done, as in padding that was worked out beforehand."""

    def forward(self, x: Tensor) -> Tensor:
        x = F.pad(x, ((0, 0), (2, 0), (0, 1))[x.shape[3] % 3])
        return self.large(x) if x.shape[2] * x.shape[3] < 200 else self.first(x)


class Period(nn.Module):
    """A waveform folded into rows, filled up to a whole number of them, as discriminators of speech do."""

    def __init__(self, period: int = 3) -> None:
        super().__init__()
        self.period = period
        self.down, self.last = nn.Conv2d(1, 2, (5, 1), (3, 1)), nn.Conv2d(2, 1, (3, 1))

    def forward(self, x: Tensor) -> Tensor:
        batch, channels, time = x.shape
        if time % self.period != 0:
            missing = self.period - time % self.period
            x, time = F.pad(x, (0, missing)), time + missing
        rows = x.view(batch, channels, time // self.period, self.period)
        return self.last(F.leaky_relu(self.down(rows))).flatten(1)


class Ranks(nn.Module):
    """What squeeze gives differs in rank from size to size: no `if`, but paths all the same."""

    def __init__(self) -> None:
        super().__init__()
        self.down, self.conv = nn.Conv2d(3, 3, 3, stride=2), nn.Conv2d(3, 3, (3, 1))

    def forward(self, x: Tensor) -> Tensor:
        return self.conv(self.down(x)).squeeze()


CASES: list[tuple[Callable[[], nn.Module], tuple[int | str, ...], int]] = [
    (Parity, IMAGE, 4),
    (Square, IMAGE, 5),
    (Area, IMAGE, 2),
    (Nested, IMAGE, 4),
    (Picks, IMAGE, 4),
    (Period, SOUND, 11),
    (Ranks, IMAGE, 3),
]


@pytest.mark.parametrize("strategy", ["fewest", "preserve"])
@pytest.mark.parametrize(("make", "template", "least"), CASES)
def test_repairs_of_several_paths_are_proved(
    make: Callable[[], nn.Module], template: tuple[int | str, ...], least: int, strategy: str
) -> None:
    """And run at every size of two periods of each axis, on each side of each fork."""
    fix = fix_model(make(), min_input=least, input_shape=template, strategy=strategy)
    assert fix.proved
    assert fix.report.analysis.complete
    assert len(fix.report.analysis.evaluating.pieces) > 1
    meta = oracle.to_meta(fix.model)
    axes = len(template) - 2
    for size in itertools.product(range(least, least + 26), repeat=axes):
        for training, batch in ((False, 1), (True, 2)):
            shape = oracle.fill(template, size, batch)
            assert oracle.runs(meta, shape, training), (size, oracle.refusal(meta, shape, training))


@pytest.mark.parametrize(("make", "least", "period"), [(Parity, 9, 2), (Square, 9, 6), (Nested, 14, 12)])
def test_every_path_is_needed(make: type[nn.Module], least: int, period: int) -> None:
    """A path that is left out, or whose answers are not those that Python gets, spoils the proof."""
    paths, certificate = paths_of(make()), claim(least, period)
    assert proves(certificate, paths)
    for index, path in enumerate(paths):
        others = [*paths[:index], *paths[index + 1 :]]
        assert not proves(certificate, others)
        for turned in range(len(path.told)):
            told = [one._replace(truth=one.truth ^ (i == turned)) for i, one in enumerate(path.told)]
            assert not proves(certificate, [*others, replace(path, told=tuple(told))])


class Folds(Forks):
    """What is a whole number on one path alone."""

    def forward(self, x: Tensor) -> Tensor:
        batch, _, height, _ = x.shape
        return x.reshape(batch * height // 4, -1) if height == 4 else self.first(x)


@pytest.mark.parametrize("least", [3, 4, 5])
def test_sizes_that_left_a_way_count_no_more_on_it(least: int) -> None:
    """A quotient by 4 is exact where the height is 4, and the way is taken nowhere else."""
    report = check_model(Folds(), min_input=least, input_shape=IMAGE)
    assert certify(report.analysis, report.box, Changes())[0]


def test_what_a_path_asks_of_the_batch_is_not_asked_at_every_size() -> None:
    class Groups(Forks):
        def forward(self, x: Tensor) -> Tensor:
            x = self.large(x)
            return x.view(min(x.shape[0], 4), -1) if x.shape[2] % 2 else x

    fix = fix_model(Groups(), min_input=(8, 5), max_input=(8, 9), input_shape=IMAGE)
    assert fix.proved
    assert not fix.report.notes


@pytest.mark.parametrize("least", range(2, 9))
def test_each_path_is_held_against_its_own_sizes(least: int) -> None:
    """Odd heights ask for 9 rows, even ones for 4: the smallest of each decides."""
    works = all(n >= (9 if n % 2 else 4) for n in (least, least + 1))
    paths = paths_of(Parity())
    assert proves(claim((least, 5), 2), paths) == works
    if not works:
        with pytest.raises(NotProved, match="kernel fits"):
            check(claim((least, 5), 2), paths, Changes())


def test_a_caught_error_is_a_path_without_a_proof() -> None:
    """Where it cannot happen, the model is proved all the same."""

    class Catches(Forks):
        def forward(self, x: Tensor) -> Tensor:
            try:
                return self.large(x)
            except RuntimeError:
                return self.down(x)

    assert fix_model(Catches(), min_input=2, input_shape=IMAGE, frozen=("large",)).proved is False
    report = check_model(Catches(), min_input=7, input_shape=IMAGE)
    assert certify(report.analysis, report.box, Changes())[0]
    report = check_model(Catches(), min_input=6, input_shape=IMAGE)
    assert certify(report.analysis, report.box, Changes()) == ((), "large: kernel fits the padded input")


def test_a_number_that_python_needs_is_a_path_without_a_proof() -> None:
    """One path a size: they cannot all be followed."""

    class Counts(Forks):
        def forward(self, x: Tensor) -> Tensor:
            for _ in range(x.shape[2] // 9):
                x = self.small(x)
            return self.large(x)

    fix = fix_model(Counts(), min_input=6, input_shape=IMAGE)
    assert not fix.proved
    assert fix.verdict.why == "at some sizes the model takes a path that is not known"


def test_the_smallest_repair_over_all_paths() -> None:
    """The optimum of brute force, which knows no paths: every padding of both layers, run at every size."""
    fix = fix_model(Period(), min_input=11, input_shape=SOUND, allow=("padding",))
    assert fix.proved
    assert fix.optimal
    found = [(edit.site, edit.new) for edit in fix.edits]
    working = [
        (down, last)
        for down, last in itertools.product(range(6), repeat=2)
        if runs_everywhere(down, last, 11)
    ]
    fewest = min((down > 0) + (last > 0) for down, last in working)
    assert len(found) == fewest == 1
    cheapest = min(down + last for down, last in working if (down > 0) + (last > 0) == fewest)
    assert sum(new[0] if isinstance(new, tuple) else new for _, new in found) == cheapest


def runs_everywhere(down: int, last: int, least: int) -> bool:
    model = Period()
    model.down.padding, model.last.padding = (down, 0), (last, 0)
    meta = oracle.to_meta(model)
    return all(oracle.runs(meta, (2, 1, n), training=False) for n in range(least, least + 40))


def paths_of(model: nn.Module) -> list[Program]:
    pieces = check_model(model, input_shape=IMAGE).analysis.evaluating.pieces
    programs = {id(piece.program): piece.program for piece in pieces if piece.program.told is not None}
    return list(programs.values())


def claim(least: int | tuple[int, int], period: int) -> Certificate:
    lowest = least if isinstance(least, tuple) else (least, least)
    cuts = [(axis, Axis(low, 0, period)) for axis, low in enumerate(lowest)]
    return Certificate(((BATCH, Axis(1, 0, 1)), *cuts), training=False)


def proves(certificate: Certificate, programs: list[Program]) -> bool:
    try:
        return check(certificate, programs, Changes()) > 0
    except NotProved:
        return False


@dataclass(frozen=True)
class Step:
    """A layer, and the question on which it depends whether it is called."""

    kernel: tuple[int, int]
    stride: tuple[int, int]
    asks: str
    axis: int
    number: int


class Steps(nn.Module):
    """A chain whose layers are called at some sizes; `else`, every second one pools instead."""

    def __init__(self, steps: list[Step]) -> None:
        super().__init__()
        self.steps = steps
        self.layers = nn.ModuleList(nn.Conv2d(1, 1, step.kernel, step.stride) for step in steps)

    def forward(self, x: Tensor) -> Tensor:
        for number, (step, layer) in enumerate(zip(self.steps, self.layers, strict=True)):
            if self.asked(step, x):
                x = layer(x)
            elif number % 2:
                x = F.avg_pool2d(x, step.kernel[::-1], 1)
        return x

    def asked(self, step: Step, x: Tensor) -> bool:
        size = x.shape[2 + step.axis]
        if step.asks == "rest":
            return size % (2 + step.number % 3) == 1
        if step.asks == "above":
            return size > step.number
        if step.asks == "square":
            return x.shape[2] == x.shape[3]
        return x.shape[2] * x.shape[3] < step.number * 20


SIDES = st.tuples(st.integers(1, 5), st.integers(1, 5))
STEPS = st.builds(
    Step,
    SIDES,
    st.tuples(st.integers(1, 2), st.integers(1, 3)),
    st.sampled_from(["rest", "above", "square", "area"]),
    st.integers(0, 1),
    st.integers(3, 14),
)


@settings(max_examples=16, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
@given(st.lists(STEPS, min_size=1, max_size=3), st.integers(2, 9), st.sampled_from(["fewest", "preserve"]))
def test_random_paths(steps: list[Step], least: int, strategy: str) -> None:
    """What `accepts` says is true, and what is called proved works, on every path."""
    report = check_model(Steps(steps), input_shape=ONE)
    sizes = list(itertools.product(range(1, 25), repeat=2))
    original = oracle.to_meta(Steps(steps))
    for size in sizes[:: 7 + least]:
        shape = oracle.fill(ONE, size, 2)
        assert report.accepts(*size) == oracle.runs(original, shape, training=False), size
    try:
        fix = fix_model(Steps(steps), min_input=least, input_shape=ONE, strategy=strategy)
    except AutofixError:
        return
    meta = oracle.to_meta(fix.model)
    for size in (size for size in sizes if min(size) >= least):
        assert oracle.runs(meta, oracle.fill(ONE, size, 2), training=False) or not fix.proved, size


class Ring(Forks):
    """The large kernel is for inputs two pixels taller than wide."""

    def forward(self, x: Tensor) -> Tensor:
        return self.large(x) if x.shape[2] == x.shape[3] + 2 else self.first(x)


def test_a_fault_is_at_a_size_that_takes_its_path() -> None:
    """Heights below 7 are too small, and belong to widths below 5."""
    report = check_model(Ring(), min_input=3, input_shape=IMAGE)
    sizes = {fault.size for fault in report.faults}
    assert sizes == {(5, 3)}
    report = check_model(Ring(), min_input=(5, 5), input_shape=IMAGE)
    assert not report.faults
