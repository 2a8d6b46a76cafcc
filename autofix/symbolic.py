"""The second rung: trace a model whose Python looks at sizes, by evaluating each call as it is recorded.

Proxies know their values in terms of sizes. Sizes that are fixed are plain ints to the model's code; others
stay symbolic through arithmetic, `int`, `max` and `math.ceil`. Where the code branches on one, the path of
one chosen size is followed and the condition is recorded: the trace stands for the sizes that meet them all.
"""

from __future__ import annotations

import math
import operator
from collections.abc import Callable, Iterator, Mapping, Sized
from dataclasses import replace
from functools import cached_property
from types import CodeType
from typing import Any

import torch
from torch import fx, nn

from autofix.capture import Fact, Recorded, Tracer
from autofix.choices import Apart, Choices, may_run_anyway
from autofix.condition import Condition, equal
from autofix.errors import CaptureError
from autofix.frames import users_frames
from autofix.handlers import protected
from autofix.interpret import Interpreter, OneSided, TorchRaises, row_of
from autofix.ops.base import Tensor
from autofix.ops.index import Integers
from autofix.ops.split import Pieces
from autofix.patches import python_on_symbols
from autofix.program import InputShapes, Program, Ref, Site, site_of
from autofix.ratio import Ratio
from autofix.size import Joint, Size, at


class Untraceable(CaptureError):
    """The model's Python needs something that sizes do not tell."""


class Symbol(Recorded):
    """A proxy that answers what its value tells: Python's questions about sizes, not about data."""

    tracer: SymbolicTracer
    _is_param = False  # torch.nn.Parameter's isinstance check asks for it

    @property
    def value(self) -> Any:
        return self.tracer.values[self.node]

    @property
    def stands_for(self) -> type:
        """What `isinstance` is told; told by `__class__`, C code would look for a tensor's memory."""
        value = self.tracer.values.get(self.node)
        return (
            torch.Tensor if isinstance(value, Tensor) else int if isinstance(value, Size | Joint) else Symbol
        )

    def __bool__(self) -> bool:
        value = self.value
        if isinstance(value, Condition | Size | Joint):
            truth = value if isinstance(value, Condition) else ~equal(value, 0)
            return self.tracer.decide(truth, self.node)
        raise Untraceable(f"{self.node.name}: the model branches on the data of a tensor, not on its size")

    def __index__(self) -> int:
        if isinstance(self.value, Condition):
            return int(self.tracer.decide(self.value, self.node))
        return self.tracer.pinned(self.value, self.node)

    __int__ = __index__

    def __float__(self) -> float:
        value = self.value
        if isinstance(value, Ratio):
            return self.tracer.pinned(value.numerator, self.node, value.denominator) / value.denominator
        return float(self.__index__())

    def __len__(self) -> int:
        value = self.value
        if isinstance(value, Tensor):
            return self.tracer.pinned(value.shape[0], self.node, read=len) if value.shape else 0
        if isinstance(value, Pieces):
            return self.tracer.pinned(value.count, self.node, read=len)
        if not isinstance(value, Sized):
            raise Untraceable(f"{self.node.name}: the model asks for the length of what no rule describes")
        return len(value)

    def __iter__(self) -> Iterator[Any]:
        whole: Any = self
        return iter([whole[index] for index in range(len(self))])

    def __hash__(self) -> int:
        return id(self)

    def __getattr__(self, name: str) -> Any:
        value = self.value
        if isinstance(value, Tensor):
            if name == "shape":
                return self.tracer.shape_of(self)
            if name in ("ndim", "device", "dtype", "is_cuda", "requires_grad", "is_nested", "is_quantized"):
                self.tracer.placed = self if name == "device" else self.tracer.placed
                return self.tracer.trait(value, name)
        fields: tuple[str, ...] = getattr(value, "_fields", ())
        if isinstance(value, tuple) and name in fields:
            whole: Any = self
            return whole[fields.index(name)]
        return super().__getattr__(name)

    def size(self, dim: int | None = None) -> Any:
        shape = self.tracer.shape_of(self)
        return shape if dim is None else shape[dim]

    def dim(self) -> int:
        return len(self.value.shape)

    def is_floating_point(self) -> bool:
        return not isinstance(self.value, Integers)

    def is_complex(self) -> bool:
        return False

    ndimension = dim

    def __divmod__(self, other: Any) -> tuple[Any, Any]:
        return self // other, self % other

    def __rdivmod__(self, other: Any) -> tuple[Any, Any]:
        return other // self, other % self

    def __setitem__(self, index: Any, value: Any) -> None:
        self.tracer.create_proxy("call_function", operator.setitem, (self, index, value), {})

    def __ceil__(self) -> Any:
        return self.tracer.create_proxy("call_function", math.ceil, (self,), {})

    def __floor__(self) -> Any:
        return self.tracer.create_proxy("call_function", math.floor, (self,), {})

    def __trunc__(self) -> Any:
        return self.tracer.create_proxy("call_function", int, (self,), {})

    def __round__(self, digits: int | None = None) -> Any:
        return self.tracer.create_proxy(
            "call_function", round, (self,) if digits is None else (self, digits), {}
        )


