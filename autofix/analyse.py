"""What is known of a model's sizes: which are accepted on its paths, and what each path requires."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

import numpy as np

from autofix import curve as curves
from autofix.changes import UNCHANGED, Changes
from autofix.condition import Box, any_of, equal, indicator
from autofix.decision import decide
from autofix.fault import Code
from autofix.interpret import Meaning, Requirement
from autofix.program import InputShapes, Program
from autofix.region import EVERYWHERE, Patchwork, Region, region, window
from autofix.size import BATCH, Shared


@dataclass(frozen=True)
class Piece:
    """One path through the model, and the sizes that take it; `point`: those that were followed."""

    program: Program
    meaning: Meaning
    point: Mapping[int, int] = field(default_factory=dict, compare=False)

    @cached_property
    def domain(self) -> Region:
        return region(self.meaning.conditions)


@dataclass(frozen=True)
class Mode:
    """A model in eval or in train mode, as the paths that together describe it.

    strict: what fails silently is not accepted either
    """

    training: bool
    pieces: tuple[Piece, ...]
    strict: bool = False

    def required(self, piece: Piece, silent: bool) -> list[Requirement]:
        """The requirements of a path in this mode, in execution order."""
        asked = [
            r for r in piece.meaning.requirements if r.silent == silent and (self.training or not r.train)
        ]
        return [r for r in asked if not self._meant(piece, r)] if silent else asked

    def _decisive(self, piece: Piece, silent: bool) -> list[Requirement]:
        more = self.required(piece, silent=True) if self.strict and not silent else []
        return [*self.required(piece, silent), *more]

    def meant(self, piece: Piece) -> frozenset[int]:
        """The sites of broadcasts that happen at every size that works."""
        return frozenset(r.site for r in piece.meaning.requirements if r.silent and self._meant(piece, r))

    def _meant(self, piece: Piece, requirement: Requirement) -> bool:
        """Whether a side is 1 at every size that gets there: then this is what the model computes."""
        if requirement.code is not Code.BROADCAST or len(requirement.condition.axes) != 1:
            return False
        stretched = any_of(equal(side, 1) for side in (requirement.needs, requirement.gets))
        curve, (axis,) = indicator(stretched), requirement.condition.axes
        others = (r for r in self.required(piece, silent=False) if r.site != requirement.site)
        accepted = dict(region(r.condition for r in others).single).get(axis)
        if curve is None or accepted is None:
            return False
        apart = curves.minimum(accepted, curves.scale(curve, -1, 1))
        works, differs = (curves.scale(one, -1, 1).smallest(1, None) for one in (accepted, apart))
        return works is not None and differs is None

    def accepted_on(self, piece: Piece) -> Region:
        """Where torch raises nothing, among the sizes that take this path."""
        return region(r.condition for r in self.required(piece, silent=False))

    @cached_property
    def accepted(self) -> Region | Patchwork:
        """Where torch raises nothing, among the sizes that are described."""
        return self._together(silent=False)

    @cached_property
    def sound(self) -> Region | Patchwork:
        """Where no silent fault happens either."""
        return self._together(silent=True)

    def failing_on(self, piece: Piece, box: Box) -> dict[int, int] | None:
        """The smallest point of a box, among those looked at, that takes a path and fails on it."""
        regions = [piece.domain, self.accepted_on(piece)]
        regions.append(region(r.condition for r in self.required(piece, silent=True)))
        order = sorted(
            {axis for one in regions for axis, _ in one.single}
            | {axis for one in regions for condition in one.joint for axis in condition.axes}
        )
        grid = window(regions, order, box)
        point = dict(zip(order, grid.sparse, strict=True))
        taken, *fine = (np.broadcast_to(one.at(point), grid.shape) for one in regions)
        found = smallest(taken & ~np.logical_and.reduce(fine), grid.ranges)
        lowest = {axis: bounds[0] for axis, bounds in box.items()}
        return None if found is None else {**lowest, **dict(zip(order, found, strict=True))}

    def _together(self, silent: bool) -> Region | Patchwork:
        parts = tuple((p.domain, region(r.condition for r in self._decisive(p, silent))) for p in self.pieces)
        if len(parts) == 1 and parts[0][0] == EVERYWHERE:
            return parts[0][1]
        return Patchwork(parts)

    def described(self, point: Mapping[int, Any]) -> Any:
        """Whether some path stands for a point."""
        known: Any = np.bool_(False)
        point = Shared(point)
        for piece in self.pieces:
            known = known | piece.domain.at(point)
        return known

    def accepts(self, point: Mapping[int, Any]) -> Any:
        """Whether torch raises nothing there; points on no known path count as refused."""
        point = Shared(point)
        return self.described(point) & self.accepted.at(point)

    def piece_at(self, point: Mapping[int, int]) -> Piece | None:
        return next((piece for piece in self.pieces if piece.domain.at(point)), None)


@dataclass(frozen=True)
class Analysis:
    """Everything known of a model's sizes.

    complete: every size in the box it was made for is on a path that was followed
    """

    inputs: InputShapes
    evaluating: Mode
    training: Mode
    complete: bool = True
    changes: Changes = UNCHANGED

    @property
    def modes(self) -> tuple[Mode, Mode]:
        return self.evaluating, self.training

    @property
    def one_path(self) -> bool:
        """Whether one reading of the model stands for every size in each mode, whatever is edited."""
        return all(
            len(mode.pieces) == 1 and mode.pieces[0].domain == EVERYWHERE and not mode.pieces[0].program.asked
            for mode in self.modes
        )

    @property
    def strict(self) -> Analysis:
        """The same, where what fails silently is not accepted either."""
        evaluating, training = (replace(mode, strict=True) for mode in self.modes)
        return replace(self, evaluating=evaluating, training=training)

    @cached_property
    def largest_batch(self) -> int | None:
        """Up to which batch nothing fails that depends on the batch alone; None without end, or below two.

        Where there are several paths, what one of them asks of the batch is not asked at every size.
        """
        asked = (
            requirement.condition
            for mode in self.modes
            for silent in (False, True)
            for requirement in mode.required(mode.pieces[0], silent)
            if self.one_path
        )
        found = (decide(condition, {BATCH: (2, None)}) for condition in asked if condition.axes == {BATCH})
        failing = [dict(decision.point)[BATCH] for decision in found if decision.holds is False]
        largest = min(failing, default=0) - 1
        return largest if largest > 1 else None

    @property
    def paths_stay(self) -> bool:
        """Whether no edit changes the path that a size takes: its forks ask nothing that an edit changes."""
        pieces = [piece for mode in self.modes for piece in mode.pieces]
        return all(
            piece.program.told is not None
            and not piece.program.asked
            and {told.site for told in piece.program.told} >= set(piece.meaning.asked)
            for piece in pieces
        )

    @property
    def unmodelled(self) -> tuple[str, ...]:
        """Sites without a rule, each with the reason."""
        found: dict[str, None] = {}
        for mode in self.modes:
            for piece in mode.pieces:
                for site, why in piece.meaning.unmodelled.items():
                    found[f"{piece.program.label(site)}: {why}"] = None
        return tuple(found)


def smallest(inside: Any, ranges: Sequence[Any]) -> tuple[int, ...] | None:
    """The smallest point of a grid that is inside, equal sizes first; None where there is none."""
    found = np.argwhere(inside)
    if not len(found):
        return None
    if not ranges:
        return ()
    largest = found.max(axis=1)
    best = found[np.lexsort((found.sum(axis=1), largest, largest > found.min(axis=1)))[0]]
    return tuple(int(values[i]) for values, i in zip(ranges, best, strict=True))


def bounds(box: Box, training: bool) -> Box:
    """The box in a mode: batch norm asks for more than one value, so that training needs a batch of 2."""
    return {**box, BATCH: (2, box[BATCH][1])} if training else box
