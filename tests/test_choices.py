"""An `if` that resizes is one trace for all sizes; any other is followed on both its paths."""

from __future__ import annotations

import copy
import linecache
import sys
import textwrap
from collections.abc import Callable, Iterator
from pathlib import Path
from types import FunctionType
from typing import Any

import numpy as np
import oracle
import pytest
import torch
from branching_nets import APART, MERGED, Apart, Cropped, Difference, EachAxis, Same, Whole
from torch import nn

from autofix import check_model, fix_model
from autofix.conversion import CHOICE, converted


@pytest.fixture(autouse=True, scope="module")
def one_thread() -> Iterator[None]:
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


NAMES = [f"{type(net).__name__}-{len(template) - 2}d" for net, template in MERGED]
POINTS = {
    1: [(n,) for n in range(1, 40)],
    2: [(n, 1 + n * 7 % 41) for n in range(1, 42)] + [(n, n) for n in range(1, 36)],
    3: [(n, 1 + n * 5 % 17, 1 + n * 3 % 13) for n in range(1, 18)] + [(n, n, n) for n in range(1, 14)],
}


def agrees(net: nn.Module, template: Any, report: Any) -> None:
    meta = oracle.to_meta(net)
    for sizes in POINTS[len(template) - 2]:
        for training, batch in ((False, 2), (True, 1), (True, 2)):
            said = report.accepts(*sizes, training=training, batch=batch)
            assert said == oracle.runs(meta, oracle.fill(template, sizes, batch), training), (sizes, training)


@pytest.mark.parametrize(("net", "template"), MERGED, ids=NAMES)
def test_one_trace_for_all_sizes(net: nn.Module, template: Any) -> None:
    report = check_model(net, input_shape=template)
    assert report.analysis.one_path
    agrees(net, template, report)


@pytest.mark.parametrize(("net", "template"), MERGED, ids=NAMES)
def test_the_graph_computes_what_the_model_does(net: nn.Module, template: Any) -> None:
    report = check_model(net, input_shape=template)
    low = max(size or 1 for size in report.minimum_input)
    fix = fix_model(net, min_input=low, input_shape=template)
    assert fix.proved
    graph = fix.graph_module
    for sizes in POINTS[len(template) - 2]:
        if min(sizes) >= low:
            x = torch.randn(2, 1, *sizes)
            assert torch.equal(graph(x), net(x)), sizes


@pytest.mark.parametrize(("net", "template"), MERGED, ids=NAMES)
@pytest.mark.parametrize("strategy", ["fewest", "preserve"])
def test_repairs(net: nn.Module, template: Any, strategy: str) -> None:
    fix = fix_model(net.eval(), min_input=3, input_shape=template, strategy=strategy)
    assert fix.proved
    one = len(fix.report.analysis.evaluating.pieces) == 1
    assert one or isinstance(net, Difference)  # a pad makes its maps too large, which it does not mend
    for sizes in POINTS[len(template) - 2]:
        if min(sizes) >= 3:
            x = torch.randn(2, 1, *sizes)
            found = fix.model(x)
            assert not one or torch.equal(fix.graph_module(x), found)
            if strategy == "preserve" and fix.before.accepts(*sizes):
                assert torch.equal(found, net(x)), sizes


@pytest.mark.parametrize("net", [Whole(2), EachAxis(2), Difference(2), Cropped(2), Same()])
def test_fewest_is_found_on_the_one_trace(net: nn.Module) -> None:
    fix = fix_model(net, min_input=2)
    assert fix.optimal
    assert not fix.inserts


def test_the_constraint_solver_reads_a_choice_as_the_walk_does(monkeypatch: pytest.MonkeyPatch) -> None:
    """Both searches, on networks small enough for either."""
    from autofix.solve import search, walk

    def too_many(*_: Any) -> Any:
        raise walk.TooMany

    for net in (Whole(2), EachAxis(2), Difference(2), Cropped(2), Same()):
        walked = fix_model(net, min_input=2)
        with monkeypatch.context() as patched:
            patched.setattr(search, "shortest", too_many)
            solved = fix_model(net, min_input=2)
        assert (solved.optimal, solved.proved) == (True, True)
        assert [(e.knob, e.old, e.new) for e in solved.edits] == [
            (e.knob, e.old, e.new) for e in walked.edits
        ]


