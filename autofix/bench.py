"""What each way to run small inputs costs: a model, its repairs, and the input padded or resized."""

from __future__ import annotations

import platform
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

import torch
from torch import nn
from torch.utils._pytree import tree_leaves

from autofix import timing
from autofix.errors import UsageError
from autofix.footprint import flops, peak_memory
from autofix.inputs import input_shapes, sizes_of
from autofix.outcome import Report
from autofix.program import InputShapes
from autofix.timing import Call, Timing
from autofix.variants import REPAIRS, Variant, next_working, variants

DTYPES: Final = {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}
STEPS: Final = 4  # sizes between the minimum and the reference
_RATE: Final = 1e-6  # learning rate of the timed training step, small enough that weights stay finite
_RECOMPILES: Final = 256  # each variant and size is compiled on its own


Wrap = Callable[[nn.Module, tuple[Any, ...]], tuple[Callable[..., Any], tuple[Any, ...]]]


@dataclass(frozen=True)
class Row:
    """One variant at one size.

    computed: the size that is really computed, larger than `sizes` where the input is enlarged
    forward, training: None where the variant does not run at this size in that mode
    memory:   peak bytes of forward and of a training step
    """

    variant: str
    sizes: tuple[int, ...]
    computed: tuple[int, ...]
    forward: Timing | None = None
    training: Timing | None = None
    memory: tuple[int | None, int | None] = (None, None)
    flops: int | None = None


@dataclass(frozen=True)
class Bench:
    """All measurements of one model on one machine. `skipped`: variant -> why it has no row."""

    model_name: str
    asked: str
    working: str
    settings: dict[str, Any]
    machine: dict[str, Any]
    changes: dict[str, str]
    rows: tuple[Row, ...]
    skipped: dict[str, str]

    def at(self, variant: str, sizes: tuple[int, ...]) -> Row | None:
        """The row of a variant at a size."""
        return next((row for row in self.rows if (row.variant, row.sizes) == (variant, sizes)), None)

    def __str__(self) -> str:
        from autofix.report.bench import table

        return table(self).plain


def bench_model(
    model: nn.Module,
    *,
    min_input: int | tuple[int, ...],
    max_input: int | tuple[int, ...] | None = None,
    input_shape: tuple[Any, ...] | None = None,
    reference: int | tuple[int, ...] | None = None,
    device: str = "cpu",
    dtype: str = "fp32",
    compile: bool = False,
    batch: int = 1,
    strategies: Sequence[str] = REPAIRS,
    rounds: int = timing.ROUNDS,
    seconds: float = timing.SECONDS,
    wrap: Wrap | None = None,
) -> Bench:
    """Time a model, its repairs and enlarged inputs at sizes from min_input to the reference.

    dtype:     weights and inputs are converted to it: fp32, bf16, fp16
    reference: the largest size; where not given, twice the smallest size that works
    wrap:      (model, inputs) -> what to call on what instead, such as a CUDA graph
    Raises UsageError where the device or dtype is unknown, and CaptureError.
    """
    _check(device, dtype)
    inputs = input_shapes(model, input_shape)
    skipped: dict[str, str] = {}
    asked = {"min_input": min_input, "max_input": max_input, "input_shape": input_shape}
    before, found = variants(model, skipped, strategies, **asked)
    converted = [replace(v, model=v.model.to(device, DTYPES[dtype])) for v in found]
    run = _Run(inputs, device, DTYPES[dtype], compile, batch, rounds, seconds, wrap)
    with torch._dynamo.config.patch(recompile_limit=_RECOMPILES) if compile else torch.enable_grad():
        rows = tuple(row for sizes in _sizes(before, reference, batch) for row in run.rows(converted, sizes))
    settings = {"device": device, "dtype": dtype, "compile": compile, "batch": batch}
    changes = {variant.name: variant.change for variant in found}
    names = before.model_name, before.asked, before.working_sizes
    return Bench(*names, settings, machine(), changes, rows, skipped)


