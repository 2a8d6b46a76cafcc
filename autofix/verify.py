"""Patched model -> Verdict: a certificate that the checker accepts, and real runs."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

import torch
from torch import nn

from autofix.agreement import any_working
from autofix.analyse import Analysis, Mode
from autofix.certificate import Axis, Certificate, Span, check
from autofix.changes import Changes
from autofix.condition import Box, Condition, indicator
from autofix.meta import meta_inputs, restored, type_of, undisturbed
from autofix.ops.base import Tensor
from autofix.poly import NotProved
from autofix.program import InputShapes, Program
from autofix.progress import phase
from autofix.size import BATCH, Size

MOST_CASES: Final = 4_000_000
MOST_OF_ALL: Final = 2 * MOST_CASES  # over all paths
MANY_CASES: Final = 100_000  # more of them are listed only where intervals do not do
MOST_TRIES: Final = 8
MANY: Final = 48  # equal sizes that are run where the formulas do not cover every path
MOST_RUNS: Final = 3  # sizes that are really run; the certificate covers the rest


@dataclass(frozen=True)
class Verdict:
    """What was established of a repaired model.

    certificates: accepted by the checker; empty where the proof failed, and `why` says at what
    runs:         the sizes at which the model was really run, on the meta device
    computed:     the size at which it computed real values on the CPU, if it did
    backward:     gradients too; the model as it was has none where they are left out
    """

    certificates: tuple[Certificate, ...]
    runs: tuple[tuple[int, ...], ...]
    computed: tuple[int, ...] | None = None
    why: str = ""
    backward: bool = True

    @property
    def ran(self) -> str:
        """The runs in words."""
        if not self.runs:
            return "nothing, as nothing is changed"
        text = f"{len(self.runs)} sizes on the meta device in eval and train mode"
        size = " x ".join(map(str, self.computed)) if self.computed else ""
        ways = "forward and backward" if self.backward else "forward (the original has no backward)"
        return f"{text}, {ways} on the CPU at {size}" if size else text


def certify(analysis: Analysis, box: Box, changes: Changes) -> tuple[tuple[Certificate, ...], str]:
    """A certificate for each mode, or why there is none."""
    try:
        if _one_proof(analysis, box):
            both = _certificate(analysis.training, box, changes, batch=1)
            return (replace(both, training=False), both), ""
        return (
            _certificate(analysis.evaluating, box, changes, batch=1),
            _certificate(analysis.training, box, changes, batch=2),
        ), ""
    except NotProved as reason:
        return (), str(reason)


def _one_proof(analysis: Analysis, box: Box) -> bool:
    """Whether train mode, which requires all that eval does and more, should hold with a batch of 1 too."""
    evaluating, training = ({id(piece.program) for piece in mode.pieces} for mode in analysis.modes)
    return evaluating == training and bool(analysis.training.accepted.covers(box).holds)


def _programs(mode: Mode) -> list[Program]:
    """The paths of a mode, each once."""
    return list({id(piece.program): piece.program for piece in mode.pieces}.values())


def _certificate(mode: Mode, box: Box, changes: Changes, batch: int) -> Certificate:
    programs = _programs(mode)
    axes = {axis: _cut(mode, axis, bounds) for axis, bounds in box.items()}
    most = box[BATCH][1]
    axes[BATCH] = Axis(batch, 0, 1) if most is None else Axis(batch, most - batch + 1, 0)
    for _ in range(MOST_TRIES):
        count = math.prod(a.head + a.period for a in axes.values())
        if count > MANY_CASES:
            try:
                return _by_intervals(mode, box, changes, batch)
            except NotProved:
                if count > MOST_CASES or count * len(programs) > MOST_OF_ALL:
                    raise
        certificate = Certificate(tuple(sorted(axes.items())), mode.training)
        try:
            return _checked(certificate, programs, changes)
        except NotProved as reason:
            if not reason.divisor:
                raise
            axes = {axis: _longer(cut, axis, reason.divisor) for axis, cut in axes.items()}
    raise NotProved("no period makes every division exact")


def _checked(certificate: Certificate, programs: Sequence[Program], changes: Changes) -> Certificate:
    return replace(certificate, requirements=check(certificate, programs, changes))


def _by_intervals(mode: Mode, box: Box, changes: Changes, batch: int) -> Certificate:
    """Where the sizes repeat too late for their cases to be listed."""
    axes = {**{axis: Span(*bounds) for axis, bounds in box.items()}, BATCH: Span(batch, box[BATCH][1])}
    try:
        certificate = Certificate(tuple(sorted(axes.items())), mode.training)
        return _checked(certificate, _programs(mode), changes)
    except NotProved as reason:
        raise NotProved(f"the sizes repeat only after too many cases, and as intervals: {reason}") from None


def _longer(cut: Axis, axis: int, divisor: int) -> Axis:
    """A longer period where a division was not exact, a longer head where an order was not settled."""
    if axis == BATCH or not cut.period:
        return cut
    return (
        Axis(cut.first, cut.head, cut.period * divisor)
        if divisor > 1
        else Axis(cut.first, cut.head + cut.period, cut.period)
    )


def _cut(mode: Mode, axis: int, bounds: tuple[int, int | None]) -> Axis:
    """The head and period that every size of the program has in common along an axis."""
    settled, period = 0, 1
    values = (value for piece in mode.pieces for value in (*piece.meaning.values, *piece.meaning.conditions))
    curves = {size.curve for value in values for size in _sizes(value) if size.axis == axis}
    curves |= {curve for at_axis, curve in mode.accepted.single if at_axis == axis}
    for curve in curves:
        settled, period = max(settled, curve.settled), math.lcm(period, curve.period)
    head = max(0, settled + 1 - bounds[0])
    if bounds[1] is not None and bounds[1] - bounds[0] + 1 <= head + period:
        return Axis(bounds[0], bounds[1] - bounds[0] + 1, 0)
    return Axis(bounds[0], head, period)


def _sizes(value: Any) -> Iterator[Size]:
    if isinstance(value, Size):
        yield value
    elif isinstance(value, Condition) and len(value.axes) == 1:
        curve = indicator(value)
        if curve is not None:
            yield Size(next(iter(value.axes)), curve)
    elif isinstance(value, Tensor):
        for dim in value.shape:
            yield from _sizes(dim)
    elif isinstance(value, tuple | list):
        for item in value:
            yield from _sizes(item)


def failing_run(meta: nn.Module, inputs: InputShapes, points: Sequence[Mapping[int, int]]) -> str | None:
    """Run the patched model on meta tensors: in train mode at each size, in eval mode all but the smallest.

    In eval mode the first size, the smallest, is computed with real values. Returns the first error, if any.
    """
    runs = [(True, point) for point in points] + [(False, point) for point in points[1:]]
    for done, (training, point) in enumerate(runs):
        phase("running the repaired model", done, len(runs))
        meta.train(training)
        sizes = tuple(point[axis] for axis in range(len(inputs.axes)))
        try:
            with undisturbed(meta):
                meta(*meta_inputs(meta, inputs.concrete(sizes, point[BATCH]), inputs.integer))
        except Exception as error:
            mode = "train" if training else "eval"
            return f"at {' x '.join(map(str, sizes))} in {mode} mode: {type(error).__name__}: {error}"
    return None


@dataclass(frozen=True)
class Computed:
    """How far real values went: the error, if any, or whether there was an output, and gradients."""

    failure: str | None = None
    forward: bool = True
    backward: bool = True


def computes(patched: nn.Module, model: nn.Module, original: Analysis, sizes: tuple[int, ...]) -> Computed:
    """Real values on the model's device, in eval mode. The models stay as they are.

    model: before the repair; what fails there in the same way, at a size that works, is not its fault
    """
    failure, forward = _gradients(patched, _reals(patched, original.inputs, sizes))
    if failure is None:
        return Computed()
    point = any_working(original.evaluating, original.inputs)
    if point is None or patched is model:
        return Computed(failure)
    working = tuple(point[axis] for axis in range(len(original.inputs.axes)))
    before, ran = _gradients(model, _reals(model, original.inputs, working))
    same = before is not None and ran is forward and _kind(before) == _kind(failure)
    return Computed(None, forward, False) if same else Computed(failure)


def _kind(failure: str) -> str:
    """The class of an error."""
    return failure.partition(":")[0]


def _reals(model: nn.Module, inputs: InputShapes, sizes: tuple[int, ...]) -> tuple[Any, ...]:
    """Inputs with values, where the model is; one sample."""
    shapes, device = inputs.concrete(sizes, 1), device_of(model)
    kinds = [torch.long if index in inputs.integer else type_of(model) for index in range(len(shapes))]
    return tuple(_random(shape, kind, device) for shape, kind in zip(shapes, kinds, strict=True))


def _gradients(model: nn.Module, tensors: tuple[Any, ...]) -> tuple[str | None, bool]:
    """The error of a run and its gradients, if any, and whether the run itself went well."""
    modes, forward = {module: module.training for module in model.modules()}, False
    model.eval()
    try:
        with restored(model), torch.random.fork_rng(devices=[]), torch.enable_grad():
            outputs = [t.sum() for t in _tensors(model(*tensors)) if t.requires_grad]
            forward = True
            wanted = [t for t in tensors if t is not None and t.requires_grad]
            if outputs and wanted:
                torch.autograd.grad(outputs, wanted, allow_unused=True)
    except Exception as error:
        return f"{type(error).__name__}: {error}", forward
    finally:
        for module, training in modes.items():
            module.training = training
    return None, forward


def device_of(model: nn.Module) -> torch.device:
    """Where a model's weights are; "meta" where it has none but shapes."""
    return next((parameter.device for parameter in model.parameters()), torch.device("cpu"))


