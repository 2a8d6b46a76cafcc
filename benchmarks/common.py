"""What all benchmarks share: arguments, the machine, fair timing, networks, and writing results."""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from statistics import median, quantiles
from typing import Any

import torch
from torch import nn

from autofix.bench import machine

HERE = Path(__file__).parent
RESULTS = HERE / "results"
sys.path.insert(0, str(HERE.parent / "tests"))  # the zoo of networks lives with the tests

VERSIONS = (
    "torch",
    "torchvision",
    "timm",
    "monai",
    "numpy",
    "ortools",
    "z3-solver",
    "scikit-learn",
    "torchinfo",
)


def arguments(description: str, **more: Mapping[str, Any]) -> argparse.Namespace:
    """--quick, --out, and what a benchmark adds; `more`: name -> keywords of add_argument."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--quick", action="store_true", help="tiny runs, to see that everything works")
    parser.add_argument("--out", type=Path, default=RESULTS, help="folder of the results")
    for name, keywords in more.items():
        parser.add_argument(f"--{name.replace('_', '-')}", **keywords)
    run = parser.parse_args()
    if run.quick:
        torch.set_num_threads(1)  # tiny runs gain nothing from threads, and disturb their neighbours
    return run


def about(quick: bool) -> dict[str, Any]:
    """Machine, versions and commit of a run."""
    return {
        "machine": machine(),
        "versions": {name: found for name in VERSIONS if (found := _version(name))},
        "commit": _commit(),
        "date": time.strftime("%Y-%m-%d"),
        "quick": quick,
    }


def _version(name: str) -> str | None:
    try:
        return version(name)
    except PackageNotFoundError:
        return None


def _commit() -> str:
    command = ["git", "-C", str(HERE), "describe", "--always", "--dirty", "--abbrev=12", "--exclude", "*"]
    try:
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        return "unknown"


def write(name: str, run: argparse.Namespace, results: Any, started: float) -> Path:
    """results/NAME.json (or NAME-quick.json), with what it was measured on."""
    run.out.mkdir(parents=True, exist_ok=True)
    file = run.out / f"{name}{'-quick' if run.quick else ''}.json"
    document = {"benchmark": name, **about(run.quick), "seconds": round(time.perf_counter() - started, 1)}
    file.write_text(
        json.dumps({**document, "results": results}, indent=1, default=str) + "\n", encoding="utf-8"
    )
    print(f"wrote {file}")
    return file


def picture(name: str, run: argparse.Namespace, draw: Callable[[Any], None], **size: Any) -> None:
    """results/NAME.png, drawn without a display; `draw` gets the figure."""
    from matplotlib.figure import Figure

    figure = Figure(layout="constrained", **size)
    draw(figure)
    file = run.out / f"{name}{'-quick' if run.quick else ''}.png"
    figure.savefig(file, dpi=110)
    print(f"wrote {file}")


def seconds_of(
    calls: Mapping[str, Callable[[], object]], rounds: int, warm: bool = True
) -> dict[str, list[float]]:
    """Seconds of each call, once a round, the order turned round every time; the first round warms up."""
    times: dict[str, list[float]] = {name: [] for name in calls}
    for turn in range(rounds + warm):
        for name in list(calls) if turn % 2 == 0 else reversed(list(calls)):
            start = time.perf_counter()
            calls[name]()
            if turn >= warm:
                times[name].append(time.perf_counter() - start)
    return times


def ratios(times: Mapping[str, list[float]], base: str) -> dict[str, dict[str, float]]:
    """Each call's time over the base's in the same round: median and quartiles."""
    return {
        name: spread([a / b for a, b in zip(values, times[base], strict=True)])
        for name, values in times.items()
        if name != base
    }


def spread(values: list[float]) -> dict[str, float]:
    """Median and quartiles."""
    low, _, high = quantiles(values, n=4) if len(values) > 1 else (values[0],) * 3
    return {"median": round(median(values), 4), "low": round(low, 4), "high": round(high, 4)}


def table(head: tuple[str, ...], rows: list[tuple[Any, ...]]) -> str:
    """Aligned columns."""
    cells = [tuple(_cell(value) for value in row) for row in (head, *rows)]
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    return "\n".join(
        "  ".join(c.ljust(w) for c, w in zip(row, widths, strict=True)).rstrip() for row in cells
    )


def _cell(value: Any) -> str:
    return "-" if value is None else f"{value:.3g}" if isinstance(value, float) else str(value)


def chain(depth: int, rank: int = 2, width: int = 4, joins: int = 0) -> nn.Module:
    """A network of `depth` convolutions and activations, every tenth convolution unpadded, with skips."""
    return Chain(depth, rank, width, joins)


class Chain(nn.Module):
    """Convolutions in a row; `joins` residual additions around padded ones, evenly spread."""

    def __init__(self, depth: int, rank: int, width: int, joins: int) -> None:
        super().__init__()
        kind = (nn.Conv1d, nn.Conv2d, nn.Conv3d)[rank - 1]
        count = max(1, depth // 2)
        every = max(1, count // joins) if joins else 0
        self.skips = {i for i in range(count) if every and i % every == every - 1}
        self.convs = nn.ModuleList(
            kind(width if i else 1, width, 3, padding=int(i % 10 > 0 or i in self.skips))
            for i in range(count)
        )

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        for index, conv in enumerate(self.convs):
            y = torch.relu(conv(x))
            x = x + y if index in self.skips and index else y
        return x