@dataclass(frozen=True)
class _Run:
    """How to measure."""

    inputs: InputShapes
    device: str
    dtype: torch.dtype
    compile: bool
    batch: int
    rounds: int
    seconds: float
    wrap: Wrap | None

    def rows(self, found: Sequence[Variant], sizes: tuple[int, ...]) -> Iterator[Row]:
        """One row for each variant that runs at a size; all of them are timed against each other."""
        tensors = self.tensors(sizes)
        steps = {v.name: self.step(v, tensors) for v in found if v.takes(sizes, True, self.batch)}
        forwards = {v.name: self.forward(v, tensors) for v in found if v.takes(sizes, False, self.batch)}
        at_rest = self.timed(found, forwards, training=False)
        trained = self.timed(found, steps, training=True)
        for variant in found:
            if variant.name in at_rest or variant.name in trained:
                memory = self.memory(variant, tensors, sizes)
                count = flops(variant.model, tensors) if variant.name in at_rest else None
                computed = _computed(variant, sizes, self.batch)
                pair = at_rest.get(variant.name), trained.get(variant.name)
                yield Row(variant.name, sizes, computed, *pair, memory, count)

    def timed(self, found: Sequence[Variant], calls: dict[str, Call], training: bool) -> dict[str, Timing]:
        for variant in found:
            variant.model.train(training)
        return timing.compare(calls, self.device, rounds=self.rounds, seconds=self.seconds) if calls else {}

    def tensors(self, sizes: tuple[int, ...]) -> tuple[Any, ...]:
        return random_inputs(self.inputs, sizes, self.batch, self.device, self.dtype)

    def forward(self, variant: Variant, tensors: tuple[Any, ...]) -> Call:
        variant.model.eval()
        model, tensors = self.prepared(variant.model, tensors)

        def call() -> object:
            with torch.no_grad():
                return model(*tensors)

        return call

    def step(self, variant: Variant, tensors: tuple[Any, ...]) -> Call:
        variant.model.train()
        model, tensors = self.prepared(variant.model, tensors)
        optimizer = torch.optim.SGD(variant.model.parameters(), lr=_RATE)
        return lambda: training_step(model, optimizer, tensors)

    def prepared(
        self, model: nn.Module, tensors: tuple[Any, ...]
    ) -> tuple[Callable[..., Any], tuple[Any, ...]]:
        if self.wrap is not None:
            return self.wrap(model, tensors)
        return (torch.compile(model, dynamic=False) if self.compile else model), tensors

    def memory(
        self, variant: Variant, tensors: tuple[Any, ...], sizes: tuple[int, ...]
    ) -> tuple[int | None, int | None]:
        """Peak bytes, of eager runs also where compiled ones are timed."""
        eager = replace(self, compile=False, wrap=None)
        peaks: list[int | None] = []
        for training in (False, True):
            variant.model.train(training)
            call = eager.step(variant, tensors) if training else eager.forward(variant, tensors)
            runs = variant.takes(sizes, training, self.batch)
            peaks.append(peak_memory(call, self.device) if runs else None)
        return peaks[0], peaks[1]


def random_inputs(
    inputs: InputShapes, sizes: tuple[int, ...], batch: int, device: str, dtype: torch.dtype
) -> tuple[Any, ...]:
    """Random, since hardware is faster on zeros; the same every time."""
    generator = torch.Generator().manual_seed(0)
    made: list[torch.Tensor | None] = []
    for index, shape in enumerate(inputs.concrete(sizes, batch)):
        if shape is None:
            made.append(None)
        elif index in inputs.integer:
            made.append(torch.randint(0, 2, shape, generator=generator).to(device))
        else:
            made.append(torch.randn(shape, generator=generator).to(device, dtype))
    return tuple(made)


def training_step(
    model: Callable[..., Any], optimizer: torch.optim.Optimizer, tensors: tuple[Any, ...]
) -> None:
    """Forward, the mean square of all outputs, backward, and an update."""
    optimizer.zero_grad()
    outputs = [t for t in tree_leaves(model(*tensors)) if isinstance(t, torch.Tensor) and t.requires_grad]
    loss = torch.stack([t.float().square().mean() for t in outputs]).sum()
    loss.backward()  # type: ignore[no-untyped-call]
    optimizer.step()


def _computed(variant: Variant, sizes: tuple[int, ...], batch: int) -> tuple[int, ...]:
    target = getattr(variant.model, "target", None)
    return sizes if target is None else target(sizes, False, batch) or sizes


def _sizes(before: Report, reference: Any, batch: int) -> list[tuple[int, ...]]:
    """From the minimum asked for to the reference in equal ratios, and the smallest size that works."""
    axes = range(len(before.axes))
    lowest = tuple(before.box[axis][0] for axis in axes)
    works = next_working(before, lowest, False, batch) or lowest
    highest = tuple(2 * n for n in works)
    if reference is not None:
        highest = sizes_of("reference", reference, before.axes)
    highest = tuple(max(low, high) for low, high in zip(lowest, highest, strict=True))
    highest = tuple(min(n, before.box[axis][1] or n) for axis, n in zip(axes, highest, strict=True))
    chosen = {lowest, highest}
    for step in range(1, STEPS):
        share = step / STEPS
        pairs = zip(lowest, highest, strict=True)
        chosen.add(tuple(round(low ** (1 - share) * high**share) for low, high in pairs))
    if all(n <= high for n, high in zip(works, highest, strict=True)):
        chosen.add(works)
    return sorted(chosen)


def _check(device: str, dtype: str) -> None:
    check_device(device)
    if dtype not in DTYPES:
        raise UsageError(f"dtype is one of {', '.join(DTYPES)}, not {dtype!r}")


def check_device(device: str) -> None:
    """Raises UsageError where the device is not there."""
    try:
        torch.empty(0, device=device)
    except (RuntimeError, AssertionError) as error:
        raise UsageError(f"device {device!r} is not there: {str(error).splitlines()[0]}") from None


def machine() -> dict[str, Any]:
    """Where a measurement was made."""
    import autofix

    facts = {
        "processor": _processor(),
        "threads": torch.get_num_threads(),
        "python": platform.python_version(),
        "torch": torch.__version__,
        "autofix": autofix.__version__,
    }
    return {**facts, "gpu": torch.cuda.get_device_name()} if torch.cuda.is_available() else facts


def _processor() -> str:
    from pathlib import Path

    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return platform.processor() or platform.machine()
    names = (line.split(":", 1)[1].strip() for line in lines if line.startswith("model name"))
    return next(names, platform.machine())
