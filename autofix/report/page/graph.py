"""The network as a foldable list of calls, with their sizes at each position of the slider."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from autofix.report.page.sampled import Key, Layer, Mask, Numbers

MOST_OPEN = 36  # rows on show at first


@dataclass
class Group:
    """Consecutive calls of one module: the sites first to last, and what is inside, in order."""

    path: str
    label: str
    first: int
    last: int
    open: bool = False
    children: list[Group | int] = field(default_factory=list)


@dataclass(frozen=True)
class Graph:
    """What the script needs, as plain data. `tables`: each distinct row of sizes once."""

    nodes: tuple[dict[str, Any], ...]
    tree: list[Any]
    tables: tuple[tuple[int, ...], ...]


class _Tables:
    def __init__(self) -> None:
        self.index: dict[tuple[int, ...], int] = {}

    def add(self, row: Numbers | Mask | None) -> int:
        """The position of a row; -1 for none."""
        if row is None:
            return -1
        return self.index.setdefault(tuple(np.asarray(row, dtype=int).tolist()), len(self.index))


def graph(before: dict[Key, Layer], after: dict[Key, Layer], changes: dict[str, list[str]]) -> Graph:
    """The graph of the repaired model, with the sizes of both."""
    keys = [key for key, layer in after.items() if layer.site.kind != "get_attr"]
    index, tables = {key: position for position, key in enumerate(keys)}, _Tables()
    nodes = [_node(after[key], before.get(key), index, tables, changes) for key in keys]
    changed = [position for position, key in enumerate(keys) if key[0] in changes]
    top = grouped([_path(after[key]) for key in keys])
    _open(top, changed)
    return Graph(tuple(nodes), [_plain(child) for child in top.children], tuple(tables.index))


def _node(
    after: Layer, before: Layer | None, index: dict[Key, int], tables: _Tables, changes: dict[str, list[str]]
) -> dict[str, Any]:
    site = after.site
    return {
        "name": after.name,
        "op": {"placeholder": "input", "output": "output"}.get(site.kind, site.op_name),
        "detail": site.module.extra_repr() if site.module is not None else "",
        "inputs": [index[key] for key in after.inputs if key in index],
        "channels": after.channels,
        "changes": changes.get(after.name, []) if after.key[1] == 0 or site.module is not None else [],
        "after": _state(after, tables),
        "before": _state(before, tables) if before is not None else None,
    }


def _state(layer: Layer, tables: _Tables) -> dict[str, Any]:
    state: dict[str, Any] = {"sizes": [tables.add(size) for size in layer.sizes]}
    if layer.bad.any():
        texts = list(dict.fromkeys(["", *layer.told]))
        told = np.array([texts.index(text) for text in layer.told])
        state |= {"bad": tables.add(told), "texts": texts}
    if layer.late.any():
        state["late"] = tables.add(layer.late)
    if not layer.known.all():
        state["known"] = tables.add(layer.known)
    return state


def _path(layer: Layer) -> str | None:
    """The module a call belongs to; None for a function, which belongs to its neighbours' module."""
    return layer.name if layer.site.kind == "call_module" else None


def grouped(paths: Sequence[str | None]) -> Group:
    """Nested runs of consecutive calls by module path; a function joins its neighbours' parent."""
    parents = [None if path is None else path.split(".")[:-1] for path in paths]
    top = Group("", "", 0, len(paths) - 1)
    stack = [top]
    for position, own in enumerate(parents):
        parts = _between(parents, position) if own is None else own
        depth = _common([group.label for group in stack[1:]], parts)
        del stack[depth + 1 :]
        for label in parts[depth:]:
            inner = Group(".".join([*(g.label for g in stack[1:]), label]), label, position, position)
            stack[-1].children.append(inner)
            stack.append(inner)
        stack[-1].children.append(position)
        for group in stack:
            group.last = position
    _flatten(top)
    return top


def _between(parents: Sequence[list[str] | None], position: int) -> list[str]:
    before = next((p for p in reversed(parents[:position]) if p is not None), [])
    after = next((p for p in parents[position:] if p is not None), [])
    return before[: _common(before, after)]


def _common(left: Sequence[str], right: Sequence[str]) -> int:
    same = 0
    while same < min(len(left), len(right)) and left[same] == right[same]:
        same += 1
    return same


def _flatten(group: Group) -> None:
    """A group with one child is that child."""
    for place, child in enumerate(group.children):
        if isinstance(child, Group):
            _flatten(child)
            if len(child.children) == 1:
                group.children[place] = child.children[0]


def _open(top: Group, changed: Sequence[int]) -> None:
    """Open what holds a change, then level by level while the rows fit on a screen or two."""
    top.open = True
    shown = len(top.children)
    queue = [child for child in top.children if isinstance(child, Group)]
    for wanted in (True, False):
        waiting, queue = queue, []
        while waiting:
            group = waiting.pop(0)
            fits = shown + len(group.children) <= MOST_OPEN
            holds = any(group.first <= place <= group.last for place in changed)
            if (wanted and holds) or (not wanted and fits):
                group.open, shown = True, shown + len(group.children)
                waiting += [child for child in group.children if isinstance(child, Group)]
            else:
                queue.append(group)


def _plain(child: Group | int) -> Any:
    if isinstance(child, int):
        return child
    inner = [_plain(each) for each in child.children]
    return {"label": child.label, "path": child.path, "open": child.open, "children": inner}
