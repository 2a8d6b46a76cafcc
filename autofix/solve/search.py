"""The smallest repair: solve at a few sizes, prove at all of them, add the size that fails, solve again."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import islice
from typing import Any, Final

from autofix.analyse import Analysis, Mode
from autofix.changes import UNCHANGED, Changes, Setting, program_keys
from autofix.condition import NEVER, Box
from autofix.findings import decided, first_failure
from autofix.size import BATCH
from autofix.solve.knobs import Group, Sample
from autofix.solve.walk import TooMany, shortest

MOST_ROUNDS: Final = 400
MOST_BLOCKED: Final = 24  # settings that work as far as one path shows, and open another that fails
MOST_TIES: Final = 12  # equally good settings that are compared by cost


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
    # on another path, which an edit may open, a cheaper setting could do
    optimal, blocked = original.paths_stay, list[Setting]()
    for rounds in range(1, MOST_ROUNDS):
        equals, proved = _optima(question, samples, (*question.excluded, *blocked))
        optimal = optimal and proved
        if not equals:
            why = "no setting works at all of these sizes" if proved else "the time limit was reached"
            return NotFound(tuple(samples), proved and not blocked and original.paths_stay, why)
        answer = _cheapest(equals, question)
        analysis = question.analyse(answer)
        failing = first_failure(analysis, question.box)
        if failing is None:
            return Found(answer, analysis, optimal and not blocked, decided(analysis, question.box), rounds)
        sample = sample_at(original, *failing)
        if sample is None or any(s.point == sample.point and s.training == sample.training for s in samples):
            blocked.append(answer)  # the search's reading of this path is too coarse; the analysis decides
            if len(blocked) == MOST_BLOCKED:
                return NotFound(tuple(samples), False, f"none of {MOST_BLOCKED} that were tried works there")
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
    return None if piece is None else Sample(piece, training, dict(point), mode.meant(piece))


def _optima(
    question: Question, samples: Sequence[Sample], excluded: Sequence[Setting]
) -> tuple[list[Setting], bool]:
    """Settings that work at the samples, equal in every tier; and whether they are proved to be best."""
    if any(_hopeless(sample, question.groups) for sample in samples):
        return [], True
    asked = question.groups, samples, question.tied, question.changes
    try:
        found = list(islice(shortest(*asked), MOST_TIES + len(excluded)))
        allowed = [setting for setting in found if setting not in excluded]
        if allowed or not found:
            return allowed[:MOST_TIES], True
    except TooMany:
        pass
    from autofix.solve.tiers import optima  # OR-Tools takes long to import

    return optima(*asked, excluded, question.deadline, MOST_TIES)


def _hopeless(sample: Sample, groups: Sequence[Group]) -> bool:
    """Whether the model's own Python raises at a size before anything that could be edited."""
    if not any(requirement.condition == NEVER for requirement in sample.piece.meaning.requirements):
        return False
    keys = {key for pair in program_keys(sample.piece.program) for key in pair}
    return not any(group.key in keys for group in groups)


def _cheapest(equals: Sequence[Setting], question: Question) -> Setting:
    """Among settings that are equal so far, the fewest multiply-adds; then the earliest sites."""
    if len(equals) == 1:
        return equals[0]
    order = {group.key: position for position, group in enumerate(question.groups)}
    return min(
        equals,
        key=lambda s: (question.cost(s), sorted(order[key] for key in s), str(sorted_values(s, order))),
    )


def sorted_values(setting: Setting, order: Mapping[Any, int]) -> list[Any]:
    """A setting in execution order, comparable."""
    return sorted((order[key], sorted(knobs.items())) for key, knobs in setting.items())
