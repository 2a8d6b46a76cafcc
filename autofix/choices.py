"""Both sides of an `if`, recorded: what they assign becomes a choice between two values, in the same trace.

A path for each side would double with every join and axis; a choice keeps the one trace for all sizes. It is
made only where both sides may be computed at every size: they resize and do arithmetic on sizes, nothing on
one side can be refused where the other is taken, and the sizes of the result have a formula. Anywhere else
the trace is made again, with the two paths apart.
"""

from __future__ import annotations

import builtins
import operator
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from types import CodeType, FunctionType
from typing import TYPE_CHECKING, Any, Final
from unittest.mock import patch

import torch
from torch import fx

from autofix.arguments import UNKNOWN, row_of
from autofix.conversion import CHOICE, converted
from autofix.effects import Effect, watched
from autofix.ops.base import Tensor
from autofix.ops.split import Pieces
from autofix.program import Site
from autofix.syntax import functions_of

if TYPE_CHECKING:
    from autofix.symbolic import SymbolicTracer

RESIZES: Final = frozenset(
    (
        "pad",
        "interpolate",
        "getitem",
        "narrow",
        "adaptive average pool",
        "adaptive max pool",
        "max pool",
        "average pool",
        "cat",
        "filled",
        "new",
        "contiguous",
    )
)
UNSET: Final = object()


class Apart(Exception):
    """The two sides of an `if` cannot be recorded in one trace; `place` is where it stands."""

    def __init__(self, place: str) -> None:
        super().__init__(place)
        self.place = place


@dataclass
class Choices:
    """What was learned of a model's `if`s, trace after trace.

    codes: functions whose code is converted, with the code that takes its place
    apart: the `if`s whose sides have to be recorded apart
    off:   all of them
    """

    codes: dict[FunctionType, CodeType] = field(default_factory=dict)
    apart: set[str] = field(default_factory=set)
    off: bool = False
    _seen: set[CodeType] = field(default_factory=set)

    def learn(self, forked: Mapping[CodeType, Mapping[str, Any]]) -> bool:
        """Convert the functions in which a path has forked; whether there was any to convert.

        forked: code, and the namespace that it runs in
        """
        new = set() if self.off else forked.keys() - self._seen - set(self.codes.values())
        self._seen |= new
        before = len(self.codes)
        for function in (f for code in new for f in functions_of(code, forked[code])):
            found = converted(function)
            if found is not None:
                self.codes[function] = found
        return len(self.codes) > before

    def again(self) -> Choices:
        """For another model with the same code."""
        return Choices(dict(self.codes), set(self.apart), self.off, set(self._seen))

    @contextmanager
    def installed(self, tracer: SymbolicTracer) -> Iterator[None]:
        """Run the converted code in the place of the model's own, asking `tracer`."""
        before = {function: function.__code__ for function in self.codes}
        chooser = Chooser(tracer, self.apart)
        with ExitStack() as stack:
            for function in self.codes:
                stack.enter_context(patch.dict(function.__globals__, {CHOICE: chooser}))
            try:
                for function, code in self.codes.items():
                    function.__code__ = code
                yield
            except Exception as error:
                if chooser.open and not isinstance(error, Apart):
                    raise Apart(chooser.open[-1].place) from error
                raise
            finally:
                chooser.watch.close()
                for function, code in before.items():
                    function.__code__ = code


@dataclass
class Opened:
    """An `if` of which both sides are being recorded."""

    place: str
    condition: Any
    before: Mapping[str, Any]
    containers: list[tuple[Any, Any]]  # lists and dicts in reach, and a copy of what they held
    then: Mapping[str, Any] = field(default_factory=dict)
    filled: list[Any] = field(default_factory=list)


