"""What is the smallest size, and does a given size work: autofix against what else answers, time and truth.

python benchmarks/rivals.py
"""

from __future__ import annotations

import logging
import signal
import time
import warnings
from collections.abc import Callable
from typing import Any

import common
import torch
from torch import fx, nn

from autofix import check_model
from autofix.meta import meta_inputs, to_meta

LIMIT = 60  # seconds after which a rival is taken to have no answer
NEAR = 32  # a gap so close to the end of the scan has others after it
LAST = 160  # the largest size of the scan, which is the truth
QUICK = ("squeezenet1_0", "resnet18", "UNet 2d", "BasicUNet 2d")
TORCHVISION = (
    "alexnet", "squeezenet1_0", "vgg11", "resnet18", "resnet50", "mobilenet_v2", "mobilenet_v3_small",
    "mnasnet0_5", "shufflenet_v2_x0_5", "convnext_tiny", "densenet121", "inception_v3", "googlenet",
    "regnet_x_400mf", "efficientnet_b0", "resnext50_32x4d", "wide_resnet50_2",
)  # fmt: skip


def runs(model: nn.Module, shape: tuple[Any, ...], size: int) -> bool:
    """Whether the model really runs at a square size, on the meta device, batch of 2."""
    concrete = (2, *(size if isinstance(n, str) else n for n in shape[1:]))
    try:
        with torch.no_grad(), torch.device("meta"):
            model(*meta_inputs((concrete,), frozenset()))
    except Exception:
        return False
    return True


def last_gap(works: list[bool]) -> int | None:
    """The size from which on everything works, as far as was looked."""
    first = next((i for i in range(len(works), 0, -1) if not works[i - 1]), 0) + 1
    return first if first <= len(works) - NEAR else None


def by_scan(model: nn.Module, shape: tuple[Any, ...]) -> list[bool]:
    return [runs(model, shape, size) for size in range(1, LAST + 1)]


def by_bisection(model: nn.Module, shape: tuple[Any, ...]) -> int | None:
    """Right only where what works is everything from some size on."""
    low, high = 0, LAST
    if not runs(model, shape, high):
        return None
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if runs(model, shape, middle) else (middle, high)
    return high


def by_autofix(model: nn.Module, shape: tuple[Any, ...]) -> list[bool]:
    """Its answer for every size, as a set rather than one number."""
    report = check_model(model, input_shape=shape)
    return [report.accepts(*[size] * len(report.axes)) for size in range(1, LAST + 1)]


def by_export(model: nn.Module, shape: tuple[Any, ...]) -> dict[str, Any]:
    """torch.export with Dim.AUTO at 128: the range of each axis that it promises."""
    example = torch.empty([2, *(128 if isinstance(n, str) else n for n in shape[1:])], device="meta")
    auto = (dict.fromkeys(range(2, len(shape)), torch.export.Dim.AUTO),)
    program = torch.export.export(model, (example,), dynamic_shapes=auto)
    low = {str(k): int(v.lower) for k, v in program.range_constraints.items()}
    shapes = [n.meta["val"].shape for n in program.graph.nodes if n.op == "placeholder" and "val" in n.meta]
    sizes = [str(n) for n in shapes[-1][2:]]
    return {"lowest": [low.get(n, int(n) if n.isdigit() else n) for n in sizes], "shape": sizes}


def by_gradual_types(model: nn.Module, shape: tuple[Any, ...]) -> list[bool] | None:
    """torch.fx's gradual type checker with z3, asked size by size (a few sizes: it is slow)."""
    import z3
    from torch.fx.experimental.migrate_gradual_types.transform_to_z3 import transform_all_constraints
    from torch.fx.experimental.rewriter import RewritingTracer
    from torch.fx.tensor_type import TensorType

    answers = []
    for size in GRADUAL:
        graph = RewritingTracer().trace(model)
        concrete = (2, *(size if isinstance(n, str) else n for n in shape[1:]))
        for node in graph.nodes:
            if node.op == "placeholder":
                node.type = TensorType(concrete)
        constraints = transform_all_constraints(fx.GraphModule(model, graph), counter=0)
        solver = z3.Solver()
        solver.set("timeout", 5_000)
        solver.add(constraints)
        answers.append(solver.check() == z3.sat)
    return answers


GRADUAL = (10, 64)  # sizes that the gradual type checker is asked about


def by_torchinfo(model: nn.Module, shape: tuple[Any, ...]) -> str:
    """Names no size; at one that fails, it says where as far as its hooks saw."""
    from torchinfo import summary

    concrete = (2, *(4 if isinstance(n, str) else n for n in shape[1:]))
    try:
        summary(model, concrete, device="cpu", verbose=0)
    except Exception as error:
        return f"fails at 4: {str(error).splitlines()[0][:80]}"
    return "runs at 4"


