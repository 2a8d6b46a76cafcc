"""Measurements as a table, JSON, CSV and a picture."""

from __future__ import annotations

import csv
import io
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.text import Text

from autofix.errors import UsageError
from autofix.report import wording
from autofix.report.text import QUIET, STRONG

if TYPE_CHECKING:
    from autofix.bench import Bench, Row
    from autofix.timing import Timing

SCHEMA = "autofix/bench/1"
_HEAD = (
    "size", "variant", "computes", "forward", "training step", "memory", "in training", "FLOPs", "vs pad"
)  # fmt: skip


def table(bench: Bench) -> Text:
    """Sizes from small to large, each with all variants; last, the speed-up over padding."""
    cells = [_cells(bench, row) for row in bench.rows]
    widths = [max(map(len, column)) for column in zip(_HEAD, *cells, strict=True)]
    settings = ", ".join(f"{key} {value}" for key, value in bench.settings.items() if value is not False)
    verdict = f"{bench.model_name}: sizes {bench.asked}; by itself it works at {bench.working}"
    lines = [Text(verdict, style=STRONG)]
    lines.append(Text(f"{settings}; medians ±interquartile range", style=QUIET))
    changes = [f"{name}: {change}" for name, change in bench.changes.items() if name != "original"]
    lines += [Text(change, style=QUIET) for change in changes]
    lines += [Text(f"{name}: left out, {why}", style=QUIET) for name, why in bench.skipped.items()]
    lines.append(Text(_aligned(_HEAD, widths), style=STRONG))
    lines += [Text(_aligned(cell, widths)) for cell in cells]
    return Text("\n").join(lines)


def _cells(bench: Bench, row: Row) -> tuple[str, ...]:
    forward, training = (t.text if t else "-" for t in (row.forward, row.training))
    memory, more = (_bytes(n) for n in row.memory)
    computed = "" if row.computed == row.sizes else wording.extent(row.computed)
    sizes = wording.extent(row.sizes)
    count = "-" if row.flops is None else f"{row.flops:.3g}"
    return (sizes, row.variant, computed, forward, training, memory, more, count, speedup(bench, row))


def speedup(bench: Bench, row: Row) -> str:
    """Forward time of the padded input over this row's, at the same size."""
    pad = bench.at("pad", row.sizes)
    if pad is None or pad.forward is None or row.forward is None:
        return "-"
    return f"{pad.forward.median / row.forward.median:.2f}x"


def _bytes(number: int | None) -> str:
    if number is None:
        return "-"
    for unit, size in (("GB", 1e9), ("MB", 1e6)):
        if number >= size:
            return f"{number / size:.3g} {unit}"
    return f"{number / 1e3:.3g} kB"


def _aligned(cells: tuple[str, ...], widths: list[int]) -> str:
    return "  ".join(cell.ljust(width) for cell, width in zip(cells, widths, strict=True)).rstrip()


def bench_dict(bench: Bench) -> dict[str, Any]:
    """Everything measured, as plain data; times in seconds, memory in bytes."""
    return {"schema": SCHEMA, **asdict(bench)}


def bench_csv(bench: Bench) -> str:
    """One line a variant and size; times in seconds, memory in bytes."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(
        ("model", "size", "variant", "computed", "forward", "forward_iqr", "training", "training_iqr",
         "forward_bytes", "training_bytes", "flops")
    )  # fmt: skip
    for row in bench.rows:
        times = [value for t in (row.forward, row.training) for value in _pair(t)]
        sizes = wording.extent(row.sizes), row.variant, wording.extent(row.computed)
        writer.writerow((bench.model_name, *sizes, *times, *row.memory, row.flops))
    return out.getvalue()


def _pair(timing: Timing | None) -> tuple[float | None, float | None]:
    return (timing.median, timing.spread) if timing else (None, None)


def plot(bench: Bench, file: Path) -> None:
    """Time against the input size, one line a variant. Raises UsageError without matplotlib."""
    try:
        from matplotlib.figure import Figure
    except ImportError:
        raise UsageError("--plot needs matplotlib: pip install 'autofix[bench]'") from None
    figure = Figure(figsize=(10, 4), layout="constrained")
    for axes, name in zip(figure.subplots(1, 2), ("forward", "training"), strict=True):
        for variant in bench.changes:
            rows = [r for r in bench.rows if r.variant == variant and getattr(r, name) is not None]
            times = [getattr(r, name) for r in rows]
            sizes, middle = [max(r.sizes) for r in rows], [t.median * 1e3 for t in times]
            spread = [t.spread * 500 for t in times]  # half of it to either side, in ms
            axes.errorbar(sizes, middle, spread, label=variant, marker="o", capsize=3)
        axes.set(title=f"{bench.model_name}, {name}", xlabel="input size", ylabel="ms", yscale="log")
        axes.legend()
    figure.savefig(file, dpi=120)
