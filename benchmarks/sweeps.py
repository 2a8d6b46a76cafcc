"""Repairs a second with fix_many: here, and with one and two worker processes.

python benchmarks/sweeps.py
"""

from __future__ import annotations

import multiprocessing
import random
import time
from concurrent.futures import ProcessPoolExecutor
from typing import Any

import common
from torch import nn

from autofix import fix_many


def candidates(count: int) -> list[nn.Module]:
    """Networks of an architecture search: depth, kernels, strides and pools drawn at random."""
    draw = random.Random(0)
    return [network(draw) for _ in range(count)]


def network(draw: random.Random) -> nn.Module:
    layers: list[nn.Module] = []
    channels = 1
    for _ in range(draw.randint(3, 8)):
        wider = draw.choice((8, 16, 32))
        layers += [
            nn.Conv2d(channels, wider, draw.choice((3, 5)), draw.choice((1, 1, 2)), draw.choice((0, 1)))
        ]
        layers += [nn.BatchNorm2d(wider), nn.ReLU()]
        if draw.random() < 0.3:
            layers.append(nn.MaxPool2d(2))
        channels = wider
    return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(channels, 10))


def main() -> None:
    """Measure, print, write."""
    run, started = common.arguments(__doc__ or ""), time.perf_counter()
    models = candidates(8 if run.quick else 200)
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["autofix.many"])
    results: list[dict[str, Any]] = []
    expected: list[str] = []
    for workers in (0, 1, 2):
        pool = ProcessPoolExecutor(workers, mp_context=context) if workers else None
        list(fix_many(models[: 2 * workers or 2], pool, min_input=16))  # starts the processes
        start = time.perf_counter()
        fixes = list(fix_many(models, pool, min_input=16))
        seconds = time.perf_counter() - start
        if pool is not None:
            pool.shutdown()
        answers = [
            str([str(c) for c in (*f.edits, *f.inserts)]) if hasattr(f, "edits") else str(f) for f in fixes
        ]
        expected = expected or answers
        results.append(
            {
                "workers": workers or "this process",
                "repairs a second": len(models) / seconds,
                "repaired": sum(hasattr(f, "edits") for f in fixes),
                "same answers": answers == expected,
            }
        )
    print(common.table(tuple(results[0]), [tuple(r.values()) for r in results]))
    common.write("sweeps", run, {"models": len(models), "rows": results}, started)
    common.picture("sweeps", run, lambda figure: draw_bars(figure, results), figsize=(5, 3))


def draw_bars(figure: Any, results: list[dict[str, Any]]) -> None:
    axes = figure.subplots()
    axes.bar([str(r["workers"]) for r in results], [r["repairs a second"] for r in results])
    axes.set(xlabel="worker processes", ylabel="repairs a second")


if __name__ == "__main__":
    main()
