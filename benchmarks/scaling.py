"""How the time of each phase grows with depth, joins, knobs and period, and the trap of many strides.

python benchmarks/scaling.py
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from typing import Any

import common
import numpy as np
from torch import nn

from autofix import AutofixError, check_model, fix_model
from autofix.inputs import input_shapes

DEPTHS = (10, 30, 100, 300, 1000, 2000, 5000)
JOINS = (0, 5, 20, 50, 100)
KNOBS = (5, 10, 20, 40, 80)
PERIODS = (1, 2, 3, 4, 5, 6)
PHASES = ("capture", "analysis", "search", "proof")


def phases(model: nn.Module, asked: int) -> dict[str, Any]:
    """Seconds of each phase of one repair, by wrapping the functions that the pipeline calls."""
    from autofix import finish, ladder, pipeline
    from autofix.solve import strategy

    inputs = input_shapes(model)
    clock = Clock()
    start = time.perf_counter()
    with (
        clock.around(pipeline, "describe", "described"),
        clock.around(ladder, "capture_plain", "capture"),
        clock.around(finish, "finish", "proof"),
        clock.around(finish, "failing_run", "runs"),
        clock.around(strategy, "fewest", "search", table=strategy.STRATEGIES),
    ):
        try:
            fix = fix_model(model, min_input=(asked,) * len(inputs.axes), time_limit=60)
            outcome = {
                "edits": len(fix.edits),
                "inserts": len(fix.inserts),
                "optimal": fix.optimal,
                "proved": fix.proved,
            }
        except AutofixError as error:
            outcome = {"error": str(error)[:160]}
    total = time.perf_counter() - start
    seconds = clock.seconds
    seconds["analysis"] = max(0.0, seconds.pop("described", 0.0) - seconds.get("capture", 0.0))
    return {"total": total, **seconds, **outcome}


class Clock:
    """Adds up the seconds spent in functions."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}

    def around(self, module: Any, name: str, phase: str, table: dict[str, Any] | None = None) -> Any:
        """A context in which a function's time counts for a phase; one that is gone counts for nothing."""
        from contextlib import ExitStack, nullcontext
        from unittest.mock import patch

        function = getattr(module, name, None)
        if function is None:
            return nullcontext()

        def timed(*args: Any, **kwargs: Any) -> Any:
            start = time.perf_counter()
            try:
                return function(*args, **kwargs)
            finally:
                self.seconds[phase] = self.seconds.get(phase, 0.0) + time.perf_counter() - start

        stack = ExitStack()
        stack.enter_context(patch.object(module, name, timed))
        if table is not None:
            stack.enter_context(patch.dict(table, {name: timed}))
        return stack


def growth(sizes: list[int], seconds: list[float]) -> dict[str, float]:
    """The exponent of the power law that fits, and by how much the worst point is off."""
    pairs = [(n, s) for n, s in zip(sizes, seconds, strict=True) if s > 0 and n > 0]
    if len(pairs) < 2:
        return {}
    x, y = np.log([p[0] for p in pairs]), np.log([p[1] for p in pairs])
    slope, offset = np.polyfit(x, y, 1)
    return {
        "exponent": round(float(slope), 2),
        "off": round(float(np.exp(np.abs(slope * x + offset - y).max())), 2),
    }


def joined(joins: int, depth: int) -> nn.Module:
    return common.chain(depth, joins=joins)


def strided(count: int, stride: int = 2) -> nn.Module:
    """The trap: convolutions in a row, every stride free to change, the last ones far below one pixel."""
    return nn.Sequential(*(nn.Conv1d(1, 1, 3, stride=stride if i % 8 == 0 else 1) for i in range(count)))


def all_strided(count: int) -> nn.Module:
    """Every stride is 2, so that every stride may change."""
    return nn.Sequential(*(nn.Conv1d(1, 1, 3, stride=2, padding=1) for _ in range(count)), nn.Conv1d(1, 1, 3))


def unet(levels: int, width: int = 2) -> nn.Module:
    """A period of 2 to the number of levels."""
    return UNet(levels, width)


