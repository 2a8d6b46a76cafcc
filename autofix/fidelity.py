"""Is a trace what the model really does? The model's own code is run once and followed call by call.

torch's layers are not computed: each returns an empty tensor of the predicted shape, so the run costs little
more than the model's Python. What is compared: the order of the layers, the shapes that go in and come out.
"""

from __future__ import annotations

import functools
import operator
from collections.abc import Callable, Iterable, Iterator, Mapping, Set
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from types import FunctionType
from typing import Any
from unittest.mock import patch

import torch
from torch import nn
from torch.fx import _symbolic_trace
from torch.nn.utils.parametrize import ParametrizationList
from torch.overrides import TorchFunctionMode

from autofix.arguments import UNKNOWN, references
from autofix.capture import is_leaf
from autofix.cheap import IN_PLACE
from autofix.condition import Condition
from autofix.insertion import operands
from autofix.interpret import Meaning
from autofix.meta import meta_inputs, undisturbed
from autofix.ops.base import Tensor
from autofix.ops.join import Repeated
from autofix.ops.split import Pieces
from autofix.patches import tensors_for_variables
from autofix.program import Program, Ref, Site
from autofix.size import at

Shapes = tuple[tuple[int, ...], ...]


class Diverged(Exception):
    """The model did something else than its trace."""


@dataclass(frozen=True)
class Event:
    """A call that computes tensors from tensors: a layer, or a function where `module` is None.

    sources: for each tensor that goes in, the sites that it may come from; constants are left out
    """

    module: nn.Module | None
    name: str
    before: Shapes
    after: Any
    site: int
    sources: tuple[frozenset[int], ...]


class _Follower(TorchFunctionMode):
    """Holds each call against the next predicted event."""

    def __init__(self, events: list[Event]) -> None:
        super().__init__()
        self.expected = iter(events)
        self.inside = 0
        # what the inputs lead to (the model's constants are no events), and the sites that gave each tensor:
        # several, where it is changed in place
        self.live: dict[int, torch.Tensor] = {}
        self.made_by: dict[int, set[int]] = {}

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        result = func(*args, **(kwargs or {}))
        shapes = _shapes(result)
        if self.inside == 0 and shapes and self._lives((args, list((kwargs or {}).values()))):
            event = self.next(None, getattr(func, "__name__", "?"), (args, kwargs or {}))
            if shapes != _shapes(event.after):
                raise Diverged(f"{event.name} returns {shapes}, its trace {_shapes(event.after)}")
            result = self._alias(func, result, args)
            self.enliven(result, event.site)
        return result

    def _alias(self, func: Any, result: Any, args: Any) -> Any:
        """What a call gives, as a tensor of its own where it is a constant of the model's unchanged."""
        same = any(result is arg for arg in args) and id(result) not in self.live
        return result.detach() if same and not IN_PLACE.fullmatch(func.__name__) else result

    def enliven(self, value: Any, site: int) -> Any:
        """Note that tensors depend on the input, and where they come from."""
        for tensor in operands(value, torch.Tensor):
            self.live[id(tensor)] = tensor
            self.made_by.setdefault(id(tensor), set()).add(site)
        return value

    def _lives(self, value: Any) -> bool:
        return any(id(tensor) in self.live for tensor in operands(value, torch.Tensor))

    def layer(self, module: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any], call: Any) -> Any:
        event = self.next(module, type(module).__name__, (args, kwargs))
        if _shapes((args, list(kwargs.values()))) != event.before:
            raise Diverged(f"{event.name} is given {_shapes(args)}, in its trace {event.before}")
        return self._result(event, lambda: call(module, *args, **kwargs))

    def _result(self, event: Event, call: Callable[[], Any]) -> Any:
        """The predicted result, or the real one where it is not known."""
        with self.passing():
            return self.enliven(event.after if event.after is not None else call(), event.site)

    @contextmanager
    def passing(self) -> Iterator[None]:
        """What happens now is part of one event, or none."""
        self.inside += 1
        try:
            yield
        finally:
            self.inside -= 1

    def whole(self, function: Any, *args: Any, **kwargs: Any) -> Any:
        """A function that the trace holds as one call."""
        if self.inside or not self._lives((args, list(kwargs.values()))):
            return function(*args, **kwargs)
        event = self.next(None, function.__name__, (args, kwargs))
        return self._result(event, lambda: function(*args, **kwargs))

    def next(self, module: nn.Module | None, name: str, given: Any) -> Event:
        event = next(self.expected, None)
        if event is None or event.module is not module:
            expected = event.name if event else "nothing more"
            raise Diverged(f"the model calls {name} where its trace has {expected}")
        tensors = [tensor for tensor in operands(given, torch.Tensor) if id(tensor) in self.live]
        real = [self.made_by[id(tensor)] for tensor in tensors]
        if not (_among(real, event.sources) and _among(event.sources, real)):
            raise Diverged(f"{event.name} is given other tensors than in its trace")
        return event


def _among(some: Iterable[Set[int]], others: Iterable[Set[int]]) -> bool:
    """Whether each tensor of the one side may be one of the other's."""
    every = set[int]().union(*others)
    return all(one & every for one in some)


def follows(program: Program, meaning: Meaning, point: Mapping[int, int], training: bool) -> str | None:
    """None where the model's own run at this size agrees with the trace, else the first difference."""
    follower = _Follower(predicted_events(program, meaning, point))
    sizes = tuple(point[axis] for axis in range(len(program.inputs.axes)))
    inputs = meta_inputs(program.root, program.inputs.concrete(sizes, point[-1]), program.inputs.integer)
    program.root.train(training)
    try:
        with (
            undisturbed(program.root),
            tensors_for_variables(program.root),
            follower,
            _layers_by(follower, program.root),
            _wrapped_by(follower, program),
        ):
            program.root(*_enlivened(follower, program, inputs))
    except Diverged as difference:
        return str(difference)
    except Exception as error:
        return f"the model raises {type(error).__name__}: {error}"
    left = next(follower.expected, None)
    return f"the model never calls {left.name}" if left else None


