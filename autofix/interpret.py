"""Run a Program over sizes: the rules of the operator table give every value and every requirement.

One interpreter serves all readings of the formulas: inputs made of ints give numbers, inputs made of `Size`s
give exact functions, and overridden hyperparameters made of solver expressions give the search's model.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from autofix import curve as curves
from autofix.arguments import UNKNOWN
from autofix.changes import Changes, Key, key_maker
from autofix.condition import (
    ALWAYS,
    NEVER,
    Box,
    Condition,
    all_of,
    any_of,
    conjunctions,
    equal,
    indicator,
    negated,
)
from autofix.curve import Curve, CurveTooLong
from autofix.decision import decide
from autofix.evaluate import evaluate
from autofix.fault import Code
from autofix.handlers import protected
from autofix.insertion import Insertion
from autofix.ops.base import NO_SIZE, Refused, Stopped, Unmodelled
from autofix.ops.whole import quotient
from autofix.program import Gaps, Program, Site
from autofix.ratio import Ratio
from autofix.region import region
from autofix.size import Dim, Size


@dataclass(frozen=True)
class Requirement:
    """What must hold at a site. `train`: only where the site trains; `silent`: torch would not raise."""

    condition: Condition
    code: Code
    what: str
    site: int
    needs: Dim | None = None
    gets: Dim | None = None
    silent: bool = False
    train: bool = False


@dataclass(frozen=True)
class Meaning:
    """What a Program computes: a value for each site, and what must hold.

    conditions: path conditions, outside of which this reading of the program does not apply
    asked: the sites at which these were asked, one for each
    unmodelled: site -> why its operator could not be described
    """

    values: tuple[Any, ...]
    requirements: tuple[Requirement, ...]
    conditions: tuple[Condition, ...]
    unmodelled: Mapping[int, str]
    asked: tuple[int, ...] = ()


class TorchRaises(Stopped, RuntimeError):
    """What torch would raise at the size whose path is followed, for the model's own handlers to catch."""


class OneSided(Stopped):
    """What is on one side of an `if` holds, or is known, on that side alone."""


