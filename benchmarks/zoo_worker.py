"""One architecture of a zoo: described, compared with torch, repaired, and run.

`python zoo.py` starts this process, which reads a line of JSON for each architecture and answers with one.
"""

from __future__ import annotations

import importlib
import json
import re
import resource
import sys
import time
import traceback
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import common  # noqa: F401  (puts tests/ on the path)
import torch
from oracle import fill, runs, to_meta
from torch import nn
from torchvision_ops import ensure_torchvision

from autofix import check_model, fix_model
from autofix.errors import AutofixError
from autofix.outcome import Report
from autofix.region import horizon

SQUARES = (
    *(1, 2, 3, 5, 8, 15, 16, 17, 29, 31, 32, 33, 47, 63, 64, 65, 75, 96, 100),
    *(127, 128, 160, 224, 256, 299),
)
OBLONGS = ((1, 64), (64, 1), (16, 32), (31, 64), (65, 33), (64, 224), (224, 160))
FIXED_HEAD = 32  # the size asked for where no smallest size exists
MOST_RUNS = 64  # sizes of two periods that are really run, for each strategy
CORRECTED = 17  # sizes up to which the slow oracle judges
SMALL = 30e6  # parameters, up to which outputs are compared on the CPU
CAUSES = (
    (
        "position embeddings",
        r"pos_emb|position_emb|position_bias|rel_pos|relative_position|attention_bias|pos_bias|relpos|rope|rotary|build_grid",
    ),
    ("attention windows", r"window"),
    ("layers that mix a fixed number of positions", r"tokens|SpatialGating"),
)


@dataclass
class Outcome:
    """What came of one architecture; `stage` is the last that was begun."""

    name: str
    stage: str = "build"
    reason: str = ""
    facts: dict[str, Any] = field(default_factory=dict)
    seconds: dict[str, float] = field(default_factory=dict)


def judge(job: dict[str, Any]) -> Outcome:
    """All stages, as far as they go."""
    outcome = Outcome(job["name"])
    try:
        _stages(job, outcome)
        outcome.stage = "done"
    except AutofixError as refusal:
        outcome.reason = f"{type(refusal).__name__}: {refusal}"
    except MemoryError:
        outcome.reason = "the memory limit was reached"
    except Exception as error:
        where = traceback.extract_tb(error.__traceback__)[-1]
        outcome.reason = f"crash: {type(error).__name__}: {error} ({where.name}, line {where.lineno})"
        outcome.facts["crash"] = True
    outcome.reason = outcome.reason[:600]
    return outcome


