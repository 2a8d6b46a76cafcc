"""A repaired forward for a model whose paths differ from size to size: a graph for each, chosen by the sizes.

The choice is plain Python on the sizes of the inputs: the model's class, its file and torch's own tools need
nothing of this package.
"""

from __future__ import annotations

import ast
import copy
import linecache
import re
import textwrap
import zlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from torch import fx, nn

from autofix.analyse import Analysis, Mode, Piece
from autofix.changes import Changes
from autofix.condition import Condition, indicator
from autofix.describe import describe
from autofix.errors import CaptureError
from autofix.insertion import CropBack, RoundUp
from autofix.ops.base import Tensor
from autofix.program import InputShapes
from autofix.size import BATCH

MOST_LISTED: Final = 2048  # sizes that a condition may name one by one
UNCOVERED = "these sizes take a path that the repair does not cover"


@dataclass(frozen=True)
class Branch:
    """The computation on one path, and the inputs that take it: Python on B, n0, n1 ...; "" for all."""

    condition: str
    graph: fx.GraphModule


@dataclass(frozen=True)
class Around:
    """The model's own forward, with its input padded before it and, with `crop`, its output cropped after."""

    prepare: fx.GraphModule
    crop: fx.GraphModule | None


@dataclass(frozen=True)
class Forward:
    """Source of a function `forward(self, ...)`, and the values of the names that it uses.

    The model's own forward is `_inner` there.
    """

    source: str
    names: Mapping[str, Any]


def conditions_of(analysis: Analysis) -> list[tuple[Piece, bool, str]]:
    """Each path of an analysis, whether it is one of train mode, and its inputs.

    Paths on which the model itself raises are left out; those of train mode too where that makes no
    difference. Raises CaptureError where a path cannot be told by its sizes.
    """
    found = [(piece, False, condition) for piece, condition in _conditions(analysis, analysis.evaluating)]
    if not reads_mode(analysis):
        return found
    trained = [(piece, True, condition) for piece, condition in _conditions(analysis, analysis.training)]
    return [*found, *trained]


def reads_mode(analysis: Analysis) -> bool:
    """Whether forward asks if it trains, and so may be another one in train mode."""
    programs = [{id(piece.program) for piece in mode.pieces} for mode in analysis.modes]
    return programs[0] != programs[1]


def _conditions(analysis: Analysis, mode: Mode) -> list[tuple[Piece, str]]:
    if len({id(piece.program) for piece in mode.pieces}) == 1:
        return [(mode.pieces[0], "")]
    if not analysis.complete:
        raise CaptureError("forward differs from size to size, and not all of its paths are known")
    return [(piece, _joined(piece)) for piece in mode.pieces if len(piece.program.graph.nodes)]


def _joined(piece: Piece) -> str:
    parts = [_text(c) for c in dict.fromkeys(piece.meaning.conditions)]
    return " and ".join(f"({part})" for part in parts) or "True"


def _text(condition: Condition) -> str:
    """A condition as Python. Raises CaptureError where a size has no formula."""
    if condition.relation.startswith("not "):
        return f"not ({_text(~condition)})"
    if condition.relation == "any":
        return " or ".join(f"({_text(part)})" for part in condition.either)
    left, right = describe(condition.left), describe(condition.right)
    divides = condition.relation == "divides"
    text = f"({left}) % ({right}) == 0" if divides else f"{left} {condition.relation} {right}"
    try:
        ast.parse(text, mode="eval")
    except SyntaxError:
        return _listed(condition)
    return text


def _listed(condition: Condition) -> str:
    """The sizes at which a condition on one axis holds, one by one up to where they repeat."""
    curve = indicator(condition)
    if curve is None or curve.settled + curve.period > MOST_LISTED:
        raise CaptureError("forward differs from size to size by what has no short formula")
    (axis,) = condition.axes
    name = "B" if axis == BATCH else f"n{axis}"
    first = [n for n in range(1, curve.settled + 1) if curve(n)]
    later = [n for n in range(curve.settled + 1, curve.settled + curve.period + 1) if curve(n)]
    rests = sorted(n % curve.period for n in later)
    return f"{name} in {first} or ({name} > {curve.settled} and {name} % {curve.period} in {rests})"


def around(changes: Changes, piece: Piece) -> Around | None:
    """The changes as something around forward; None where they lie within, or crop one of several outputs."""
    insertions = [insertion for _, insertion in changes.each_insert()]
    ups = [insertion for insertion in insertions if isinstance(insertion, RoundUp)]
    backs = [insertion for insertion in insertions if isinstance(insertion, CropBack)]
    whole = isinstance(piece.meaning.values[-1], Tensor)
    if changes.edits or len(ups) != 1 or len(ups) + len(backs) < len(insertions) or (backs and not whole):
        return None
    graph = fx.Graph()
    graph.output(ups[0].rewrite_value(graph, graph.placeholder("x")))
    prepare = fx.GraphModule(nn.Module(), graph)
    if not backs:
        return Around(prepare, None)
    graph = fx.Graph()
    output, x = graph.placeholder("output"), graph.placeholder("x")
    node = graph.output(output)
    with graph.inserting_before(node):
        backs[0].rewrite(graph, node, x)
    return Around(prepare, fx.GraphModule(nn.Module(), graph))


