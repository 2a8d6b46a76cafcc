"""check_model and fix_model: the phases, called in order."""

from __future__ import annotations

import time
from functools import partial
from typing import TYPE_CHECKING, Any

from torch import nn

from autofix.agreement import any_working, unequal_working
from autofix.analyse import Analysis
from autofix.change import Edit, Insert
from autofix.changes import Changes
from autofix.errors import CaptureError, UsageError
from autofix.fault import Code, Fault
from autofix.findings import find_faults, first_failure
from autofix.inputs import box_of, input_shapes, sizes_of
from autofix.ladder import climb, written
from autofix.outcome import Report
from autofix.places import located
from autofix.progress import phase
from autofix.repair import Fix
from autofix.rungs import Followed, Plain
from autofix.shapes import ShapeRow, ShapesTable, shapes
from autofix.size import BATCH
from autofix.turns import one_at_a_time

if TYPE_CHECKING:
    from autofix.solve.request import Solution

STRATEGIES = ("fewest", "same", "preserve", "fastest")


@one_at_a_time
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
    faults = located(find_faults(analysis, box), model)
    own = any(fault.code is Code.ASSERTION for fault in faults)  # the model's, whatever its input
    guess = input_shape is None and example_inputs is None and not own
    notes = _guessed(analysis) if guess else ()
    return Report(type(model).__name__, analysis, box, faults, notes)


def _guessed(analysis: Analysis) -> tuple[str, ...]:
    """What was assumed of the input, where the model takes no size of it."""
    mode, shapes = analysis.evaluating, analysis.inputs
    if any_working(mode, shapes) is not None or unequal_working(mode, len(shapes.axes)) is not None:
        return ()
    return (
        f"the input {written(shapes)} is a guess from the first layer: pass input_shape if it is another",
    )


@one_at_a_time
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
    from autofix.finish import finish
    from autofix.rewrite import check_names
    from autofix.solve.broken import check_sane
    from autofix.solve.knobs import check_frozen
    from autofix.solve.request import Request, Solution
    from autofix.solve.strategy import STRATEGIES as SOLVERS

    deadline = time.monotonic() + (60.0 if time_limit is None else time_limit)
    allow, frozen = _checked_choices(strategy, allow, frozen)
    check_names(model)
    captured, analysis = describe(model, input_shape, example_inputs)
    check_frozen(captured.programs, frozen)
    box = {**box_of(analysis.inputs.axes, min_input, max_input), BATCH: (1, analysis.largest_batch)}
    faults = located(find_faults(analysis, box), model)
    before = Report(type(model).__name__, analysis, box, faults, _batches(analysis))
    if analysis.unmodelled:
        raise CaptureError(f"{before.model_name} cannot be repaired: {analysis.unmodelled[0]}")
    check_sane(analysis, before.model_name)
    phase("searching for the smallest repair")
    analyse = partial(captured.analyse, within=box)
    request = Request(analyse, analysis, box, allow, frozen, _reference(reference, before), deadline)
    if strategy == "fastest" and not before.ok:
        from autofix.fastest import fastest

        def made(found: Solution, inplace: bool) -> Fix:
            return finish(model, captured, before, request, found, strategy, inplace)

        return fastest(request, made, device, inplace)
    unchanged = Solution(Changes(), analysis, before.ok)
    solution = unchanged if first_failure(analysis, box) is None else SOLVERS[strategy](request)
    return finish(model, captured, before, request, solution, strategy, inplace)


def _batches(analysis: Analysis) -> tuple[str, ...]:
    """What a repair does not speak of: batches that fail whatever the size."""
    most = analysis.largest_batch
    return (
        ()
        if most is None
        else (f"a batch of {most + 1} fails at every size; this is of batches up to {most}",)
    )


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
