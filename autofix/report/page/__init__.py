"""Fix -> Page: everything that the HTML report shows, as plain frozen data. The template only draws it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from autofix.change import Edit, Insert
from autofix.fault import Safety
from autofix.outcome import Report
from autofix.repair import Fix
from autofix.report import wording
from autofix.report.page.alternatives import Alternative, alternatives
from autofix.report.page.cost import Cost, cost
from autofix.report.page.graph import Graph, graph
from autofix.report.page.heatmap import Heatmap, columns, panel, shown_keys
from autofix.report.page.proof import Proof, proof
from autofix.report.page.sampled import Key, Layer, sampled
from autofix.report.text import changes, summary
from autofix.report.typeset import typeset

SHORTEST_SLIDER, LONGEST_SLIDER = 64, 1024


@dataclass(frozen=True)
class Verdict:
    """The result in one sentence, and what has to be said with it."""

    sentence: str
    claim: str
    good: bool
    warning: str


@dataclass(frozen=True)
class Page:
    """The report, in the order in which it is read."""

    model: str
    axes: tuple[str, ...]
    verdict: Verdict
    changes: tuple[Edit | Insert, ...]
    worked: str
    works: str
    heatmap: Heatmap
    graph: Graph
    start: int
    largest: int
    diff: str
    proof: Proof
    cost: Cost
    alternatives: tuple[Alternative, ...]


def page_of(fix: Fix) -> Page:
    """Evaluate the exact sizes where the page shows them."""
    interesting = _interesting(fix)
    largest = _largest(fix, interesting)
    sizes = np.arange(1, largest + 1)
    layers = sampled(fix.before.analysis, sizes), sampled(fix.report.analysis, sizes)
    texts: dict[str, list[str]] = {}
    for change in changes(fix):
        texts.setdefault(change.site, []).append(typeset(summary(change)))
    costs = cost(fix)
    return Page(
        model=fix.report.model_name,
        axes=fix.report.axes,
        verdict=_verdict(fix),
        changes=changes(fix),
        worked=typeset(fix.before.sound_sizes),
        works=typeset(fix.report.working_sizes),
        heatmap=_heatmap(fix, layers, columns(interesting, largest), set(texts)),
        graph=graph(*layers, texts),
        start=_start(fix),
        largest=largest,
        diff=fix.diff,
        proof=proof(fix),
        cost=costs,
        alternatives=alternatives(fix, costs),
    )


def _start(fix: Fix) -> int:
    return max(fix.report.box[axis][0] for axis in range(len(fix.report.axes)))


def _interesting(fix: Fix) -> list[int]:
    """The sizes that must be in view: the smallest asked for, and where each model begins to work."""
    found = [fix.report.box[axis][0] for axis in range(len(fix.report.axes))]
    for report in (fix.before, fix.report):
        found += [size for size in report.minimum_input if size is not None]
    found += [max(fault.size) for fault in fix.before.faults if fault.size]
    return [min(size, LONGEST_SLIDER) for size in found]


def _largest(fix: Fix, interesting: list[int]) -> int:
    """The end of the slider: twice what is interesting, never beyond the largest size asked for."""
    highs = [fix.report.box[axis][1] for axis in range(len(fix.report.axes))]
    known = [high for high in highs if high is not None]
    end = min(LONGEST_SLIDER, max(SHORTEST_SLIDER, 2 * max(interesting)))
    return min(LONGEST_SLIDER, max(*known, *interesting)) if len(known) == len(highs) else end


def _heatmap(
    fix: Fix, layers: tuple[dict[Key, Layer], dict[Key, Layer]], sizes: tuple[int, ...], changed: set[str]
) -> Heatmap:
    keys, left_out = shown_keys(layers, changed)
    at = [size - 1 for size in sizes]
    panels = [
        panel(title, each, keys, at, changed, typeset(report.working_sizes), _column(report, sizes))
        for title, each, report in zip(("Before", "After"), layers, (fix.before, fix.report), strict=True)
    ]
    start = _start(fix)
    several = any(_differ(each[key]) for each in layers for key in keys if key in each)
    return Heatmap(sizes, tuple(panels), sizes.index(start) if start in sizes else None, left_out, several)


def _differ(layer: Layer) -> bool:
    return any(not np.array_equal(layer.sizes[0], other) for other in layer.sizes[1:])


def _column(report: Report, sizes: tuple[int, ...]) -> int | None:
    """The column from which on every size works along all axes."""
    known = [size for size in report.minimum_input if size is not None]
    if len(known) < len(report.minimum_input) or max(known) not in sizes:
        return None
    return sizes.index(max(known))


def _verdict(fix: Fix) -> Verdict:
    found = changes(fix)
    asked = typeset(f"every size {fix.report.asked}".strip())
    parts = [
        wording.count(len({e.site for e in fix.edits}), "edited layer") if fix.edits else "",
        wording.count(len(fix.inserts), "inserted operation") if fix.inserts else "",
    ]
    by = " and ".join(part for part in parts if part)
    if not found:
        sentence = f"{fix.report.model_name} already works at {asked}; nothing had to be changed."
    else:
        verb = "makes" if len(found) == 1 else "make"
        sentence = f"{by[0].upper()}{by[1:]} {verb} {fix.report.model_name} work at {asked}."
    proved = "Proved for every one of these sizes" if fix.proved else "Ran, but not proved for every size"
    optimal = wording.optimality(fix)
    claim = f"{proved}; {optimal}." if found else f"{proved}."
    alters = [change for change in found if change.safety is Safety.CHANGES_OUTPUTS]
    return Verdict(sentence, claim, fix.proved, wording.SAFETY[Safety.CHANGES_OUTPUTS] if alters else "")
