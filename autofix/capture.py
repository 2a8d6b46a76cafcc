"""Model -> Program: record what a model computes, without disturbing it."""

from __future__ import annotations

import operator
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import fx, nn

from autofix.errors import CaptureError
from autofix.layout import laid_out
from autofix.meta import undisturbed
from autofix.program import InputShapes, Place, Program, Site, read_graph

_TORCH = str(Path(torch.__file__).parent / "_")[:-1]  # with the separator: torchvision is not torch
_OURS = str(Path(__file__).parent)
_EXAMPLES = str(Path(__file__).parent / "examples")


class Recorded(fx.Proxy):
    """A proxy that keeps `x += y` apart from `x + y`: in place, x must keep its shape."""


def _in_place(name: str) -> Any:
    function = getattr(operator, name)

    def method(self: Recorded, other: Any) -> Any:
        return self.tracer.create_proxy("call_function", function, (self, other), {})

    return method


for _name in (
    "iadd",
    "isub",
    "imul",
    "itruediv",
    "ifloordiv",
    "imod",
    "ipow",
    "imatmul",
    "iand",
    "ior",
    "ixor",
):
    setattr(Recorded, f"__{_name}__", _in_place(_name))


class Tracer(fx.Tracer):
    """fx's tracer, which also remembers where in the user's code each call stands.

    Parameters of forward beyond the inputs keep their defaults, so that `if mask is None` goes as it would.
    """

    def __init__(self, inputs: InputShapes) -> None:
        super().__init__()
        self.places: dict[str, Place] = {}
        self.inputs = inputs

    def proxy(self, node: fx.Node) -> fx.Proxy:
        return Recorded(node, self)

    def create_node(self, *args: Any, **kwargs: Any) -> fx.Node:
        node = super().create_node(*args, **kwargs)
        if node.op.startswith("call"):
            self.places[node.name] = caller()
        return node

    def call_module(self, m: nn.Module, forward: Any, args: Any, kwargs: Any) -> Any:
        """A layer that forward makes and calls at once, `nn.ReLU()(x)`, is the functions that it calls."""
        known = m in self.submodule_paths if self.submodule_paths else True
        return super().call_module(m, forward, args, kwargs) if known else forward(*args, **kwargs)

    def create_args_for_root(self, root_fn: Any, is_module: bool, concrete_args: Any = None) -> Any:
        function, args = super().create_args_for_root(root_fn, is_module, concrete_args)
        shapes = self.inputs.shapes
        given = [index < len(shapes) and shapes[index] is not None for index in range(len(args) - 1)]
        inputs = [
            proxy if there else _default(proxy.node) for proxy, there in zip(args[1:], given, strict=True)
        ]
        return function, [args[0], *inputs]


def _default(node: fx.Node) -> Any:
    name = str(node.target)
    if name.startswith("**"):
        return {}
    return () if name.startswith("*") else node.args[0] if node.args else None


def caller() -> Place:
    """The innermost frame that is neither torch's nor ours."""
    frame = sys._getframe(1)
    while frame.f_back is not None:
        if _is_users(frame.f_code.co_filename):
            break
        frame = frame.f_back
    return Place(frame.f_code, frame.f_lasti)


def _is_users(file: str) -> bool:
    return file.startswith(_EXAMPLES) or not file.startswith((_TORCH, _OURS, "<eval_with_key>"))


@dataclass
class Reads:
    """Whether code outside torch's own layers looked at `training`."""

    training: bool = False


@contextmanager
def watch_training() -> Iterator[Reads]:
    """Notice reads of `module.training`: a model that looks at it may compute another thing in train mode."""
    reads = Reads()

    def get(module: nn.Module) -> bool:
        reads.training = True
        return bool(module.__dict__["training"])

    def put(module: nn.Module, value: bool) -> None:
        module.__dict__["training"] = value

    nn.Module.training = property(get, put)  # type: ignore[assignment]
    try:
        yield reads
    finally:
        del nn.Module.training


@dataclass(frozen=True)
class Capture:
    """The programs of both modes; the same object where the mode makes no difference to the graph."""

    evaluating: Program
    training: Program


def capture_plain(meta: nn.Module, inputs: InputShapes) -> Capture:
    """The first rung: torch.fx's symbolic trace of a model on the meta device.

    Raises CaptureError with fx's own reason where the model's control flow depends on its data.
    """
    meta.train()
    trains = {id(module): module.training for module in meta.modules()}
    with watch_training() as reads:
        evaluating = _trace(meta.eval(), inputs, trains)
    training = _trace(meta.train(), inputs, trains) if reads.training else evaluating
    return Capture(evaluating, training)


@dataclass(frozen=True)
class Recording:
    """A trace of a real model: its graph, over its own layers and constants, and the sites of the nodes."""

    graph: fx.Graph
    sites: tuple[Site, ...]
    root: nn.Module


def record_plain(model: nn.Module, inputs: InputShapes) -> Recording:
    """Trace a real model the way `capture_plain` traces its copy."""
    tracer = Tracer(inputs)
    with kept_as_it_is(model):
        graph = tracer.trace(model)
    return Recording(graph, read_graph(graph, model, tracer.places, lambda module: True), model)


@contextmanager
def kept_as_it_is(model: nn.Module) -> Iterator[None]:
    """Run a model's code in eval mode; modes and random numbers are afterwards what they were."""
    modes = {module: module.__dict__["training"] for module in model.modules()}  # watch_training sees reads
    model.eval()
    try:
        with torch.random.fork_rng(devices=[]):
            yield
    finally:
        for module, training in modes.items():
            module.training = training


def _trace(meta: nn.Module, inputs: InputShapes, trains: dict[int, bool]) -> Program:
    tracer = Tracer(inputs)
    try:
        with undisturbed():
            graph = tracer.trace(meta)
    except Exception as error:
        raise CaptureError(f"torch.fx cannot trace {type(meta).__name__}: {error}") from error
    sites = read_graph(graph, meta, tracer.places, lambda m: trains[id(m)])
    return laid_out(Program(sites, graph, meta, inputs))
