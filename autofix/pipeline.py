"""check_model and fix_model: the phases, called in order."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from torch import nn

from autofix.analyse import Analysis, analyse, everything, follow_program
from autofix.capture import Capture, capture_plain
from autofix.change import Edit, Insert
from autofix.errors import UsageError
from autofix.fault import Fault
from autofix.findings import find_faults
from autofix.inputs import box_of, input_shapes, sizes_of
from autofix.meta import to_meta
from autofix.outcome import Report
from autofix.places import edits_located, located
from autofix.program import InputShapes
from autofix.repair import Fix
from autofix.shapes import ShapeRow, ShapesTable, shapes
from autofix.size import BATCH
from autofix.verify import Verdict, certify, computes, failing_run, run_points

if TYPE_CHECKING:
    from autofix.solve.knobs import Setting

START = 64  # the size whose path is followed first
STRATEGIES = ("fewest", "same", "preserve")


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

    min_input, max_input: the sizes asked for, in pixels or voxels, for all axes or one for each (default: all sizes)
    input_shape: such as (1, 3, "H", "W"); inferred from the first convolution otherwise
    Raises UsageError, CaptureError.
    """
    inputs = _inputs(model, input_shape, example_inputs)
    box = box_of(inputs.axes, 1 if min_input is None else min_input, max_input)
    _, analysis = describe(model, inputs)
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
    allow: tuple[str, ...] | None = None,
    frozen: tuple[str, ...] = (),
    time_limit: float | None = None,
    inplace: bool = False,
) -> Fix:
    """The smallest change after which every size from min_input on works, applied to a copy of the model.

    reference: the size the model was built for, which breaks ties between equally small changes
    allow:     the hyperparameters that may change: padding, stride, ceil_mode, output_padding, dilation, kernel_size
    frozen:    patterns of layer names that may not change, as "encoder.*"
    Raises UsageError, CaptureError, and InfeasibleError where nothing that is allowed helps.
    """
    from autofix.solve import repair, search
    from autofix.solve.knobs import check_frozen, overrides_of

    inputs = _inputs(model, input_shape, example_inputs)
    box = box_of(inputs.axes, min_input, max_input)
    allow, frozen = _checked_choices(strategy, allow, frozen)
    captured, analysis = describe(model, inputs)
    programs = captured.evaluating, captured.training
    check_frozen(programs, frozen)
    before = Report(type(model).__name__, analysis, box, located(find_faults(analysis, box), model))
    request = repair.Request(box, allow, frozen, _reference(reference, before), repair.deadline(time_limit))

    def analysed(setting: Setting) -> Analysis:
        overrides = {id(program): overrides_of(program, setting) for program in programs}
        return _analysed(captured, inputs, overrides)

    solve = repair.same if strategy == "same" else repair.fewest
    found = solve(analysis, request, analysed) if before.faults else search.Found({}, analysis, True, before.ok, 0)
    if isinstance(found, search.NotFound):
        raise repair.infeasible(found, before.faults, request)
    return _finish(model, captured, before, request, found, strategy, inplace)


def _finish(
    model: nn.Module, captured: Capture, before: Report, request: Any, found: Any, strategy: str, inplace: bool
) -> Fix:
    """Rewrite, prove, run."""
    from autofix.rewrite import edited_copy, graph_module, keys_of_calls, with_forward_of
    from autofix.solve.knobs import overrides_of
    from autofix.solve.repair import edits_of

    program, box, inputs = captured.evaluating, before.box, captured.evaluating.inputs
    report = Report(before.model_name, found.analysis, box, find_faults(found.analysis, box))
    overrides = {id(p): overrides_of(p, found.setting) for p in (captured.evaluating, captured.training)}
    certificates, why = certify(found.analysis, box, overrides)
    patched = edited_copy(model, program, found.setting, inplace)
    graph = graph_module(patched, program, found.setting)
    if keys_of_calls(found.setting):
        patched = with_forward_of(patched, graph)
    points = run_points(box, [fault.size for fault in before.faults])
    sizes = tuple(box[axis][0] for axis in range(len(inputs.axes)))
    failure = failing_run(to_meta(patched), inputs, points) or computes(patched, inputs, sizes)
    if failure:
        raise AssertionError(f"the repaired model fails {failure}; this is a bug in autofix")
    verdict = Verdict(certificates, tuple(tuple(p[a] for a in range(len(sizes))) for p in points), sizes, why)
    edits = edits_located(edits_of(before.analysis, found.setting, request, before.faults), model)
    original = None if inplace else model
    return Fix(patched, graph, edits, (), strategy, found.optimal, before, report, verdict, "", original)


def _inputs(model: nn.Module, input_shape: Any, example_inputs: Any) -> InputShapes:
    if not isinstance(model, nn.Module):
        raise UsageError(f"autofix takes a torch.nn.Module, not {type(model).__name__}")
    return input_shapes(model, input_shape, example_inputs)


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


def describe(model: nn.Module, inputs: InputShapes) -> tuple[Capture, Analysis]:
    """Capture and analyse: the exact sizes of a model, at every input size."""
    captured = capture_plain(to_meta(model), inputs)
    return captured, _analysed(captured, inputs, {})


def _analysed(captured: Capture, inputs: InputShapes, overrides: Any) -> Analysis:
    box = everything(len(inputs.axes))
    start = {BATCH: 2, **dict.fromkeys(range(len(inputs.axes)), START)}
    return analyse(follow_program((captured.evaluating, captured.training), box, overrides), inputs, box, start)


__all__ = ["Edit", "Fault", "Fix", "Insert", "Report", "ShapeRow", "ShapesTable", "check_model", "fix_model", "shapes"]
