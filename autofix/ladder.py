"""Capture, rung by rung: the first reading of a model that agrees with what the model really does."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import replace
from typing import Final

from torch import nn

from autofix.agreement import TRIED, any_working, difference
from autofix.analyse import Analysis
from autofix.capture import capture_plain
from autofix.changes import UNCHANGED
from autofix.choices import Choices
from autofix.errors import CaptureError, UsageError
from autofix.fault import Code
from autofix.inputs import as_images, input_shapes, refined, with_integers
from autofix.meta import raised, to_meta
from autofix.program import InputShapes
from autofix.rungs import Followed, Plain, followed, start
from autofix.size import BATCH

LENGTHS: Final = (64, 256, 1024, 4096, 16000, 65536)  # of rows on which a model is tried


def climb(model: nn.Module, inputs: InputShapes, inferred: bool) -> tuple[Plain | Followed, Analysis]:
    """The first rung that agrees with the model, and its analysis.

    inferred: the input shapes are a guess from the first layer, and no one's claim
    Raises CaptureError where no rung agrees, naming what stands in the way, and UsageError where the input
    shapes contradict the first layer.
    """
    inputs = _batched(model, inputs)
    captured, analysis = _climb(model, inputs, inferred)
    if not inferred:
        check_fits(model, analysis)
        known = with_integers(analysis.evaluating.pieces[0].program, inputs)
        return (captured, analysis) if known == inputs else _climb(model, known, False)
    if any_working(analysis.evaluating, analysis.inputs) is None:
        image = _image_that_runs(model, inputs)
        return (captured, analysis) if image is None else _climb(model, image, False)
    return captured, analysis


def _batched(model: nn.Module, inputs: InputShapes) -> InputShapes:
    """With the 1 of (1, "T") as the batch, where the model runs on several: raw audio, boards of a game."""
    rows = [shape is not None and shape[0] == 1 and len(shape) > 1 for shape in inputs.shapes]
    pairs = zip(rows, inputs.shapes, strict=True)
    other = replace(inputs, shapes=tuple(("B", *(shape or ())[1:]) if row else shape for row, shape in pairs))
    meta = to_meta(model) if any(rows) else model
    if any(rows):
        meta.eval()
    for size in LENGTHS if any(rows) else ():
        with suppress(CaptureError):
            if raised(meta, other, {**dict.fromkeys(start(other), size), BATCH: 3}) is None:
                return other
    return inputs


def _image_that_runs(model: nn.Module, inputs: InputShapes) -> InputShapes | None:
    """The shapes of images that a model runs on although its first convolution has other channels."""
    meta = to_meta(model)
    meta.eval()
    for other in as_images(inputs):
        if any(raised(meta, other, {**dict.fromkeys(start(other), n), BATCH: 2}) is None for n in TRIED[:5]):
            return other
    return None


def check_fits(model: nn.Module, analysis: Analysis) -> None:
    """Raises UsageError where the first layer refuses the channels or the rank of the input at every size."""
    piece = analysis.evaluating.pieces[0]
    asking = [r for r in piece.meaning.requirements if r.code in (Code.CHANNELS, Code.REFUSED)]
    first = min(asking, key=lambda requirement: requirement.site, default=None)
    if first is None or first.condition.axes - {BATCH} or bool(first.condition.at({BATCH: 2})):
        return
    earlier = (site.module for site in piece.program.sites[: first.site] if site.module is not None)
    if piece.meaning.conditions or any(list(layer.parameters()) for layer in earlier):
        return  # another path may do, or the layers do not fit each other
    site = piece.program.sites[first.site]
    given, fitting = (written(shapes) for shapes in (analysis.inputs, input_shapes(model)))
    numbers = f": needs {first.needs}, gets {first.gets}" if isinstance(first.gets, int) else ""
    instead = f"; {fitting} does" if fitting != given else ""
    raise UsageError(
        f"the input {given} does not fit {site.name} ({site.op_name}): {first.what}{numbers}{instead}"
    )


def written(inputs: InputShapes) -> str:
    """The shapes as --input-shape takes them."""
    return " and ".join(
        ",".join("1" if d == "B" else str(d) for d in shape) for shape in inputs.shapes if shape
    )


def _climb(model: nn.Module, inputs: InputShapes, inferred: bool) -> tuple[Plain | Followed, Analysis]:
    meta = to_meta(model)
    try:
        plain = Plain(capture_plain(meta, inputs), inputs)
        if plain.captured.caught:
            return _second(to_meta(model), inputs, None, "")
        if inferred and refined(plain.programs[0], inputs) != inputs:
            inputs = refined(plain.programs[0], inputs)
            plain = Plain(capture_plain(to_meta(model), inputs), inputs)
        analysis = plain.analyse(UNCHANGED)
        if not analysis.unmodelled and difference(analysis) is None:
            return plain, analysis
        first: tuple[Plain | Followed, Analysis] | None = plain, analysis
        why = difference(analysis) or ""
    except CaptureError as error:
        first, why = None, str(error)
    return _second(to_meta(model), inputs, first, why)


def _second(
    meta: nn.Module, inputs: InputShapes, first: tuple[Plain | Followed, Analysis] | None, why: str
) -> tuple[Plain | Followed, Analysis]:
    try:
        reading, analysis = _followed(meta, inputs)
    except CaptureError as error:
        if first is not None and not why:
            return first
        raise CaptureError(f"{error}" if not why else f"{error} (plain tracing: {why})") from error
    if first is not None and not why and len(first[1].unmodelled) <= len(analysis.unmodelled):
        return first
    return reading, analysis


def _followed(meta: nn.Module, inputs: InputShapes) -> tuple[Followed, Analysis]:
    """The second rung; with a path for each side of every `if`, where choices leave something undescribed."""
    choices = Choices()
    try:
        found = _agreeing(meta, inputs, choices)
        if not found[1].unmodelled:
            return found
    except CaptureError:
        if not choices.codes:
            raise
        return _agreeing(meta, inputs, Choices(off=True))
    if choices.codes:
        with suppress(CaptureError):
            apart = _agreeing(meta, inputs, Choices(off=True))
            return found if apart[1].unmodelled else apart
    return found


def _agreeing(meta: nn.Module, inputs: InputShapes, choices: Choices) -> tuple[Followed, Analysis]:
    """The second rung. Raises CaptureError where a trace is not what the model does."""
    reading = followed(meta, inputs, choices)
    analysis = reading.analyse(UNCHANGED)
    why_not = difference(analysis)
    if why_not is not None:
        raise CaptureError(f"the trace of {type(meta).__name__} is not what the model does: {why_not}")
    return reading, analysis