class SymbolicTracer(Tracer):
    """Records the path that one size takes."""

    proxy_buffer_attributes = True  # `self.table[: x.shape[1]]` is a call like any other

    def __init__(
        self,
        inputs: InputShapes,
        interpreter: Interpreter,
        trains: Mapping[int, bool],
    ) -> None:
        super().__init__(inputs)
        self.interpreter, self.trains = interpreter, trains
        self.device = torch.device("meta")
        self.values: dict[fx.Node, Any] = {}
        self.sites: list[Site] = []
        self.index: dict[fx.Node, int] = {}
        self.forked: dict[CodeType, Mapping[str, Any]] = {}  # the model's own code that took one of two paths
        self.facts: list[Fact] = []
        self.chosen: dict[str, fx.Node] = {}  # conditions on which tensors are chosen, by where they stand
        self.placed: Symbol | None = None  # the tensor whose device was asked for, to be asked again later
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
        self._forks(equal(value, number))
        self.interpreter.conditions.append(equal(value, number))
        self.facts.append(Fact(node, number / per if per > 1 else number, read))
        return number

    def decide(self, condition: Condition, node: fx.Node) -> bool:
        """The side that the model's own code takes, where it asks."""
        known = len(self.interpreter.conditions)
        holds, editable = self.interpreter.decide(condition), self._editable(node)
        forks = len(self.interpreter.conditions) > known
        if forks:
            self._forks(condition)
            self.facts.append(Fact(node, holds, bool))
        if forks or editable:
            frame = next(users_frames())
            self.forked[frame.f_code] = frame.f_globals
        self.asked = self.asked or editable
        return holds

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

    def truth_of(self, value: Any) -> Any:
        """A condition on sizes, or a bool; None for anything else."""
        if type(value) is not Symbol:
            return value if isinstance(value, bool) else None
        if isinstance(value.value, Size | Joint):
            return self.create_proxy("call_function", operator.ne, (value, 0), {})
        return value if isinstance(value.value, Condition) else None

    def to_bool(self, obj: fx.Proxy) -> bool:
        return bool(obj)


class Shape(tuple[Any, ...]):
    """A torch.Size whose entries may be symbols."""

    __slots__ = ()

    def numel(self) -> Any:
        return math.prod(self)

    def __eq__(self, other: object) -> Any:
        if not isinstance(other, tuple | list) or len(self) != len(other):
            return False
        same: Any = True
        for one in (a == b for a, b in zip(self, other, strict=True)):
            if one is False:
                return False
            same = one if same is True else same if one is True else same & one
        return same

    def __ne__(self, other: object) -> Any:
        same = self == other
        if isinstance(same, bool):
            return not same
        return same.tracer.create_proxy("call_function", operator.not_, (same,), {})

    __hash__ = tuple.__hash__

    def __getitem__(self, index: Any) -> Any:
        item = super().__getitem__(index)
        return Shape(item) if isinstance(index, slice) else item


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
            with python_on_symbols(meta), choices.installed(tracer):
                graph = tracer.trace(meta)
        except Apart as reason:
            choices.apart.add(reason.place)
            continue
        if not choices.learn(tracer.forked):
            break
    rung = "sizes followed through the model's Python"
    chosen = {place: tracer.index[node] for place, node in tracer.chosen.items()}
    program = Program(tuple(tracer.sites), graph, meta, inputs, rung, asked=tracer.asked, chosen=chosen)
    return program, tracer