def _stages(job: dict[str, Any], outcome: Outcome) -> None:
    facts = outcome.facts
    model, shape = timed(outcome, "build", lambda: build(job["zoo"], job["name"], "meta"))
    facts["parameters"] = sum(p.numel() for p in model.parameters())
    facts["cause"] = fixed_cause(model)
    report = timed(outcome, "check", lambda: check_model(model, input_shape=shape))
    template = report.analysis.inputs.shapes
    facts |= {"capture": report.capture, "sizes": report.working_sizes, "minimum": report.minimum_input}
    facts["complete"], facts["unmodelled"] = report.analysis.complete, list(report.unmodelled[:3])
    disagreements = timed(outcome, "compare", lambda: list(compare(model, report, facts)))
    if disagreements:
        facts["disagreements"] = disagreements
        outcome.reason = f"accepts is wrong: {disagreements[0]}"
    low = tuple(FIXED_HEAD if least is None else max(1, least // 2) for least in report.minimum_input)
    facts["asked"] = low
    for strategy in ("fewest", "preserve"):
        repair = partial(fix_model, model, input_shape=shape, min_input=low, strategy=strategy)
        fix = timed(outcome, strategy, repair)
        changes = (*fix.edits, *fix.inserts)
        points = two_periods(report, fix.report, low) if changes else []
        facts[strategy] = {
            "edits": len(fix.edits),
            "inserts": len(fix.inserts),
            "optimal": fix.optimal,
            "proved": fix.proved,
            "what": [str(change) for change in changes][:4],
            "runs": len(points),
        }
        run = partial(first_failing, fix.model, template, points)
        failing = timed(outcome, f"run {strategy}", run)
        if failing:
            raise AssertionError(f"the repaired model fails: {failing}")
    if facts["parameters"] <= SMALL:
        facts["equal"] = timed(outcome, "equal", lambda: equal(job, shape, report, low))
        if facts["equal"] is False:
            raise AssertionError("preserve changes outputs")


def timed(outcome: Outcome, stage: str, call: Callable[[], Any]) -> Any:
    """The result, with the stage noted and its seconds added."""
    outcome.stage, start = stage, time.perf_counter()
    try:
        return call()
    finally:
        outcome.seconds[stage] = round(time.perf_counter() - start, 2)


def build(zoo: str, name: str, device: str) -> tuple[nn.Module, Any]:
    """A new instance of an architecture, and the shape of its input where the zoo knows it."""
    package, function = zoo.split(":")
    module = importlib.import_module(package)
    listed = getattr(module, function)
    maker = getattr(module, "create_model", None) or getattr(module, "get_model", None)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        if maker is None:
            entry = listed()[name]
            return entry.build(device), entry.template
        with torch.device(device):
            return _random_statistics(maker(name)), None


def _random_statistics(model: nn.Module) -> nn.Module:
    """Batch norms as after training, so that every layer counts in the output."""
    for layer in model.modules():
        if isinstance(layer, nn.modules.batchnorm._BatchNorm) and layer.running_mean is not None:
            layer.running_mean.normal_(0, 0.1)
            assert layer.running_var is not None
            layer.running_var.uniform_(0.5, 1.5)
    return model


def fixed_cause(model: nn.Module) -> str:
    """What ties an architecture to its size, by names of its tensors and layers; "" if nothing."""
    names = [name for name, _ in (*model.named_parameters(), *model.named_buffers())]
    names += [type(layer).__name__ for layer in model.modules()]
    for cause, pattern in CAUSES:
        if any(re.search(pattern, name, re.IGNORECASE) for name in names):
            return cause
    return ""


def spread(axes: int) -> Iterator[tuple[int, ...]]:
    """Sizes at which `accepts` is compared with torch."""
    for size in SQUARES if axes < 3 else SQUARES[:16]:
        yield (size,) * axes
    yield from OBLONGS if axes == 2 else ()


def compare(model: nn.Module, report: Report, facts: dict[str, Any]) -> Iterator[str]:
    """Sizes and modes at which `accepts` and a run on the meta device differ.

    The oracle that corrects the meta device's own mistakes, which is slow, judges small sizes and disputes.
    """
    twin, template = to_meta(model), report.analysis.inputs.shapes
    facts["compared"] = 0
    for position, sizes in enumerate(spread(len(report.axes))):
        for training in (False, True) if position % 3 == 0 else (False,):
            said = report.accepts(*sizes, training=training)
            facts["compared"] += 1
            shape = fill(template, sizes, 2)
            if min(sizes) > CORRECTED and runs_on_meta(twin, shape, training) == said:
                continue
            if runs(twin, shape, training) != said:
                mode = "train" if training else "eval"
                yield f"{'x'.join(map(str, sizes))} {mode}: accepts says {said}"


def two_periods(before: Report, after: Report, low: tuple[int, ...]) -> list[tuple[int, ...]]:
    """Every size of two periods along each axis, unequal along the others; thinned where these are many."""
    regions = [mode.accepted for report in (before, after) for mode in report.analysis.modes]
    found = [horizon(regions, axis) for axis in range(len(low))]
    count = 2 * max(growth.period if growth else 32 for growth in found)
    order = range(count) if count <= MOST_RUNS else range(0, count, -(-count // MOST_RUNS))
    return [
        tuple(least + (i * (1, 7, 11)[axis] + axis) % count for axis, least in enumerate(low)) for i in order
    ]


def first_failing(model: nn.Module, template: Any, points: list[tuple[int, ...]]) -> str:
    """The first of these sizes at which a repaired model does not run, modes in turn; "" if there is none."""
    twin = to_meta(model)
    for position, point in enumerate(points):
        training = position % 4 == 3
        if not runs_on_meta(twin, fill(template, point, 2), training):
            return f"{'x'.join(map(str, point))}, {'train' if training else 'eval'} mode"
    return ""


def runs_on_meta(model: nn.Module, shape: Any, training: bool) -> bool:
    """Whether the meta device runs the model on this shape, or on several."""
    shapes = shape if isinstance(shape[0], tuple) else (shape,)
    model.train(training)
    try:
        with torch.no_grad(), torch.device("meta"):
            model(*(torch.empty(one) for one in shapes))
    except Exception:
        return False
    return True


def equal(job: dict[str, Any], shape: Any, report: Report, low: tuple[int, ...]) -> bool | None:
    """Whether a `preserve` repair of the real model gives the very same outputs at a size that worked."""
    sizes = next(
        (s for s in ((n,) * len(low) for n in (64, 96, 128, 224, 256, 299, 75)) if report.accepts(*s)), None
    )
    if sizes is None:
        return None
    torch.manual_seed(0)
    model = build(job["zoo"], job["name"], "cpu")[0].eval()
    fix = fix_model(model, input_shape=shape, min_input=low, strategy="preserve")
    inputs = [torch.randn(one) for one in fill(report.analysis.inputs.shapes, sizes, 1)]
    with torch.no_grad():
        before, after = flat(model(*inputs)), flat(fix.model.eval()(*inputs))
    return len(before) == len(after) and all(torch.equal(a, b) for a, b in zip(before, after, strict=True))


def flat(value: Any) -> list[torch.Tensor]:
    """All tensors of an output."""
    if isinstance(value, torch.Tensor):
        return [value]
    items = value.values() if isinstance(value, dict) else value if isinstance(value, tuple | list) else ()
    return [tensor for item in items for tensor in flat(item)]


def main() -> None:
    """Answer until the input ends."""
    memory = int(float(sys.argv[1]) * 2**30)
    resource.setrlimit(resource.RLIMIT_AS, (memory, memory))
    torch.set_num_threads(1)
    warnings.simplefilter("ignore")
    ensure_torchvision()
    answers, sys.stdout = sys.stdout, sys.stderr  # what libraries print must not mix with the answers
    for line in sys.stdin:
        print(json.dumps(vars(judge(json.loads(line)))), file=answers, flush=True)


if __name__ == "__main__":
    main()
