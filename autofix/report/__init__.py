"""What was found, in every form a reader needs. No analysis in here."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from rich.console import Console
from rich.text import Text

if TYPE_CHECKING:
    from autofix.outcome import Report
    from autofix.repair import Fix
    from autofix.shapes import ShapesTable


def of_report(report: Report, format: str) -> Text | str:
    """The report in one of the formats full, concise, json, github and sarif."""
    from autofix.report import github, json, sarif, text

    if format == "full":
        return text.report_full(report)
    if format == "concise":
        return text.report_concise(report)
    if format == "json":
        return json.dumps(json.report_dict(report))
    return github.of_report(report) if format == "github" else json.dumps(sarif.of_report(report))


def of_fix(fix: Fix, format: str) -> Text | str:
    """The repair in one of the same formats; github and sarif mark what it changes."""
    from autofix.report import github, json, sarif, text

    if format == "full":
        return text.fix_full(fix)
    if format == "concise":
        return text.fix_concise(fix)
    if format == "json":
        return json.dumps(json.fix_dict(fix))
    return github.of_fix(fix) if format == "github" else json.dumps(sarif.of_fix(fix))


def of_shapes(table: ShapesTable, format: str, formulas: bool) -> Text | str:
    """The table of sizes, as `full` text or as `json`."""
    from autofix.report import json, text_shapes

    return json.dumps(json.shapes_dict(table)) if format == "json" else text_shapes.full(table, formulas)


def show(content: Text | str) -> None:
    """Print to stdout: in colour on a terminal unless NO_COLOR is set, never wrapped."""
    if isinstance(content, Text):
        Console(file=sys.stdout, highlight=False).print(content, soft_wrap=True)
    elif content:
        print(content)
    sys.stdout.flush()
