"""The graph of a model as DOT or Mermaid text: sizes at one input, skips, what fails and what changed."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from autofix.arguments import references
from autofix.explain import spatial_sizes
from autofix.report.wording import extent
from autofix.size import BATCH

if TYPE_CHECKING:
    from autofix.analyse import Piece
    from autofix.outcome import Report
    from autofix.program import Site

_LOOKS = {
    "ok": "",
    "fails": ', color="#c0392b", fontcolor="#c0392b"',
    "edited": ', style=filled, fillcolor="#ffe08a"',
}
_WORDS = {"placeholder": "input", "output": "output"}


@dataclass(frozen=True)
class Node:
    """One call; `kind` is ok, fails or edited."""

    index: int
    lines: tuple[str, ...]
    kind: str


@dataclass(frozen=True)
class Edge:
    """From one call to another that uses its result; `skip`: past the calls between them."""

    source: int
    target: int
    skip: bool


@dataclass(frozen=True)
class Graph:
    nodes: tuple[Node, ...]
    edges: tuple[Edge, ...]


def graph_of(report: Report, sizes: tuple[int, ...], edited: Iterable[str] = ()) -> Graph:
    """The calls of a model at one input size, constants left out. `edited`: names of changed sites."""
    point = {BATCH: 2, **dict(enumerate(sizes))}
    mode = report.analysis.evaluating
    piece = mode.piece_at(point) or mode.pieces[0]
    required = [r for r in piece.meaning.requirements if not r.train]
    failing = {r.site for r in required if not bool(r.condition.at(point))}
    changed = frozenset(edited)
    sites = [site for site in piece.program.sites if site.kind != "get_attr"]
    nodes = tuple(_node(site, piece, point, failing, changed) for site in sites)
    return Graph(nodes, tuple(edge for site in sites for edge in _edges(site, {s.index for s in sites})))


def _node(
    site: Site, piece: Piece, point: dict[int, int], failing: set[int], changed: frozenset[str]
) -> Node:
    sizes = spatial_sizes(piece.meaning.values[site.index], point)
    size = "fails" if min(sizes, default=1) < 1 else extent(sizes)
    kind = "edited" if site.name in changed else "fails" if site.index in failing else "ok"
    word = _WORDS.get(site.kind, site.op_name)
    lines = dict.fromkeys(line for line in (site.name, word, size) if line)
    return Node(site.index, tuple(lines), kind)


def _edges(site: Site, shown: set[int]) -> list[Edge]:
    sources = [ref for ref in dict.fromkeys(references((site.args, site.kwargs))) if ref in shown]
    nearest = max(sources, default=0)
    return [Edge(source, site.index, len(sources) > 1 and source < nearest) for source in sources]


def dot(graph: Graph, title: str) -> str:
    """For Graphviz: `dot -Tsvg`."""
    lines = [f"digraph {_quoted(title)} {{", "  rankdir=TB;", "  node [shape=box, fontname=sans];"]
    lines += [f"  n{n.index} [label={_quoted(*n.lines)}{_LOOKS[n.kind]}];" for n in graph.nodes]
    lines += [f"  n{e.source} -> n{e.target}{' [style=dashed]' * e.skip};" for e in graph.edges]
    return "\n".join([*lines, "}"])


def _quoted(*lines: str) -> str:
    escaped = (line.replace("\\", "\\\\").replace('"', '\\"').replace("\n", " ") for line in lines)
    return '"' + "\\n".join(escaped) + '"'


def mermaid(graph: Graph) -> str:
    """For Mermaid, as GitHub and GitLab draw it in Markdown."""
    lines = ["flowchart TD"]
    lines += [f'  n{node.index}["{"<br/>".join(map(_plain, node.lines))}"]' for node in graph.nodes]
    lines += [f"  n{e.source} {'-.->' if e.skip else '-->'} n{e.target}" for e in graph.edges]
    lines += ["  classDef fails stroke:#c0392b,color:#c0392b", "  classDef edited fill:#ffe08a,color:#000"]
    for kind in ("fails", "edited"):
        named = ",".join(f"n{node.index}" for node in graph.nodes if node.kind == kind)
        lines += [f"  class {named} {kind}"] if named else []
    return "\n".join(lines)


def _plain(text: str) -> str:
    """Everything but letters, digits and a few marks as a character code, which Mermaid only draws."""
    return "".join(char if char.isalnum() or char in " _.-" else f"#{ord(char)};" for char in text)
