"""Program + Changes -> a patched model of the same class, and a GraphModule that computes the same."""

from __future__ import annotations

import keyword
import math
import operator
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Final

import torch
from torch import fx, nn

from autofix.arguments import row_of
from autofix.capture import Fact, Recording
from autofix.changes import Changes, key_maker
from autofix.contexts import is_switch
from autofix.errors import CaptureError
from autofix.functional import as_function
from autofix.insertion import Adaptive, CropBack, Insertion, RoundUp
from autofix.meta import copied
from autofix.program import Site
from autofix.source.attributes import set_knob
from autofix.unlisted import listed

OTHER_PATH: Final = "at this size the model takes another path than the one that this graph stands for"


def edited_copy(model: nn.Module, changes: Changes, inplace: bool = False) -> nn.Module:
    """The same class with the same weights, and the edited layers."""
    result = model if inplace else copied(model)
    with listed(result):
        for key, knobs in changes.edits.items():
            if key[0] == "module":
                for knob, value in knobs.items():
                    set_knob(result.get_submodule(key[1]), knob, value)
    return result


@contextmanager
def edited(root: nn.Module, changes: Changes) -> Iterator[nn.Module]:
    """A model with the edited layers, for as long as it is looked at."""
    edits = changes.edits.items()
    layers = [(root.get_submodule(key[1]), knobs) for key, knobs in edits if key[0] == "module"]
    before = [(layer, dict(vars(layer))) for layer, _ in layers]
    try:
        for layer, knobs in layers:
            for knob, value in knobs.items():
                set_knob(layer, knob, value)
        yield root
    finally:
        for layer, state in before:
            vars(layer).clear()
            vars(layer).update(state)


def needs_graph(changes: Changes) -> bool:
    """Whether something changes between the layers, which no layer's attribute can express."""
    return bool(changes.inserts) or any(key[0] != "module" for key in changes.edits)


def check_names(model: nn.Module) -> None:
    """Raises CaptureError for names that torch.fx would write unescaped into the code that it generates."""
    for named in (model.named_modules(), model.named_parameters(), model.named_buffers()):
        for name, _ in named:
            if any(mark in name for mark in '"\\\n\r'):
                raise CaptureError(f"{name!r} cannot name a layer in a graph: rename it, without quotes")


def graph_module(recording: Recording, changes: Changes, name: str, guarded: bool = True) -> fx.GraphModule:
    """The repaired computation as a graph over the repaired model's own layers.

    guarded: sizes on another path of the model are refused, by an assertion in the graph
    """
    graph, keys_of = recording.graph, key_maker()
    source = next(node for node in graph.nodes if node.op == "placeholder")
    nodes = [node for node in graph.nodes if not is_switch(node)]
    pairs = [(node, site, keys_of(site)) for node, site in zip(nodes, recording.sites, strict=True)]
    for node, site, keys in pairs:
        if keys[1] in changes.edits and keys[1][0] == "call":
            _edit_call(graph, node, site, changes.edits[keys[1]])
        for insertion in changes.inserts.get(keys[1], ()):
            _insert(graph, node, insertion, source)
    for node in graph.nodes:
        node.type = None  # an annotation kept as text has no name in the code that is generated
        if node.op in ("call_module", "get_attr"):
            node.target = _speakable(recording.root, str(node.target))
    for fact in recording.facts if guarded else ():
        _assert(graph, fact)
    for node, default in recording.unasked:
        _keep_default(graph, node, default)
    graph.eliminate_dead_code(_is_impure)
    graph.lint()
    return fx.GraphModule(recording.root, graph, name)


def _assert(graph: fx.Graph, fact: Fact) -> None:
    """Refuse, right after a node, the sizes at which it is not what the trace took it for."""
    with graph.inserting_after(fact.node):
        value = graph.call_function(fact.read, (fact.node,)) if fact.read else fact.node
    with graph.inserting_after(value):
        same = math.isclose if isinstance(fact.expected, float) else operator.eq
        holds = graph.call_function(same, (value, fact.expected))
    with graph.inserting_after(holds):
        graph.call_function(torch._assert, (holds, OTHER_PATH))


def _keep_default(graph: fx.Graph, node: fx.Node, default: Any) -> None:
    """Refuse another value of an argument than the one that the trace was made with."""
    if not isinstance(default, int | float | str | None):
        return
    last = [one for one in graph.nodes if one.op == "placeholder"][-1]
    with graph.inserting_after(last):
        holds = graph.call_function(operator.is_ if default is None else operator.eq, (node, default))
    with graph.inserting_after(holds):
        text = f"the repair was made with {node.target}={default!r}, and stands for nothing else"
        graph.call_function(torch._assert, (holds, text))


def _speakable(root: nn.Module, path: str) -> str:
    """A path that Python code can say: a layer named as a keyword is reached by another name too."""
    owner: Any = root
    parts = []
    for part in path.split("."):
        name = f"{part}_" if keyword.iskeyword(part) else part
        following = getattr(owner, part)
        if name != part:
            owner.__dict__[name] = following
        parts.append(name)
        owner = following
    return ".".join(parts)


def _is_impure(node: fx.Node) -> bool:
    """Only unused arithmetic on sizes is removed: a layer may have effects, such as running means."""
    return node.op != "call_function" or node.is_impure() or node.target not in _ARITHMETIC


_ARITHMETIC: set[Any] = {
    getattr(__import__("operator"), n) for n in ("add", "sub", "mul", "floordiv", "truediv", "mod", "getitem")
}
_ARITHMETIC |= {getattr, max, min, int, torch.sym_max, torch.sym_min}


def _insert(graph: fx.Graph, node: fx.Node, insertion: Insertion, source: fx.Node) -> None:
    if isinstance(insertion, RoundUp) or (isinstance(insertion, Adaptive) and insertion.after):
        users = list(node.users)
        with graph.inserting_after(node):
            anchor = graph.call_function(getattr, (node, "shape"))
        with graph.inserting_before(anchor):
            rounded = insertion.rewrite_value(graph, node)
        graph.erase_node(anchor)
        for user in users:
            user.replace_input_with(node, rounded)
        return
    with graph.inserting_before(node):
        if isinstance(insertion, CropBack):
            insertion.rewrite(graph, node, source)
        else:
            insertion.rewrite(graph, node)


def _edit_call(graph: fx.Graph, node: fx.Node, site: Site, knobs: Mapping[str, tuple[int, ...]]) -> None:
    """Change the arguments of one call; a call of a layer becomes the function it stands for."""
    if site.module is not None:
        with graph.inserting_before(node):
            as_function(graph, node, site.module, knobs)
        return
    row = row_of(site)
    assert row is not None
    names = list(row[0].signature.parameters)[1:]
    for knob, value in knobs.items():
        new: Any = bool(value[0]) if knob == "ceil_mode" else value
        position = names.index(knob)
        if position < len(node.args):
            node.update_arg(position, new)
        else:
            node.update_kwarg(knob, new)