@pytest.mark.parametrize("why", APART)
def test_sides_that_are_followed_apart(why: str) -> None:
    net, template = Apart(why), (1, 1, "L")
    report = check_model(net, input_shape=template)
    assert not report.analysis.one_path
    agrees(net, template, report)


def test_nothing_is_left_behind() -> None:
    """The model's own functions have their own code again, and their modules no name of ours."""
    codes = {kind: kind.fitted.__code__ for kind in (Whole, Difference)}
    for kind, code in codes.items():
        check_model(kind())
        assert kind.fitted.__code__ is code
        assert CHOICE not in kind.fitted.__globals__


def test_export_and_compile_the_graph() -> None:
    net = EachAxis()
    graph = fix_model(net, min_input=32).graph_module
    x = torch.randn(2, 1, 33, 38)
    exported = torch.export.export(graph, (x,)).module()
    assert torch.equal(exported(x), net(x))
    assert torch.equal(torch.compile(graph, backend="eager")(x), net(x))
    assert torch.equal(copy.deepcopy(graph)(x), net(x))


def test_a_frozen_copy_may_be_repaired_again() -> None:
    """The forward that a repair writes has a choice in it, which is read as one."""

    class Joined(EachAxis):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            y = super().forward(x)
            return y + self.ups[0](self.pool(y))

    fix = fix_model(Joined(), min_input=17)
    assert fix.inserts
    again = check_model(fix.model, min_input=17, input_shape=(1, 1, "H", "W"))
    assert again.ok
    assert again.analysis.one_path


