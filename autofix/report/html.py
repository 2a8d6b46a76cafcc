"""A Fix as one HTML file that needs nothing else: template, style and script are put into it."""

from __future__ import annotations

from dataclasses import asdict
from functools import cache
from typing import TYPE_CHECKING, Any

from jinja2 import Environment, PackageLoader, StrictUndefined

from autofix.report import wording
from autofix.report.text import place_of, summary
from autofix.report.typeset import typeset

if TYPE_CHECKING:
    from autofix.repair import Fix
    from autofix.report.page.heatmap import Heatmap, Panel

STRATEGIES = {
    "fewest": "the fewest edited layers, whatever they are",
    "same": "'same' padding on every convolution that needs or neighbours a repair",
    "preserve": "only changes that are the identity on every size that worked",
}


def fix_page(fix: Fix) -> str:
    """The page that `autofix repair --report` writes."""
    from autofix import __version__
    from autofix.report.page import page_of

    page = page_of(fix)
    columns = page.heatmap.columns
    data = {**asdict(page.graph), "axes": len(page.axes), "largest": page.largest, "columns": columns}
    return environment().get_template("page.html.j2").render(page=page, data=data, version=__version__)


@cache
def environment() -> Environment:
    """Everything is escaped that is not marked safe."""
    from autofix.report.page.heatmap import HEAD, HEIGHT

    result = Environment(
        loader=PackageLoader("autofix.report", "templates"),
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=StrictUndefined,
    )
    result.globals |= {"w": wording, "summary": summary, "place_of": place_of, "strategies": STRATEGIES}
    result.globals |= {"head": HEAD, "height": HEIGHT}
    result.globals |= {"amount": amount, "change": change, "kind_of": kind_of, "spoken": spoken}
    result.filters["typeset"] = typeset
    return result


def amount(number: float, unit: str) -> str:
    """3100000, "FLOP" -> `3.10 MFLOP`."""
    for prefix in ("", "k", "M", "G", "T"):
        if number < 1000 or prefix == "T":
            break
        number /= 1000
    return f"{number:.0f} {unit}" if not prefix else f"{number:.3g} {prefix}{unit}"


def change(before: int, after: int) -> str:
    """`+ 12 %`, or `same`."""
    if before == after:
        return "same"
    percent = (after / before - 1) * 100 if before else 0.0
    sign = "+" if after > before else "\u2212"
    return f"{sign} {abs(percent):.{0 if abs(percent) >= 10 else 1}f} %"


def kind_of(line: str) -> str:
    """The style of a line of a diff."""
    if line.startswith(("+++", "---", "diff ", "index ")):
        return "file"
    return {"+": "add", "-": "del", "@": "hunk"}.get(line[:1], "")


def spoken(panel: Panel, heatmap: Heatmap) -> str:
    """The panel in words, for those who do not see it."""
    failing = [row.name for row in panel.rows if "bad" in row.states]
    named = ", ".join(failing[:6]) + (" and others" if len(failing) > 6 else "")
    sizes = f"input sizes {heatmap.columns[0]} to {heatmap.columns[-1]}"
    told = f"some sizes fail at {named}" if failing else "no layer fails"
    return f"{sizes}; {told}; works at {panel.works}"


def render(template: str, **values: Any) -> str:
    """A template of this folder."""
    return environment().get_template(template).render(**values)
