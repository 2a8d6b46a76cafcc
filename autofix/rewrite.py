"""Program + Solution -> a patched model of the same class, and a GraphModule that computes the same."""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from typing import Any

from torch import fx, nn

from autofix.capture import trace_graph
from autofix.errors import CaptureError
from autofix.program import Program
from autofix.source.attributes import set_knob
from autofix.solve.knobs import Key, Setting, site_keys


def edited_copy(model: nn.Module, program: Program, setting: Setting, inplace: bool = False) -> nn.Module:
    """The same class with the same weights, and the edited layers."""
    result = model if inplace else copy.deepcopy(model)
    named = {id(module): name for name, module in program.root.named_modules()}
    for key, knobs in setting.items():
        if key[0] != "module":
            continue
        layer = result.get_submodule(named[key[1]])
        for knob, value in knobs.items():
            set_knob(layer, knob, value)
    return result


def graph_module(model: nn.Module, program: Program, setting: Setting) -> fx.GraphModule:
    """The repaired computation as a graph over the repaired model's own layers."""
    graph, root = trace_graph(model, program)
    nodes = list(graph.nodes)
    if [n.op for n in nodes] != [site.kind for site in program.sites]:
        raise CaptureError("the model traces differently the second time: does it change itself as it runs?")
    for index, key in site_keys(program).items():
        if key in setting and key[0] != "module":
            _edit_call(nodes[index], program, index, setting[key])
    graph.lint()
    return fx.GraphModule(root, graph, type(model).__name__)


def _edit_call(node: fx.Node, program: Program, index: int, knobs: Mapping[str, tuple[int, ...]]) -> None:
    from autofix.interpret import row_of

    row = row_of(program.sites[index])
    assert row is not None
    names = list(row[0].signature.parameters)[1:]
    for knob, value in knobs.items():
        new: Any = bool(value[0]) if knob == "ceil_mode" else value
        position = names.index(knob)
        if position < len(node.args):
            node.update_arg(position, new)
        else:
            node.update_kwarg(knob, new)


def with_forward_of(model: nn.Module, graph: fx.GraphModule) -> nn.Module:
    """The model with the graph's forward: a subclass of the same name, for changes that live between the layers."""
    for name, value in _missing(model, graph):
        setattr(model, name, value)
    kind = type(model)
    forward = type(graph).forward
    model.__class__ = type(kind.__name__, (kind,), {"forward": forward, "__module__": kind.__module__})
    return model


def _missing(model: nn.Module, graph: fx.GraphModule) -> Sequence[tuple[str, Any]]:
    """Constants that tracing stored on the graph."""
    names = {str(n.target).split(".")[0] for n in graph.graph.nodes if n.op == "get_attr"}
    return [(name, getattr(graph, name)) for name in names if not hasattr(model, name)]


def keys_of_calls(setting: Setting) -> list[Key]:
    """The edited calls of functions, which no layer's attribute can express."""
    return [key for key in setting if key[0] != "module"]
