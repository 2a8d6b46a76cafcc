"""The proof of a repair, and a checker that trusts nothing but the operators' formulas.

Each axis is cut into finitely many cases: single sizes first, then one case n = r + P*k (k = 0, 1 ...)
for each residue r of the period P. On a case every size is a polynomial in the k of the axes with integer
coefficients, provided each division is exact on the k part; the checker carries all cases at once, as arrays.
A requirement `a >= b` holds for every k >= 0 if no coefficient of a - b is negative, `a == b` if all are 0.
Nothing is taken from the analysis or the solver: a division that is not exact, an order that is not the same
for all k, an operator without a rule, each makes the check fail. What the model's Python asks of sizes is
answered anew, and every way that it takes at some size must be among the programs. Where the period is too
long for its cases to be listed, the certificate says so by a `Span`, and every size is an interval instead.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from autofix.changes import Changes
from autofix.interval import Interval
from autofix.ops.base import Tensor
from autofix.poly import NotProved, Poly
from autofix.program import InputShapes, Program
from autofix.size import BATCH, Size
from autofix.ways import Way, covered, ways_of


@dataclass(frozen=True)
class Axis:
    """The sizes of an axis from `first` on: single ones up to `head`, then by `period`; 0 where bounded."""

    first: int
    head: int
    period: int

    def cases(self) -> tuple[Any, Any]:
        """For each case, the size at k = 0 and what each turn adds."""
        # with no case at all, everything would hold
        if min(self.head, self.period) < 0 or self.head + self.period == 0 or self.first < 1:
            raise NotProved(f"{self} describes no sizes")
        sizes = np.arange(self.first, self.first + self.head + self.period, dtype=np.int64)
        return sizes, np.where(sizes >= self.first + self.head, self.period, 0)


@dataclass(frozen=True)
class Span:
    """The sizes of an axis from `first` to `last` (None: without end), all as one interval."""

    first: int
    last: int | None

    def interval(self) -> Interval:
        if self.first < 1 or (self.last is not None and self.last < self.first):
            raise NotProved(f"{self} describes no sizes")
        return Interval(self.first, math.inf if self.last is None else self.last)


@dataclass(frozen=True)
class Certificate:
    """Every requirement of a model, in one mode, holds at every size of its axes; all are cut alike."""

    axes: tuple[tuple[int, Axis | Span], ...]
    training: bool
    requirements: int = 0


def check(certificate: Certificate, programs: Sequence[Program], changes: Changes) -> int:
    """How many requirements were confirmed. Raises NotProved.

    programs: the paths through the model's Python, in the certificate's mode
    """
    known = [program for program in programs if program.told is not None]
    inputs = _inputs(certificate, programs[0].inputs)
    ways = [way for one in known for way in ways_of(one, inputs, changes, certificate.training)]
    proved = covered(ways)
    if not np.all(proved):
        raise NotProved(_doubt(ways, proved))
    return sum(way.count for way in ways if np.any(way.good))


def _doubt(ways: Sequence[Way], proved: Any) -> str:
    """What does not hold in a case that is not proved."""
    doubts = (what for way in ways for what, cases in way.doubts if np.any(cases & ~proved))
    return next(doubts, "at some sizes the model takes a path that is not known")


def _inputs(certificate: Certificate, inputs: InputShapes) -> list[Tensor | None]:
    variables = _variables(certificate)
    asked = {d.axis for dims in inputs.dims() for d in dims or () if isinstance(d, Size)}
    if asked - variables.keys():
        raise NotProved("the certificate says nothing about one of the axes")
    return [
        None if dims is None else Tensor(tuple(variables[d.axis] if isinstance(d, Size) else d for d in dims))
        for dims in inputs.dims()
    ]


def _variables(certificate: Certificate) -> dict[int, Poly | Interval]:
    """The size along each axis: a polynomial over the cases of all axes, or an interval."""
    spans = {axis: cut for axis, cut in certificate.axes if isinstance(cut, Span)}
    if spans:
        if len(spans) < len(certificate.axes):
            raise NotProved("the axes are not cut alike")
        return {axis: span.interval() for axis, span in spans.items()}
    variables: dict[int, Poly | Interval] = {}
    for position, (axis, cut) in enumerate(certificate.axes):
        assert isinstance(cut, Axis)
        shape = [1] * len(certificate.axes)
        shape[position] = -1
        start, turn = (values.reshape(shape) for values in cut.cases())
        variables[axis] = Poly({(): start, (axis,): turn})
    return variables


__all__ = ["BATCH", "Axis", "Certificate", "Span", "check"]
