"""What a program requires, on polynomials or intervals: every way that its rules and its Python may go.

Where a rule, or the model's own code, asks something that differs from case to case, the way forks. In each
case the answer is yes for every turn count, or no, or not known; then all must be well on both sides.
"""

from __future__ import annotations

import functools
import itertools
import operator
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from autofix.changes import Changes
from autofix.condition import Condition
from autofix.fault import Code
from autofix.interpret import Interpreter
from autofix.interval import Interval
from autofix.ops.base import Tensor
from autofix.poly import NotProved, Poly, alive, everywhere
from autofix.program import Program, Site, Told

MOST_WAYS: Final = 256  # through one program


@dataclass(frozen=True, eq=False)
class Fork:
    """A question, and its answer on a way; the cases in which it surely holds, and surely does not."""

    question: Condition
    truth: bool
    yes: Any
    no: Any


@dataclass(frozen=True, eq=False)
class Way:
    """One way through a program: the cases in which all that it requires holds, and what fails in which."""

    forks: tuple[Fork, ...]
    good: Any
    doubts: tuple[tuple[str, Any], ...]
    count: int


def covered(ways: Sequence[Way], depth: int = 0) -> Any:
    """The cases in which all is well whichever way is taken.

    Of ways that agree up to a fork, those that ask the same there are the two sides of it.
    """
    ended = [way.good for way in ways if len(way.forks) == depth]
    result: Any = functools.reduce(operator.or_, ended, np.bool_(False))
    further = [way for way in ways if len(way.forks) > depth]
    while further:
        fork = further[0].forks[depth]
        alike = [way for way in further if _same(way.forks[depth].question, fork.question)]
        then, otherwise = (
            covered([way for way in alike if way.forks[depth].truth is side], depth + 1)
            for side in (True, False)
        )
        result = result | ((fork.no | then) & (fork.yes | otherwise))
        further = [way for way in further if way not in alike]
    return result


def _same(one: Condition, other: Condition) -> bool:
    """Whether two conditions ask the same of the same numbers."""
    pairs = zip(one.either, other.either, strict=False)
    return (
        (one.relation, len(one.either)) == (other.relation, len(other.either))
        and all(itertools.starmap(_same, pairs))
        and all(itertools.starmap(_same_number, ((one.left, other.left), (one.right, other.right))))
    )


def ways_of(program: Program, inputs: Sequence[Any], changes: Changes, training: bool) -> Iterator[Way]:
    """Every way through a program whose Python answers as it was recorded; rules fork both ways."""
    queue: list[tuple[bool, ...]] = [()]
    for _ in range(MOST_WAYS):
        turns = queue.pop()
        checker = Checker(inputs, changes, training, turns)
        yield checker.way(program)
        taken = checker.turned
        queue += [(*taken[:i], not taken[i]) for i in range(len(turns), len(taken))]
        if not queue:
            return
    raise NotProved("the rules of the operators tell too many sizes apart")


