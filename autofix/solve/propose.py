"""Failure -> insert: what would mend it without changing any size that worked."""

from __future__ import annotations

import math
from collections.abc import Iterator

from autofix.analyse import Piece
from autofix.arguments import references, resolved, row_of
from autofix.changes import Changes, Key, program_keys
from autofix.fault import Code
from autofix.findings import Failure
from autofix.insertion import Adaptive, Align, CropBack, Fit, RoundUp, operands
from autofix.ops.base import Tensor
from autofix.program import Site
from autofix.size import BATCH, at, axes
from autofix.solve.heads import last_check
from autofix.solve.identity import keeps
from autofix.solve.joins import ancestors
from autofix.solve.request import Request
from autofix.solve.working import working_size

JOINS = (Code.JOIN, Code.BROADCAST)
HEADS = (Code.HEAD, Code.RESHAPE, Code.BATCH)
CHECKS = (Code.ASSERTION, Code.REFUSED)
FLATTENS = ("flatten", "reshape", "view")
MOVES = ("permute", "transpose", "contiguous")
KERNELS = (Code.KERNEL, Code.EMPTY, Code.PADDING, Code.NORM)

Proposal = tuple[tuple[Key, Align | Fit | Adaptive | RoundUp | CropBack], ...]


def proposal(failure: Failure, request: Request) -> Proposal:
    """Inserts for one failure; () where none is known."""
    code = failure.requirement.code
    if request.is_frozen(failure.piece.program.sites[failure.requirement.site]):
        return ()
    if code in JOINS:
        return tuple(_align(failure))
    if code in HEADS + CHECKS:
        return tuple(_adaptive(failure, request))
    if code in KERNELS:
        return tuple(_fit(failure))
    return ()


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


def _fit(failure: Failure) -> Iterator[tuple[Key, Fit]]:
    """Pad the input of a kernel up to the smallest size at which it fits."""
    piece, requirement = failure.piece, failure.requirement
    site = piece.program.sites[requirement.site]
    tensors = operands(resolved(site, piece.meaning.values), Tensor)
    if not tensors or tensors[0].ndim < 3 or requirement.needs is None or requirement.gets is None:
        return
    x = tensors[0]
    rank = min(x.ndim - 2, 3)
    spatial = x.shape[x.ndim - rank :]
    where = axes(requirement.gets) - {BATCH} or failure.requirement.condition.axes - {BATCH}
    sizes = [0] * rank
    for position, dim in enumerate(spatial):
        if axes(dim) & where:
            lacking = at(requirement.needs, failure.point) - at(requirement.gets, failure.point)
            sizes[position] = int(at(dim, failure.point)) + int(lacking)
    if any(sizes):
        yield program_keys(piece.program)[site.index][1], Fit(tuple(sizes))


def _adaptive(failure: Failure, request: Request) -> Iterator[tuple[Key, Adaptive | Fit]]:
    """Average to the size that the head was made for, before the reshape or fixed pool that leads to it.

    Where larger maps worked too, as before a crop, one that is too small is padded instead. Axes on which the
    failure does not depend stay.
    """
    piece, (start, where) = failure.piece, _head(failure)
    reference = working_size(request)
    if start is None or reference is None:
        return
    passes = _row(piece, start) in FLATTENS
    start = _channels_first(piece, start, where)
    source = _source(piece, start)
    value = piece.meaning.values[source] if source is not None else None
    if not isinstance(value, Tensor) or value.ndim < 3:
        return
    sizes = [int(at(dim, reference)) if axes(dim) & where else None for dim in value.shape[2:]]
    fixed = [size for size in sizes if size is not None]
    if not fixed:
        return
    passes = passes and len(fixed) == len(sizes) > 1 and math.prod(fixed) > 1
    key, average = program_keys(piece.program)[start][1], Adaptive(tuple(sizes), passes)
    padded = Fit(tuple(size or 0 for size in sizes))
    pairs = zip(value.shape[2:], sizes, strict=True)
    small = all(at(dim, failure.point) <= size for dim, size in pairs if size is not None)
    pads = small and keeps(request, key, padded) and not keeps(request, key, average)
    yield key, padded if pads else average


def _head(failure: Failure) -> tuple[int | None, frozenset[int]]:
    """The call whose input is to have a fixed size, and the input axes along which it does not."""
    piece, requirement = failure.piece, failure.requirement
    if requirement.code in HEADS:
        start = _flatten_before(piece, requirement.site)
        if start is not None and _measures(piece, start):
            start = _source(piece, start)
        return start, requirement.condition.axes - {BATCH}
    check = last_check(piece)
    return (None, frozenset()) if check is None else (check[1], check[0].axes - {BATCH})


def _row(piece: Piece, site: int) -> str:
    """The operator of a call, by its name in the table; "" without one."""
    call = piece.program.sites[site]
    row = row_of(call) if call.kind.startswith("call") else None
    return "" if row is None else row[0].name


def _channels_first(piece: Piece, start: int, where: frozenset[int]) -> int:
    """The call itself, or the one before it that puts the channels last."""
    source = _source(piece, start)
    value = piece.meaning.values[source] if source is not None else None
    second = value.shape[1] if isinstance(value, Tensor) and value.ndim > 3 else 1
    moved = source is not None and _row(piece, source) in MOVES and bool(axes(second) & where)
    return _channels_first(piece, source, where) if moved and source is not None else start


def _measures(piece: Piece, site: int) -> bool:
    """Whether a call takes sizes of its input, so that the input has to change before these are asked."""
    call = piece.program.sites[site]
    given = (piece.meaning.values[ref] for ref in references((call.args, call.kwargs)))
    return any(not isinstance(value, Tensor) and axes(value) - {BATCH} for value in given)


def _flatten_before(piece: Piece, site: int) -> int | None:
    """The call on the way to a site that turns a map into a vector."""
    current: int | None = site
    while current is not None:
        source = _source(piece, current)
        if source is None:
            return None
        before, after = piece.meaning.values[source], piece.meaning.values[current]
        if (
            isinstance(before, Tensor)
            and before.ndim >= 3
            and isinstance(after, Tensor)
            and after.ndim < before.ndim
        ):
            return current
        current = source
    return None


def _source(piece: Piece, site: int) -> int | None:
    call = piece.program.sites[site]
    return next(
        (r for r in references((call.args, call.kwargs)) if isinstance(piece.meaning.values[r], Tensor)), None
    )