def _random(shape: tuple[int, ...] | None, kind: torch.dtype, device: torch.device) -> Any:
    if shape is None:
        return None
    generator = torch.Generator().manual_seed(0)
    if kind is torch.long:
        return torch.zeros(shape, dtype=kind, device=device)
    return torch.rand(shape, generator=generator).to(device, kind).requires_grad_()


def _tensors(value: Any) -> Iterator[torch.Tensor]:
    if isinstance(value, torch.Tensor):
        yield value
    elif isinstance(value, tuple | list):
        for item in value:
            yield from _tensors(item)
    elif isinstance(value, dict):
        yield from _tensors(list(value.values()))
    elif hasattr(value, "__dataclass_fields__"):
        yield from _tensors([getattr(value, name) for name in value.__dataclass_fields__])


def run_points(box: Box, faults: Sequence[tuple[int, ...]]) -> tuple[dict[int, int], ...]:
    """The sizes to run: the smallest, and the sizes that failed before, nearest first."""
    lowest = {axis: bounds[0] for axis, bounds in box.items()}
    lowest[BATCH] = 2
    failed = [{axis: _within(size, box[axis]) for axis, size in enumerate(sizes)} for sizes in faults]
    points = [lowest, *({**lowest, **point} for point in failed)]
    unique = {tuple(sorted(point.items())): point for point in points}
    return tuple(unique.values())[:MOST_RUNS]


def many_points(box: Box) -> tuple[dict[int, int], ...]:
    """Sizes to run where some paths are not known: equal ones from the smallest on, and unequal ones."""
    spatial = sorted(axis for axis in box if axis != BATCH)
    equal = [dict.fromkeys(spatial, more) for more in range(MANY)]
    mixed = [
        {axis: more * (1, 7, 11, 13, 17, 19)[axis % 6] % MANY for axis in spatial} for more in range(1, MANY)
    ]
    return tuple(
        {axis: _within(box[axis][0] + extra, box[axis]) for axis, extra in point.items()} | {BATCH: 2}
        for point in (*equal, *mixed)
    )


def _within(size: int, bounds: tuple[int, int | None]) -> int:
    return max(bounds[0], size if bounds[1] is None else min(size, bounds[1]))
