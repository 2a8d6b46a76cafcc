"""The smallest repair: solve at a few sizes, prove at all of them, add the size that fails, solve again."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from ortools.sat.python import cp_model

from autofix.analyse import Analysis, Mode
from autofix.changes import UNCHANGED, Changes, Setting
from autofix.condition import Box
from autofix.findings import decided, first_failure
from autofix.size import BATCH
from autofix.solve.knobs import Group
from autofix.solve.model import RepairModel, Sample

MOST_ROUNDS: Final = 400
MOST_TIES: Final = 24  # equally good settings that are compared by cost


@dataclass(frozen=True)
class Found:
    """A setting that works at every size asked for.

    optimal:  no cheaper setting exists (proved by the solver)
    analysis: of the model with the setting applied
    proved:   the formulas cover every size; otherwise some condition could not be decided
    """

    setting: Setting
    analysis: Analysis
    optimal: bool
    proved: bool
    rounds: int


@dataclass(frozen=True)
class NotFound:
    """No setting works at all of these sizes; `certain` where the solver proved it."""

    samples: tuple[Sample, ...]
    certain: bool
    why: str


@dataclass(frozen=True)
class Question:
    """What the search is asked.

    analyse: setting -> the model's analysis with it, over the box
    cost:    setting -> multiply-adds at the reference size, to choose among equals
    """

    groups: Sequence[Group]
    box: Box
    analyse: Callable[[Setting], Analysis]
    cost: Callable[[Setting], int]
    tied: bool
    changes: Changes = UNCHANGED
    deadline: float = field(default_factory=lambda: time.monotonic() + 60)
    excluded: Sequence[Setting] = ()


def search(question: Question, original: Analysis) -> Found | NotFound:
    """The optimum over the question's groups, tier by tier."""
    samples = list(_corner(original, question.box))
    optimal, blocked = True, list[Setting]()
    for rounds in range(1, MOST_ROUNDS):
        model = RepairModel(question.groups, samples, question.tied, question.changes)
        for setting in (*question.excluded, *blocked):
            model.forbid(setting)
        answer, proved = _best(model, question)
        optimal = optimal and proved
        if answer is None:
            why = "no setting works at all of these sizes" if proved else "the time limit was reached"
            return NotFound(tuple(samples), proved and not blocked, why)
        analysis = question.analyse(answer)
        failing = first_failure(analysis, question.box)
        if failing is None:
            return Found(answer, analysis, optimal and not blocked, decided(analysis, question.box), rounds)
        sample = sample_at(original, *failing)
        if sample is None or any(s.point == sample.point and s.training == sample.training for s in samples):
            blocked.append(answer)  # the search's reading of this path is too coarse; the analysis decides
        else:
            samples.append(sample)
        if time.monotonic() > question.deadline:
            return NotFound(tuple(samples), False, "the time limit was reached")
    return NotFound(tuple(samples), False, f"no setting was found in {MOST_ROUNDS} rounds")


def _corner(analysis: Analysis, box: Box) -> Iterator[Sample]:
    """The smallest size asked for, in eval mode; train mode has its turn where it asks for more."""
    point = {**{axis: bounds[0] for axis, bounds in box.items()}, BATCH: 2}
    sample = sample_at(analysis, False, point)
    if sample is not None:
        yield sample


def sample_at(analysis: Analysis, training: bool, point: Mapping[int, int]) -> Sample | None:
    """A size, with the path that is taken there."""
    mode: Mode = analysis.modes[training]
    piece = mode.piece_at(dict(point))
    return None if piece is None else Sample(piece, training, dict(point))


def _best(model: RepairModel, question: Question) -> tuple[Setting | None, bool]:
    """The best setting at the samples, and whether the solver proved that it is."""
    if not model.feasible:
        return None, True
    proved, setting = True, None
    cp: Any = model.builder.model  # some of its methods have no types
    for tier in model.tiers:
        if isinstance(tier, int):
            continue
        cp.minimize(tier)
        solver, status = _solve(model, question)
        if status not in (cp_model.OPTIMAL, cp_model.FEASIBLE):
            return setting, proved and status == cp_model.INFEASIBLE
        proved = proved and status == cp_model.OPTIMAL
        setting = model.setting(solver)
        cp.clear_objective()
        cp.add(tier <= round(solver.objective_value))
    if setting is None:
        solver, status = _solve(model, question)
        return (
            (model.setting(solver), True)
            if status == cp_model.OPTIMAL
            else (None, status == cp_model.INFEASIBLE)
        )
    return _cheapest(model, question, setting) if setting else setting, proved


def _cheapest(model: RepairModel, question: Question, first: Setting) -> Setting:
    """Among settings that are equal so far, the fewest multiply-adds; then the earliest sites."""
    equals = [first]
    while len(equals) < MOST_TIES:
        model.forbid(equals[-1])
        solver, status = _solve(model, question)
        if status not in (cp_model.OPTIMAL, cp_model.FEASIBLE):
            break
        equals.append(model.setting(solver))
    if len(equals) == 1:
        return first
    order = {group.key: position for position, group in enumerate(question.groups)}
    return min(
        equals,
        key=lambda s: (question.cost(s), sorted(order[key] for key in s), str(sorted_values(s, order))),
    )


def sorted_values(setting: Setting, order: Mapping[Any, int]) -> list[Any]:
    """A setting in execution order, comparable."""
    return sorted((order[key], sorted(knobs.items())) for key, knobs in setting.items())


def settled_as_infeasible(model: RepairModel, deadline: float) -> bool:
    """Whether the solver proves that no setting works at the model's samples."""
    return not model.feasible or _run(model, deadline)[1] == cp_model.INFEASIBLE


def _solve(model: RepairModel, question: Question) -> tuple[cp_model.CpSolver, Any]:
    return _run(model, question.deadline)


def _run(model: RepairModel, deadline: float) -> tuple[cp_model.CpSolver, Any]:
    solver = cp_model.CpSolver()
    solver.parameters.num_workers = 1
    solver.parameters.random_seed = 0
    solver.parameters.max_time_in_seconds = max(0.05, deadline - time.monotonic())
    return solver, solver.solve(model.builder.model)
