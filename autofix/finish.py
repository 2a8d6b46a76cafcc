"""Solution -> Fix: the changes are put into a copy of the model, proved, and run."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace

from torch import fx, nn

from autofix.analyse import Piece
from autofix.branching import Around, Branch, around, conditions_of, reads_mode, with_forward
from autofix.change import Edit
from autofix.changes import UNCHANGED
from autofix.condition import Box
from autofix.errors import InternalError
from autofix.findings import find_faults, first_failure
from autofix.meta import attributes, restored, to_meta
from autofix.modes import stands_for_eval, together
from autofix.outcome import Report
from autofix.places import edits_located
from autofix.progress import phase
from autofix.repair import Fix
from autofix.rewrite import edited, edited_copy, graph_module, needs_graph
from autofix.rungs import Followed, Plain, followed
from autofix.size import BATCH
from autofix.solve.request import Request, Solution
from autofix.solve.words import edits_of, inserts_of
from autofix.unlisted import listed
from autofix.verify import (
    Computed,
    Verdict,
    certify,
    computes,
    device_of,
    failing_run,
    many_points,
    run_points,
)


@dataclass(frozen=True)
class Patched:
    """The repaired model; its graph, or what makes it; and what a changed forward consists of."""

    model: nn.Module
    graph: fx.GraphModule | Callable[[], fx.GraphModule]
    branches: tuple[Branch | Around, ...] = ()


def finish(
    model: nn.Module,
    captured: Plain | Followed,
    before: Report,
    request: Request,
    solution: Solution,
    strategy: str,
    inplace: bool,
) -> Fix:
    """Rewrite, prove, run. Raises CaptureError where forward cannot be rewritten, and InternalError."""
    phase("proving the repair")
    box, changes = before.box, solution.changes
    certificates, why = certify(solution.analysis, box, changes)
    faults, certified = find_faults(solution.analysis, box), bool(certificates)
    report = Report(before.model_name, solution.analysis, box, faults, before.notes, certified)
    patched = _patched(model, captured, before, solution, inplace)
    ran = _run(patched.model, model, captured, before, solution)
    edits: tuple[Edit, ...] = edits_of(request, solution, before.faults)
    return Fix(
        model=patched.model,
        graph=patched.graph,
        branches=patched.branches,
        edits=edits_located(edits, model),
        inserts=inserts_of(request, solution, before.faults),
        strategy=strategy,
        optimal=solution.optimal,
        before=before,
        report=report,
        verdict=replace(ran, certificates=certificates, why=why),
        solve="; ".join(solution.notes),
        original=None if inplace else model,
        reference=request.reference,
        allow=request.allow,
        frozen=request.frozen,
    )


def _patched(
    model: nn.Module, captured: Plain | Followed, before: Report, solution: Solution, inplace: bool
) -> Patched:
    """The edited copy, with another forward where something changes between the layers."""
    changes, mode = solution.changes, solution.analysis.evaluating
    outside = None if solution.analysis.complete else around(changes, mode.pieces[0])
    within = needs_graph(changes) and outside is None
    paths = conditions_of(solution.analysis) if within else []  # refuses before anything is changed
    copy = edited_copy(model, changes, inplace)
    smallest, state = _smallest(before.box), attributes(copy)

    def traced(point: Mapping[int, int], training: bool, guarded: bool = False) -> fx.GraphModule:
        # asked for late, the model may have run, and kept what it computed
        with restored(copy, state), listed(copy):
            recording = captured.record(copy, changes, point, training)
        with listed(copy):
            return graph_module(recording, changes, before.model_name, guarded)

    def graph() -> fx.GraphModule:
        shown = traced(smallest, training=False, guarded=True)
        if reads_mode(solution.analysis) and not together(shown, traced(smallest, True, guarded=True)):
            stands_for_eval(shown)
        return shown

    inputs = before.analysis.inputs
    if outside is not None:
        return Patched(with_forward(copy, (outside,), inputs), graph, (outside,))
    if not within:
        return Patched(copy, graph)
    branches = tuple(_branches(paths, traced))
    shown = branches[0].graph if len(branches) == 1 else graph()
    return Patched(with_forward(copy, branches, inputs), shown, branches)


def _branches(
    paths: list[tuple[Piece, bool, str]], traced: Callable[[Mapping[int, int], bool], fx.GraphModule]
) -> Iterator[Branch]:
    """A graph for each path; one for both modes where these differ by no more than the mode."""
    trained = {condition: piece for piece, training, condition in paths if training}
    modes = bool(trained)
    for piece, condition in ((piece, condition) for piece, training, condition in paths if not training):
        graph, twin = traced(piece.point, False), trained.get(condition)
        if twin is not None and together(graph, traced(twin.point, True)):
            del trained[condition]
            yield Branch(condition, graph)
        else:
            yield Branch(_both("not self.training", condition) if modes else condition, graph)
    for condition, piece in trained.items():
        yield Branch(_both("self.training", condition), traced(piece.point, True))


def _both(mode: str, condition: str) -> str:
    return f"{mode} and ({condition})" if condition else mode


def _smallest(box: Box) -> dict[int, int]:
    return {axis: bounds[0] for axis, bounds in box.items()} | {BATCH: 2}


def _run(
    patched: nn.Module, model: nn.Module, captured: Plain | Followed, before: Report, solution: Solution
) -> Verdict:
    """Run the repaired model, on the meta device and with real values. Raises InternalError."""
    box, inputs, changes = before.box, before.analysis.inputs, solution.changes
    points = run_points(box, [fault.size for fault in before.faults]) if changes else ()
    if changes and not solution.analysis.complete:
        points += many_points(box)
    axes = range(len(inputs.axes))
    sizes = tuple(_smallest(box)[axis] for axis in axes)
    if needs_graph(changes) or isinstance(captured, Followed):
        failure = failing_run(to_meta(patched), inputs, points)
    else:
        with edited(captured.programs[0].root, changes) as meta:
            failure = failing_run(meta, inputs, points)
    has_values = bool(changes) and device_of(patched).type != "meta"
    values = Computed(forward=has_values)
    if has_values and not failure:
        values = computes(patched, model, before.analysis, sizes)
        failure = values.failure
    if failure is None and changes and isinstance(captured, Followed):
        failure = _failing_path(patched, captured, box)
    if failure:
        raise InternalError(f"the repaired model fails {failure}")
    ran = tuple(tuple(point[axis] for axis in axes) for point in points)
    return Verdict((), ran, sizes if values.forward else None, backward=values.backward)


def _failing_path(patched: nn.Module, captured: Followed, box: Box) -> str | None:
    """The repaired model read anew: its own Python may look at what was edited, and take another path."""
    anew = followed(to_meta(patched), captured.inputs, captured.choices.again())
    failing = first_failure(anew.analyse(UNCHANGED, within=box), box)
    return None if failing is None else f"at {failing[1]}, on a path that the edits open"
