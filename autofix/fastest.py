"""strategy="fastest": among good repairs, the one that runs fastest here at the sizes asked for."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Final

import torch

from autofix.bench import check_device, random_inputs
from autofix.changes import Setting
from autofix.errors import InfeasibleError
from autofix.meta import copied
from autofix.repair import Fix
from autofix.size import BATCH
from autofix.solve.request import Request, Solution
from autofix.solve.strategy import fewest, preserve, same
from autofix.timing import Timing, compare

BEST: Final = 4  # repairs by edits that are looked at, the cheapest first

Finish = Callable[[Solution, bool], Fix]  # solution, in place -> the repair, proved and run


def fastest(request: Request, finish: Finish, device: str, inplace: bool) -> Fix:
    """The k cheapest repairs by edits, in order, and those of the other strategies, each timed on the device.

    Raises InfeasibleError where there is no repair at all, and UsageError for a device that is not there.
    """
    check_device(device)
    solutions = list(candidates(request))
    fixes = {f"{i + 1}: {_words(fix)}": fix for i, fix in enumerate(finish(s, False) for s in solutions)}
    times = measure(fixes, request, device)
    best = min(range(len(solutions)), key=lambda i: list(times.values())[i].median)
    name = list(fixes)[best]
    fix = finish(solutions[best], inplace) if inplace else fixes[name]
    sizes = " and ".join("x".join(map(str, size)) for size in _sizes(request))
    notes = [f"timed on {device} at {sizes}, forward in eval mode, batch 1"]
    notes += [
        f"{label}: {timing.text}{' (chosen)' if label == name else ''}" for label, timing in times.items()
    ]
    return replace(fix, strategy="fastest", optimal=False, solve="; ".join(filter(None, (fix.solve, *notes))))


def candidates(request: Request) -> Iterator[Solution]:
    """Different repairs: the cheapest by edits, each exactly the next best, then 'same' and 'preserve'."""
    excluded: tuple[Setting, ...] = ()
    first, seen = fewest(request), list[object]()
    solutions = [first]
    while len(solutions) < BEST and not first.changes.inserts:
        excluded = (*excluded, solutions[-1].changes.edits)
        try:
            following = fewest(replace(request, excluded=excluded))
        except InfeasibleError:
            break
        if following.changes.inserts:
            break
        solutions.append(following)
    for strategy in (same, preserve):
        try:
            solutions.append(strategy(request))
        except InfeasibleError:
            continue
    for solution in solutions:
        if solution.changes not in seen:
            seen.append(solution.changes)
            yield solution


def measure(fixes: dict[str, Fix], request: Request, device: str) -> dict[str, Timing]:
    """Forward passes at the smallest size asked for and at the reference, one after the other."""
    inputs = request.original.inputs
    batches = [random_inputs(inputs, sizes, 1, device, torch.float32) for sizes in _sizes(request)]
    models = {name: copied(fix.model).to(device).eval() for name, fix in fixes.items()}

    def call(model: torch.nn.Module) -> Callable[[], None]:
        def run() -> None:
            with torch.no_grad():
                for batch in batches:
                    model(*batch)

        return run

    return compare({name: call(model) for name, model in models.items()}, device)


def _sizes(request: Request) -> list[tuple[int, ...]]:
    lowest = tuple(request.box[axis][0] for axis in sorted(request.box) if axis != BATCH)
    return list(dict.fromkeys((lowest, request.reference)))


def _words(fix: Fix) -> str:
    return ", ".join(str(change) for change in (*fix.edits, *fix.inserts))
