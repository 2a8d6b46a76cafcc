"""The headline picture: layer x input size, before and after."""

from __future__ import annotations

from dataclasses import dataclass
from math import log

import numpy as np

from autofix.report.page.sampled import Key, Layer

LEAST_COLUMNS, MOST_COLUMNS, MOST_ROWS = 24, 32, 48
TONES = 7  # shades of the scale from small sizes to large ones
WIDE, NARROW, HEIGHT, HEAD = 34, 24, 24, 40  # pixels


@dataclass(frozen=True)
class Row:
    """One layer of one panel. `states`: for each column "" (fine), "bad", "late" or "unknown"."""

    name: str
    op: str
    changed: bool
    states: tuple[str, ...]
    texts: tuple[str, ...]
    tones: tuple[int, ...]


@dataclass(frozen=True)
class Panel:
    """Before or after. `minimum`: the column from which on every size works, if it is in view."""

    title: str
    rows: tuple[Row, ...]
    works: str
    minimum: int | None

    def paths(self, cell: int) -> dict[str, str]:
        """Style class -> one SVG path of all cells that have it."""
        found: dict[str, list[str]] = {}
        for y, row in enumerate(self.rows):
            for x, (state, tone) in enumerate(zip(row.states, row.tones, strict=True)):
                found.setdefault(state or f"t{tone}", []).append(
                    f"M{x * cell + 1} {HEAD + y * HEIGHT + 1}h{cell - 2}v{HEIGHT - 2}h{2 - cell}z"
                )
        return {style: "".join(parts) for style, parts in sorted(found.items())}


@dataclass(frozen=True)
class Heatmap:
    """Both panels over the same columns (input sizes). `asked`: the column of the smallest size asked for."""

    columns: tuple[int, ...]
    panels: tuple[Panel, ...]
    asked: int | None
    left_out: int
    several: bool  # the axes differ somewhere: a cell then shows the smallest

    @property
    def cell(self) -> int:
        """How wide a cell is drawn."""
        return WIDE if len(self.columns) <= LEAST_COLUMNS else NARROW


def columns(interesting: list[int], largest: int) -> tuple[int, ...]:
    """Input sizes, every interesting one among them: from 1 on if that fits, else near them, or in steps."""
    low, high = min(interesting), max(interesting)
    high = min(largest, max(high + max(4, high // 4), LEAST_COLUMNS))
    if high <= MOST_COLUMNS:
        return tuple(range(1, high + 1))
    low = max(1, low - 6)
    if high - low < MOST_COLUMNS:
        return tuple(range(low, high + 1))
    room = MOST_COLUMNS - len(set(interesting))
    steps = np.unique(np.linspace(low, high, room).round().astype(int))
    return tuple(sorted({*steps.tolist(), *interesting}))


def shown_keys(both: tuple[dict[Key, Layer], dict[Key, Layer]], changed: set[str]) -> tuple[list[Key], int]:
    """The layers worth a row, and how many more there are: those that fail, were changed or change a size."""
    keys = [
        key
        for key, layer in both[1].items()
        if layer.site.kind.startswith("call")
        and (layer.name in changed or any(_eventful(key, layers) for layers in both))
    ]
    failing = {k for layers in both for k, layer in layers.items() if layer.bad.any()}
    urgent = {k for k in keys if k[0] in changed or k in failing}
    spare = MOST_ROWS - min(MOST_ROWS, len(urgent))
    chosen = {*list(dict.fromkeys(k for k in keys if k in urgent))[:MOST_ROWS]}
    chosen |= set([k for k in keys if k not in urgent][:spare])
    return [k for k in keys if k in chosen], len(keys) - len(chosen)


def _eventful(key: Key, layers: dict[Key, Layer]) -> bool:
    layer = layers.get(key)
    if layer is None:
        return False
    if layer.bad.any():
        return True
    sources = [layers[k] for k in layer.inputs if k in layers and layers[k].sizes]
    if not sources or not layer.sizes:
        return False
    first = sources[0]
    return len(first.sizes) != len(layer.sizes) or any(
        not np.array_equal(a, b) for a, b in zip(first.sizes, layer.sizes, strict=True)
    )


def panel(
    title: str, layers: dict[Key, Layer], keys: list[Key], at: list[int], changed: set[str], works: str,
    minimum: int | None,
) -> Panel:  # fmt: skip
    """The rows of one panel; `at` are the positions of the columns among the sampled sizes."""
    largest = max((int(s[at].max()) for k in keys if k in layers for s in layers[k].sizes), default=2)
    rows = tuple(_row(layers[key], at, key[0] in changed, largest) for key in keys if key in layers)
    return Panel(title, rows, works, minimum)


def _row(layer: Layer, at: list[int], changed: bool, largest: int) -> Row:
    cells = [_cell(layer, column, largest) for column in at]
    states, texts, tones = zip(*cells, strict=True)
    return Row(layer.name, layer.site.op_name, changed, states, texts, tones)


def _cell(layer: Layer, column: int, largest: int) -> tuple[str, str, int]:
    if layer.bad[column]:
        return "bad", "\u00d7", 0
    if layer.late[column]:
        return "late", "", 0
    if not layer.known[column]:
        return "unknown", "?", 0
    if not layer.sizes:
        return "", "\u00b7", 0
    size = min(int(s[column]) for s in layer.sizes)
    if size <= 0:
        return "bad", str(size), 0
    return "", str(size) if size < 1000 else "#", min(TONES - 1, int(TONES * log(size) / log(largest + 1)))
