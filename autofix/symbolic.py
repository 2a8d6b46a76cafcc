"""The second rung: trace a model whose Python looks at sizes, by evaluating each call as it is recorded.

Proxies know their values in terms of sizes. Sizes that are fixed are plain ints to the model's code; others
stay symbolic through arithmetic, `int`, `max` and `math.ceil`. Where the code branches on one, the path of
one chosen size is followed and the condition is recorded: the trace stands for the sizes that meet them all.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import cached_property
from types import CodeType
from typing import Any

import torch
from torch import fx, nn

from autofix.arguments import row_of
from autofix.capture import Fact, Tracer
from autofix.choices import Apart, Choices, may_run_anyway
from autofix.condition import Condition, equal
from autofix.frames import users_frames
from autofix.handlers import protected
from autofix.interpret import Interpreter, OneSided, TorchRaises
from autofix.meta import restored
from autofix.ops.base import Tensor
from autofix.patches import python_on_symbols
from autofix.program import InputShapes, Program, Ref, Site, Told, site_of
from autofix.ratio import Ratio
from autofix.size import Joint, Size, at
from autofix.symbol import TYPE_NAME, Shape, Symbol, Untraceable


class SymbolicTracer(Tracer):
    """Records the path that one size takes."""

    proxy_buffer_attributes = True  # `self.table[: x.shape[1]]` is a call like any other

    def __init__(
        self,
        inputs: InputShapes,
        interpreter: Interpreter,
        trains: Mapping[int, bool],
    ) -> None:
        super().__init__(inputs, autowrap_modules=())  # a symbol knows what math makes of it
        self.interpreter, self.trains = interpreter, trains
        self.device = torch.device("meta")
        self.values: dict[fx.Node, Any] = {}
        self.sites: list[Site] = []
        self.index: dict[fx.Node, int] = {}
        self.forked: dict[CodeType, Mapping[str, Any]] = {}  # the model's own code that took one of two paths
        self.facts: list[Fact] = []
        self.chosen: dict[str, fx.Node] = {}  # conditions on which tensors are chosen, by where they stand
        self.placed: Symbol | None = None  # the tensor whose device was asked for, to be asked again later
        self.typed: Symbol | None = None  # and the one whose type was
        self.told: list[Told] | None = []
        self.asked = False  # of what an edit may change, so that the path may be another one after it
        self.sides: list[tuple[fx.Node, bool]] = []  # of the `if`s of which both sides are recorded

    def proxy(self, node: fx.Node) -> fx.Proxy:
        return Symbol(node, self)

    def create_node(self, *args: Any, **kwargs: Any) -> fx.Node:
        node = super().create_node(*args, **kwargs)
        self.index[node] = len(self.sites)
        self.evaluating = True
        site = site_of(node, self.index, self.root, self.places, self._trains)
        under = tuple((Ref(self.index[condition]), side) for condition, side in self.sides)
        site = replace(site, apart=self.interpreter.layouts.get(site.index, site.apart), under=under)
        self.sites.append(site)
        self.evaluating = True
        try:
            self.values[node] = self.interpreter.step(site)
        except TorchRaises:  # the model may catch it, and the call is no part of what it computes
            self.told = None
            self.graph.erase_node(node)
            self.interpreter.sites.pop()
            self.sites.pop()
            del self.index[node]
            raise
        finally:
            self.evaluating = False
        if under and not may_run_anyway(site, self.values[node]):
            raise OneSided(f"{site.name} is not computed at every size")
        return node

    def _trains(self, module: nn.Module) -> bool:
        """Whether a layer trains in train mode; where that is what is traced, whether it does just now."""
        now = bool(module.__dict__["training"])  # watch_training sees other reads
        return now if self.interpreter.training_now else self.trains.get(id(module), True)

    def getattr(self, attr: str, attr_val: Any, parameter_proxy_cache: dict[str, Any]) -> Any:
        """Rules look at a layer's parameters; only the model's own code gets proxies, and single numbers."""
        if self.evaluating or not isinstance(attr_val, torch.Tensor) or attr_val.ndim == 0:
            return attr_val
        _, name = self._named.get(id(attr_val), (None, ""))
        if not name:
            return super().getattr(attr, attr_val, parameter_proxy_cache)
        if name not in parameter_proxy_cache:
            parameter_proxy_cache[name] = self.create_proxy("get_attr", name, (), {})
        return parameter_proxy_cache[name]

    @cached_property
    def _named(self) -> dict[int, tuple[torch.Tensor, str]]:
        """Parameters and buffers by identity: fx goes through all of them each time that one is read."""
        named = (*self.root.named_parameters(), *self.root.named_buffers())
        return {id(tensor): (tensor, name) for name, tensor in reversed(named)}

    def create_proxy(self, kind: str, target: Any, *args: Any, **kwargs: Any) -> Any:
        proxy = super().create_proxy(kind, target, *args, **kwargs)
        value = self.values.get(proxy.node)
        return value if kind != "placeholder" and isinstance(value, int | float | str) else proxy

    def create_arg(self, a: Any) -> Any:
        if isinstance(a, torch.device) and a == self.device and self.placed is not None:
            return super().create_proxy("call_function", getattr, (self.placed, "device"), {}).node
        if a is TYPE_NAME and self.typed is not None:
            return super().create_proxy("call_method", "type", (self.typed,), {}).node
        if type(a) is nn.Parameter and id(a) not in self._named:
            a = a.detach()  # of a layer that forward makes
        return a.node if type(a) is Symbol else super().create_arg(a)

    def shape_of(self, proxy: Symbol) -> tuple[Any, ...]:
        """The shape as the model's code sees it: ints where they are fixed, symbols where they vary."""
        whole = None
        dims: list[Any] = []
        for position, dim in enumerate(proxy.value.shape):
            if isinstance(dim, int):
                dims.append(dim)
                continue
            if whole is None:
                whole = super().create_proxy("call_function", getattr, (proxy, "shape"), {})
            dims.append(super().create_proxy("call_function", operator.getitem, (whole, position), {}))
        return Shape(dims)

    def trait(self, value: Tensor, name: str) -> Any:
        """What a meta tensor says of itself, sizes apart."""
        if name == "ndim":
            return value.ndim
        if name == "is_cpu":
            return self.device.type in ("cpu", "meta")
        return getattr(torch.empty(0, device=self.device), name)

    def pinned(
        self, value: Any, node: fx.Node, per: int = 1, read: Callable[[Any], Any] | None = None
    ) -> int:
        """A size as a number: from here on the trace stands for inputs that give this very number.

        The node itself gives `value / per`, or what `read` makes of it gives `value`.
        """
        if isinstance(value, int):
            return value
        if not isinstance(value, Size | Joint):
            raise Untraceable(f"{node.name}: the model needs the value of {type(value).__name__} as a number")
        number = int(at(value, self.interpreter.point))
        if per > 1 or read is not None:
            self.told = None
        if self.told is not None:
            self.told.append(Told(len(self.sites), self.index[node], True, bool(self.sides), number))
        self._learn()
        self._forks(equal(value, number))
        self.interpreter.follow(equal(value, number), self.index[node])
        self.facts.append(Fact(node, number / per if per > 1 else number, read))
        return number

    def decide(self, condition: Condition, node: fx.Node) -> bool:
        """The side that the model's own code takes, where it asks."""
        known = len(self.interpreter.conditions)
        holds = self.interpreter.decide(condition)
        if self.told is not None:
            self.told.append(Told(len(self.sites), self.index[node], holds, bool(self.sides)))
        editable = self._editable(node)
        forks = len(self.interpreter.conditions) > known
        if forks:
            self.interpreter.asked[-1] = self.index[node]  # which may have been computed long ago
            self._forks(condition)
            self.facts.append(Fact(node, holds, bool))
        if forks or editable:
            self._learn()
        self.asked = self.asked or editable
        return holds

    def _learn(self) -> None:
        """Note that the model's own code asks what differs from size to size."""
        frame = next(users_frames(), None)
        if frame is not None:
            self.forked[frame.f_code] = frame.f_globals

    def _editable(self, node: fx.Node) -> bool:
        """Whether a value is computed from something that has hyperparameters which a repair may change."""
        queue, seen = [node], set[fx.Node]()
        while queue:
            one = queue.pop()
            if one in seen:
                continue
            seen.add(one)
            row = row_of(self.sites[self.index[one]]) if one.op.startswith("call") else None
            if row is not None and row[0].knobs:
                return True
            queue += one.all_input_nodes
        return False

    def _forks(self, condition: Condition) -> None:
        if self.sides:
            raise OneSided(f"the path forks on one side of an `if`, by {condition.relation}")

    def uncertain(self, value: Any) -> Symbol | None:
        """A value as a condition on sizes of which both sides can be recorded.

        One that holds at every size counts too: it may not after an edit.
        """
        truth = self.truth_of(value)
        if type(truth) is not Symbol or (self.interpreter.raises and protected()):
            return None
        condition = truth.value
        return truth if condition.axes and not condition.divides_by else None

    def uncertain_choice(self, index: Any) -> Symbol | None:
        """An index that is a condition, and no number that may be neither 0 nor 1."""
        condition = type(index) is Symbol and isinstance(index.value, Condition)
        return self.uncertain(index) if condition else None

    def counts(self, value: Any) -> bool:
        """Whether a value is a size, or a fraction of one."""
        return type(value) is Symbol and isinstance(value.value, Size | Joint | Ratio)

    def truth_of(self, value: Any) -> Any:
        """A condition on sizes, or a bool; None for anything else."""
        if type(value) is not Symbol:
            return value if isinstance(value, bool) else None
        if isinstance(value.value, Size | Joint):
            return self.create_proxy("call_function", operator.ne, (value, 0), {})
        return value if isinstance(value.value, Condition) else None

    def to_bool(self, obj: fx.Proxy) -> bool:
        return bool(obj)


def symbolic_program(
    meta: nn.Module,
    inputs: InputShapes,
    interpreter: Callable[[], Interpreter],
    trains: Mapping[int, bool],
    choices: Choices,
) -> tuple[Program, SymbolicTracer]:
    """Trace a model on the meta device along the path of the interpreter's point.

    The trace is made anew where it shows an `if` whose sides could have been recorded both, or not.
    Raises Untraceable, or whatever the model itself raises at this size.
    """
    while True:
        tracer = SymbolicTracer(inputs, interpreter(), trains)
        tracer.device = next((p.device for p in meta.parameters()), tracer.device)
        try:
            with restored(meta), python_on_symbols(meta), choices.installed(tracer):
                graph = tracer.trace(meta)
        except Apart as reason:
            choices.apart.add(reason.place)
            continue
        if not choices.learn(tracer.forked):
            break
    rung = "sizes followed through the model's Python"
    chosen = {place: tracer.index[node] for place, node in tracer.chosen.items()}
    told = None if tracer.told is None else tuple(tracer.told)
    sites = tuple(tracer.sites)
    return Program(sites, graph, meta, inputs, rung, tracer.asked, chosen, told), tracer
