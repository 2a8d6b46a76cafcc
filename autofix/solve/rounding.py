"""Pad the input up to a size that works, and crop the output back."""

from __future__ import annotations

from typing import Any, Final

import numpy as np

from autofix.analyse import Analysis, Mode, Piece
from autofix.changes import Key, program_keys
from autofix.insertion import CropBack, RoundUp, operands
from autofix.ops.base import Tensor
from autofix.region import Region, horizon
from autofix.size import BATCH, Growth, at, axes
from autofix.solve.request import Request
from autofix.solve.working import working_size

SEEN: Final = 512  # sizes that are looked at where no horizon is known
FURTHEST: Final = 1 << 16  # and where it is far
NOWHERE: Final = ([False, False], Growth(0, 1, 0))


def rounding(request: Request, analysis: Analysis) -> tuple[tuple[Key, RoundUp | CropBack], ...]:
    """Pad the input up to the next size that works, and crop what has its resolution; () if nothing fits.

    analysis: of the model, or of what some inserts have made of it already
    """
    count = len(request.reference)
    cuts = [_cut(analysis, request, axis) for axis in range(count)]
    piece = next(filter(_ends, analysis.evaluating.pieces), None)
    if piece is None or any(cut is None for cut in cuts):
        return ()
    least, multiples, offsets = zip(*(cut for cut in cuts if cut is not None), strict=True)
    keys = program_keys(piece.program)
    inserts: list[tuple[Key, RoundUp | CropBack]] = []
    for site, value in zip(piece.program.sites, piece.meaning.values, strict=True):
        if site.kind == "placeholder" and isinstance(value, Tensor) and _ends_in_axes(value, count):
            inserts.append((keys[site.index][1], RoundUp(least, multiples, offsets)))
    if any(request.is_frozen(site) for site in piece.program.sites if site.kind in ("placeholder", "output")):
        return ()
    which = same_resolution(analysis.evaluating, count) if inserts else ()
    if which:
        inserts.append((keys[-1][1], CropBack(count, which)))
    return tuple(inserts)


def _ends_in_axes(value: Tensor, count: int) -> bool:
    """Whether the last dimensions of an input are its axes, in order, so that it can be padded along them."""
    wanted = [frozenset[int]()] * (value.ndim - count) + [frozenset((axis,)) for axis in range(count)]
    return value.ndim > count and [axes(dim) - {BATCH} for dim in value.shape] == wanted


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
    seen = SEEN if growth is None else min(SEEN + 2 * (growth.settled + growth.period), FURTHEST)
    point: dict[int, Any] = {**working, **dict.fromkeys(along, np.arange(1, seen + 1))}
    inside = np.logical_and.reduce([np.broadcast_to(mode.accepts(point), seen) for mode in analysis.modes])
    late = inside[seen // 2 :]
    period = next((p for p in range(1, seen // 4) if np.array_equal(late[p:], late[:-p])), None)
    if period is None:
        return NOWHERE
    breaks = np.flatnonzero(inside[period:] != inside[:-period])
    return inside.tolist(), Growth(int(breaks[-1]) + 1 if len(breaks) else 0, period, 0)


def _ends(piece: Piece) -> bool:
    """Whether a path reaches the output."""
    return piece.program.sites[-1].kind == "output"


def same_resolution(mode: Mode, rank: int) -> tuple[int, ...]:
    """Which tensors of the output have the input's resolution, at sizes that work."""
    points = [{BATCH: 2, **dict.fromkeys(range(rank), n)} for n in range(1, 400)]
    working = [point for point in points if bool(mode.accepts(point))]
    for piece in filter(_ends, mode.pieces):
        here = [point for point in working if bool(piece.domain.at(point))]
        if here:
            return _alike(piece, here[:6], rank)
    return ()


def _alike(piece: Piece, points: list[dict[int, int]], rank: int) -> tuple[int, ...]:
    source = next(v for v in piece.meaning.values if isinstance(v, Tensor))
    tensors = operands(piece.meaning.values[-1], Tensor)

    def same(tensor: Tensor) -> bool:
        pairs = list(zip(tensor.shape[-rank:], source.shape[-rank:], strict=True))
        return tensor.ndim == source.ndim and all(at(a, p) == at(b, p) for p in points for a, b in pairs)

    return tuple(position for position, tensor in enumerate(tensors) if tensor.ndim > rank and same(tensor))
