"""A recipe with the repaired computation written out, for changes inside a forward of foreign code."""

from __future__ import annotations

import builtins
from collections.abc import Iterable, Iterator, Mapping
from types import ModuleType
from typing import TYPE_CHECKING

from autofix.source.attributes import Assignment, assignment_lines
from autofix.source.patch import SourcePatch
from autofix.source.recipe import Origin
from autofix.source.text import SourceError
from autofix.source.wanted import Edit

if TYPE_CHECKING:
    from torch import fx, nn

    from autofix.branching import Forward


def graph_recipe(
    model: nn.Module,
    graphs: Iterable[fx.GraphModule],
    forward: Forward,
    origin: Origin,
    edits: Iterable[Edit],
) -> SourcePatch:
    """`build()` makes the model and gives it the graphs' forward. Raises SourceError where code cannot.

    model: as it was built
    edits: those of layers, which become attributes
    """
    for node in (node for graph in graphs for node in graph.graph.nodes):
        if node.op == "get_attr" and not _has(model, str(node.target)):
            raise SourceError(f"{node.target} is a constant that only the traced model has")
    of_layers = [e for e in edits if e.module and not getattr(e, "split", False)]
    layers = [Assignment(e.module or "", e.knob, e.new) for e in of_layers]
    imports = dict.fromkeys(["import types", *_imports(forward.names, forward.source)])
    text = f'"""{origin.expression} with changed spatial sizes; the weights and their names stay."""\n\n'
    text += "\n".join(imports) + f"\n\nfrom {origin.module} import {origin.name.split('.')[0]}\n"
    text += f"\n\n{forward.source.strip()}\n\n\n"
    text += 'def build():\n    """Make the model and replace its forward."""\n'
    lines = [f"model = {origin.expression}", *assignment_lines(model, "model", layers)]
    lines += ["model.forward = types.MethodType(forward, model)", "return model"]
    text += "".join(f"    {line}\n".replace("\t", "    ") for line in lines)
    return SourcePatch(recipe=text)


def _has(model: nn.Module, path: str) -> bool:
    owner: object = model
    for name in path.split("."):
        if not hasattr(owner, name):
            return False
        owner = getattr(owner, name)
    return True


def _imports(names: Mapping[str, object], source: str) -> Iterator[str]:
    """What the code's names stand for; names that it does not use are left out."""
    for name, value in names.items():
        if name not in source:
            continue
        if isinstance(value, ModuleType):
            yield f"import {value.__name__}" + ("" if value.__name__ == name else f" as {name}")
            continue
        module, own = getattr(value, "__module__", None), getattr(value, "__qualname__", "")
        if isinstance(value, float):
            yield f'{name} = float("{value}")'
        elif own and getattr(builtins, own, None) is value and own == name:
            continue
        elif module and own.isidentifier():
            yield f"from {module} import {own}" + ("" if own == name else f" as {name}")
        else:
            raise SourceError(f"{name} in the model's computation has no name to import")