class Emptied(nn.Module):
    """A slice under an `if` that would leave nothing at other sizes."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.pool = nn.Conv1d(1, 2, 3, padding=1, stride=2), nn.MaxPool1d(2)
        self.last = nn.Conv1d(2, 1, 3)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.first(x)
        y = self.pool(x)
        if x.shape[2] < 3:
            y = y[..., 2:]
        return self.last(x + y)


def test_what_one_side_leaves_empty_is_not_computed_at_other_sizes() -> None:
    fix = fix_model(Emptied(), min_input=6)
    assert fix.inserts
    for n in range(6, 20):
        assert fix.model(torch.randn(2, 1, n)).shape[2] > 0


class Plain:
    """What converted code asks, where nothing is uncertain."""

    def opened(self, place: str, test: Any, names: Any) -> int:
        return int(bool(test))

    def either_value(
        self, place: str, test: Any, then: Callable[[], Any], otherwise: Callable[[], Any]
    ) -> Any:
        return then() if test else otherwise()

    def either(self, place: str, first: Any, *rest: Callable[[], Any]) -> Any:
        for value in rest:
            first = first or value()
        return first

    def both(self, place: str, first: Any, *rest: Callable[[], Any]) -> Any:
        for value in rest:
            first = first and value()
        return first

    def negated(self, value: Any) -> bool:
        return not value

    def picked(self, place: str, pair: Any, index: Any) -> Any:
        return pair[index]


class Base:
    def value(self, x: int) -> int:
        return x + 1


def _closing(limit: int) -> Callable[..., Any]:
    def closed(x: int, *more: int, step: int = 2, **named: int) -> Any:
        if x > limit and step:
            return [x, more, named]
        return -x

    return closed


class Code(Base):
    __private = 3

    def value(self, x: int) -> int:
        y = super().value(x) if x > 2 else super().value(-x)
        if y > 3:
            y = self.__private
        elif y == 3 or not y:
            y, x = -1, y
        return x * y

    def loops(self, x: int) -> list[Any]:
        found = [0] * 4
        for index in range(4):
            if index % 2 == x % 2:
                found[index] = index
            else:
                for inner in range(index):
                    found[inner] += x
        return [a if a > 1 else (a, -a)[a == 1] for a in found]

    def returns(self, x: int) -> Any:
        """Early, in the middle of a block, and from nested ones."""
        if x == 1:
            return None
        while x > 5:
            if x % 2:
                return x
            x -= 3
        if x < 0:
            x -= 1
            return x
        x += 1
        return x

    def catches(self, x: int) -> Any:
        try:
            if x == 2:
                x = 1 // 0
            return x
        except ZeroDivisionError:
            if x:
                raise ValueError(x) from None


@pytest.mark.parametrize(
    "function",
    [Code().value, Code().loops, Code().returns, Code().catches, _closing(4)],
    ids=lambda f: f.__name__,
)
def test_converted_code_does_what_the_code_did(function: Any) -> None:
    def happens(x: int) -> Any:
        try:
            return function(x)
        except ValueError as error:
            return str(error)

    plain: FunctionType = getattr(function, "__func__", function)
    before, code = [happens(x) for x in range(-3, 12)], converted(plain)
    assert code is not None
    assert code.co_firstlineno == plain.__code__.co_firstlineno
    assert {line for *_, line in code.co_lines()} <= {None, *range(1, 400)}
    plain.__globals__[CHOICE] = Plain()
    original, plain.__code__ = plain.__code__, code
    try:
        assert [happens(x) for x in range(-3, 12)] == before
    finally:
        plain.__code__ = original
        del plain.__globals__[CHOICE]


class fit:  # noqa: N801
    """A class with a method of its own name, which makes a function that says a private name."""

    __more = 2

    def fit(self, x: int) -> int:
        if x:
            x = self.__more
        return x

    def made(self) -> Callable[[int], int]:
        def closed(x: int) -> int:
            if x > 1:
                x = self.__more
            return x

        return closed


def test_names_of_functions_and_private_ones() -> None:
    for function in (fit().fit, fit().made()):
        plain: FunctionType = getattr(function, "__func__", function)
        code = converted(plain)
        assert code is not None
        assert (
            code.co_varnames[: plain.__code__.co_argcount]
            == plain.__code__.co_varnames[: plain.__code__.co_argcount]
        )
        assert "_fit__more" in code.co_names


def test_a_file_that_was_changed_after_its_import(folder: Path) -> None:
    """What is traced is what was imported."""
    source = """
        import torch.nn.functional as F
        from torch import nn

        class Net(nn.Module):
            def __init__(self):
                super().__init__()
                self.conv = nn.Conv1d(1, 1, 3)

            def forward(self, x):
                if x.shape[2] < 9:
                    x = F.pad(x, (0, 1))
                return self.conv(x)
    """
    file = folder / "changed_later.py"
    file.write_text(textwrap.dedent(source))
    sys.path.insert(0, str(folder))
    from changed_later import Net  # type: ignore[import-not-found]

    file.write_text(textwrap.dedent(source.replace("(0, 1)", "(0, 4)")))
    linecache.clearcache()
    report = check_model(Net(), input_shape=(1, 1, "L"))
    agrees(Net(), (1, 1, "L"), report)
    assert report.minimum_input == (2,)


def test_code_that_is_left_alone() -> None:
    def generator(x: int) -> Any:
        if x:
            x = 2
        yield x

    def walrus(x: int) -> int:
        return y if (y := x) else 2

    def nothing(x: int) -> int:
        return x

    unread: dict[str, Any] = {}
    exec("def unread(x):\n    if x: x = 1\n    return x", unread)
    for function in (generator, walrus, nothing, unread["unread"]):
        assert converted(function) is None


def test_choose_takes_the_side_that_holds() -> None:
    """Each reading of a choice: numbers, the search's expressions, the certificate's polynomials."""
    from ortools.sat.python import cp_model

    from autofix.changes import UNCHANGED
    from autofix.condition import at_least
    from autofix.interpret import Interpreter
    from autofix.poly import Poly
    from autofix.solve.expr import Builder
    from autofix.ways import Checker

    assert [Interpreter((), {}, {}).choose(at_least(n, 3), 7, 5) for n in (2, 3)] == [5, 7]
    for value in (2, 3):
        builder = Builder()
        n, _ = builder.choice("n", (2, 3))
        chosen = builder.choose(at_least(n, 3), n + 10, n)
        assert builder.choose(at_least(n, 1), 7, 5) == 7
        assert builder.choose(at_least(n, 9), 7, 5) == 5
        builder.require(at_least(n, value))
        builder.require(at_least(value, n))
        solver = cp_model.CpSolver()
        solver.solve(builder.model)
        assert solver.value(chosen.linear()) == (13 if value == 3 else 2)
    cases = Poly({(): np.array([2, 3]), (0,): np.array([0, 4])})
    chosen = Checker((), UNCHANGED, False).choose(at_least(cases, 3), cases + 10, cases)
    assert {power: list(c) for power, c in chosen.terms.items()} == {(): [2, 13], (0,): [0, 4]}
