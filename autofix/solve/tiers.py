"""The smallest repair by OR-Tools CP-SAT: the tiers of the objective, solved in turn."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any, Final

from ortools.sat.python import cp_model

from autofix.changes import Changes, Setting
from autofix.solve.knobs import Group, Sample
from autofix.solve.model import RepairModel

MOST_SOLUTIONS: Final = 500  # of the model, while looking for settings that are equally good


def optima(
    groups: Sequence[Group],
    samples: Sequence[Sample],
    tied: bool,
    changes: Changes,
    excluded: Sequence[Setting],
    deadline: float,
    most: int,
) -> tuple[list[Setting], bool]:
    """At most so many of the best settings at the samples, and whether the solver proved them best."""
    model = RepairModel(groups, samples, tied, changes)
    if not model.feasible:
        return [], True
    for setting in excluded:
        model.forbid(setting)
    proved, best = True, None
    cp: Any = model.builder.model  # some of its methods have no types
    for tier in [*(tier for tier in model.tiers if not isinstance(tier, int)), None]:
        if tier is None and best is not None:
            break
        if tier is not None:
            cp.minimize(tier)
        solver, status = _run(model, deadline)
        if status not in (cp_model.OPTIMAL, cp_model.FEASIBLE):
            return ([] if best is None else [best]), proved and status == cp_model.INFEASIBLE
        proved = proved and status == cp_model.OPTIMAL
        best = model.setting(solver)
        if tier is not None:
            cp.clear_objective()
            cp.add(tier <= round(solver.objective_value))
    return ([{}] if not best else _equals(model, best, deadline, most)), proved


def impossible(groups: Sequence[Group], samples: Sequence[Sample], changes: Changes, deadline: float) -> bool:
    """Whether the solver proves that no setting works at the samples."""
    model = RepairModel(groups, samples, False, changes)
    return not model.feasible or _run(model, deadline)[1] == cp_model.INFEASIBLE


def _equals(model: RepairModel, best: Setting, deadline: float, most: int) -> list[Setting]:
    """Settings that are as good in every tier."""
    ties = _Ties(model, best, most)
    solver = _solver(deadline)
    solver.parameters.enumerate_all_solutions = True
    solver.solve(model.builder.model, ties)
    return ties.settings


class _Ties(cp_model.CpSolverSolutionCallback):
    """Collects settings until there are enough; one has several solutions where a condition is loose."""

    def __init__(self, model: RepairModel, first: Setting, most: int) -> None:
        super().__init__()
        self.model, self.settings, self.most, self.left = model, [first], most, MOST_SOLUTIONS

    def on_solution_callback(self) -> None:
        self.left -= 1
        setting = self.model.setting(self)
        if setting not in self.settings:
            self.settings.append(setting)
        if len(self.settings) >= self.most or not self.left:
            self.stop_search()


def _run(model: RepairModel, deadline: float) -> tuple[cp_model.CpSolver, Any]:
    solver = _solver(deadline)
    return solver, solver.solve(model.builder.model)


def _solver(deadline: float) -> cp_model.CpSolver:
    """One worker and a fixed seed: the answer is the same on every machine."""
    solver = cp_model.CpSolver()
    solver.parameters.num_workers = 1
    solver.parameters.random_seed = 0
    solver.parameters.cp_model_probing_level = 0  # costs more than it saves on models of this kind
    solver.parameters.symmetry_level = 0  # took 1.2 s of 1.3 s to refute AHNet's 1,200 variables
    solver.parameters.max_time_in_seconds = max(0.05, deadline - time.monotonic())
    return solver
