"""check_model and fix_model: the phases, called in order."""

from __future__ import annotations

from typing import Any

from torch import nn

from autofix.analyse import Analysis, analyse, everything, follow_program
from autofix.capture import capture_plain
from autofix.errors import UsageError
from autofix.fidelity import follows
from autofix.findings import find_faults
from autofix.inputs import box_of, input_shapes
from autofix.meta import to_meta
from autofix.outcome import Report
from autofix.program import InputShapes
from autofix.size import BATCH

START = 64  # the size whose path is followed first


def check_model(
    model: nn.Module,
    *,
    min_input: int | tuple[int, ...] = 1,
    max_input: int | tuple[int, ...] | None = None,
    example_inputs: tuple[Any, ...] | None = None,
    input_shape: tuple[Any, ...] | None = None,
    reference: int | tuple[int, ...] | None = None,
) -> Report:
    """Which input sizes the model accepts, exactly, and what fails at the others. The model is left alone.

    min_input, max_input: the sizes asked for, in pixels or voxels, for all axes or one for each
    input_shape: such as (1, 3, "H", "W"); inferred from the first convolution otherwise
    Raises UsageError, CaptureError.
    """
    if not isinstance(model, nn.Module):
        raise UsageError(f"check_model takes a torch.nn.Module, not {type(model).__name__}")
    inputs = input_shapes(model, input_shape, example_inputs)
    box = box_of(inputs.axes, min_input, max_input)
    analysis = describe(model, inputs)
    return Report(type(model).__name__, analysis, box, find_faults(analysis, box))


def describe(model: nn.Module, inputs: InputShapes) -> Analysis:
    """Capture and analyse: the exact sizes of a model, at every input size."""
    box = everything(len(inputs.axes))
    start = {BATCH: 2, **dict.fromkeys(range(len(inputs.axes)), START)}
    captured = capture_plain(to_meta(model), inputs)
    return analyse(follow_program((captured.evaluating, captured.training), box), inputs, box, start)
