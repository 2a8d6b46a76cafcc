"""Joins that a repair must not bring to another resolution."""

from __future__ import annotations

from fractions import Fraction

from autofix.analyse import Piece
from autofix.arguments import references
from autofix.fault import Code
from autofix.program import Program
from autofix.size import Dim, Size


def kept_strides(piece: Piece) -> set[int]:
    """Sites whose stride stays: on one branch only of a join whose branches have the same resolution.

    A U-Net with every stride at 1 joins at any size, and is no U-Net any more. Where the branches of a join
    have different resolutions the network works at no size, and the stride is the likely mistake.
    """
    kept: set[int] = set()
    for requirement in piece.meaning.requirements:
        if requirement.code is Code.JOIN and _same_rate(requirement.needs, requirement.gets):
            site = piece.program.sites[requirement.site]
            branches = [ancestors(piece.program, r) for r in references((site.args, site.kwargs))]
            if len(branches) > 1:
                kept |= set[int]().union(*branches) - branches[0].intersection(*branches)
    return kept


def _same_rate(left: Dim, right: Dim) -> bool:
    return isinstance(left, Size) and isinstance(right, Size) and _rate(left) == _rate(right)


def _rate(size: Size) -> Fraction:
    return Fraction(size.curve.rise, size.curve.period)


def ancestors(program: Program, site: int) -> set[int]:
    """The sites that lead to a site, and itself."""
    found, queue = set[int](), [site]
    while queue:
        index = queue.pop()
        if index not in found:
            found.add(index)
            queue += references((program.sites[index].args, program.sites[index].kwargs))
    return found
