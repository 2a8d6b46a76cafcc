"""A fixed head, or a check of the model's own -> averages to the sizes that it was made for."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

from autofix.analyse import Piece
from autofix.arguments import references, row_of
from autofix.changes import Key, program_keys
from autofix.explain import Failure
from autofix.fault import Code
from autofix.insertion import Adaptive, Fit
from autofix.ops.base import Tensor
from autofix.size import BATCH, at, axes
from autofix.solve.heads import last_check, tensor_asked
from autofix.solve.identity import keeps
from autofix.solve.request import Request
from autofix.solve.working import working_size

HEADS = (Code.HEAD, Code.RESHAPE, Code.BATCH, Code.CHANNELS)
CHECKS = (Code.ASSERTION, Code.REFUSED)
FLATTENS = ("flatten", "reshape", "view")
MOVES = ("permute", "transpose", "contiguous")


@dataclass(frozen=True)
class Place:
    """Where a map is averaged: before a call, or after it; `passes` as in Adaptive."""

    site: int
    after: bool
    passes: bool = False


def averages(failure: Failure, request: Request) -> Iterator[tuple[Key, Adaptive | Fit]]:
    """Average along the axes on which the failure depends; where several maps are joined, each of them."""
    piece, requirement = failure.piece, failure.requirement
    if requirement.code in CHECKS:
        check = last_check(piece)
        if check is not None and check.condition.relation == "not ==":
            place = Place(check.tensor, check.after)
            yield from _average(failure, request, place, check.condition.axes - {BATCH})
        return
    where = requirement.condition.axes - {BATCH}
    for head in _branches(piece, requirement.site):
        places = sorted(_places(piece, head), key=lambda place: not _all_through(piece, place, head))
        found = (list(_average(failure, request, place, where)) for place in places)
        yield from next((inserts for inserts in found if inserts), ())


def _average(
    failure: Failure, request: Request, place: Place, where: frozenset[int]
) -> Iterator[tuple[Key, Adaptive | Fit]]:
    """Average to the size at which the model works; where larger maps worked too, as before a crop, one that
    is too small is padded instead."""
    piece, reference = failure.piece, working_size(request)
    value = _value(piece, place)
    if value is None or value.ndim < 3 or reference is None or axes(value.shape[1]) & where:
        return
    sizes = [int(at(dim, reference)) if axes(dim) & where else None for dim in value.shape[2:]]
    fixed = [size for size in sizes if size is not None]
    if not fixed or min(fixed) < 1 or len(sizes) > 3:
        return
    passes = place.passes and len(fixed) == len(sizes) > 1 and math.prod(fixed) > 1
    key, average = program_keys(piece.program)[place.site][1], Adaptive(tuple(sizes), passes, place.after)
    padded = Fit(tuple(size or 0 for size in sizes))
    pairs = zip(value.shape[2:], sizes, strict=True)
    small = not place.after and all(at(dim, failure.point) <= size for dim, size in pairs if size is not None)
    pads = small and keeps(request, key, padded) and not keeps(request, key, average)
    yield key, padded if pads else average


def _value(piece: Piece, place: Place) -> Tensor | None:
    """The map that is averaged."""
    site = place.site if place.after else _source(piece, place.site)
    value = piece.meaning.values[site] if site is not None else None
    placeholder = site is not None and place.after and piece.program.sites[site].kind == "placeholder"
    return value if isinstance(value, Tensor) and not placeholder else None


def _branches(piece: Piece, site: int) -> list[int]:
    """The calls from which a head is looked for: the operands of a join, if flattened maps are joined."""
    current: int | None = site
    while current is not None:
        if _row(piece, current) == "cat":
            value = piece.meaning.values[current]
            flat = isinstance(value, Tensor) and value.ndim < 3
            parts = [ref for ref in _references(piece, current) if _is_tensor(piece, ref)]
            return [head for part in parts for head in _branches(piece, part)] if flat else [site]
        if _flattens(piece, current):
            return [site]
        current = _source(piece, current)
    return [site]


def _places(piece: Piece, site: int) -> Iterator[Place]:
    """Where the map is that leads to a head: before what flattens it, or after what makes it."""
    current: int | None = site
    while current is not None:
        if _flattens(piece, current):
            passes = _row(piece, current) in FLATTENS
            asked = _asked(piece, current)
            if asked is not None:
                yield Place(asked, True, passes)
            else:
                yield Place(_channels_first(piece, current), False, passes)
        current = _source(piece, current)
    yield Place(site, False)


def _all_through(piece: Piece, place: Place, head: int) -> bool:
    """Whether all that gets to a head comes by a place, and nothing around it, as a skip does."""
    through = place.site if place.after else _source(piece, place.site)
    queue, seen = [head], {through}
    while queue:
        site = queue.pop()
        if site not in seen:
            seen.add(site)
            if piece.program.sites[site].kind == "placeholder":
                return False
            queue += [ref for ref in _references(piece, site) if _is_tensor(piece, ref)]
    return True


def _flattens(piece: Piece, site: int) -> bool:
    """Whether a call turns a map into something of fewer dimensions."""
    source, after = _source(piece, site), piece.meaning.values[site]
    before = piece.meaning.values[source] if source is not None else None
    return isinstance(before, Tensor) and isinstance(after, Tensor) and 3 <= before.ndim > after.ndim


def _asked(piece: Piece, site: int) -> int | None:
    """The tensor whose sizes a call takes as numbers: it has to change before they are asked."""
    for ref in _references(piece, site):
        value = piece.meaning.values[ref]
        if not isinstance(value, Tensor) and axes(value) - {BATCH}:
            return tensor_asked(piece, ref)
    return None


def _channels_first(piece: Piece, start: int) -> int:
    """The call itself, or the one before it that puts the channels last."""
    source = _source(piece, start)
    value = piece.meaning.values[source] if source is not None else None
    second = value.shape[1] if isinstance(value, Tensor) and value.ndim > 3 else 1
    if source is None or _row(piece, source) not in MOVES or not axes(second) - {BATCH}:
        return start
    return _channels_first(piece, source)


def _row(piece: Piece, site: int) -> str:
    """The operator of a call, by its name in the table; "" without one."""
    call = piece.program.sites[site]
    row = row_of(call) if call.kind.startswith("call") else None
    return "" if row is None else row[0].name


def _references(piece: Piece, site: int) -> list[int]:
    call = piece.program.sites[site]
    return list(references((call.args, call.kwargs)))


def _is_tensor(piece: Piece, site: int) -> bool:
    return isinstance(piece.meaning.values[site], Tensor)


def _source(piece: Piece, site: int) -> int | None:
    return next((ref for ref in _references(piece, site) if _is_tensor(piece, ref)), None)
