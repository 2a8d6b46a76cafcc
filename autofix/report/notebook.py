"""A Report or a Fix as the HTML fragment that a notebook shows; html.py puts one on a page of its own."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING

from jinja2 import Environment, PackageLoader, StrictUndefined

from autofix.report import wording
from autofix.report.text import changes, place_of, summary

if TYPE_CHECKING:
    from autofix.outcome import Report
    from autofix.repair import Fix


def report_html(report: Report) -> str:
    """What `Report._repr_html_` gives."""
    return render("report.html.j2", report=report)


def fix_html(fix: Fix) -> str:
    """What `Fix._repr_html_` gives."""
    return render("fix.html.j2", fix=fix, changes=changes(fix))


def render(template: str, **values: object) -> str:
    """A template of this folder, with everything escaped that is not marked safe."""
    return _environment().get_template(template).render(**values)


@cache
def _environment() -> Environment:
    environment = Environment(
        loader=PackageLoader("autofix", "report"),
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=StrictUndefined,
    )
    environment.globals |= {"w": wording, "summary": summary, "place_of": place_of}
    return environment
