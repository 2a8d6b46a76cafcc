"""The graphs of eval and train mode as one, where they differ by nothing but the mode itself."""

from __future__ import annotations

import operator
from collections.abc import Mapping
from typing import Any, Final

import torch
from torch import fx

OTHER_MODE: Final = (
    "in train mode the model computes something else than this graph, which stands for eval mode"
)
MODE: Final = "training"  # the attribute of a module that says which mode it is in


def together(evaluating: fx.GraphModule, training: fx.GraphModule) -> bool:
    """Have the first graph ask `self.training` where the second has another truth, as in F.dropout.

    False, with the graph as it was, where they differ in more: layers that only train, other arguments.
    """
    ours, theirs = list(evaluating.graph.nodes), list(training.graph.nodes)
    if len(ours) != len(theirs):
        return False
    twins = dict(zip(theirs, ours, strict=True))
    if not all(_alike(*pair, twins) for pair in zip(ours, theirs, strict=True)):
        return False
    with evaluating.graph.inserting_after(_last_input(ours)):
        trains = evaluating.graph.create_node("get_attr", MODE)
    with evaluating.graph.inserting_after(trains):
        evaluates = evaluating.graph.call_function(operator.not_, (trains,))
    truths = {True: trains, False: evaluates}
    for node, twin in zip(ours, theirs, strict=True):
        node.args, node.kwargs = _merged((node.args, node.kwargs), (twin.args, twin.kwargs), truths)
    for made in (evaluates, trains):
        if not made.users:
            evaluating.graph.erase_node(made)
    evaluating.recompile()
    return True


def stands_for_eval(graph: fx.GraphModule) -> None:
    """Have a graph refuse to run in train mode, in which the model computes something else."""
    with graph.graph.inserting_after(_last_input(list(graph.graph.nodes))):
        trains = graph.graph.create_node("get_attr", MODE)
    with graph.graph.inserting_after(trains):
        evaluates = graph.graph.call_function(operator.not_, (trains,))
    with graph.graph.inserting_after(evaluates):
        graph.graph.call_function(torch._assert, (evaluates, OTHER_MODE))
    graph.recompile()


def _last_input(nodes: list[fx.Node]) -> fx.Node:
    return [node for node in nodes if node.op == "placeholder"][-1]


def _alike(node: fx.Node, twin: fx.Node, twins: Mapping[fx.Node, fx.Node]) -> bool:
    """Whether two calls are the same, truths apart."""
    called = (node.op, node.target) == (twin.op, twin.target)
    return called and _match((node.args, node.kwargs), (twin.args, twin.kwargs), twins)


def _match(ours: Any, theirs: Any, twins: Mapping[fx.Node, fx.Node]) -> bool:
    if isinstance(theirs, fx.Node):
        return twins[theirs] is ours
    if type(ours) is not type(theirs):
        return False
    if isinstance(ours, dict):
        same = ours.keys() == theirs.keys()
        return same and all(_match(value, theirs[key], twins) for key, value in ours.items())
    if isinstance(ours, tuple | list):
        same = len(ours) == len(theirs)
        return same and all(_match(*pair, twins) for pair in zip(ours, theirs, strict=True))
    if isinstance(ours, slice):
        parts = [(one.start, one.stop, one.step) for one in (ours, theirs)]
        return _match(parts[0], parts[1], twins)
    return isinstance(ours, bool) or ours == theirs


def _merged(ours: Any, theirs: Any, truths: Mapping[bool, fx.Node]) -> Any:
    """The arguments, with the mode asked where the truths differ."""
    if isinstance(ours, bool) and ours is not theirs:
        return truths[theirs]
    if isinstance(ours, dict):
        return {key: _merged(value, theirs[key], truths) for key, value in ours.items()}
    if isinstance(ours, tuple | list):
        return type(ours)(_merged(*pair, truths) for pair in zip(ours, theirs, strict=True))
    return ours