class Chooser:
    """What converted code asks; without an `if` that is open, all of it is what Python does anyway."""

    def __init__(self, tracer: SymbolicTracer, apart: set[str]) -> None:
        self.tracer, self.apart = tracer, apart
        self.open: list[Opened] = []
        self.watch = ExitStack()

    def opened(self, place: str, test: Any, names: Mapping[str, Any]) -> int:
        """0: the test is false, 1: it is true, 2: both sides are to run."""
        condition = None if place in self.apart else self.tracer.uncertain(test)
        if condition is None:
            return int(builtins.bool(test))
        self._open(place, condition, names)
        return 2

    def _open(self, place: str, condition: Any, names: Mapping[str, Any]) -> None:
        containers = {id(c): c for value in names.values() for c in _containers(value)}.values()
        self.open.append(Opened(place, condition, dict(names), [(c, c.copy()) for c in containers]))
        self.tracer.sides.append((condition.node, True))
        if len(self.open) == 1:
            self.watch.enter_context(watched(self._looks_after))

    def _looks_after(self, value: Any) -> bool:
        """Whether it is put back between the two sides."""
        return any(value is container for container, _ in self.open[-1].containers)

    def otherwise(self, names: Mapping[str, Any], *assigned: str) -> tuple[Any, ...]:
        """From one side to the other: what the names were before."""
        now = self.open[-1]
        now.then = {name: names.get(name, UNSET) for name in assigned}
        for container, old in now.containers:
            now.filled.append(container.copy())
            _refill(container, old)
        self.tracer.sides[-1] = (now.condition.node, False)
        return tuple(now.before.get(name, UNSET) for name in assigned)

    def merged(self, names: Mapping[str, Any], *assigned: str) -> tuple[Any, ...]:
        """What the names are after both sides."""
        now = self.open[-1]
        self.tracer.sides.pop()
        if len(self.open) == 1:
            self.watch.close()
        at = now.place, now.condition
        result = tuple(self._either(*at, now.then[name], names.get(name, UNSET)) for name in assigned)
        for (container, _), then in zip(now.containers, now.filled, strict=True):
            _refill(container, self._either(*at, then, container.copy()))
        self.open.pop()
        return result

    def either_value(
        self, place: str, test: Any, then: Callable[[], Any], otherwise: Callable[[], Any]
    ) -> Any:
        """`then if test else otherwise`"""
        if self.opened(place, test, {}) < 2:
            return then() if test else otherwise()
        value = then()
        self.otherwise({"value": value}, "value")
        return self.merged({"value": otherwise()}, "value")[0]

    def picked(self, place: str, pair: tuple[Any, Any], index: Any) -> Any:
        """`(otherwise, then)[index]`, as a choice is written in the code of a graph."""
        condition = None if place in self.apart else self.tracer.uncertain_choice(index)
        return pair[index] if condition is None else self._either(place, condition, pair[1], pair[0])

    def either(self, place: str, first: Any, *rest: Callable[[], Any]) -> Any:
        """`first or ...`, as a condition where it depends on the size."""
        return self._chain(place, operator.or_, first, rest)

    def both(self, place: str, first: Any, *rest: Callable[[], Any]) -> Any:
        """`first and ...`"""
        return self._chain(place, operator.and_, first, rest)

    def _chain(self, place: str, join: Any, first: Any, rest: tuple[Callable[[], Any], ...]) -> Any:
        value, ends = first, bool if join is operator.or_ else operator.not_
        for number, following in enumerate(rest):
            condition = None if place in self.apart else self.tracer.uncertain(value)
            if condition is not None:
                others = self._chain(place, join, self._unseen(place, following), rest[number + 1 :])
                return self._joined(join, condition, others)
            if ends(value):
                return value
            value = following()
        return value

    def _unseen(self, place: str, following: Callable[[], Any]) -> Any:
        """What Python would not ask at every size; there must be no trace of its being asked."""
        try:
            with watched(lambda value: False):
                return following()
        except Effect as error:
            raise Apart(place) from error

    def _joined(self, join: Any, condition: Any, others: Any) -> Any:
        truth = self.tracer.truth_of(others)
        if truth is None:  # not of a size: Python's own way, along the path of the point
            return others if builtins.bool(condition) is (join is operator.and_) else condition
        return self.tracer.create_proxy("call_function", join, (condition, truth), {})

    def real(self, value: Any) -> Any:
        """`float(value)`; what is known in terms of sizes stays so."""
        return value if self.tracer.counts(value) else float(value)

    def negated(self, value: Any) -> Any:
        """`not value`"""
        condition = self.tracer.uncertain(value)
        if condition is None:
            return not value
        return self.tracer.create_proxy("call_function", operator.not_, (condition,), {})

    def _either(self, place: str, condition: Any, then: Any, otherwise: Any) -> Any:
        """One value for both sides."""
        if then is otherwise:
            return then
        if isinstance(then, list | dict) and (self._is_old(then) or self._is_old(otherwise)):
            raise Apart(place)  # it may have another name
        if type(then) is type(otherwise) and isinstance(then, tuple | list) and len(then) == len(otherwise):
            items = [self._either(place, condition, *pair) for pair in zip(then, otherwise, strict=True)]
            return items if isinstance(then, list) else type(then)(items)
        if isinstance(then, dict) and isinstance(otherwise, dict) and then.keys() == otherwise.keys():
            return {key: self._either(place, condition, value, otherwise[key]) for key, value in then.items()}
        if all(type(side) is int or issubclass(type(side), fx.Proxy) for side in (then, otherwise)):
            return self._choice(place, condition, then, otherwise)
        if type(then) is not type(otherwise) or then != otherwise:
            raise Apart(place)
        return then

    def _is_old(self, value: Any) -> bool:
        """Whether a list was there before the `if`."""
        return any(value is container for opened in self.open for container, _ in opened.containers)

    def _choice(self, place: str, condition: Any, then: Any, otherwise: Any) -> Any:
        if type(then) is type(otherwise) is int and then == otherwise:
            return then
        if isinstance(getattr(then, "value", None), Tensor):
            self.tracer.chosen[place] = condition.node
        chosen = self.tracer.create_proxy(
            "call_function", operator.getitem, ((otherwise, then), condition), {}
        )
        if self.tracer.interpreter.values[-1] is UNKNOWN:
            raise Apart(place)
        return chosen


def _containers(value: Any) -> Iterator[Any]:
    """Lists and dicts, and what is in them, in tuples too."""
    queue, seen = [value], set[int]()
    while queue:
        one = queue.pop()
        if isinstance(one, list | dict | tuple) and id(one) not in seen:
            seen.add(id(one))
            queue += one.values() if isinstance(one, dict) else one
            if not isinstance(one, tuple):
                yield one


def _refill(container: Any, content: Any) -> None:
    container.clear()
    (container.update if isinstance(container, dict) else container.extend)(content)


def may_run_anyway(site: Site, value: Any) -> bool:
    """Whether a call leaves no trace but its result: it is about sizes, or resizes without parameters."""
    row = row_of(site) if site.kind.startswith("call") else None
    if row is None:
        return site.kind == "get_attr"
    if site.target in (torch.rand, torch.randn):
        return False
    of_sizes = not isinstance(value, Tensor | Pieces) and row[0].name != "setitem"
    return of_sizes or row[0].name in RESIZES
