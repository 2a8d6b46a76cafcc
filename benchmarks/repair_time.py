"""How long check_model and fix_model take, against tracing and copying the same model (the floor).

Where fx's trace fails or loses a branch, the floor is one run on the meta device, and the copy.

python benchmarks/repair_time.py
"""

from __future__ import annotations

import copy
import logging
import subprocess
import sys
import time
import warnings
from collections.abc import Callable, Iterator
from statistics import median
from typing import Any

import common
import torch
from rivals import TORCHVISION
from torch import fx, nn

from autofix import AutofixError, check_model, fix_model

GOALS = {"check": 1.5, "fix": 3.0}
GOAL_FOLLOWED = 5.0
QUICK = ("squeezenet1_0", "resnet18")
FIXED = ("swin", "vit", "maxvit")
FOLLOWED = ("BasicUNet", "BasicUNetPlusPlus", "SegResNetDS", "RegUNet", "HighResNet", "AHNet", "FlexibleUNet")
FOLLOWED_IMAGES = ("tf_efficientnet_b0", "tf_mixnet_s", "tf_mobilenetv3_small_100", "tf_efficientnetv2_b0")


def networks(quick: bool) -> Iterator[tuple[str, Callable[[], nn.Module], tuple[int, ...]]]:
    """Name, maker and input shape: torchvision's classifiers that fx can trace, and chains.

    Not those of fixed sizes, by windows or position embeddings: they are refused, which is no repair to time.
    """
    from published import torchvision_classifiers

    for name, entry in torchvision_classifiers().items():
        if name in QUICK if quick else not name.startswith(FIXED):
            yield name, entry.build, (2, 3, 224, 224)
    for depth in (100,) if quick else (100, 300, 1000):
        yield (
            f"chain of {depth} layers",
            lambda depth=depth: common.chain(depth, joins=depth // 20),
            (2, 1, 64, 64),
        )


def followed(quick: bool) -> Iterator[tuple[str, Callable[[], nn.Module], tuple[int, ...]]]:
    """Networks whose Python looks at sizes: MONAI's in 2d, and timm's with TensorFlow's padding."""
    import timm
    from published import monai_networks

    medical = monai_networks()
    for name in FOLLOWED[:1] if quick else FOLLOWED:
        entry = medical[f"{name} 2d"]
        yield f"monai {name}", entry.build, (2, 1, 128, 128)
    for name in () if quick else FOLLOWED_IMAGES:
        yield f"timm {name}", lambda name=name: timm.create_model(name), (2, 3, 224, 224)


def measure_followed(
    name: str, make: Callable[[], nn.Module], shape: tuple[int, ...], rounds: int
) -> dict[str, Any]:
    """The ratios of one network on the second rung."""
    model = make().eval()
    meta, image = copy.deepcopy(model).to("meta"), torch.empty(shape, device="meta")

    def once() -> None:
        with torch.no_grad():
            meta(image)
        copy.deepcopy(model)

    asked = smaller(check_model(model).minimum_input)
    calls = {
        "floor": once,
        "check": lambda: check_model(model, min_input=asked),
        "fix": lambda: fix_model(model, min_input=asked),
    }
    fix = fix_model(model, min_input=asked)
    times = common.seconds_of(calls, rounds)
    return {
        "network": name,
        "min_input": asked,
        "outcome": f"{len(fix.edits)} edits, {len(fix.inserts)} inserts",
        "floor_seconds": median(times["floor"]),
        "ratios": common.ratios(times, "floor"),
    }


def measure(
    name: str, make: Callable[[], nn.Module], shape: tuple[int, ...], rounds: int
) -> dict[str, Any] | None:
    """The ratios of one network; None where fx cannot trace it, which leaves no floor to compare with."""
    model = make().eval()
    try:
        fx.symbolic_trace(model)
        report = check_model(model)
    except Exception as error:
        return {"network": name, "left out": f"{type(error).__name__}: {str(error).splitlines()[0][:100]}"}
    asked = smaller(report.minimum_input)
    calls = {"floor": lambda: floor(model), "check": lambda: check_model(model, min_input=asked)}
    outcome = "repaired"
    try:
        outcome = f"{len(fix_model(model, min_input=asked).edits)} edits"
        calls["fix"] = lambda: fix_model(model, min_input=asked)
    except AutofixError as error:
        outcome = f"no repair: {error}"[:120]
    times = common.seconds_of(calls, rounds)
    result = {
        "network": name,
        "min_input": asked,
        "outcome": outcome,
        "floor_seconds": median(times["floor"]),
    }
    found = common.ratios(times, "floor")
    wanted = name in TORCHVISION or "chain" in name  # it takes long: once, after a run to warm up
    if wanted and (exported := exporter(model, shape)) is not None:
        once = common.seconds_of({"once": exported}, 1, warm=False)["once"][0]
        found["torch.export"] = common.spread([once / median(times["floor"])])
    return {**result, "ratios": found}


def floor(model: nn.Module) -> None:
    """What any tool has to do: record the model, and copy it."""
    fx.symbolic_trace(model)
    copy.deepcopy(model)


def smaller(minimum: tuple[int | None, ...]) -> tuple[int, ...]:
    """Half of what the network wants, so that there is something to repair."""
    return tuple(max(2, (low or 64) // 2) for low in minimum)


def exporter(model: nn.Module, shape: tuple[int, ...]) -> Callable[[], object] | None:
    """torch.export with dynamic sizes, where it succeeds."""
    logging.disable(logging.WARNING)
    example = (torch.randn(shape),)
    auto = (dict.fromkeys(range(2, len(shape)), torch.export.Dim.AUTO),)

    def call() -> object:
        torch._dynamo.reset()
        return torch.export.export(model, example, dynamic_shapes=auto)

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            call()
    except Exception:
        return None
    return call


def processes(rounds: int) -> dict[str, Any]:
    """Whole processes: what the command line costs beyond importing torch and building the model."""
    python = sys.executable
    target = "autofix.examples.mri:BadCNN"
    build = "import torch, autofix.examples.mri as m; m.BadCNN()"
    commands = {
        "import torch, build": [python, "-c", build],
        "autofix --version": [python, "-m", "autofix", "--version"],
        "autofix check": [python, "-m", "autofix", "check", target, "--min-input", "5"],
        "autofix repair": [python, "-m", "autofix", "repair", target, "--min-input", "5", "-o", "{scratch}"],
    }
    import tempfile

    with tempfile.TemporaryDirectory() as scratch:
        calls = {
            name: lambda c=command: subprocess.run(
                [p.format(scratch=scratch) for p in c], capture_output=True, check=False
            )
            for name, command in commands.items()
        }
        times = common.seconds_of(calls, rounds)
    base = times["import torch, build"]
    beyond = {
        name: common.spread([a - b for a, b in zip(times[name], base, strict=True)])
        for name in ("autofix check", "autofix repair")
    }
    return {"seconds": {name: common.spread(t) for name, t in times.items()}, "seconds beyond": beyond}


def main() -> None:
    """Measure, print, write."""
    run, started = common.arguments(__doc__ or ""), time.perf_counter()
    rounds = 3
    found = [measure(*network, rounds) for network in networks(run.quick)]
    measured = [row for row in found if "ratios" in row]
    names = ("check", "fix", "torch.export")
    rows = [
        (
            r["network"],
            r["floor_seconds"],
            *(r["ratios"].get(n, {}).get("median") for n in names),
            r["outcome"],
        )
        for r in measured
    ]
    print(common.table(("network", "floor s", *names, "outcome"), rows))
    overall = {n: common.spread(v) for n in names if (v := values(measured, n))}
    for name, result in overall.items():
        goal = f" (goal: at most {GOALS[name]})" if name in GOALS else ""
        print(f"{name}: {result['median']:.2f} times the floor, the median of {len(measured)}{goal}")
    python = [measure_followed(*network, rounds) for network in followed(run.quick)]
    for row in python:
        print(row["network"], {n: round(r["median"], 2) for n, r in row["ratios"].items()}, row["outcome"])
    second = {n: common.spread(values(python, n)) for n in ("check", "fix")}
    for name, result in second.items():
        print(f"{name}, second rung: {result['median']:.2f} times the floor (goal: at most {GOAL_FOLLOWED})")
    whole = processes(rounds)
    print(whole)
    results = {"overall": overall, "networks": found, "processes": whole}
    common.write("repair_time", run, {**results, "second rung": second, "followed": python}, started)
    common.picture(
        "repair_time", run, lambda figure: draw(figure, measured), figsize=(9, 0.16 * len(measured) + 2)
    )


def values(measured: list[dict[str, Any]], name: str) -> list[float]:
    return [row["ratios"][name]["median"] for row in measured if name in row["ratios"]]


def draw(figure: Any, measured: list[dict[str, Any]]) -> None:
    axes = figure.subplots()
    for name, mark in (("check", "o"), ("fix", "s"), ("torch.export", "^")):
        rows = [(row["ratios"][name]["median"], y) for y, row in enumerate(measured) if name in row["ratios"]]
        axes.plot([x for x, _ in rows], [y for _, y in rows], mark, label=name, markersize=4)
    axes.set_yticks(range(len(measured)), [row["network"] for row in measured], fontsize=6)
    axes.axvline(1, color="grey", linewidth=0.8)
    axes.set(xscale="log", xlabel="times torch.fx.symbolic_trace + copy.deepcopy of the same model")
    axes.legend()


if __name__ == "__main__":
    main()
