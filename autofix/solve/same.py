"""One house style: 'same' padding, d * (k - 1) // 2, as a person would write a new network."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

from autofix.analyse import Piece
from autofix.arguments import references
from autofix.changes import Key
from autofix.findings import decided
from autofix.solve.edits import all_groups
from autofix.solve.knobs import Group
from autofix.solve.request import Request, Solution


def same_padding(request: Request, solution: Solution) -> Solution:
    """The repair in 'same' padding: where needed and next to it, else everywhere, else unchanged."""
    groups = {g.key: g for g in all_groups(request) if _wanted(g)}
    needed = [key for key in solution.changes.edits if key in groups]
    if not needed:
        return solution
    near = _neighbours(request.original.evaluating.pieces[0], needed, groups)
    for keys in ([*needed, *near], list(groups), needed):
        changes = solution.changes.with_edits({key: {"padding": _wanted(groups[key])} for key in keys})
        analysis = request.analyse(changes)
        if decided(analysis, request.box):
            return Solution(changes, analysis, False, solution.notes)
    return solution


def _wanted(group: Group) -> tuple[int, ...]:
    """'Same' padding for each axis of a convolution; () for anything else, or where it is so already."""
    padding = next((a for a in group.adjustable if a.knob.name == "padding"), None)
    if padding is None or not group.convolves:
        return ()
    wanted = tuple(d * (k - 1) // 2 for d, (k, _) in zip(group.dilation, group.shape, strict=True))
    return wanted if wanted != padding.old else ()


def _neighbours(piece: Piece, keys: Sequence[Key], groups: dict[Key, Group]) -> list[Key]:
    """The convolutions next to the given ones, other operators apart."""
    sources = {s.index: list(references((s.args, s.kwargs))) for s in piece.program.sites}
    users: dict[int, list[int]] = {index: [] for index in sources}
    for index, refs in sources.items():
        for ref in refs:
            users[ref].append(index)
    owner = {index: group.key for group in groups.values() for index in group.sites}
    near: dict[Key, None] = {}
    for start in (index for key in keys for index in groups[key].sites):
        for step in (sources, users):
            near.update((owner[index], None) for index in _first_met(start, step.__getitem__, owner))
    return [key for key in near if key not in keys]


def _first_met(start: int, step: Callable[[int], Iterable[int]], owner: dict[int, Key]) -> list[int]:
    """The first convolutions on the way from a site."""
    queue, seen, found = list(step(start)), set[int](), []
    while queue:
        index = queue.pop()
        if index in seen:
            continue
        seen.add(index)
        if index in owner:
            found.append(index)
        else:
            queue += step(index)
    return found
