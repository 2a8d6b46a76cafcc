"""Model -> Program: record what a model computes, without disturbing it."""

from __future__ import annotations

import operator
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from inspect import Parameter, signature
from typing import Any

import numpy as np
import torch
from torch import fx, nn
from torch.nn.utils.parametrize import ParametrizationList, is_parametrized

from autofix.contexts import Contexts
from autofix.errors import CaptureError
from autofix.frames import caller, is_tracing
from autofix.handlers import catches, protected
from autofix.hooks import hooked
from autofix.layout import laid_out
from autofix.meta import restored, undisturbed
from autofix.program import InputShapes, Place, Program, Site, read_graph


class Recorded(fx.Proxy):
    """A proxy that keeps `x += y` apart from `x + y`: in place, x must keep its shape; so `x.data = y`."""

    def __setattr__(self, name: str, value: Any) -> None:
        if name == "data":
            self.tracer.create_proxy("call_function", setattr, (self, name, value), {})
        else:
            super().__setattr__(name, value)

    def __deepcopy__(self, memo: Any) -> Any:
        return self.tracer.create_proxy("call_method", "clone", (self,), {})


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

    def __init__(self, inputs: InputShapes, **settings: Any) -> None:
        super().__init__(**settings)
        self.places: dict[str, Place] = {}
        self.inputs = inputs
        self.evaluating = False  # a rule is at work, not the model
        self.modes: dict[int, bool] = {}  # whether a layer trains where it is called
        self.branches = False  # on a value; some code goes on after the error that says so
        self.handles = False  # the model's own code has an `except` clause
        self.caught = False  # what some call raises, the model's own code would catch
        self.contexts = Contexts() if torch.is_grad_enabled() else None  # of a real model alone
        self.unasked: list[tuple[fx.Node, Any]] = []  # arguments that are not given, and their defaults

    def proxy(self, node: fx.Node) -> fx.Proxy:
        return Recorded(node, self)

    def create_node(self, *args: Any, **kwargs: Any) -> fx.Node:
        if self.contexts is not None:
            self.contexts.follow(self.graph)
        node = super().create_node(*args, **kwargs)
        if node.op.startswith("call"):
            place = caller()
            if place is not None:
                self.places[node.name] = place
            self.caught = self.caught or (self.handles and protected())
        return node

    def to_bool(self, obj: fx.Proxy) -> bool:
        self.branches = True
        return super().to_bool(obj)

    def create_arg(self, a: Any) -> Any:
        if isinstance(a, torch.device) and a == self._home[1]:
            parameter = self.create_proxy("get_attr", self._home[0], (), {})
            return self.create_proxy("call_function", getattr, (parameter, "device"), {}).node
        if isinstance(a, type) and isinstance(kind := getattr(a, "dtype", None), torch.dtype):
            return super().create_arg(kind)  # torch.FloatTensor, of which fx has no text
        return super().create_arg(a.item() if isinstance(a, np.generic) else a)

    @cached_property
    def _home(self) -> tuple[str, torch.device | None]:
        """The first parameter, and where the model is: what is put there is put where the parameter is."""
        name, first = next(self.root.named_parameters(), ("", None))
        return name, first.device if first is not None else None

    def call_module(self, m: nn.Module, forward: Any, args: Any, kwargs: Any) -> Any:
        """A layer that forward makes and calls at once, `nn.ReLU()(x)`, is the functions that it calls."""
        if self.evaluating:
            return forward(*args, **kwargs)
        known = m in self.submodule_paths if self.submodule_paths else True
        if self.root.__dict__["training"]:  # watch_training sees other reads
            self.modes[id(m)] = m.__dict__["training"]
        if isinstance(m, ParametrizationList):
            return self.create_proxy("get_attr", _computed(self.path_of_module(m)), (), {})
        return super().call_module(m, forward, args, kwargs) if known else forward(*args, **kwargs)

    def is_leaf_module(self, m: nn.Module, module_qualified_name: str) -> bool:
        return is_leaf(m)

    def create_args_for_root(self, root_fn: Any, is_module: bool, concrete_args: Any = None) -> Any:
        """One proxy for each input; fx's own way calls a decorated forward by the names of the inner one."""
        shapes, args = list(self.inputs.shapes), list[Any]()
        named, needed = dict[str, Any](), 0
        for parameter in [*signature(root_fn).parameters.values()][1:]:
            if parameter.kind is Parameter.VAR_POSITIONAL:
                numbered = enumerate(shapes)
                args += [None if s is None else self._input(f"{parameter.name}_{n}") for n, s in numbered]
                shapes, needed = [], len(args)
            elif parameter.kind is not Parameter.VAR_KEYWORD:
                given = shapes.pop(0) is not None if shapes else False
                optional = parameter.default is not Parameter.empty
                proxy = self._input(parameter.name, *([parameter.default] if optional else []))
                if optional and not given:
                    self.unasked.append((proxy.node, parameter.default))
                value = proxy if given else parameter.default if optional else None
                if parameter.kind is not Parameter.KEYWORD_ONLY:
                    args.append(value)
                    needed = len(args) if given or not optional else needed
                elif given or not optional:
                    named[parameter.name] = value

        def call(*values: Any) -> Any:
            return root_fn(*values, **named)

        return call, [self.root, *args[:needed]]

    def _input(self, name: str, *default: Any) -> Any:
        return self.create_proxy("placeholder", name, default, {})


