"""The fewest edits of hyperparameters, given what is already inserted."""

from __future__ import annotations

from collections.abc import Callable

from autofix.analyse import Analysis
from autofix.changes import Changes, Key, Setting
from autofix.condition import Box
from autofix.interpret import interpret
from autofix.ops.base import Tensor
from autofix.size import BATCH, Size, at
from autofix.solve.cost import multiply_adds
from autofix.solve.heads import fixed_head
from autofix.solve.joins import kept_strides
from autofix.solve.knobs import Group, groups_of, without_stride
from autofix.solve.request import Request
from autofix.solve.search import Found, NotFound, Question, sample_at, search


def fewest_edits(request: Request, changes: Changes, shared: bool = True) -> Found | NotFound:
    """The optimum over every knob that may change; `shared` keeps the calls of one layer together."""
    analysis = request.analyse(changes) if changes else request.original
    head = fixed_head(analysis, request.box)
    if head is not None:
        return head
    groups = all_groups(request, shared)
    tied = all(group.symmetric for group in groups) and _alike(analysis, request.box)
    question = Question(
        groups=groups,
        box=request.box,
        analyse=lambda setting: request.analyse(changes.with_edits(setting)),
        cost=_cost(request, changes),
        tied=tied,
        changes=changes,
        deadline=request.deadline,
        excluded=request.excluded,
    )
    return search(question, analysis)


def feasible(request: Request, changes: Changes, hard: NotFound) -> NotFound | None:
    """Whether edits can do the rest at the few sizes that were hard so far; the refusal where they cannot."""
    from autofix.solve.tiers import impossible  # OR-Tools takes long to import

    analysis = request.analyse(changes)
    samples = [again for old in hard.samples if (again := sample_at(analysis, old.training, old.point))]
    for shared in (True, False) if splits(request) else (True,):
        if not impossible(all_groups(request, shared), samples, changes, request.deadline):
            return None
    return NotFound(tuple(samples), True, "no setting works at all of these sizes")


def splits(request: Request) -> bool:
    """Whether a layer that may be edited is called repeatedly, so that single calls can be edited."""
    return len(all_groups(request, shared=False)) > len(all_groups(request))


def all_groups(request: Request, shared: bool = True) -> list[Group]:
    """What may be edited on any path, in execution order."""
    key = shared, request.allow, request.frozen
    if key not in request.memo:
        request.memo[key] = list(_groups(request, shared).values())
    found: list[Group] = request.memo[key]
    return found


def _groups(request: Request, shared: bool) -> dict[Key, Group]:
    found: dict[Key, Group] = {}
    for piece in {id(p.program): p for mode in request.original.modes for p in mode.pieces}.values():
        kept = kept_strides(piece)
        for group in groups_of(piece, request.allow, request.frozen, shared):
            editable = without_stride(group) if kept.intersection(group.sites) else group
            if editable.adjustable:
                found.setdefault(group.key, editable)
    return found


def _alike(analysis: Analysis, box: Box) -> bool:
    """Whether the axes are programs of the same shape: then one search serves them all."""
    axes = [axis for axis in box if axis != BATCH]
    if len({box[axis] for axis in axes}) > 1:
        return False
    pieces = [piece for mode in analysis.modes for piece in mode.pieces]
    return all(_symmetric(value, len(axes)) for piece in pieces for value in piece.meaning.values)


def _symmetric(value: object, count: int) -> bool:
    """Whether a tensor depends on each axis in the same way."""
    if not isinstance(value, Tensor):
        return True
    curves: dict[int, list[object]] = {}
    for dim in value.shape:
        if isinstance(dim, Size) and dim.axis != BATCH:
            curves.setdefault(dim.axis, []).append(dim.curve)
        elif not isinstance(dim, int | Size):
            return False
    rows = list(curves.values())
    return not rows or (len(rows) == count and all(row == rows[0] for row in rows))


def _cost(request: Request, changes: Changes) -> Callable[[Setting], int]:
    """Multiply-adds at the reference size, with a setting."""
    piece = request.original.evaluating.pieces[0]
    point = {BATCH: 1, **dict(enumerate(request.reference))}
    dims = [
        None if d is None else Tensor(tuple(at(x, point) for x in d)) for d in piece.program.inputs.dims()
    ]

    def cost(setting: Setting) -> int:
        return multiply_adds(
            piece.program, interpret(piece.program, dims, {}, point, changes.with_edits(setting))
        )

    return cost