class Interpreter:
    """Evaluates sites one after another; it is also the `Call` that rules speak to.

    box:   the sizes of interest, for conditions that shape the graph
    point: the sizes whose path is followed where such a condition differs within the box
    raises: what torch refuses at the point is raised where the model's own code would catch it; what is
            required there is a path condition
    """

    raises = False
    training_now = False

    def __init__(
        self, inputs: Sequence[Any], box: Box, point: Mapping[int, int], changes: Changes | None = None
    ) -> None:
        self.box, self.point, self.changes = box, point, changes or Changes()
        self.inputs, self.given = inputs, iter(inputs)
        self.keys_of = key_maker()
        self.sites: list[Site] = []
        self.values: list[Any] = []
        self.requirements: list[Requirement] = []
        self.conditions: list[Condition] = []
        self.asked: list[int] = []
        self.unmodelled: dict[int, str] = {}
        self.layouts: Mapping[int, Gaps] = {}  # of views that are not recorded yet
        self._alive: dict[int, Curve] = {}
        self._looked_at = 0  # requirements that are part of it
        self.site: Site

    def step(self, site: Site) -> Any:
        """The value of the next site."""
        self.sites.append(site)
        value = self.value_of(site)
        self.values.append(value)
        return value

    def value_of(self, site: Site) -> Any:
        """The value of a site whose arguments are known."""
        self.site = site
        try:
            return evaluate(self, site)
        except Refused as refusal:
            self.require(NEVER, Code.REFUSED, str(refusal))
        except Unmodelled as reason:
            self.unmodelled[site.index] = str(reason)
        return UNKNOWN

    def require(
        self,
        condition: Condition,
        code: Code,
        what: str,
        *,
        needs: Dim | None = None,
        gets: Dim | None = None,
        silent: bool = False,
        train: bool = False,
    ) -> None:
        if train and not self.site.trains:
            return
        if _fractional(condition):
            raise Refused(NO_SIZE)
        condition = self._where_called(condition)
        self.state(condition, code, what, needs=needs, gets=gets, silent=silent, train=train)

    def state(
        self,
        condition: Condition,
        code: Code,
        what: str,
        *,
        needs: Dim | None,
        gets: Dim | None,
        silent: bool,
        train: bool,
    ) -> None:
        """Take note of a requirement."""
        caught = self.raises and not silent and (self.training_now or not train) and protected()
        if caught and not self._never(~condition):
            if not self.decide(condition):
                raise TorchRaises(f"{self.site.name}: {what}")
            return
        self.requirements.append(
            Requirement(condition, code, what, self.site.index, needs, gets, silent, train)
        )

    def training(self) -> bool:
        return self.site.trains

    def decide(self, condition: Condition) -> bool:
        if condition in self.conditions or decide(condition, self.box).holds:
            return True
        if condition.axes and ~condition not in self.conditions and not decide(~condition, self.box).holds:
            holds = bool(condition.at(self.point))
            self.follow(condition if holds else ~condition)
            return holds
        return False

    def follow(self, condition: Condition, site: int | None = None) -> None:
        """From here on the reading stands for the sizes at which the condition holds."""
        if self.site.under:
            raise OneSided(f"{self.site.name}: the path forks on one side of an `if`")
        self.conditions.append(condition)
        self.asked.append(self.site.index if site is None else site)

    def _where_called(self, condition: Condition) -> Condition:
        """What a call on one side of an `if` requires, at the sizes at which the model itself makes it.

        Where that is said of sizes at once, it must hold at the others too: both sides are computed there.
        """
        if not self.site.under:
            return condition
        truths = [(self.values[ref.site], side) for ref, side in self.site.under]
        called = all_of(truth if side else negated(truth) for truth, side in truths)
        if isinstance(called, bool):
            return condition if called else ALWAYS
        if not called.axes:
            return any_of((~called, condition))
        if self._never(~called, ~condition):
            return condition
        raise OneSided(f"{self.site.name}: what it requires holds on one side of an `if`")

    def choose(self, condition: Condition, then: Dim, otherwise: Dim) -> Dim:
        if then == otherwise:
            return then
        if not condition.axes:
            return then if condition.at({}) else otherwise
        apart = ~equal(then, otherwise)
        if self._never(~condition, apart):
            return then
        if self._never(condition, apart):
            return otherwise
        curve = indicator(condition)
        (axis, *_) = condition.axes
        chosen = None if curve is None else otherwise + Size(axis, curve) * (then - otherwise)
        if not isinstance(chosen, int | Size):
            raise Unmodelled("a size that has no one formula on both sides of an `if`")
        return chosen

    def always(self, condition: Condition) -> bool:
        if not condition.axes:
            return bool(condition.at({}))
        return len(condition.axes) == 1 and self._empty([~condition, *self.conditions])

    def _never(self, *conditions: Condition) -> bool:
        """Whether they hold together at no size at which torch has refused nothing so far."""
        every = itertools.product(*(conjunctions(condition) for condition in conditions))
        return all(self._empty([part for parts in chosen for part in parts]) for chosen in every)

    def _empty(self, conditions: Sequence[Condition]) -> bool:
        together = region(conditions)
        alive = ((self._alive_along(axis), curve) for axis, curve in together.single)
        return together.empty or any(
            curves.scale(curves.minimum(*pair), -1, 1).smallest(1, None) is None for pair in alive
        )

    def apart(self) -> Gaps:
        return self.site.apart

    def times(self, dim: Dim, factor: Dim) -> int | None:
        if not (isinstance(dim, Size) and isinstance(factor, Size) and dim.axis == factor.axis):
            return None
        try:
            return self._times(dim, factor)
        except CurveTooLong:
            return None

    def quotient(self, dim: Dim, divisor: Dim) -> Dim | None:
        return quotient(self, dim, divisor)

    def _times(self, dim: Size, factor: Size) -> int | None:
        alive = self._alive_along(dim.axis)
        settled = max(one.settled for one in (alive, dim.curve, factor.curve))
        n = curves.scale(alive, -1, 1).smallest(settled + 1, None)
        first, second = (0, 0) if n is None else (dim.curve(n), factor.curve(n))
        if not second or first % second or first // second < 1:
            return None
        apart = curves.zero(curves.add(dim.curve, curves.scale(factor.curve, -(first // second), 0)))
        differs = curves.minimum(alive, curves.scale(apart, -1, 1))
        return first // second if differs == curves.line(0, 0) else None

    def _alive_along(self, axis: int) -> Curve:
        """1 at the sizes of an axis at which torch has refused nothing so far."""
        while self._looked_at < len(self.requirements):
            requirement = self.requirements[self._looked_at]
            indicator_ = None if requirement.silent or requirement.train else indicator(requirement.condition)
            if indicator_ is not None:
                (on,) = requirement.condition.axes
                self._alive[on] = curves.minimum(self._alive.get(on, indicator_), indicator_)
            self._looked_at += 1
        return self._alive.get(axis, curves.line(0, 1))

    def override(self, keys: tuple[Key, Key]) -> Mapping[str, Any]:
        """Hyperparameters that take the place of the model's own."""
        return self.changes.override(keys)

    def insertions(self, keys: tuple[Key, Key]) -> tuple[Insertion, ...]:
        """What is inserted before a call."""
        return self.changes.inserts.get(keys[1], ())

    def meaning(self) -> Meaning:
        known = tuple(self.values), tuple(self.requirements), tuple(self.conditions)
        return Meaning(*known, self.unmodelled, tuple(self.asked))


def _fractional(condition: Condition) -> bool:
    """Whether it compares something that torch takes for no size."""
    sides = isinstance(condition.left, float | Ratio) or isinstance(condition.right, float | Ratio)
    return sides or any(map(_fractional, condition.either))


def interpret(
    program: Program,
    inputs: Sequence[Any],
    box: Box,
    point: Mapping[int, int],
    changes: Changes | None = None,
) -> Meaning:
    """The values and requirements of a program; `inputs` is one Tensor (or None) for each placeholder."""
    interpreter = Interpreter(inputs, box, point, changes)
    for site in program.sites:
        interpreter.step(site)
    return interpreter.meaning()
