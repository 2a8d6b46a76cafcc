"""Failure -> insert: what would mend it without changing any size that worked."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

import numpy as np

from autofix.analyse import Analysis, Mode, Piece, smallest
from autofix.arguments import references, resolved, row_of
from autofix.changes import Changes, Key, program_keys
from autofix.fault import Code
from autofix.findings import Failure
from autofix.insertion import Adaptive, Align, CropBack, Fit, RoundUp, operands
from autofix.ops.base import Tensor
from autofix.program import Site
from autofix.region import Region, horizon
from autofix.size import BATCH, Growth, at, axes
from autofix.solve.identity import keeps
from autofix.solve.joins import ancestors
from autofix.solve.request import Request

JOINS = (Code.JOIN, Code.BROADCAST)
HEADS = (Code.HEAD, Code.RESHAPE, Code.BATCH)
SEEN: Final = 512  # sizes that are looked at where no horizon is known
UNEQUAL: Final = {2: 256, 3: 40}  # sizes along each axis among which unequal ones are looked for
LARGER: Final = (48, 64, 80, 96, 112, 128, 160, 192, 224, 256, 299, 320, 384, 448, 512)  # and these
USUAL: Final = (224, 299, 256, 32, 64, 128)
FURTHEST: Final = 8192  # sizes, the same along all axes, among which one that works is looked for
NOWHERE: Final = ([False, False], Growth(0, 1, 0))
KERNELS = (Code.KERNEL, Code.EMPTY, Code.PADDING, Code.NORM)

Proposal = tuple[tuple[Key, Align | Fit | Adaptive | RoundUp | CropBack], ...]


def proposal(failure: Failure, request: Request) -> Proposal:
    """Inserts for one failure; () where none is known."""
    code = failure.requirement.code
    if request.is_frozen(failure.piece.program.sites[failure.requirement.site]):
        return ()
    if code in JOINS:
        return tuple(_align(failure))
    if code in HEADS:
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

    Where larger maps worked too, as before a crop, those below are padded instead.
    """
    piece = failure.piece
    start = _flatten_before(piece, failure.requirement.site)
    reference = working_size(request)
    if start is None or reference is None:
        return
    source = _source(piece, start)
    value = piece.meaning.values[source] if source is not None else None
    if not isinstance(value, Tensor) or value.ndim < 3:
        return
    sizes = tuple(int(at(dim, reference)) for dim in value.shape[2:])
    key = program_keys(piece.program)[start][1]
    padded = Fit(sizes)
    average = keeps(request, key, Adaptive(sizes)) or not keeps(request, key, padded)
    yield key, Adaptive(sizes) if average else padded


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


def working_size(request: Request) -> dict[int, int] | None:
    """As `_working_size`, which looks at many sizes, once."""
    if "working size" not in request.memo:
        request.memo["working size"] = _working_size(request)
    found: dict[int, int] | None = request.memo["working size"]
    return found


def _working_size(request: Request) -> dict[int, int] | None:
    """The reference size if the model works there, else one at which it does on all axes alike.

    A size at which torch raises nothing but the result is wrong comes last.
    """
    mode = request.original.evaluating
    count = len(request.reference)
    usual = np.array([*USUAL, *range(1, FURTHEST)])
    point: dict[int, Any] = {axis: np.append(own, usual) for axis, own in enumerate(request.reference)}
    point[BATCH] = 2
    shape = (len(usual) + 1,)
    accepted = np.broadcast_to(mode.accepts(point), shape)
    sound = np.flatnonzero(accepted & np.broadcast_to(mode.sound.at(point), shape))
    if len(sound):
        return _at(point, int(sound[0]))
    first = np.flatnonzero(accepted)
    return _unequal(mode, count) or (_at(point, int(first[0])) if len(first) else None)


def _at(point: dict[int, Any], index: int) -> dict[int, int]:
    return {axis: 2 if axis == BATCH else int(sizes[index]) for axis, sizes in point.items()}


def _unequal(mode: Mode, count: int) -> dict[int, int] | None:
    """The smallest sizes, not the same on all axes, at which the model works; None where none are near."""
    if count == 1:
        return None
    ranges = [np.append(np.arange(1, UNEQUAL[count] + 1), [n for n in LARGER if n > UNEQUAL[count]])] * count
    grid = np.meshgrid(*ranges, indexing="ij", sparse=True)
    point: dict[int, Any] = {BATCH: 2, **dict(enumerate(grid))}
    works = np.broadcast_to(mode.accepts(point) & mode.sound.at(point), [len(r) for r in ranges])
    found = smallest(works, ranges)
    return None if found is None else {BATCH: 2, **dict(enumerate(found))}


