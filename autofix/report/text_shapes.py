"""The table of sizes, layer by layer."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.text import Text

from autofix.report import wording
from autofix.report.text import BAD, QUIET, STRONG

if TYPE_CHECKING:
    from collections.abc import Sequence

    from autofix.shapes import ShapeRow, ShapesTable

_HEAD = ("layer", "class", "hyperparameters", "in", "out")


def full(table: ShapesTable, formulas: bool) -> Text:
    """Aligned columns, as wide as they need to be: a pipe must not cut names short."""
    rows = list(table)
    head = (*_HEAD, "size") if formulas else _HEAD
    cells = [_cells(row, formulas) for row in rows]
    widths = [max(map(len, column)) for column in zip(head, *cells, strict=True)]
    lines = [Text(_aligned(head, widths), style=STRONG)]
    for row, cell in zip(rows, cells, strict=True):
        lines.append(Text(_aligned(cell, widths), style=BAD if row.error else ""))
        if row.error:
            lines.append(Text(f"  {row.error}", style=QUIET))
    return Text("\n").join(lines)


def _cells(row: ShapeRow, formulas: bool) -> tuple[str, ...]:
    after = "fails" if row.after is None else wording.extent(row.after)
    cells = (row.name, row.cls, row.hyper, wording.extent(row.before), after)
    return (*cells, row.formula) if formulas else cells


def _aligned(cells: Sequence[str], widths: Sequence[int]) -> str:
    return "  ".join(cell.ljust(width) for cell, width in zip(cells, widths, strict=True)).rstrip()
