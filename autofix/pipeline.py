"""check_model and fix_model: the phases, called in order."""

from __future__ import annotations

import time
from collections.abc import Mapping
from functools import partial
from typing import TYPE_CHECKING, Any

from torch import fx, nn

from autofix.analyse import Analysis
from autofix.change import Edit, Insert
from autofix.changes import Changes
from autofix.condition import Box
from autofix.errors import CaptureError, InternalError, UsageError
from autofix.fault import Fault
from autofix.findings import find_faults, first_failure
from autofix.inputs import box_of, input_shapes, sizes_of
from autofix.ladder import Followed, Plain, climb
from autofix.meta import to_meta
from autofix.outcome import Report
from autofix.places import edits_located, located
from autofix.program import InputShapes
from autofix.progress import phase
from autofix.repair import Fix
from autofix.shapes import ShapeRow, ShapesTable, shapes
from autofix.size import BATCH
from autofix.unlisted import listed
from autofix.verify import Verdict, certify, computes, device_of, failing_run, many_points, run_points

if TYPE_CHECKING:
    from autofix.solve.request import Request, Solution

STRATEGIES = ("fewest", "same", "preserve", "fastest")


def check_model(
    model: nn.Module,
    *,
    min_input: int | tuple[int, ...] | None = None,
    max_input: int | tuple[int, ...] | None = None,
    example_inputs: tuple[Any, ...] | None = None,
    input_shape: tuple[Any, ...] | None = None,
    reference: int | tuple[int, ...] | None = None,
) -> Report:
    """Which input sizes the model accepts, exactly, and what fails at the others. The model is left alone.

    min_input, max_input: the sizes asked for, in pixels, for all axes or one for each (default: all sizes)
    input_shape: such as (1, 3, "H", "W"); inferred from the first convolution otherwise
    Raises UsageError, CaptureError.
    """
    _, analysis = describe(model, input_shape, example_inputs)
    box = box_of(analysis.inputs.axes, 1 if min_input is None else min_input, max_input)
    return Report(type(model).__name__, analysis, box, located(find_faults(analysis, box), model))


def fix_model(
    model: nn.Module,
    *,
    min_input: int | tuple[int, ...],
    max_input: int | tuple[int, ...] | None = None,
    example_inputs: tuple[Any, ...] | None = None,
    input_shape: tuple[Any, ...] | None = None,
    reference: int | tuple[int, ...] | None = None,
    strategy: str = "fewest",
    device: str = "cpu",
    allow: tuple[str, ...] | None = None,
    frozen: tuple[str, ...] = (),
    time_limit: float | None = None,
    inplace: bool = False,
) -> Fix:
    """The smallest change after which every size from min_input on works, applied to a copy of the model.

    reference: the size the model was built for, which breaks ties between equally small changes
    strategy:  "fewest" edits, "same" padding, or "preserve" every output that the model already gives, or the
               "fastest" of several repairs, as measured on `device`
    allow:     the hyperparameters that may change: padding, stride, ceil_mode, output_padding, dilation,
               kernel_size
    frozen:    patterns of layer names that may not change, as "encoder.*"
    Raises UsageError, CaptureError, and InfeasibleError where nothing that is allowed helps.
    """
    from autofix.rewrite import check_names
    from autofix.solve.knobs import check_frozen
    from autofix.solve.request import Request, Solution
    from autofix.solve.strategy import STRATEGIES as SOLVERS

    deadline = time.monotonic() + (60.0 if time_limit is None else time_limit)
    allow, frozen = _checked_choices(strategy, allow, frozen)
    check_names(model)
    captured, analysis = describe(model, input_shape, example_inputs)
    check_frozen(captured.programs, frozen)
    box = box_of(analysis.inputs.axes, min_input, max_input)
    before = Report(type(model).__name__, analysis, box, located(find_faults(analysis, box), model))
    if analysis.unmodelled:
        raise CaptureError(f"{before.model_name} cannot be repaired: {analysis.unmodelled[0]}")
    phase("searching for the smallest repair")
    analyse = partial(captured.analyse, within=box)
    request = Request(analyse, analysis, box, allow, frozen, _reference(reference, before), deadline)
    if strategy == "fastest" and not before.ok:
        from autofix.fastest import fastest

        def finish(found: Solution, inplace: bool) -> Fix:
            return _finish(model, captured, before, request, found, strategy, inplace)

        return fastest(request, finish, device, inplace)
    unchanged = Solution(Changes(), analysis, before.ok)
    solution = unchanged if first_failure(analysis, box) is None else SOLVERS[strategy](request)
    return _finish(model, captured, before, request, solution, strategy, inplace)


