"""The strategies: fewest, same and preserve."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace
from typing import Final

from autofix.analyse import Analysis
from autofix.changes import UNCHANGED, Changes
from autofix.explain import Failure
from autofix.findings import failures, first_failure
from autofix.solve.averages import HEADS
from autofix.solve.edits import feasible, fewest_edits, splits
from autofix.solve.identity import keeps
from autofix.solve.propose import JOINS, apply, proposal
from autofix.solve.request import Request, Solution
from autofix.solve.rounding import rounding
from autofix.solve.same import same_padding
from autofix.solve.search import Found, NotFound
from autofix.solve.words import refusal, static_proof

MOST_INSERTS: Final = 200
ROUND_COUNTS: Final = 2  # padding the input and cropping the output
LONGEST_PRUNING: Final = 8  # seconds for leaving out inserts; those that are not asked about stay
MOST_LEFT_OUT: Final = 1  # inserts that turn out not to be needed, where so few are wanted


def fewest(request: Request) -> Solution:
    """The fewest edits; where the solver proves that none will do, the fewest inserts, then the fewest edits.

    Raises InfeasibleError.
    """
    found = _edits(request, Changes())
    if isinstance(found, Solution):
        return found
    rounded = _rounded(request)
    most = MOST_INSERTS if rounded is None else ROUND_COUNTS + MOST_LEFT_OUT
    inserted = _with_inserts(request, found, most) if request.original.complete else None
    if rounded is not None and (inserted is None or len(inserted.changes.each_insert()) > ROUND_COUNTS):
        inserted = replace(rounded, optimal=True)  # a smaller one would have no insert at all
    if inserted is None:
        raise refusal(found, request)
    notes = (static_proof(found), *inserted.notes)
    return Solution(inserted.changes, inserted.analysis, inserted.optimal and found.certain, notes)


def _edits(request: Request, changes: Changes) -> Solution | NotFound:
    """Edits alone: of layers, and where that fails of single calls of a layer that is called repeatedly."""
    found = fewest_edits(request, changes)
    if isinstance(found, NotFound) and splits(request):
        split = fewest_edits(request, changes, shared=False)
        found = split if isinstance(split, Found) else found
    if isinstance(found, NotFound):
        return found
    return Solution(changes.with_edits(found.setting), found.analysis, found.optimal)


def _with_inserts(request: Request, hard: NotFound, most: int) -> Solution | None:
    """Add inserts at joins and heads that fail until edits can do the rest; leave out what is not needed."""
    changes = Changes()
    while len(changes.each_insert()) < most:
        analysis = request.analyse(changes) if changes else request.original
        first = _next(analysis, request, lambda failure: failure.requirement.code in JOINS + HEADS)
        more = first or _next(analysis, request)
        if more is None or more == changes:
            return _rounded(request, changes) if changes else None
        changes = more
        refused = feasible(request, changes, hard)
        found = refused or _edits(request, changes)
        if isinstance(found, Solution):
            return _pruned(request, found, hard)
        hard = found
    return None


def _next(
    analysis: Analysis,
    request: Request,
    wanted: Callable[[Failure], bool] = lambda failure: True,
    preserving: bool = False,
) -> Changes | None:
    """The analysis's changes with the first insert that mends something; None where nothing does."""
    for failure in failures(analysis, request.box):
        if wanted(failure):
            inserts = proposal(failure, request)
            if inserts and not (preserving and not all(keeps(request, *insert) for insert in inserts)):
                return apply(analysis.changes, inserts)
    return None


def _pruned(request: Request, solution: Solution, hard: NotFound) -> Solution:
    """Without each insert that is not needed; optimal where the solver proves that each is."""
    needed = True
    request = replace(request, deadline=min(request.deadline, time.monotonic() + LONGEST_PRUNING))
    for key, insertion in solution.changes.each_insert():
        smaller = Changes({}, solution.changes.inserts).without(key, insertion)
        if not smaller.inserts:
            break
        refused = feasible(request, smaller, hard)
        if refused is not None:
            needed = needed and refused.certain
            continue
        found = _edits(request, smaller)
        if isinstance(found, Solution):
            solution = found
        else:
            needed = needed and found.certain
    return Solution(solution.changes, solution.analysis, solution.optimal and needed, solution.notes)


def _rounded(request: Request, before: Changes = UNCHANGED) -> Solution | None:
    """Pad the input to what works, with what is inserted already."""
    inserts = rounding(request, request.analyse(before, within=None) if before else request.original)
    if not inserts:
        return None
    changes = apply(before, inserts)
    analysis = request.analyse(changes)
    return Solution(changes, analysis, False) if first_failure(analysis, request.box) is None else None


def preserve(request: Request) -> Solution:
    """Only inserts that change nothing at the sizes that worked. Raises InfeasibleError."""
    changes = Changes()
    for _ in range(MOST_INSERTS if request.original.complete else 0):
        analysis = request.analyse(changes) if changes else request.original
        if first_failure(analysis, request.box) is None:
            return Solution(changes, analysis, False)
        more = _next(analysis, request, preserving=True)
        if more is None or more.inserts == changes.inserts:
            break
        changes = more
    rounded = _rounded(request) or (_rounded(request, changes) if changes else None)
    if rounded is None:
        raise refusal(None, request)
    return rounded


def same(request: Request) -> Solution:
    """'Same' padding wherever a convolution needs or neighbours a repair; inserts as in `fewest`."""
    return same_padding(request, fewest(request))


STRATEGIES: Final[dict[str, Callable[[Request], Solution]]] = {
    "fewest": fewest,
    "same": same,
    "preserve": preserve,
}
