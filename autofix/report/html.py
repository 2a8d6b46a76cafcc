"""A Fix as a self-contained HTML page, readable from disk."""

from __future__ import annotations

from typing import TYPE_CHECKING

from autofix.report.notebook import fix_html, render

if TYPE_CHECKING:
    from autofix.repair import Fix


def fix_page(fix: Fix) -> str:
    """The page that `autofix repair --report` writes."""
    return render("page.html.j2", title=fix.report.model_name, body=fix_html(fix))
