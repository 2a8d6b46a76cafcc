"""The meta device in the place of every other, with less Python than torch's own way on it takes."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any, Final

import torch
import torch.nn.functional as F
from torch.overrides import TorchFunctionMode

IN_PLACE: Final = re.compile(r"\w*[^_]_|__(?!int|index|invert)i\w+__|__set__")
NUMBER: Final = "_autofix_number"  # of a meta tensor without dimensions: what it is really


def is_tensor(value: Any) -> bool:
    """By its type: a symbol says that it is one."""
    return issubclass(type(value), torch.Tensor)


def _known(func: Any, args: Any, kwargs: Mapping[str, Any]) -> Any:
    """What a function makes of single numbers that a model keeps in tensors, or `NotImplemented`."""
    numbers = [getattr(a, NUMBER, None) if is_tensor(a) else a for a in args]
    if kwargs or not all(is_tensor(number) or type(number) in (int, float, bool) for number in numbers):
        return NotImplemented
    with torch.device("cpu"):
        result = func(*numbers)
    if not isinstance(result, torch.Tensor):
        return result
    twin = torch.empty(result.shape, dtype=result.dtype, device="meta")
    setattr(twin, NUMBER, result)
    return twin


# Elementwise, so that only their shape matters; on the meta device each is several operators in Python.
_SAME_SHAPE = {F.hardtanh, F.relu6, F.silu, F.gelu, F.hardswish, F.hardsigmoid, F.leaky_relu, F.elu}
_SAME_SHAPE |= {F.dropout}
_SAME_SHAPE |= {torch.relu, F.relu, torch.sigmoid, torch.tanh, torch.Tensor.relu, torch.Tensor.sigmoid}


META: Final = torch.device("meta")
# What the meta device stands in for: nothing moves, and a model that asks is on the CPU.
_ANSWERS: Final[Mapping[Any, Callable[[Any], Any]]] = {
    torch.Tensor.cpu: lambda x: x,
    torch.Tensor.cuda: lambda x: x,
    torch.Tensor.is_cpu.__get__: lambda x: True,  # type: ignore[attr-defined]
}


def _at_home(func: Any, args: Any, kwargs: dict[str, Any]) -> tuple[Any, dict[str, Any]]:
    """The arguments, with the meta device in the place of any that they name: "cpu", "cuda:0", 0."""
    if func is torch.Tensor.to:
        named = (torch.device, str, int)
        args = (args[0], *(META if type(value) in named else value for value in args[1:2]), *args[2:])
    return args, {**kwargs, "device": META} if "device" in kwargs else kwargs


class Cheap(TorchFunctionMode):
    """On the meta device batch norm is a dozen small operators in Python; only its checks matter there.

    Whatever device the model's own code names is this one.
    """

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if func in _ANSWERS:
            return _ANSWERS[func](args[0])
        args, kwargs = _at_home(func, args, kwargs or {})
        if args and is_tensor(args[0]) and hasattr(args[0], NUMBER):
            if IN_PLACE.fullmatch(func.__name__):
                delattr(args[0], NUMBER)  # what counts calls says nothing of sizes
            elif (known := _known(func, args, kwargs)) is not NotImplemented:
                return known
        if func is F.batch_norm:
            return _normalized(args, kwargs)
        if func is _CAT:
            return _concatenated(args, kwargs)
        if func is torch.Tensor.type and len(args) == 2 and args[0].is_meta:
            args = args[0], _dtype(args[1])
        if func in _SAME_SHAPE and issubclass(type(args[0]), torch.Tensor) and args[0].is_meta:
            return args[0] if kwargs.get("inplace", False) else torch.empty_like(args[0])
        return func(*args, **kwargs)


def _normalized(args: Any, kwargs: Any) -> Any:
    """F.batch_norm, where the features are those of its parameters; anything else is left to torch."""
    x, tensors = args[0], [*args[1:], *kwargs.values()]
    known = is_tensor(x) and x.is_meta
    if not known or not all(_has_features(t, x) for t in tensors if isinstance(t, torch.Tensor)):
        return F.batch_norm(*args, **kwargs)
    if kwargs.get("training", False):
        F._verify_batch_size(x.size())  # type: ignore[attr-defined]
    return torch.empty_like(x)


_CAT: Final = torch.cat  # which is another one while a model is traced


def _concatenated(args: Any, kwargs: Any) -> Any:
    """torch.cat, where plain shapes decide it; anything else is left to torch."""
    tensors, dim = args[0], kwargs.get("dim", args[1] if len(args) > 1 else 0)
    plain = (
        tensors
        and kwargs.keys() <= {"dim"}
        and all(issubclass(type(t), torch.Tensor) and t.is_meta for t in tensors)
    )
    if plain and isinstance(dim, int) and tensors[0].ndim and -tensors[0].ndim <= dim < tensors[0].ndim:
        rest = {(*t.shape[: dim % t.ndim], *t.shape[dim % t.ndim + 1 :], t.ndim) for t in tensors if t.ndim}
        if len(rest) == 1 and all(t.ndim == tensors[0].ndim for t in tensors):
            shape = list(tensors[0].shape)
            shape[dim] = sum(t.shape[dim] for t in tensors)
            return tensors[0].new_empty(shape)
    return _CAT(*args, **kwargs)


def _dtype(kind: Any) -> Any:
    """Of a type of tensors or its name, such as x.type() gives it; there are none of the meta device."""
    name = str(kind).rpartition(".")[2]
    return kind if isinstance(kind, torch.dtype) else getattr(torch, name).dtype


def _has_features(parameter: torch.Tensor, x: torch.Tensor) -> bool:
    return x.ndim > 1 and parameter.numel() == x.shape[1]
