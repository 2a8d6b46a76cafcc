"""Models and repairs as bytes for another process, without the weights, which stay where they are.

A model's larger tensors travel as shapes alone and come back as references; the sender puts copies of its
own tensors in their place. What is made in the other process travels whole.
"""

from __future__ import annotations

import importlib
import io
import marshal
import pickle
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from types import CodeType, FunctionType
from typing import Any, Final

import torch
from torch import fx, nn

from autofix.arguments import UNKNOWN
from autofix.branching import Around, Branch, forward_of, subclass
from autofix.errors import UsageError
from autofix.program import InputShapes
from autofix.repair import Fix

SMALL: Final = (
    1 << 14
)  # elements up to which a tensor's values travel too: they may be tables that forward reads


class _Outward(pickle.Pickler):
    """A model, its large tensors as `(index, None)` with what is needed to make empty ones."""

    def __init__(self, file: io.BytesIO) -> None:
        super().__init__(file, pickle.HIGHEST_PROTOCOL)
        self.tensors: list[torch.Tensor] = []
        self.index: dict[int, int] = {}

    def persistent_id(self, value: Any) -> Any:
        if not isinstance(value, torch.Tensor):
            return None
        if id(value) not in self.index:
            self.index[id(value)] = len(self.tensors)
            self.tensors.append(value)
        plain = value.detach()
        content = plain.cpu().numpy() if _by_value(plain) else None
        parameter = isinstance(value, nn.Parameter)
        shape = tuple(plain.shape), plain.dtype
        return self.index[id(value)], parameter, value.requires_grad, *shape, content


def _by_value(tensor: torch.Tensor) -> bool:
    """Whether the values go along; numpy has no bfloat16, and meta tensors have no values."""
    kinds = (torch.float32, torch.float64, torch.int64, torch.int32, torch.bool, torch.uint8)
    return tensor.numel() <= SMALL and tensor.dtype in kinds and tensor.device.type != "meta"


class _Arriving(pickle.Unpickler):
    """The model in the other process; `known` tells its tensors from those made there."""

    def __init__(self, file: io.BytesIO) -> None:
        super().__init__(file)
        self.made: dict[int, torch.Tensor] = {}

    def persistent_load(self, pid: Any) -> torch.Tensor:
        index, parameter, requires_grad, shape, dtype, content = pid
        if index not in self.made:
            plain = torch.zeros(shape, dtype=dtype) if content is None else torch.tensor(content)
            self.made[index] = nn.Parameter(plain, requires_grad) if parameter else plain
        return self.made[index]


class _Homeward(pickle.Pickler):
    """A repair: references to the model's tensors, and whatever else pickle does not know by itself."""

    def __init__(self, file: io.BytesIO, fix: Fix, made: dict[int, torch.Tensor]) -> None:
        super().__init__(file, pickle.HIGHEST_PROTOCOL)
        self.fix = fix
        self.index = {id(tensor): index for index, tensor in made.items()}

    def persistent_id(self, value: Any) -> Any:
        return self.index.get(id(value)) if isinstance(value, torch.Tensor) else None

    def reducer_override(self, value: Any) -> Any:
        if value is UNKNOWN:
            return "UNKNOWN"
        if isinstance(value, CodeType):
            return marshal.loads, (marshal.dumps(value),)
        if isinstance(value, fx.Graph):  # a program's sites say all that its graph does
            return fx.Graph, ()
        if isinstance(value, fx.GraphModule):  # its own way would trace once more, and stops at annotations
            return _graph_module, (type(value).__name__, _contents(value), _nodes(value.graph))
        if isinstance(value, FunctionType) and "<locals>" in value.__qualname__:
            return _function, _name_of(value)
        if isinstance(value, type) and _made_by_repair(value):
            return _with_forward, (value.__mro__[1], self.fix.branches, self.fix.report.analysis.inputs)
        return NotImplemented


def _name_of(function: FunctionType) -> tuple[str, str]:
    """Where a function that another one made can be found: torch makes its pooling functions so."""
    for module in (function.__module__, "torch.nn.functional"):
        for name, value in vars(sys.modules[module]).items():
            if value is function:
                return module, name
    raise pickle.PicklingError(f"{function.__qualname__} cannot be found by a name")


