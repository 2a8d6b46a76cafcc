"""fix_many: the same repairs from any executor, each once and in order, whatever happens to the workers."""

import copy
import functools
import multiprocessing
import os
import time
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import pytest
import torch
from torch import nn

from autofix import CaptureError, UsageError, check_model, fix_model
from autofix.examples.mri import BadCNN, GoodCNN, StridedCNN
from autofix.many import AHEAD, WorkerDiedError, fix_many

SERVED = multiprocessing.get_context("forkserver")  # torch's threads would not survive a fork of this process
SERVED.set_forkserver_preload(["autofix.many"])


class FixedHead(nn.Module):
    """Accepts one size; a functional pool and a reshape make its repair change forward, not layers alone."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(1, 4, 3)
        self.table = torch.arange(4.0).reshape(1, 4, 1, 1)

    def forward(self, x):
        return nn.functional.max_pool2d(self.conv(x) * self.table, 4)


class Deadly(nn.Module):
    """Ends the process that unpickles it."""

    def __init__(self, marker: str = "", times: int = 1_000) -> None:
        super().__init__()
        self.marker, self.times = marker, times
        self.conv = nn.Conv2d(1, 1, 5)

    def __setstate__(self, state):
        super().__setstate__(state)
        tries = Path(self.marker)
        tries.write_text(tries.read_text() + "x")
        if len(tries.read_text()) <= self.times:
            os._exit(9)

    def forward(self, x):
        return self.conv(x)


@pytest.fixture(scope="module")
def pool():
    with ProcessPoolExecutor(1, mp_context=SERVED) as pool:
        yield pool


def changes(fix):
    return [str(change) for change in (*fix.edits, *fix.inserts)]


def test_here_and_in_a_process_alike(pool):
    """The same changes, and the repaired models compute the same from the same weights."""
    models = [BadCNN(), StridedCNN(), FixedHead(), GoodCNN()]
    before = [copy.deepcopy(model.state_dict()) for model in models]
    here = list(fix_many(models, min_input=5))
    there = list(fix_many(models, pool, min_input=5))
    for model, state, one, other in zip(models, before, here, there, strict=True):
        assert changes(one) == changes(other)
        assert (one.proved, one.optimal, str(one.report)) == (other.proved, other.optimal, str(other.report))
        assert type(other.model).__name__ == type(model).__name__
        assert isinstance(other.model, type(model))
        assert other.report.accepts(*[9] * len(other.report.axes)) == one.report.accepts(
            *[9] * len(one.report.axes)
        )
        x = torch.randn(2, 1, *[9] * len(one.report.axes))
        with torch.no_grad():
            expected = one.model(x)
            for repaired in (other.model, other.graph_module, one.graph_module):
                assert torch.equal(repaired(x), expected)
        for name, value in model.state_dict().items():
            assert torch.equal(value, state[name])
            assert other.model.state_dict()[name].data_ptr() != value.data_ptr()


def test_shared_weights_stay_shared(pool):
    model = nn.Sequential(nn.Conv2d(2, 2, 3), nn.Conv2d(2, 2, 3))
    model[1].weight = model[0].weight
    (fix,) = fix_many([model], pool, min_input=2)
    assert fix.model[1].weight is fix.model[0].weight
    graph = dict(fix.graph_module.named_modules())
    assert graph["0"].weight is fix.model[0].weight


def test_errors_stand_in_their_place(pool):
    """One model's error is that model's result."""
    fixed = nn.Sequential(nn.Conv2d(1, 1, 9), nn.Flatten(0), nn.Linear(4, 2))
    results = list(fix_many([BadCNN(), nn.Linear(2, 2), fixed], pool, min_input=5, frozen=("*",)))
    again = list(fix_many([BadCNN(), nn.Linear(2, 2), fixed], min_input=5, frozen=("*",)))
    assert [type(result) for result in results] == [type(result) for result in again]
    assert isinstance(results[1], CaptureError)
    assert [getattr(r, "core", None) for r in results] == [getattr(r, "core", None) for r in again]


def test_what_cannot_be_sent(pool):
    class Local(nn.Module):
        pass

    failed, worked = fix_many([Local(), BadCNN()], pool, min_input=5)
    assert isinstance(failed, UsageError)
    assert "Local" in str(failed)
    assert changes(worked)


def test_makers_build_where_the_work_is_done(pool):
    (fix,) = fix_many([functools.partial(BadCNN)], pool, min_input=5)
    assert changes(fix) == changes(fix_model(BadCNN(), min_input=5))
    assert fix.model(torch.randn(1, 1, 5, 5, 5)).shape[1] == 32


@pytest.mark.parametrize("times", [1, 1_000])
def test_dead_workers_lose_nothing(tmp_path, times):
    """A model that kills its worker once is repaired the second time; one that always does is reported."""
    marker = tmp_path / "tries"
    marker.write_text("")
    models = [BadCNN(), Deadly(str(marker), times), StridedCNN(), BadCNN()]
    with ProcessPoolExecutor(1, mp_context=SERVED) as pool:
        results = list(fix_many(models, pool, min_input=4))
    died = results.pop(1)
    assert isinstance(died, WorkerDiedError) if times > 1 else changes(died)
    expected = [fix_model(model(), min_input=4) for model in (BadCNN, StridedCNN, BadCNN)]
    assert list(map(changes, results)) == list(map(changes, expected))


def test_threads():
    with ThreadPoolExecutor(2) as pool:
        results = list(fix_many([BadCNN(), StridedCNN(), BadCNN()], pool, min_input=5))
    expected = [fix_model(model(), min_input=5) for model in (BadCNN, StridedCNN, BadCNN)]
    assert list(map(changes, results)) == list(map(changes, expected))


def test_only_a_few_are_taken_ahead():
    taken = []

    def endless():
        while True:
            taken.append(1)
            yield BadCNN()

    with ThreadPoolExecutor(1) as pool:
        results = fix_many(endless(), pool, min_input=5)
        assert changes(next(results))
        results.close()
    assert len(taken) <= AHEAD + 1


def test_dask():
    """A real local cluster, in this process's threads."""
    distributed = pytest.importorskip("distributed")
    settings = {"processes": False, "n_workers": 1, "threads_per_worker": 1, "dashboard_address": None}
    with distributed.LocalCluster(**settings) as cluster, distributed.Client(cluster) as client:
        results = list(fix_many([BadCNN(), StridedCNN()], client.get_executor(), min_input=5))
    assert [changes(r) for r in results] == [
        changes(fix_model(m(), min_input=5)) for m in (BadCNN, StridedCNN)
    ]