def rounding(request: Request) -> Proposal:
    """Pad the input up to the next size that works, and crop what has its resolution; () if nothing fits."""
    analysis, count = request.original, len(request.reference)
    cuts = [_cut(analysis, request, axis) for axis in range(count)]
    piece = analysis.evaluating.pieces[0]
    if any(cut is None for cut in cuts):
        return ()
    least, multiples, offsets = zip(*(cut for cut in cuts if cut is not None), strict=True)
    keys = program_keys(piece.program)
    inserts: list[tuple[Key, RoundUp | CropBack]] = []
    for site, value in zip(piece.program.sites, piece.meaning.values, strict=True):
        if site.kind == "placeholder" and isinstance(value, Tensor) and value.ndim == count + 2:
            inserts.append((keys[site.index][1], RoundUp(least, multiples, offsets)))
    if any(request.is_frozen(site) for site in piece.program.sites if site.kind in ("placeholder", "output")):
        return ()
    which = same_resolution(analysis.evaluating, count)
    if which:
        inserts.append((keys[-1][1], CropBack(count, which)))
    return tuple(inserts)


def _cut(analysis: Analysis, request: Request, axis: int) -> tuple[int, int, tuple[int, ...]] | None:
    """Least size, multiple and offsets of the sizes accepted along an axis; None where there are others."""
    if any(mode.accepted.empty for mode in analysis.modes):
        return None
    inside, growth = _along(analysis, request, axis)
    accepted = [n for n in range(1, growth.settled + 2 * growth.period + 1) if inside[n - 1]]
    tail = [n for n in accepted if n > growth.settled]
    if not tail:
        return None
    offsets = tuple(sorted({n % growth.period for n in tail}))
    irregular = [n for n in range(1, accepted[-1]) if inside[n - 1] != (n % growth.period in offsets)]
    least = next(n for n in accepted if n > (irregular[-1] if irregular else 0))
    lowest = request.box[axis][0]
    return (least, growth.period, offsets) if all(n >= least for n in accepted if n >= lowest) else None


def _along(analysis: Analysis, request: Request, axis: int) -> tuple[list[bool], Growth]:
    """Which sizes are accepted along an axis, and from where on they repeat.

    Where that depends on the other axes too, these keep a size that works: what is found is a proposal only.
    """
    regions = [mode.accepted for mode in analysis.modes]
    growth = horizon(regions, axis)
    if growth is not None and all(isinstance(one, Region) for one in regions):
        curves = [curve for region in regions for at_axis, curve in region.single if at_axis == axis]
        sizes = range(1, growth.settled + 2 * growth.period + 1)
        return [all(curve(n) for curve in curves) for n in sizes], growth
    working = working_size(request)
    if working is None:
        return NOWHERE
    along = (axis,) if analysis.complete else range(len(analysis.inputs.axes))  # equal ones come first
    point: dict[int, Any] = {**working, **dict.fromkeys(along, np.arange(1, SEEN + 1))}
    inside = np.logical_and.reduce([np.broadcast_to(mode.accepts(point), SEEN) for mode in analysis.modes])
    late = inside[SEEN // 2 :]
    period = next((p for p in range(1, SEEN // 4) if np.array_equal(late[p:], late[:-p])), None)
    if period is None:
        return NOWHERE
    breaks = np.flatnonzero(inside[period:] != inside[:-period])
    return inside.tolist(), Growth(int(breaks[-1]) + 1 if len(breaks) else 0, period, 0)


def same_resolution(mode: Mode, rank: int) -> tuple[int, ...]:
    """Which tensors of the output have the input's resolution, at sizes that work."""
    piece = mode.pieces[0]
    source = next(v for v in piece.meaning.values if isinstance(v, Tensor))
    tensors = operands(piece.meaning.values[-1], Tensor)
    points = [{BATCH: 2, **dict.fromkeys(range(rank), n)} for n in range(1, 400)]
    working = [point for point in points if bool(mode.accepts(point))][:6]

    def same(tensor: Tensor) -> bool:
        pairs = list(zip(tensor.shape[-rank:], source.shape[-rank:], strict=True))
        return tensor.ndim == source.ndim and all(at(a, p) == at(b, p) for p in working for a, b in pairs)

    return tuple(position for position, tensor in enumerate(tensors) if tensor.ndim > rank and same(tensor))