class Checker(Interpreter):
    """turns: the answers at the first forks of rules; at later ones, yes first."""

    def __init__(
        self, inputs: Sequence[Any], changes: Changes, training: bool, turns: Sequence[bool] = ()
    ) -> None:
        super().__init__(inputs, {}, {}, changes)
        self.training_now, self.count, self.turns = training, 0, turns
        self.turned: list[bool] = []
        self.forks: list[Fork] = []
        self.good: Any = np.bool_(True)
        self.doubts: list[tuple[str, Any]] = []

    def way(self, program: Program) -> Way:
        """Raises NotProved where shorter cases could be decided."""
        before = alive.set(self.good)
        try:
            self._walk(program)
        except NotProved as reason:
            if reason.divisor:
                raise
            self._doubt(str(reason), np.bool_(False))
        finally:
            alive.reset(before)
        return Way(tuple(self.forks), self.good, tuple(self.doubts), self.count)

    def _walk(self, program: Program) -> None:
        asked: dict[int, list[Told]] = defaultdict(list)
        for told in program.told or ():
            asked[told.calls].append(told)
        for site in program.sites:
            self.step(site)
            if self.unmodelled:
                raise NotProved(f"{site.name}: {self.unmodelled[site.index]}")
            for told in asked[site.index + 1]:
                self._fork(told.question(self.values[told.site]), told.truth)
            if not np.any(self.good):
                return

    def _fork(self, condition: Condition, truth: bool) -> None:
        """From here on the way is that of the cases in which the answer may be this one."""
        yes, no = self.proves(condition), self.proves(~condition)
        before = self._answered(condition)
        if before is None and not everywhere(yes if truth else no):
            self.forks.append(Fork(condition, truth, yes, no))
        self._go_on(np.logical_not(no if truth else yes) & (before in (None, truth)))

    def _answered(self, condition: Condition) -> bool | None:
        """What was answered when the same was asked before."""
        return next((fork.truth for fork in self.forks if _same(fork.question, condition)), None)

    def _doubt(self, what: str, held: Any) -> None:
        self.doubts.append((what, self.good & np.logical_not(held)))
        self._go_on(held)

    def _go_on(self, cases: Any) -> None:
        self.good = self.good & cases
        alive.set(self.good)

    def value_of(self, site: Site) -> Any:
        """What is the same in all cases is a plain number: rules tell a 1 from what may be another size."""
        value = super().value_of(site)
        return Tensor(tuple(map(_plain, value.shape))) if type(value) is Tensor else value

    def state(self, condition: Condition, code: Code, what: str, **details: Any) -> None:
        if details["train"] and not self.training_now:
            return
        self.count += 1
        held = self.proves(condition)
        if not everywhere(held):
            self._doubt(f"{self.site.name}: {what}", held)

    def decide(self, condition: Condition) -> bool:
        if everywhere(self.proves(condition)):
            return True
        if everywhere(self.proves(~condition)):
            return False
        truth = self._answered(condition)
        if truth is None:
            truth = self.turns[len(self.turned)] if len(self.turned) < len(self.turns) else True
            self.turned.append(truth)
            self._fork(condition, truth)
        return truth

    def choose(self, condition: Condition, then: Any, otherwise: Any) -> Any:
        yes, no = self.proves(condition), self.proves(~condition)
        if isinstance(then, Interval) or isinstance(otherwise, Interval):
            then, otherwise = Interval.of(then), Interval.of(otherwise)
            return then if yes else otherwise if no else then.hull(otherwise)
        if not everywhere(yes | no):
            raise NotProved("which side of an `if` is taken changes within a case", 1)
        return Poly.of(then).where(yes, Poly.of(otherwise))

    def quotient(self, dim: Any, divisor: Any) -> Any:
        if isinstance(dim, Interval) or isinstance(divisor, Interval):
            return None
        return Poly.of(dim).over(Poly.of(divisor))

    def proves(self, condition: Condition) -> Any:
        """The cases in which the condition holds for every k."""
        match condition.relation:
            case "any":
                return functools.reduce(operator.or_, [self.proves(part) for part in condition.either])
            case "not any":
                return functools.reduce(operator.and_, [self.proves(~part) for part in condition.either])
            case "divides":
                return _zero(_number(condition.left) % condition.right) & _positive(condition.right)
            case "not divides":
                rest = _number(condition.left) % condition.right
                return (rest - 1).nonnegative() & _positive(condition.right)
            case ">=":
                return _difference(condition).nonnegative()
            case "not >=":
                return (-_difference(condition) - 1).nonnegative()
            case "==":
                return _zero(_difference(condition))
        apart = _difference(condition)
        return (apart - 1).nonnegative() | (-apart - 1).nonnegative()


def _plain(dim: Any) -> Any:
    if not isinstance(dim, Poly) or not all(everywhere(c == 0) for powers, c in dim.terms.items() if powers):
        return dim
    values, count = np.broadcast_arrays(dim.terms.get((), np.int64(0)), alive.get())
    known = values[count]
    return int(known[0]) if known.size and known.min() == known.max() else dim


def _same_number(one: Any, other: Any) -> bool:
    return one == other if isinstance(one, Interval) else bool(np.all(_zero(Poly.of(one - other))))


def _zero(number: Poly | Interval) -> Any:
    return number.nonnegative() & (-number).nonnegative()


def _positive(value: Any) -> Any:
    return (_number(value) - 1).nonnegative()


def _number(value: Any) -> Poly | Interval:
    return value if isinstance(value, Interval) else Poly.of(value)


def _difference(condition: Condition) -> Poly | Interval:
    return _number(condition.left - condition.right)
