"""Where modules were constructed, for every way that Python has of getting to a constructor."""

from __future__ import annotations

import functools
import gc
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest
import torch
from torch import nn

from autofix.construct import Construction, record

HERE = str(Path(__file__))


def text_of(construction: Construction | None) -> str:
    """The source of the call that built the module."""
    assert construction is not None
    assert construction.made_by is not None
    span = construction.made_by.span
    assert span is not None
    lines = Path(construction.made_by.file).read_bytes().splitlines(keepends=True)
    lines = lines[span.line - 1 : span.end_line]
    lines[-1] = lines[-1][: span.end_column]
    return lines[0][span.column :].decode() if len(lines) == 1 else b"".join(lines)[span.column :].decode()


class Wide(nn.Conv2d):
    def __init__(self, channels: int) -> None:
        super().__init__(channels, 4, 3)


class Late(nn.Module):
    def __init__(self) -> None:
        self.prepare()
        super().__init__()

    def prepare(self) -> None:
        pass


class InAMethod(nn.Module):
    def __init__(self) -> None:
        self.start()

    def start(self) -> None:
        super().__init__()


class Decorated(nn.Module):
    @functools.lru_cache  # noqa: B019
    def __init__(*args) -> None:
        super(Decorated, args[0]).__init__()


@dataclass(eq=False)
class Data(nn.Module):
    size: int

    def __post_init__(self) -> None:
        super().__init__()


class Meta(type):
    def __call__(cls, *args, **kwargs):
        return super().__call__(*args, **kwargs)


class WithMeta(nn.Module, metaclass=Meta):
    pass


class Bare(nn.Module):
    pass


def make(kind: Callable[[], nn.Module]) -> nn.Module:
    return kind()


BUILDS = {  # a lambda each, so that the call stands in a function
    "plain": (lambda: nn.Conv2d(1, 2, 3), "nn.Conv2d(1, 2, 3)"),
    "subclass": (lambda: Wide(1), "Wide(1)"),
    "late": (lambda: Late(), "Late()"),  # noqa: PLW0108
    "in a method": (lambda: InAMethod(), "InAMethod()"),  # noqa: PLW0108
    "no init": (lambda: Bare(), "Bare()"),  # noqa: PLW0108
    "varargs": (lambda: Decorated(), "Decorated()"),  # noqa: PLW0108
    "dataclass": (lambda: Data(3), "Data(3)"),
    "metaclass": (lambda: WithMeta(), "WithMeta()"),  # noqa: PLW0108
    "through a function": (lambda: make(Bare), "kind()"),
    "partial": (lambda: functools.partial(nn.Conv2d, 1, 2)(3), "functools.partial(nn.Conv2d, 1, 2)(3)"),
    "star": (lambda: nn.Conv2d(*(1, 2, 3)), "nn.Conv2d(*(1, 2, 3))"),
    "comprehension": (lambda: [nn.Conv2d(1, 2, i) for i in (1, 2)][0], "nn.Conv2d(1, 2, i)"),  # noqa: RUF015
    "nested": (lambda: nn.Sequential(nn.ReLU(), nn.Tanh())[1], "nn.Tanh()"),
    "non-ascii": (lambda: ("größe", nn.Tanh())[1], "nn.Tanh()"),
}


@pytest.mark.parametrize("name", BUILDS)
def test_the_call_is_found(name: str) -> None:
    build, expected = BUILDS[name]
    with record() as log:
        module = build()
    assert text_of(log.of(module)) == expected


def test_a_call_over_several_lines() -> None:
    with record() as log:
        module = nn.Conv2d(
            1,
            2,
            3,
        )
    construction = log.of(module)
    assert construction is not None
    assert construction.made_by is not None
    span = construction.made_by.span
    assert span is not None
    assert span.end_line - span.line == 4


class Net(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.wide = Wide(1)
        self.same = Net.__new__(Inner)
        self.same.__init__()


class Inner(nn.Module):
    def __init__(self) -> None:
        super().__init__()


def test_the_chain_goes_out_to_the_with_statement() -> None:
    with record() as log:
        net = Net()
    construction = log.of(net.wide)
    assert construction is not None
    functions = [call.function for call in construction.calls]
    assert functions == [
        "_ConvNd.__init__",
        "Conv2d.__init__",
        "Wide.__init__",
        "Net.__init__",
        "test_the_chain_goes_out_to_the_with_statement",
    ]
    location = construction.location(lambda file: file == HERE)
    assert location is not None
    assert location.text == "self.wide = Wide(1)"


class Recursive(nn.Module):
    def __init__(self, depth: int) -> None:
        super().__init__()
        self.child = Recursive(depth - 1) if depth else None


def test_a_class_that_builds_itself() -> None:
    with record() as log:
        net = Recursive(2)
    assert text_of(log.of(net)) == "Recursive(2)"
    assert net.child is not None
    assert text_of(log.of(net.child)) == "Recursive(depth - 1)"


def test_modules_thrown_away_are_forgotten() -> None:
    with record() as log:
        kept = [nn.ReLU() for _ in range(3)]
        for _ in range(1000):
            nn.ReLU()
    gc.collect()
    assert len(log) == 3
    assert all(log.of(module) is not None for module in kept)


def test_only_modules_built_inside_are_known() -> None:
    before = nn.ReLU()
    with record() as log:
        pass
    after = nn.ReLU()
    assert log.of(before) is None
    assert log.of(after) is None


def test_nn_module_is_left_as_it_was() -> None:
    init = nn.Module.__init__
    with pytest.raises(ZeroDivisionError), record():
        raise ZeroDivisionError
    assert nn.Module.__init__ is init


def test_recordings_may_be_nested() -> None:
    with record() as outer, record() as inner:
        module = nn.ReLU()
    assert text_of(outer.of(module)) == text_of(inner.of(module)) == "nn.ReLU()"


def test_weights_are_the_same_with_and_without() -> None:
    torch.manual_seed(0)
    plain = nn.Conv2d(1, 2, 3)
    torch.manual_seed(0)
    with record():
        recorded = nn.Conv2d(1, 2, 3)
    assert torch.equal(plain.weight, recorded.weight)


def test_code_without_a_file() -> None:
    scope: dict[str, object] = {"nn": nn}
    with record() as log:
        exec("module = nn.ReLU()", scope)
    module = scope["module"]
    assert isinstance(module, nn.Module)
    construction = log.of(module)
    assert construction is not None
    assert construction.made_by is not None
    assert construction.made_by.file == "<string>"


def test_it_costs_little() -> None:
    def cost() -> float:
        start = time.process_time()
        for _ in range(2000):
            nn.Conv2d(1, 1, 1)
        return time.process_time() - start

    plain = min(cost() for _ in range(5))
    with record():
        recorded = min(cost() for _ in range(5))
    assert (recorded - plain) / 2000 < 50e-6
