"""The repair as a CP-SAT model: one reading of the program for each size it must work at."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ortools.sat.python import cp_model

from autofix.changes import Changes, Key, Setting
from autofix.condition import Condition
from autofix.fault import Code
from autofix.interpret import Interpreter
from autofix.ops.base import Tensor, Unmodelled
from autofix.program import Site
from autofix.size import Dim, at
from autofix.solve.expr import Builder, Expr, Infeasible
from autofix.solve.knobs import Group, Sample, sees


@dataclass(frozen=True)
class Choice:
    """The variables of one knob of one group; tied axes share one."""

    group: Group
    name: str
    old: tuple[int, ...]
    values: tuple[Expr, ...]
    literals: tuple[dict[int, Any], ...]
    kinds: tuple[Mapping[int, int], ...]


class RepairModel:
    """Knobs as variables, requirements at each sample as constraints, the tiers of the objective."""

    def __init__(
        self, groups: Sequence[Group], samples: Iterable[Sample], tied: bool, changes: Changes
    ) -> None:
        self.builder, self.tied, self.changes = Builder(), tied, changes
        self.choices = [choice for group in groups for choice in self._choices(group)]
        self.by_key: dict[Any, list[Choice]] = {}
        for choice in self.choices:
            self.by_key.setdefault(choice.group.key, []).append(choice)
        self.feasible = True
        try:
            for sample in samples:
                self.add(sample)
        except Infeasible:
            self.feasible = False
        self.tiers = self._tiers()

    def _choices(self, group: Group) -> list[Choice]:
        result = []
        for a in group.adjustable:
            pairs: list[tuple[Expr, dict[int, Any]]] = []
            for axis, domain in enumerate(a.domains):
                if pairs and self.tied:
                    pairs.append(pairs[0])
                else:
                    pairs.append(self.builder.choice(f"{group.site.name}.{a.knob.name}[{axis}]", domain))
            values, literals = tuple(p[0] for p in pairs), tuple(p[1] for p in pairs)
            result.append(Choice(group, a.knob.name, a.old, values, literals, a.kinds))
        return result

    def add(self, sample: Sample) -> None:
        """Require everything the program requires at one size. Raises Infeasible."""
        program = sample.piece.program
        dims = [
            None if d is None else Tensor(tuple(at(x, sample.point) for x in d))
            for d in program.inputs.dims()
        ]
        reader = _Reader(self, dims, sample)
        for site in program.sites:
            reader.step(site)

    def keep_seeing(self, choices: list[Choice], sizes: Sequence[Dim]) -> None:
        """No output of an edited dilated kernel may see only padding."""
        named = {c.name: c for c in choices}
        group = choices[0].group
        if "padding" not in named or "kernel_size" in named or "dilation" in named:
            return
        for axis, dilation in enumerate(group.dilation):
            if dilation > 1:
                self._keep_seeing(named["padding"], axis, sizes[axis])

    def _keep_seeing(self, choice: Choice, axis: int, size: Dim) -> None:
        kernel, stride = choice.group.shape[axis]
        dilation, model = choice.group.dilation[axis], self.builder.model
        for n in range(1, dilation):
            blind = [
                p
                for p in choice.literals[axis]
                if p != choice.old[axis] and not sees(n, kernel, stride, p, dilation)
            ]
            if not blind or (isinstance(size, int) and size != n):
                continue
            literals = [choice.literals[axis][p].negated() for p in blind]
            if isinstance(size, int):
                model.add_bool_and(literals)
            else:
                this = self._is(size, n)
                model.add_bool_and(literals).only_enforce_if(this)

    def _is(self, size: Expr, n: int) -> Any:
        """A literal that is true where the size is n."""
        this, below, above = (self.builder.model.new_bool_var("") for _ in range(3))
        linear = size.linear()
        self.builder.model.add(linear == n).only_enforce_if(this)
        self.builder.model.add(linear < n).only_enforce_if(below)
        self.builder.model.add(linear > n).only_enforce_if(above)
        self.builder.model.add_bool_or([this, below, above])
        return this

    def _tiers(self) -> list[Any]:
        """Edited sites, then kinds, then the total change."""
        model = self.builder.model
        sites, kinds, change = [], [], []
        for choices in self.by_key.values():
            changed = model.new_bool_var("")
            sites.append(changed)
            for choice in choices:
                for literal in {
                    id(lits): lits[old] for lits, old in zip(choice.literals, choice.old, strict=True)
                }.values():
                    model.add_implication(literal.negated(), changed)
                kinds.append(self._kind(choice))
                for literals, old in zip(choice.literals, choice.old, strict=True):
                    change += [
                        abs(value - old) * literal for value, literal in literals.items() if value != old
                    ]
        return [sum(sites), sum(kinds), sum(change)]

    def _kind(self, choice: Choice) -> Any:
        """The worst rank among the axes of one edit."""
        axes = list(
            {
                id(lits): (lits, kinds) for lits, kinds in zip(choice.literals, choice.kinds, strict=True)
            }.values()
        )
        ranks = [
            sum(kinds[value] * literal for value, literal in lits.items() if kinds[value])
            for lits, kinds in axes
        ]
        if len(ranks) == 1:
            return ranks[0]
        worst = self.builder.model.new_int_var(0, 4, "")
        for rank in ranks:
            self.builder.model.add(worst >= rank)
        return worst

    def setting(self, solver: cp_model.CpSolver | cp_model.CpSolverSolutionCallback) -> Setting:
        """What a solution changes."""
        result: dict[Any, dict[str, tuple[int, ...]]] = {}
        for choice in self.choices:
            new = tuple(int(solver.value(e.linear())) for e in choice.values)
            if new != choice.old:
                result.setdefault(choice.group.key, {})[choice.name] = new
        return result

    def forbid(self, setting: Setting) -> None:
        """Exclude exactly this setting."""
        chosen = []
        for choice in self.choices:
            values = setting.get(choice.group.key, {}).get(choice.name, choice.old)
            chosen += [
                literals[value].negated() for literals, value in zip(choice.literals, values, strict=True)
            ]
        self.builder.model.add_bool_or(chosen)


def _argument(choice: Choice) -> Any:
    return choice.values[0] if choice.name == "ceil_mode" else choice.values


class _Reader(Interpreter):
    """Reads a program into the model."""

    def __init__(self, owner: RepairModel, inputs: Sequence[Any], sample: Sample) -> None:
        super().__init__(inputs, {}, sample.point, owner.changes)
        self.owner, self.training_now, self.meant = owner, sample.training, sample.meant
        self.choices: list[Choice] = []

    def override(self, keys: tuple[Key, Key]) -> Mapping[str, Any]:
        self.choices = [choice for key in dict.fromkeys(keys) for choice in self.owner.by_key.get(key, ())]
        return {choice.name: _argument(choice) for choice in self.choices}

    def step(self, site: Site) -> Any:
        self.choices = []
        value = super().step(site)
        if self.choices and isinstance(value, Tensor):
            source = _first_tensor(site, self.values)
            if source is not None:
                self.owner.keep_seeing(self.choices, source.shape[-len(self.choices[0].group.dilation) :])
        return value

    def state(self, condition: Condition, code: Code, what: str, **details: Any) -> None:
        if details["train"] and not self.training_now:
            return
        if code is Code.BROADCAST and details["silent"] and self.site.index in self.meant:
            return
        if code is not Code.LAYOUT:  # no knob changes how a tensor lies in memory; the analysis decides
            self.owner.builder.require(condition)

    def choose(self, condition: Condition, then: Dim, otherwise: Dim) -> Dim:
        return self.owner.builder.choose(condition, then, otherwise)

    def decide(self, condition: Condition) -> bool:
        truth = self.owner.builder.truth(condition)
        if isinstance(truth, bool):
            return truth
        raise Unmodelled("the path depends on a size that is being searched for")


def _first_tensor(site: Site, values: Sequence[Any]) -> Tensor | None:
    from autofix.arguments import references

    found = (values[index] for index in references((site.args, site.kwargs)))
    return next((value for value in found if isinstance(value, Tensor)), None)