def _enlivened(follower: _Follower, program: Program, inputs: tuple[Any, ...]) -> tuple[Any, ...]:
    sites = [site.index for site in program.sites if site.kind == "placeholder"]
    for site, value in zip(sites, inputs, strict=False):
        follower.enliven(value, site)
    return inputs


@contextmanager
def _layers_by(follower: _Follower, root: nn.Module) -> Iterator[None]:
    original, own = nn.Module.__call__, set(root.modules()) - {root}

    def call(module: nn.Module, *args: Any, **kwargs: Any) -> Any:
        if follower.inside == 0 and module in own and is_leaf(module):
            if not isinstance(module, ParametrizationList):
                return follower.layer(module, args, kwargs, original)
            with follower.passing():
                return original(module, *args, **kwargs)
        return original(module, *args, **kwargs)

    nn.Module.__call__ = call  # type: ignore[method-assign]
    try:
        yield
    finally:
        nn.Module.__call__ = original  # type: ignore[method-assign]


@contextmanager
def _wrapped_by(follower: _Follower, program: Program) -> Iterator[None]:
    """Functions that torch.fx was told to leave whole are events as a whole."""
    whole = {site.target for site in program.sites if site.kind == "call_function"}
    with ExitStack() as stack:
        for (_, name), namespace in _symbolic_trace._wrapped_fns_to_patch.items():
            function = namespace.get(name)
            if isinstance(function, FunctionType) and function in whole:
                stack.enter_context(
                    patch.dict(namespace, {name: functools.partial(follower.whole, function)})
                )
        yield


def predicted_events(program: Program, meaning: Meaning, point: Mapping[int, int]) -> list[Event]:
    """What the trace and the formulas expect at one size."""
    events: list[Event] = []
    live: dict[int, frozenset[int]] = {}  # site -> the calls and inputs that its tensors come from
    for site, value in zip(program.sites, meaning.values, strict=True):
        if not all(bool(_holds(meaning.values[ref.site], point)) is side for ref, side in site.under):
            continue
        sources = tuple(live[ref] for ref in references((site.args, site.kwargs)) if ref in live)
        lives = site.kind == "placeholder" or site.module is not None or bool(sources)
        if lives and _has_tensor(value):
            # taken apart, or put together
            same = site.kind == "call_function" and not _computes(site, meaning)
            live[site.index] = frozenset[int]().union(*sources) if same else frozenset({site.index})
            changed = site.args[0] if site.kind == "call_method" and site.args else None
            if isinstance(changed, Ref) and IN_PLACE.fullmatch(str(site.target)):
                live[changed.site] = live.get(changed.site, frozenset()) | {site.index}
        if not site.kind.startswith("call"):
            continue
        before = tuple(_argument_shapes((site.args, site.kwargs), meaning, point))
        after = _materialise(value, point)
        if site.module is not None or (sources and _computes(site, meaning) and _shapes(after)):
            events.append(Event(site.module, site.name, before, after, site.index, sources))
    return events


def _holds(truth: Any, point: Mapping[int, int]) -> Any:
    return truth.at(point) if isinstance(truth, Condition) else truth


def _has_tensor(value: Any) -> bool:
    return value is UNKNOWN or isinstance(value, Pieces | Repeated) or bool(operands(value, Tensor))


def _computes(site: Site, meaning: Meaning) -> bool:
    """Whether a call is more than taking apart or putting together what is there."""
    if isinstance(site.target, type) or (site.target is operator.getitem and isinstance(site.args[0], tuple)):
        return False
    if isinstance(meaning.values[site.index], Repeated):
        return False
    if site.target in (operator.getitem, getattr) and isinstance(site.args[0], Ref):
        return isinstance(meaning.values[site.args[0].site], Tensor)
    return True


def _shapes(value: Any) -> Shapes:
    if isinstance(value, torch.Tensor):
        return (tuple(value.shape),)
    if isinstance(value, tuple | list) and not isinstance(value, torch.Size):
        return tuple(shape for item in value for shape in _shapes(item))
    return ()


def _materialise(value: Any, point: Mapping[int, int]) -> Any:
    """A value of the meaning as empty tensors; None where it is not known."""
    if isinstance(value, Tensor):
        return torch.empty([at(dim, point) for dim in value.shape], device="meta")
    if isinstance(value, Pieces):
        return tuple(torch.empty(shape, device="meta") for shape in value.shapes(point))
    if isinstance(value, tuple | list):
        items = [_materialise(item, point) for item in value]
        return tuple(items) if all(item is not None for item in items) else None
    return None


def _argument_shapes(value: Any, meaning: Meaning, point: Mapping[int, int]) -> Iterator[tuple[int, ...]]:
    if isinstance(value, Ref):
        yield from _value_shapes(meaning.values[value.site], point)
    elif isinstance(value, dict):
        for item in value.values():
            yield from _argument_shapes(item, meaning, point)
    elif isinstance(value, tuple | list):
        for item in value:
            yield from _argument_shapes(item, meaning, point)


def _value_shapes(value: Any, point: Mapping[int, int]) -> Iterator[tuple[int, ...]]:
    if isinstance(value, Tensor):
        yield tuple(at(dim, point) for dim in value.shape)
    elif isinstance(value, tuple | list):
        for item in value:
            yield from _value_shapes(item, point)