class UNet(nn.Module):
    def __init__(self, levels: int, width: int) -> None:
        super().__init__()
        self.down = nn.ModuleList(
            nn.Conv2d(1 if i == 0 else width, width, 3, padding=1) for i in range(levels + 1)
        )
        self.up = nn.ModuleList(nn.ConvTranspose2d(width, width, 2, stride=2) for _ in range(levels))
        self.join = nn.ModuleList(nn.Conv2d(2 * width, width, 3, padding=1) for _ in range(levels))
        self.pool = nn.MaxPool2d(2)

    def forward(self, x: Any) -> Any:
        import torch

        skips = []
        for layer in self.down[:-1]:
            x = torch.relu(layer(x))
            skips.append(x)
            x = self.pool(x)
        x = self.down[-1](x)
        for up, join, skip in zip(self.up, self.join, reversed(skips), strict=True):
            x = torch.relu(join(torch.cat([up(x), skip], 1)))
        return x


def sweep(
    name: str, values: tuple[int, ...], make: Callable[[int], nn.Module], asked: Callable[[int], int]
) -> dict[str, Any]:
    """One row a value; the growth of each phase."""
    rows = []
    for value in values:
        row = {"value": value, **phases(make(value), asked(value))}
        print(name, {k: round(v, 3) if isinstance(v, float) else v for k, v in row.items()}, flush=True)
        rows.append(row)
    parts = (*PHASES, "runs", "total")
    laws = {p: growth([r["value"] for r in rows], [r.get(p, 0.0) for r in rows]) for p in parts}
    last = rows[-1]
    bottleneck = max(PHASES, key=lambda p: last.get(p, 0.0))
    print(
        f"{name}: total grows as n^{laws['total'].get('exponent')}, the bottleneck is {bottleneck}\n",
        flush=True,
    )
    return {"rows": rows, "growth": laws, "bottleneck": bottleneck}


def main() -> None:
    """Measure, print, write."""
    run, started = common.arguments(__doc__ or ""), time.perf_counter()
    few: Callable[[tuple[int, ...]], tuple[int, ...]] = (lambda v: v[:3]) if run.quick else (lambda v: v)
    depth = 100 if run.quick else 1000
    fix_model(common.chain(10), min_input=2)  # imports and caches are no part of any growth
    results = {
        "depth": sweep("depth", few(DEPTHS), lambda n: common.chain(n, rank=1), lambda n: 2 + n // 20),
        "joins": sweep("joins", few(JOINS), lambda n: joined(n, depth), lambda n: 2 + depth // 20),
        "knobs": sweep("knobs", few(KNOBS), strided, lambda n: n),
        "period": sweep("period", few(PERIODS), unet, lambda n: 2),
        "trap": sweep("trap", (10,) if run.quick else (10, 20, 40), all_strided, lambda n: 8),
    }
    check = [{"depth": n, "seconds": once(n)} for n in few(DEPTHS)]
    results["check_model"] = {
        "rows": check,
        "growth": growth([c["depth"] for c in check], [c["seconds"] for c in check]),
    }
    common.write("scaling", run, results, started)
    common.picture("scaling", run, lambda figure: draw(figure, results), figsize=(12, 4))


def once(depth: int) -> float:
    model = common.chain(depth, rank=1)
    start = time.perf_counter()
    check_model(model, min_input=2 + depth // 20)
    return time.perf_counter() - start


def draw(figure: Any, results: dict[str, Any]) -> None:
    panels = ("depth", "joins", "knobs", "period")
    for axes, name in zip(figure.subplots(1, 4), panels, strict=True):
        rows = results[name]["rows"]
        for phase in (*PHASES, "total"):
            axes.plot(
                [r["value"] for r in rows],
                [r.get(phase, math.nan) for r in rows],
                "o-",
                label=phase,
                markersize=3,
            )
        axes.set(
            title=name,
            yscale="log",
            xscale="log" if name in ("depth", "knobs") else "linear",
            ylabel="seconds",
        )
    axes.legend()


if __name__ == "__main__":
    main()