def _finish(
    model: nn.Module,
    captured: Plain | Followed,
    before: Report,
    request: Request,
    solution: Solution,
    strategy: str,
    inplace: bool,
) -> Fix:
    """Rewrite, prove, run."""
    from autofix.branching import Around, Branch, around, conditions_of, with_forward
    from autofix.rewrite import edited, edited_copy, graph_module, needs_graph
    from autofix.solve.words import edits_of, inserts_of

    phase("proving the repair")
    box, inputs, changes = before.box, before.analysis.inputs, solution.changes
    report = Report(before.model_name, solution.analysis, box, find_faults(solution.analysis, box))
    certificates, why = certify(solution.analysis, box, changes)
    patched = edited_copy(model, changes, inplace)
    points = run_points(box, [fault.size for fault in before.faults]) if changes else ()
    if changes and not solution.analysis.complete:
        points += many_points(box)
    lowest = {axis: bounds[0] for axis, bounds in box.items()} | {BATCH: 2}

    def graph(point: Mapping[int, int] = lowest) -> fx.GraphModule:
        with listed(patched):
            return graph_module(captured.record(patched, changes, point), changes, before.model_name)

    made: Any = graph
    branches: tuple[Branch | Around, ...] = ()
    outside = None if solution.analysis.complete else around(changes, solution.analysis.evaluating.pieces[0])
    if outside is not None:
        branches = (outside,)
    elif needs_graph(changes):
        paths = conditions_of(solution.analysis)
        found = [Branch(condition, graph(piece.point)) for piece, condition in paths]
        on = solution.analysis.evaluating.piece_at(lowest)
        made = next(b.graph for b, (piece, _) in zip(found, paths, strict=True) if piece is on)
        branches = tuple(found)
    if branches:
        patched = with_forward(patched, branches, inputs)
    sizes = tuple(lowest[axis] for axis in range(len(inputs.axes)))
    has_values = bool(changes) and device_of(patched).type != "meta"
    if needs_graph(changes) or isinstance(captured, Followed):
        failure = failing_run(to_meta(patched), inputs, points)
    else:
        with edited(captured.programs[0].root, changes) as meta:
            failure = failing_run(meta, inputs, points)
    failure = failure or (computes(patched, inputs, sizes) if has_values else None)
    if failure is None and changes and isinstance(captured, Followed):
        failure = _failing_path(patched, inputs, box)
    if failure:
        raise InternalError(f"the repaired model fails {failure}")
    runs = tuple(tuple(p[a] for a in range(len(sizes))) for p in points)
    verdict = Verdict(certificates, runs, sizes if has_values else None, why)
    return Fix(
        model=patched,
        graph=made,
        branches=branches,
        edits=edits_located(edits_of(request, solution, before.faults), model),
        inserts=inserts_of(request, solution, before.faults),
        strategy=strategy,
        optimal=solution.optimal,
        before=before,
        report=report,
        verdict=verdict,
        solve="; ".join(solution.notes),
        original=None if inplace else model,
        reference=request.reference,
        allow=request.allow,
        frozen=request.frozen,
    )


def _failing_path(patched: nn.Module, inputs: InputShapes, box: Box) -> str | None:
    """The repaired model read anew: its own Python may look at what was edited, and take another path."""

    failing = first_failure(climb(patched, inputs, False)[1], box)
    return None if failing is None else f"at {failing[1]}, on a path that the edits open"


def _checked_choices(strategy: str, allow: Any, frozen: Any) -> tuple[tuple[str, ...], tuple[str, ...]]:
    from autofix.solve.knobs import DEFAULT_ALLOW, KNOBS

    if strategy not in STRATEGIES:
        raise UsageError(f"strategy is one of {', '.join(STRATEGIES)}, not {strategy!r}")
    allow = DEFAULT_ALLOW if allow is None else (allow,) if isinstance(allow, str) else tuple(allow)
    unknown = [knob for knob in allow if knob not in KNOBS]
    if unknown:
        raise UsageError(f"allow takes {', '.join(KNOBS)}, not {unknown[0]!r}")
    return allow, (frozen,) if isinstance(frozen, str) else tuple(frozen)


def _reference(reference: Any, before: Report) -> tuple[int, ...]:
    if reference is not None:
        return sizes_of("reference", reference, before.axes)
    lowest = [before.box[axis][0] for axis in range(len(before.axes))]
    return tuple(max(low, minimum or low) for low, minimum in zip(lowest, before.minimum_input, strict=True))


def describe(model: nn.Module, input_shape: Any, example_inputs: Any) -> tuple[Plain | Followed, Analysis]:
    """Capture and analyse: the exact sizes of a model, at every input size."""
    if not isinstance(model, nn.Module):
        raise UsageError(f"autofix takes a torch.nn.Module, not {type(model).__name__}")
    phase(f"recording what {type(model).__name__} computes, and its sizes")
    inferred = input_shape is None and example_inputs is None
    return climb(model, input_shapes(model, input_shape, example_inputs), inferred)


__all__ = [
    "Edit",
    "Fault",
    "Fix",
    "Insert",
    "Report",
    "ShapeRow",
    "ShapesTable",
    "check_model",
    "fix_model",
    "shapes",
]
