"""Python's builtins and torch's constructors as a model sees them while it is traced with symbols."""

from __future__ import annotations

import builtins
import math
import operator
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from types import BuiltinFunctionType
from typing import Any
from unittest.mock import patch

import torch
import torch.nn.functional as F
from torch import fx, nn
from torch.autograd import Variable
from torch.fx import _symbolic_trace

from autofix import ops
from autofix.legacy import typed_constructors
from autofix.namespaces import namespaces
from autofix.symbol import Shape


def _symbol_in(value: Any) -> fx.Proxy | None:
    """The first symbol in nested lists; a symbol says that it is a tensor or an int, its type does not."""
    if issubclass(type(value), fx.Proxy):
        found: fx.Proxy = value
        return found
    items = value if isinstance(value, tuple | list) else ()
    return next((symbol for item in items if (symbol := _symbol_in(item)) is not None), None)


def _constructor(function: Callable[..., Any]) -> Callable[..., Any]:
    """A constructor of tensors that takes symbols; torch's would refuse one or look for memory behind it."""

    def call(*args: Any, **kwargs: Any) -> Any:
        symbol = _symbol_in([*args, *kwargs.values()])
        if symbol is None:
            return function(*args, **kwargs)
        return symbol.tracer.create_proxy("call_function", function, args, kwargs)

    return call


def _method(name: str) -> Callable[..., Any]:
    """A method of tensors that takes symbols: of a constant, torch's would ask a symbol for its number."""
    method = getattr(torch.Tensor, name)

    def call(tensor: torch.Tensor, *args: Any, **kwargs: Any) -> Any:
        symbol = _symbol_in([*args, *kwargs.values()])
        if symbol is None:
            return method(tensor, *args, **kwargs)
        return symbol.tracer.create_proxy("call_method", name, (tensor, *args), kwargs)

    return call


def _stays(move: Callable[..., nn.Module]) -> Callable[..., nn.Module]:
    """Module.to, which a layer that forward makes is sent after a symbol: there it is."""

    def call(layer: nn.Module, *args: Any, **kwargs: Any) -> nn.Module:
        symbol = _symbol_in([*args, *kwargs.values()])
        return move(layer, *args, **kwargs) if symbol is None else layer

    return call


def _asked(name: str) -> Callable[[Any], bool]:
    """What torch asks of a tensor, as the method of the same name."""
    return lambda value: bool(getattr(value, name)())


def _recorded(function: Callable[..., Any]) -> Callable[..., Any]:
    """The builtin, which becomes a node of the graph where it is given a symbol."""

    def call(*args: Any, **kwargs: Any) -> Any:
        symbol = _symbol_in(args)
        if symbol is None or kwargs:
            return function(*args, **kwargs)
        return symbol.tracer.create_proxy("call_function", function, args, {})

    return call


def _folded(function: Callable[..., bool], join: Callable[[Any, Any], Any]) -> Callable[[Any], Any]:
    """`all` and `any`, which give one condition for conditions on sizes."""

    ends = function([True, False])  # `any` with the first true value, `all` with the first false one

    def call(values: Any) -> Any:
        known: Any = None
        for value in values:
            truth = value.tracer.truth_of(value) if issubclass(type(value), fx.Proxy) else None
            if truth is not None:
                known = truth if known is None else join(known, truth)
            elif bool(value) is ends:
                return bool(value)
        return function([]) if known is None else known

    return call


def _seen_as(check: Callable[[Any, Any], bool]) -> Callable[[Any, Any], bool]:
    """isinstance, to which a symbol is what it stands for; torch's own code would look for its memory."""

    def call(value: Any, kinds: Any) -> bool:
        if check(value, kinds) or not issubclass(type(value), fx.Proxy):
            return check(value, kinds)
        asks = sys._getframe(1).f_globals.get("__name__") or ""
        models = not asks.startswith("torch.") or asks == torch._jit_internal.__name__  # torch.jit.isinstance
        known = models and hasattr(type(value), "stands_for")
        return known and issubclass(value.stands_for, kinds)

    return call


class _IntMeta(type):
    """`int` as the model's own modules see it while they are traced."""

    def __call__(cls, *args: Any) -> Any:
        return _recorded(int)(*args)

    def __instancecheck__(cls, instance: Any) -> bool:
        return isinstance(instance, int)

    def __subclasscheck__(cls, subclass: type) -> bool:
        return issubclass(subclass, int)

    def __eq__(cls, other: object) -> bool:
        return other is int or other is cls

    def __hash__(cls) -> int:
        return hash(int)


class _Int(metaclass=_IntMeta):
    pass


class _VariableMeta(type):
    """`torch.autograd.Variable`, which has long been the tensor itself."""

    def __call__(cls, data: Any = None, *args: Any, **kwargs: Any) -> Any:
        known = isinstance(data, torch.Tensor) or _symbol_in([data]) is not None
        return data if known else Variable(data, *args, **kwargs)

    def __instancecheck__(cls, instance: Any) -> bool:
        return isinstance(instance, torch.Tensor)


