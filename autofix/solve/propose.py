"""Failure -> insert: what would mend it without changing any size that worked."""

from __future__ import annotations

from collections.abc import Iterator

from autofix.analyse import Piece
from autofix.arguments import references, resolved, row_of
from autofix.changes import Changes, Key, program_keys
from autofix.explain import Failure
from autofix.fault import Code
from autofix.insertion import Align, Fit, Insertion, Widen, operands
from autofix.ops.base import Tensor
from autofix.program import Site
from autofix.size import BATCH, at, axes
from autofix.solve.averages import CHECKS, HEADS, averages
from autofix.solve.joins import ancestors
from autofix.solve.request import Request

JOINS = (Code.JOIN, Code.BROADCAST)
KERNELS = (Code.KERNEL, Code.EMPTY, Code.PADDING, Code.NORM)

Proposal = tuple[tuple[Key, Insertion], ...]


def proposal(failure: Failure, request: Request) -> Proposal:
    """Inserts for one failure; () where none is known."""
    program = failure.piece.program
    frozen = [request.is_frozen(site) for site in program.sites]
    kept = {keys[1] for held, keys in zip(frozen, program_keys(program), strict=True) if held}
    inserts = () if frozen[failure.requirement.site] else tuple(_inserts(failure, request))
    return () if any(key in kept for key, _ in inserts) else inserts


def _inserts(failure: Failure, request: Request) -> Iterator[tuple[Key, Insertion]]:
    code = failure.requirement.code
    if code in JOINS:
        yield from _align(failure)
    elif code in HEADS + CHECKS:
        yield from averages(failure, request)
    elif code in KERNELS:
        yield from _fit(failure)


def apply(changes: Changes, inserts: Proposal) -> Changes:
    """The changes with more inserts."""
    for key, insertion in inserts:
        changes = changes.with_insert(key, insertion)
    return changes


def _align(failure: Failure) -> Iterator[tuple[Key, Align]]:
    """Give every operand of a join the size of the one that was not upsampled."""
    piece, site = failure.piece, failure.piece.program.sites[failure.requirement.site]
    args = resolved(site, piece.meaning.values)
    tensors = operands(args, Tensor)
    refs = [
        ref for ref in references((site.args, site.kwargs)) if isinstance(piece.meaning.values[ref], Tensor)
    ]
    ranks = {tensor.ndim for tensor in tensors}
    if len(tensors) != len(refs) or len(ranks) != 1 or len(tensors) < 2:
        return
    rank = ranks.pop() - 2
    free = _joined_axis(site, rank + 2)
    like = _skip(piece, refs)
    key = program_keys(piece.program)[site.index][1]
    for position, tensor in enumerate(tensors):
        spatial = [d for d in range(1, rank + 1) if d != free]
        if position != like and any(tensor.shape[-d] != tensors[like].shape[-d] for d in spatial):
            yield key, Align(position, like, rank, free)


def _joined_axis(site: Site, ndim: int) -> int:
    """The axis of a cat, counted from the end; 0 where the operands are added or the axis is not spatial."""
    if site.op_name not in ("cat", "concat", "concatenate"):
        return 0
    dim = site.kwargs.get("dim", site.kwargs.get("axis", site.args[1] if len(site.args) > 1 else 0))
    from_end = ndim - dim % ndim
    return from_end if from_end <= ndim - 2 else 0


def _skip(piece: Piece, refs: list[int]) -> int:
    """Which operand is the skip: the one whose own branch has the fewest upsamplings; the first of equals."""
    branches = [ancestors(piece.program, ref) for ref in refs]
    common = set.intersection(*branches)
    ups = [sum(_upsamples(piece.program.sites[i]) for i in branch - common) for branch in branches]
    return ups.index(min(ups))


def _upsamples(site: Site) -> bool:
    row = row_of(site) if site.kind.startswith("call") else None
    return row is not None and row[0].name in (
        "transposed convolution",
        "transposed convolution layer",
        "interpolate",
        "upsample",
        "pixel shuffle",
        "max unpool",
    )


def _fit(failure: Failure) -> Iterator[tuple[Key, Fit | Widen]]:
    """Pad the input of a kernel up to the smallest size at which it fits; one value of several to two."""
    piece, requirement = failure.piece, failure.requirement
    site = piece.program.sites[requirement.site]
    tensors = operands(resolved(site, piece.meaning.values), Tensor)
    if not tensors or tensors[0].ndim < 3 or requirement.needs is None or requirement.gets is None:
        return
    x = tensors[0]
    rank = min(x.ndim - 2, 3)
    spatial = x.shape[x.ndim - rank :]
    if requirement.code is Code.NORM and len(failure.requirement.condition.axes - {BATCH}) > 1:
        yield program_keys(piece.program)[site.index][1], Widen(rank)
        return
    where = axes(requirement.gets) - {BATCH} or failure.requirement.condition.axes - {BATCH}
    sizes = [0] * rank
    for position, dim in enumerate(spatial):
        if axes(dim) & where:
            lacking = at(requirement.needs, failure.point) - at(requirement.gets, failure.point)
            sizes[position] = int(at(dim, failure.point)) + int(lacking)
    if any(sizes):
        yield program_keys(piece.program)[site.index][1], Fit(tuple(sizes))