def test_refuses_inplace():
    with pytest.raises(UsageError, match="inplace"):
        fix_many([BadCNN()], min_input=5, inplace=True)


class Crowd:
    """How many threads are in a forward, and at most were: no state of a model, so it is not put back."""

    def __init__(self):
        self.inside, self.most = 0, 0

    @contextmanager
    def entered(self):
        self.inside += 1
        self.most = max(self.most, self.inside)
        yield
        self.inside -= 1


CROWD = Crowd()


class Crowded(nn.Module):
    """Notes how many threads run it at once."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(1, 1, 5)

    def forward(self, x):
        with CROWD.entered():
            time.sleep(0.02)
        return self.conv(x)


def test_threads_trace_in_turn():
    fixes = [fix_model(Crowded(), min_input=3) for _ in range(4)]
    called, CROWD.most = nn.Module.__call__, 0
    with ThreadPoolExecutor(4) as pool:
        checks = [pool.submit(check_model, Crowded()) for _ in fixes]
        graphs = list(pool.map(lambda fix: fix.graph_module, fixes))
        assert all(check.result().minimum_input == (5, 5) for check in checks)
    assert CROWD.most == 1
    assert nn.Module.__call__ is called
    assert graphs[0](torch.randn(1, 1, 3, 4)).shape[2:] == (1, 2)