def _function(module: str, name: str) -> Any:
    return getattr(importlib.import_module(module), name)


def _contents(graph: fx.GraphModule) -> dict[str, Any]:
    return {name: vars(graph)[name] for name in ("training", "_parameters", "_buffers", "_modules")}


def _nodes(graph: fx.Graph) -> list[tuple[Any, ...]]:
    """The nodes as plain data, each reference to a node as its position."""
    index = {node: _Position(position) for position, node in enumerate(graph.nodes)}
    listed = []
    for node in graph.nodes:
        args, kwargs = fx.node.map_arg((node.args, node.kwargs), lambda n: index[n])  # type: ignore[arg-type,return-value]
        listed.append((node.op, node.target, args, kwargs, node.name))
    return listed


def _graph_module(name: str, contents: dict[str, Any], nodes: list[tuple[Any, ...]]) -> fx.GraphModule:
    root, graph, made = nn.Module(), fx.Graph(), list[fx.Node]()
    vars(root).update(contents)
    for op, target, args, kwargs, called in nodes:
        inputs = _with_nodes((args, kwargs), made)
        made.append(graph.create_node(op, target, inputs[0], inputs[1], called))
    return fx.GraphModule(root, graph, name)


@dataclass(frozen=True)
class _Position:
    """Stands for a node of the graph."""

    index: int


def _with_nodes(value: Any, made: Sequence[fx.Node]) -> Any:
    if isinstance(value, _Position):
        return made[value.index]
    if isinstance(value, slice):
        return slice(*(_with_nodes(item, made) for item in (value.start, value.stop, value.step)))
    if isinstance(value, dict):
        return {key: _with_nodes(item, made) for key, item in value.items()}
    if isinstance(value, tuple | list):
        items = [_with_nodes(item, made) for item in value]
        return type(value)(*items) if hasattr(value, "_fields") else type(value)(items)
    return value


def _made_by_repair(kind: type) -> bool:
    """A class whose forward the repair replaced: nobody can import it."""
    if not issubclass(kind, nn.Module) or issubclass(kind, fx.GraphModule):
        return False
    found: Any = sys.modules.get(kind.__module__)
    for part in kind.__qualname__.split("."):
        found = getattr(found, part, None)
    return found is not kind and found is kind.__mro__[1]


def _with_forward(kind: type, branches: Sequence[Branch | Around], inputs: InputShapes) -> type:
    return subclass(kind, forward_of(branches, inputs))


class _Returning(pickle.Unpickler):
    """The repair back home, on copies of the model's own tensors."""

    def __init__(self, file: io.BytesIO, tensors: Sequence[torch.Tensor]) -> None:
        super().__init__(file)
        self.tensors = tensors
        self.copies: dict[int, torch.Tensor] = {}

    def persistent_load(self, index: int) -> torch.Tensor:
        if index not in self.copies:
            original = self.tensors[index]
            copy = original.detach().clone()
            parameter = isinstance(original, nn.Parameter)
            self.copies[index] = nn.Parameter(copy, original.requires_grad) if parameter else copy
        return self.copies[index]


def send(model: Any) -> tuple[bytes, list[torch.Tensor]]:
    """A model, or a function that makes one, as bytes; and the tensors that stay here. Raises UsageError."""
    file = io.BytesIO()
    pickler = _Outward(file)
    try:
        pickler.dump(model)
    except (pickle.PicklingError, AttributeError, TypeError) as error:
        name = getattr(model, "__name__", type(model).__name__)
        raise UsageError(f"{name} cannot be sent to another process: {error}") from error
    return file.getvalue(), pickler.tensors


def receive(content: bytes) -> tuple[Any, dict[int, torch.Tensor]]:
    """The model in the other process, and its tensors by index."""
    unpickler = _Arriving(io.BytesIO(content))
    return unpickler.load(), unpickler.made


def send_back(fix: Fix, made: dict[int, torch.Tensor]) -> bytes:
    """A repair, made in place of the model received, as bytes."""
    file = io.BytesIO()
    _Homeward(file, fix, made).dump(fix)
    return file.getvalue()


def receive_back(content: bytes, tensors: Sequence[torch.Tensor]) -> Fix:
    """The repair, with copies of the tensors that stayed here."""
    fix: Fix = _Returning(io.BytesIO(content), tensors).load()
    return fix
