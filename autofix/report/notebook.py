"""A Report or a Fix as the HTML fragment that a notebook shows: no script, no id, nothing from elsewhere."""

from __future__ import annotations

from typing import TYPE_CHECKING

from autofix.report.html import render
from autofix.report.text import changes

if TYPE_CHECKING:
    from autofix.outcome import Report
    from autofix.repair import Fix


def report_html(report: Report) -> str:
    """What `Report._repr_html_` gives."""
    return render("report.html.j2", report=report)


def fix_html(fix: Fix) -> str:
    """What `Fix._repr_html_` gives."""
    return render("fix.html.j2", fix=fix, changes=changes(fix))