def timed(function: Callable[..., Any], *args: Any) -> tuple[Any, float, str]:
    """The answer, seconds, and the error if that was the answer."""
    start = time.perf_counter()
    signal.signal(signal.SIGALRM, no_answer)
    signal.alarm(LIMIT)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            answer, error = function(*args), ""
    except (Exception, NoAnswerError) as problem:
        answer, error = None, f"{type(problem).__name__}: {str(problem).strip().splitlines()[0][:120]}"
    finally:
        signal.alarm(0)
    return answer, time.perf_counter() - start, error


class NoAnswerError(BaseException):
    """Out of time; no Exception, which the code that is timed may catch."""


def no_answer(*_: Any) -> None:
    """The alarm's handler."""
    raise NoAnswerError(f"no answer in {LIMIT} s")


def compare(name: str, make: Callable[[], nn.Module], shape: tuple[Any, ...], quick: bool) -> dict[str, Any]:
    """Every way's answer for one network; each starts from a fresh copy."""
    model = make().eval()
    meta = to_meta(model)
    start = time.perf_counter()
    truth = by_scan(meta, shape)
    scan_seconds = time.perf_counter() - start
    smallest = last_gap(truth)
    result: dict[str, Any] = {"network": name, "truth": {"from": smallest, "working": describe(truth)}}
    result["scan"] = {"seconds": scan_seconds}
    found, seconds, error = timed(by_autofix, model, shape)
    wrong = (
        None
        if found is None
        else [i + 1 for i, pair in enumerate(zip(found, truth, strict=True)) if len(set(pair)) > 1]
    )
    result["autofix"] = {"right": wrong == [], "wrong sizes": wrong, "seconds": seconds, "error": error}
    found, seconds, error = timed(by_bisection, meta, shape)
    result["bisection"] = {"answer": found, "right": found == smallest, "seconds": seconds, "error": error}
    found, seconds, error = timed(by_export, to_meta(model), shape)
    right = found is not None and all(low == smallest for low in found["lowest"])
    result["torch.export"] = {"answer": found, "right": right, "seconds": seconds, "error": error}
    found, seconds, error = timed(by_gradual_types, model, shape)
    right = found == [truth[size - 1] for size in GRADUAL]
    result["gradual types"] = {"answer": found, "right": right, "seconds": seconds, "error": error}
    if not quick:
        found, seconds, error = timed(by_torchinfo, model, shape)
        result["torchinfo"] = {"answer": found, "right": False, "seconds": seconds, "error": error}
    return result


def describe(works: list[bool]) -> str:
    """The working sizes of the scan, runs shortened."""
    sizes = [i + 1 for i, yes in enumerate(works) if yes]
    edges = [n for n in sizes if n - 1 not in sizes or n + 1 not in sizes]
    return ", ".join(map(str, edges[:8])) + (" ..." if len(edges) > 8 else "")


def main() -> None:
    """Measure, print, write."""
    from published import monai_networks, torchvision_classifiers

    logging.disable(logging.WARNING)
    run, started = common.arguments(__doc__ or ""), time.perf_counter()
    entries = {k: v for k, v in torchvision_classifiers().items() if k in TORCHVISION}
    entries |= {k: v for k, v in monai_networks().items() if k.endswith("2d")}
    names = [name for name in entries if not run.quick or name in QUICK]
    results = []
    for name in names:
        results.append(compare(name, entries[name].build, tuple(entries[name].template), run.quick))
        print(results[-1], flush=True)
    ways = ("autofix", "bisection", "torch.export", "gradual types")
    rows = [
        (
            r["network"],
            r["truth"]["from"],
            *(f"{'right' if r[w]['right'] else 'wrong'} {r[w]['seconds']:.2g}s" for w in ways),
        )
        for r in results
    ]
    print(common.table(("network", "works from", *ways), rows))
    totals = {way: total(results, way) for way in ways}
    print(totals)
    common.write("rivals", run, {"totals": totals, "networks": results}, started)
    common.picture("rivals", run, lambda figure: draw(figure, results, (*ways, "scan")), figsize=(9, 5))


def total(results: list[dict[str, Any]], way: str) -> dict[str, Any]:
    """How often right, and the time where there was an answer at all."""
    pairs = [(r[way]["seconds"], r["autofix"]["seconds"]) for r in results if not r[way]["error"]]
    times = common.spread([seconds / ours for seconds, ours in pairs]) if pairs else None
    right = sum(r[way]["right"] for r in results)
    return {"right": right, "of": len(results), "answered": len(pairs), "times autofix": times}


def draw(figure: Any, results: list[dict[str, Any]], ways: tuple[str, ...]) -> None:
    axes = figure.subplots()
    for way in ways:
        axes.plot([r[way]["seconds"] for r in results], "o-", label=way, markersize=4)
    axes.set_xticks(range(len(results)), [r["network"] for r in results], rotation=90, fontsize=6)
    axes.set(yscale="log", ylabel="seconds for one network")
    axes.legend()


if __name__ == "__main__":
    main()