def _around(found: Around) -> Forward:
    prepare = found.prepare.graph.python_code("self")
    parts = [prepare.src.strip().replace("forward", "_prepare", 1)]
    names, result = dict(prepare.globals), "output"
    if found.crop is not None:
        crop = found.crop.graph.python_code("self")
        parts.append(crop.src.strip().replace("forward", "_crop", 1))
        names, result = {**names, **crop.globals}, "_crop(self, output, x)"
    parts.append(
        "def forward(self, x, *args, **kwargs):\n"
        "    output = _inner(self, _prepare(self, x), *args, **kwargs)\n"
        f"    return {result}"
    )
    return Forward("\n\n\n".join(parts) + "\n", names)


def forward_of(branches: Iterable[Branch | Around], inputs: InputShapes) -> Forward:
    """The function that a repaired model gets as its forward."""
    if any(isinstance(branch, Around) for branch in branches):
        return next(_around(branch) for branch in branches if isinstance(branch, Around))
    parts, names = [], dict[str, Any]()
    found = [branch for branch in branches if isinstance(branch, Branch)]
    for number, branch in enumerate(found):
        code = branch.graph.graph.python_code("self")
        parts.append(code.src.strip())
        if any(names.setdefault(name, value) is not value for name, value in code.globals.items()):
            raise CaptureError("two paths of forward use one name for different things")
        if branch.condition:
            parts[-1] = parts[-1].replace("def forward(", f"def _path_{number}(", 1)
    if any(branch.condition for branch in found):
        parts.append(_choice(found, inputs))
    return Forward("\n\n\n".join(parts) + "\n", names)


def _choice(branches: list[Branch], inputs: InputShapes) -> str:
    code = branches[0].graph.graph.python_code("self").src
    signature = re.search(r"def forward\((.*?)\)(?: ->.*)?:", code)
    assert signature is not None
    arguments = ", ".join(
        n.target.lstrip("*") for n in branches[0].graph.graph.nodes if n.op == "placeholder"
    )
    lines = [f"def forward({signature[1]}):", *_sizes(branches, inputs, arguments.split(", "))]
    for number, branch in enumerate(branches):
        lines += [f"if {branch.condition}:", f"    return _path_{number}(self, {arguments})"]
    lines.append(f'raise RuntimeError("{UNCOVERED}")')
    return "\n".join([lines[0], textwrap.indent("\n".join(lines[1:]), "    ")])


def _sizes(branches: list[Branch], inputs: InputShapes, arguments: list[str]) -> Iterator[str]:
    """`n0 = x.shape[2]`, of the sizes that some condition asks for."""
    names = {"B": "B", **{name: f"n{axis}" for axis, name in enumerate(inputs.axes)}}
    said = " ".join(branch.condition for branch in branches)
    for argument, shape in zip(arguments, inputs.shapes, strict=False):
        for position, dim in enumerate(shape or ()):
            name = names.pop(dim, "") if isinstance(dim, str) else ""
            if name and re.search(rf"\b{name}\b", said):
                yield f"{name} = {argument}.shape[{position}]"


def with_forward(model: nn.Module, branches: Sequence[Branch | Around], inputs: InputShapes) -> nn.Module:
    """The model with the graphs' forward, and the constants that tracing stored on them."""
    for graph in (branch.graph for branch in branches if isinstance(branch, Branch)):
        for name in (str(node.target) for node in graph.graph.nodes if node.op == "get_attr"):
            if "." not in name and not hasattr(model, name):
                setattr(model, name, getattr(graph, name))
    if isinstance(model, fx.GraphModule) and len(branches) == 1 and isinstance(branches[0], Branch):
        model.graph = copy.deepcopy(branches[0].graph.graph)  # a copy of it is made from its graph
        return model
    model.__class__ = subclass(type(model), forward_of(branches, inputs))
    return model


def subclass(kind: type[nn.Module], forward: Forward) -> type[nn.Module]:
    """A class of the same name whose forward is the repaired one."""
    names = {**forward.names, "_inner": kind.forward}
    file = f"<{kind.__name__}, repaired: {zlib.crc32(forward.source.encode()):08x}>"
    linecache.cache[file] = len(forward.source), None, forward.source.splitlines(keepends=True), file
    exec(compile(forward.source, file, "exec"), names)
    return type(kind.__name__, (kind,), {"forward": names["forward"], "__module__": kind.__module__})