class _Variable(metaclass=_VariableMeta):
    pass


class _SizeMeta(type):
    """`torch.Size`, which torch's own would make of numbers alone."""

    def __call__(cls, sizes: Any = ()) -> Any:
        return Shape(sizes) if _symbol_in(list(sizes)) is not None else _SIZE(sizes)

    def __instancecheck__(cls, instance: Any) -> bool:
        return isinstance(instance, _SIZE)

    def __subclasscheck__(cls, subclass: type) -> bool:
        return issubclass(subclass, _SIZE)


_SIZE = torch.Size


class _Size(metaclass=_SizeMeta):
    pass


# torch's parser of arguments would ask a symbol for its number
_CONSTRUCTORS: tuple[Callable[..., Any], ...] = (
    *(torch.tensor, torch.as_tensor, torch.asarray, torch.zeros, torch.ones, torch.empty),
    *(torch.rand, torch.randn, torch.full, torch.linspace, torch.arange, torch.eye, torch.randint),
    *(torch.reshape, torch.narrow, torch.select, torch.split, torch.chunk, torch.tile, torch.roll),
    *(torch.broadcast_to, torch.unflatten, torch.repeat_interleave, torch.constant_pad_nd),
    *(torch.cat, torch.concat, torch.stack, F.affine_grid),
    *(torch.conv1d, torch.conv2d, torch.conv3d),  # with as many groups as images
    *(torch.conv_transpose1d, torch.conv_transpose2d, torch.conv_transpose3d),
)


_NUMBERS = ("sqrt", "log", "log2", "log10")  # of a size: some number, and no size any more
_METHODS = (
    *("repeat", "expand", "view", "reshape", "tile"),
    *("new", "new_zeros", "new_ones", "new_full", "new_empty"),
)


@contextmanager
def python_on_symbols(meta: nn.Module) -> Iterator[None]:
    """Let min, max and int record what they do to symbols; trace into functions that plain fx does not."""
    wrapped = _symbolic_trace._wrapped_fns_to_patch.items()  # (namespace's id, name): namespace
    described = {key: space for key, space in wrapped if ops.lookup(space.get(key[1])) is not None}
    with ExitStack() as stack:
        stack.enter_context(patch.object(builtins, "isinstance", _seen_as(isinstance)))
        stack.enter_context(patch.object(builtins, "max", _recorded(max)))
        stack.enter_context(patch.object(builtins, "min", _recorded(min)))
        stack.enter_context(patch.object(builtins, "all", _folded(all, operator.and_)))
        stack.enter_context(patch.object(builtins, "any", _folded(any, operator.or_)))
        for name in _METHODS:
            stack.enter_context(patch.object(torch.Tensor, name, _method(name)))
        stack.enter_context(patch.object(nn.Module, "to", _stays(nn.Module.to)))
        stack.enter_context(patch.object(torch, "Size", _Size))
        for name in ("is_floating_point", "is_complex"):
            stack.enter_context(patch.object(torch, name, _asked(name)))
        safe = {f: _constructor(f) for f in _CONSTRUCTORS}
        for function, constructor in safe.items():
            for space in (torch, F):
                if getattr(space, function.__name__, None) is function:
                    stack.enter_context(patch.object(space, function.__name__, constructor))
        stack.enter_context(patch.dict(_symbolic_trace._wrapped_fns_to_patch, described, clear=True))
        for name in _NUMBERS:
            stack.enter_context(
                patch.object(math, name, safe.setdefault(getattr(math, name), _recorded(getattr(math, name))))
            )
        stack.enter_context(tensors_for_variables(meta))
        stack.enter_context(typed_constructors())
        for known in namespaces(meta):
            imported = {n: own for n, v in known.items() if (own := _in_its_place(v, safe)) is not None}
            stack.enter_context(
                patch.dict(known, {"int": _Int if known.get("int", int) is int else known["int"], **imported})
            )
        yield


@contextmanager
def tensors_for_variables(meta: nn.Module) -> Iterator[None]:
    """Let a tensor stay the one it is where the model's code makes a Variable of it."""
    with ExitStack() as stack:
        stack.enter_context(patch.object(torch.autograd, "Variable", _Variable))
        for known in namespaces(meta):
            names = [name for name, value in known.items() if value is Variable]
            stack.enter_context(patch.dict(known, dict.fromkeys(names, _Variable)))
        yield


def _in_its_place(value: Any, safe: Mapping[Any, Any]) -> Any:
    """What stands for something that a module imported; None where nothing has to."""
    if isinstance(value, torch.jit.ScriptFunction):
        return getattr(value, "_torchdynamo_inline", None)  # the function that was compiled
    return safe.get(value) if isinstance(value, BuiltinFunctionType) else None