def is_leaf(module: nn.Module) -> bool:
    """Whether a layer is torch's own, and so one call; a parametrized one runs the code of its base.

    One with hooks of the user's is what these and its forward do.
    """
    kind = type(module).__mro__[1] if is_parametrized(module) else type(module)
    torchs = kind.__module__.startswith(("torch.nn", "torch.ao.nn"))
    return torchs and not isinstance(module, nn.Sequential) and not hooked(module)


def _computed(path: str) -> str:
    """Where a model's own code finds what a parametrization computes."""
    owner, _, name = path.rpartition("parametrizations.")
    return owner + name


@dataclass
class Reads:
    """Whether code outside torch's own layers looked at `training`."""

    training: bool = False


@contextmanager
def watch_training() -> Iterator[Reads]:
    """Notice reads of `module.training`: a model that looks at it may compute another thing in train mode."""
    reads = Reads()

    def get(module: nn.Module) -> bool:
        reads.training = reads.training or is_tracing()
        return bool(module.__dict__["training"])

    def put(module: nn.Module, value: bool) -> None:
        reads.training = reads.training or is_tracing()
        module.__dict__["training"] = value

    nn.Module.training = property(get, put)  # type: ignore[assignment]
    try:
        yield reads
    finally:
        del nn.Module.training


@dataclass(frozen=True)
class Capture:
    """The programs of both modes; the same object where the mode makes no difference to the graph.

    caught: the model's own code would catch what some call raises, so that sizes may take another path
    """

    evaluating: Program
    training: Program
    caught: bool = False


def capture_plain(meta: nn.Module, inputs: InputShapes) -> Capture:
    """The first rung: torch.fx's symbolic trace of a model on the meta device.

    Raises CaptureError with fx's own reason where the model's control flow depends on its data.
    """
    meta.train()
    trains, handles = {id(module): module.training for module in meta.modules()}, catches(meta)
    with watch_training() as reads:
        meta.eval()
        evaluating, caught = _trace(meta, inputs, trains, handles)
    training, caught_too = evaluating, caught
    if reads.training:
        meta.train()
        training, caught_too = _trace(meta, inputs, trains, handles)
    return Capture(evaluating, training, caught or caught_too)


@dataclass(frozen=True)
class Fact:
    """What a trace took for granted, on its path: what `read` makes of a node's value is `expected`."""

    node: fx.Node
    expected: float
    read: Callable[[Any], Any] | None


@dataclass(frozen=True)
class Recording:
    """A trace of a real model: its graph, over its own layers and constants, and the sites of the nodes.

    unasked: optional arguments for which the trace stands with their defaults alone
    """

    graph: fx.Graph
    sites: tuple[Site, ...]
    root: nn.Module
    facts: tuple[Fact, ...] = ()
    unasked: tuple[tuple[fx.Node, Any], ...] = ()


def record_plain(model: nn.Module, inputs: InputShapes, training: bool = False) -> Recording:
    """Trace a real model the way `capture_plain` traces its copy."""
    with kept_as_it_is(model, training):
        tracer = Tracer(inputs)
        graph = tracer.trace(model)
    sites = read_graph(graph, model, tracer.places, lambda module: True)
    return Recording(graph, sites, model, unasked=tuple(tracer.unasked))


@contextmanager
def kept_as_it_is(model: nn.Module, training: bool = False) -> Iterator[None]:
    """Run a model's code in one mode; modes and random numbers are afterwards what they were."""
    modes = {module: module.__dict__["training"] for module in model.modules()}  # watch_training sees reads
    model.train(training)
    try:
        with restored(model), torch.random.fork_rng(devices=[]), torch.enable_grad():
            yield
    finally:
        for module, training in modes.items():
            module.training = training


def _trace(
    meta: nn.Module, inputs: InputShapes, trains: dict[int, bool], handles: bool
) -> tuple[Program, bool]:
    try:
        with undisturbed(meta):
            tracer = Tracer(inputs)
            tracer.handles = handles
            graph = tracer.trace(meta)
    except Exception as error:
        raise CaptureError(f"torch.fx cannot trace {type(meta).__name__}: {error}") from error
    if tracer.branches:
        raise CaptureError(f"{type(meta).__name__} branches on a value, and goes on after torch.fx's refusal")
    sites = read_graph(graph, meta, tracer.places, lambda m: tracer.modes.get(id(m), trains[id(m)]))
    return laid_out(Program(sites, graph, meta, inputs)), tracer.caught
