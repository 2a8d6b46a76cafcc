"""Repaired models really run at every size asked for, keep what was promised, and survive what users do."""

from __future__ import annotations

import copy
import io
import itertools
import re
import warnings
from collections.abc import Iterator
from typing import Any

import oracle
import pytest
import torch
import torch.nn.functional as F
from nets_as_written import NETS
from networks import random_network
from torch import Tensor, nn

from autofix import CaptureError, InfeasibleError, check_model, fix_model
from autofix.change import Insert
from autofix.outcome import Report
from autofix.repair import Fix
from autofix.size import BATCH

STRATEGIES = ("fewest", "same", "preserve")
MOST_SIZES = 24
IMAGE = (1, 2, "H", "W")
# Whole loops over their input: many paths, which other tests follow.
SLOW = {"HalvesWhileLarge", "RowByRow", "Strips", "QuarterPool", "StackedHourglass", "StyleTransfer"}
# Sizes that forward asserts or a table has.
REFUSED = {"AssertsSquare", "PositionTable"}


@pytest.fixture(autouse=True, scope="module")
def one_thread() -> Iterator[None]:
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


def half_of_minimum(report: Report) -> int:
    known = [size for size in report.minimum_input if size is not None]
    return max(1, max(known) // 2) if len(known) == len(report.axes) else 16


def repaired(model: nn.Module, template: Any, strategy: str, least: int) -> Fix | None:
    """The repair; None where it is refused, with a reason that holds."""
    try:
        return fix_model(model, min_input=least, input_shape=template, strategy=strategy, time_limit=10)
    except InfeasibleError as refusal:
        check_core(refusal, model, template)
    except CaptureError:
        pass
    return None


def check_core(refusal: InfeasibleError, model: nn.Module, template: Any) -> None:
    """Each line of the core ends in a size, and torch refuses the first of them."""
    assert refusal.core
    sizes = [re.search(r"at size ([\d x]+)$", line) for line in refusal.core]
    assert all(sizes), refusal.core
    assert any(not at_some_batch(model, template, found[1]) for found in sizes if found), refusal.core


def at_some_batch(model: nn.Module, template: Any, size: str) -> bool:
    point = tuple(int(part) for part in size.split(" x "))
    meta = oracle.to_meta(model)
    return all(oracle.runs(meta, oracle.fill(template, point, 2), training) for training in (False, True))


def every_size(fix: Fix, least: int) -> list[tuple[int, ...]]:
    """Two periods from the least size on, as far as they go, on all axes alike and on each alone."""
    rank = len(fix.report.axes)
    periods = [cut.period + cut.head for c in fix.verdict.certificates for _, cut in c.axes]
    count = min(MOST_SIZES, 2 * max(periods, default=8) + 1)
    sizes = range(least, least + count)
    alone = [
        tuple(size if a == axis else least for a in range(rank)) for axis in range(rank) for size in sizes
    ]
    return list(dict.fromkeys([*((size,) * rank for size in sizes), *alone[:: max(1, len(alone) // 12)]]))


def check_runs(fix: Fix, template: Any, least: int, dtypes: tuple[torch.dtype, ...] = ()) -> None:
    meta = oracle.to_meta(fix.model)
    for size, training in itertools.product(every_size(fix, least), (False, True)):
        shape = oracle.fill(template, size, 2)
        assert not oracle.refusal(meta, shape, training, dtypes), (size, training, str(fix))


def check_kept(fix: Fix, model: nn.Module) -> None:
    assert isinstance(fix.model, type(model))
    assert type(fix.model).__name__ == type(model).__name__
    assert list(fix.model.state_dict()) == list(model.state_dict())
    assert fix.proved == (bool(fix.verdict.certificates) and fix.report.ok)


def check_preserved(fix: Fix, model: nn.Module, template: Any, least: int) -> None:
    """Bit for bit the same outputs at sizes that worked."""
    rank = len(fix.report.axes)
    worked = [n for n in range(least, 80) if soundly(fix.before, (n,) * rank)]
    for size in worked[:4] + worked[-2:]:
        shape = oracle.fill(template, (size,) * rank, 2)
        torch.manual_seed(size)
        inputs = [torch.randn(one) for one in (shape if isinstance(shape[0], tuple) else (shape,))]
        assert same_outputs(model, fix.model, inputs), (size, str(fix))
        if not on_another_path(fix, inputs):
            assert same_outputs(model, fix.graph_module, inputs), (size, str(fix))


def on_another_path(fix: Fix, inputs: list[Tensor]) -> bool:
    """Whether the graph, which stands for one of several paths, says that this size takes another."""
    if len(fix.report.analysis.evaluating.pieces) == 1:
        return False
    try:
        fix.graph_module.eval()(*inputs)
    except AssertionError:
        return True
    return False


def soundly(report: Report, sizes: tuple[int, ...]) -> bool:
    """It ran, and nothing was silently wrong, such as pixels that a view moves into the batch."""
    point = {BATCH: 2, **dict(enumerate(sizes))}
    return report.accepts(*sizes) and bool(report.analysis.evaluating.sound.at(point))


def same_outputs(left: nn.Module, right: nn.Module, inputs: list[Tensor]) -> bool:
    results = []
    for model in (left, right):
        torch.manual_seed(0)
        with torch.no_grad():
            results.append(list(tensors(model.eval()(*inputs))))
    equal = (torch.equal(a.nan_to_num(), b.nan_to_num()) for a, b in zip(*results, strict=True))
    return bool(results[0]) and all(equal)


def tensors(value: Any) -> Iterator[Tensor]:
    if isinstance(value, Tensor):
        yield value
    elif isinstance(value, dict):
        yield from tensors(list(value.values()))
    elif isinstance(value, tuple | list):
        for item in value:
            yield from tensors(item)
    elif hasattr(value, "__dict__"):
        yield from tensors(vars(value))


def check_all(model: nn.Module, template: Any, strategy: str, dtypes: tuple[torch.dtype, ...] = ()) -> bool:
    report = check_model(model, input_shape=template)
    least = half_of_minimum(report)
    fix = repaired(model, template, strategy, least)
    if fix is None:
        return False
    check_runs(fix, template, least, dtypes)
    check_kept(fix, model)
    if strategy == "preserve" and not dtypes:
        check_preserved(fix, model, template, least)
    return True


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_random_networks(strategy: str) -> None:
    done = 0
    for seed in range(1000, 1010):
        network = random_network(seed, max_blocks=4)
        torch.manual_seed(seed)
        done += check_all(network.build(), network.template, strategy)
    assert done >= 5


@pytest.mark.parametrize("strategy", ["fewest", "preserve"])
@pytest.mark.parametrize("name", [name for name in NETS if name not in SLOW])
def test_networks_as_written(name: str, strategy: str) -> None:
    entry = NETS[name]
    torch.manual_seed(0)
    done = check_all(entry.make(), entry.template, strategy, entry.dtypes)
    assert done == (name not in REFUSED)


class Shrinks(nn.Module):
    """Too small a map for its last kernel: an edit of padding, or a pad that fits it."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.norm, self.last = nn.Conv2d(2, 4, 3, 2), nn.BatchNorm2d(4), nn.Conv2d(4, 2, 3)

    def forward(self, x: Tensor) -> Tensor:
        return F.relu(self.last(self.norm(self.first(x))))


class Skips(nn.Module):
    """A join that is a pixel off at odd sizes: an align."""

    def __init__(self) -> None:
        super().__init__()
        self.down, self.up = nn.Conv2d(2, 4, 2, 2), nn.ConvTranspose2d(4, 2, 2, 2)

    def forward(self, x: Tensor) -> Tensor:
        return torch.cat([x, self.up(self.down(x))], 1)


class Classifies(nn.Module):
    """A fixed head: an adaptive pool."""

    def __init__(self) -> None:
        super().__init__()
        self.conv, self.fc = nn.Conv2d(2, 4, 3, 2, 1), nn.Linear(4 * 8 * 8, 3)

    def forward(self, x: Tensor) -> Tensor:
        return self.fc(torch.flatten(self.conv(x), 1))


class Packs(nn.Module):
    """Only multiples of 4: the input is rounded up."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(32, 32, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        return F.pixel_shuffle(self.conv(F.pixel_unshuffle(x, 4)), 4)


KINDS: dict[str, tuple[type[nn.Module], str, str]] = {
    "edit": (Shrinks, "fewest", ""),
    "fit": (Shrinks, "preserve", "fit"),
    "align": (Skips, "preserve", "align"),
    "adaptive": (Classifies, "preserve", "adaptive"),
    "round": (Packs, "preserve", "round"),
}


def made(kind: str) -> tuple[nn.Module, Fix]:
    build, strategy, insert = KINDS[kind]
    torch.manual_seed(1)
    model = build()
    fix = fix_model(model, min_input=5, input_shape=IMAGE, strategy=strategy)
    assert {one.kind for one in fix.inserts if isinstance(one, Insert)} == ({insert} if insert else set())
    assert fix.graph_module is not None
    return model, fix


def image(size: int, batch: int = 2) -> Tensor:
    return torch.rand(batch, 2, size, size + 1, generator=torch.Generator().manual_seed(size))


@pytest.mark.parametrize("kind", KINDS)
def test_the_original_is_untouched(kind: str) -> None:
    build, strategy, _ = KINDS[kind]
    model = build()
    next(model.children()).eval()
    state = copy.deepcopy(model.state_dict())
    modes, shown, random = [m.training for m in model.modules()], repr(model), torch.get_rng_state()
    fix = fix_model(model, min_input=5, input_shape=IMAGE, strategy=strategy)
    assert torch.equal(torch.get_rng_state(), random)
    assert [m.training for m in model.modules()] == modes
    assert repr(model) == shown
    assert type(model) is build
    assert all(torch.equal(value, state[name]) for name, value in model.state_dict().items())
    assert [m.training for m in fix.model.modules()] == modes
    assert all(torch.equal(value, state[name]) for name, value in fix.model.state_dict().items())
    with torch.no_grad():
        next(fix.model.parameters()).zero_()
    assert all(torch.equal(value, state[name]) for name, value in model.state_dict().items())


@pytest.mark.parametrize("kind", KINDS)
def test_what_users_do_to_models(kind: str) -> None:
    """state_dict, torch.save, deepcopy, .to, train and eval, autograd: the model and its graph alike."""
    model, fix = made(kind)
    graph = fix.graph_module
    assert graph is not None
    for size in (5, 6, 7, 12):
        assert same_outputs(fix.model, graph, [image(size)])
    for patched in (fix.model, graph):
        file = io.BytesIO()
        torch.save(model.state_dict(), file)
        file.seek(0)
        patched.load_state_dict(torch.load(file, weights_only=True))
        twin = copy.deepcopy(patched)
        assert same_outputs(patched, twin, [image(7)])
        assert copy.deepcopy(patched).to("meta")(image(6).to("meta")).device.type == "meta"
        assert all(module.training for module in twin.train().modules())
        assert not any(module.training for module in twin.eval().modules())
        x = image(5).requires_grad_()
        twin.train()(x).sum().backward()
        assert x.grad is not None
        assert all(parameter.grad is not None for parameter in twin.parameters())


@pytest.mark.parametrize("kind", KINDS)
def test_export(kind: str) -> None:
    """With dynamic sizes, or where torch.export does not take them for this model, at one size."""
    _, fix = made(kind)
    assert fix.graph_module is not None
    for patched in (fix.model.eval(), fix.graph_module.eval()):
        exported, sizes = export(patched)
        for size in sizes:
            with torch.no_grad():
                assert torch.equal(exported.module()(image(size)), patched(image(size)))


def export(model: nn.Module) -> tuple[torch.export.ExportedProgram, tuple[int, ...]]:
    dynamic = {2: torch.export.Dim.AUTO, 3: torch.export.Dim.AUTO}
    with warnings.catch_warnings(action="ignore"):
        try:
            exported = torch.export.export(model, (image(13),), dynamic_shapes=(dynamic,))
            exported.module()(image(15))
            return exported, (13, 15, 18)
        except Exception:
            return torch.export.export(model, (image(13),)), (13,)


def test_compile() -> None:
    model, fix = made("fit")
    assert fix.graph_module is not None
    for patched in (fix.model.eval(), fix.graph_module.eval()):
        compiled = torch.compile(patched, backend="eager")
        for size in (5, 9, 12):
            with torch.no_grad():
                assert torch.equal(compiled(image(size)), patched(image(size)))
    with torch.no_grad():
        assert torch.equal(model.eval()(image(12)), fix.model(image(12)))


class Pair(nn.Module):
    """Two branches, each too short for its own last layer."""

    def __init__(self) -> None:
        super().__init__()
        self.a1, self.a2 = nn.Conv2d(1, 1, 3, 3), nn.Conv2d(1, 1, 4)
        self.b1, self.b2 = nn.Conv2d(1, 1, 3, 3), nn.Conv2d(1, 1, 5)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        return self.a2(self.a1(x)), self.b2(self.b1(x))


def test_an_edit_says_what_it_is_for() -> None:
    """The fault that it leads to, not that of another branch, which comes first at the smallest size."""
    fix = fix_model(Pair(), min_input=9, input_shape=(1, 1, "H", "W"), frozen=("a2", "b2"))
    whys = {edit.site: edit.why for edit in fix.edits}
    assert whys == {"a1": "at 9 x 9, a2 needs 4, gets 3", "b1": "at 12 x 12, b2 needs 5, gets 4"}
