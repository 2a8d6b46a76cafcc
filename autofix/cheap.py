"""The meta device in the place of every other, with less Python than torch's own way on it takes."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from inspect import signature
from itertools import zip_longest
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
        if func in _SHORT and (result := _shortly(_SHORT[func], args, kwargs)) is not NotImplemented:
            return result
        if func is torch.Tensor.type and len(args) == 2 and args[0].is_meta:
            args = args[0], _dtype(args[1])
        if func in _SAME_SHAPE and issubclass(type(args[0]), torch.Tensor) and args[0].is_meta:
            return args[0] if kwargs.get("inplace", False) else torch.empty_like(args[0])
        return func(*args, **kwargs)


def _shortly(function: Callable[..., Any], args: Any, kwargs: Any) -> Any:
    names = _NAMES[function]
    if len(args) > len(names) or not kwargs.keys() <= names:
        return NotImplemented
    with torch._C.DisableTorchFunction():  # each attribute would ask the modes
        return function(*args, **kwargs)


def _alike(*tensors: Any) -> bool:
    """Whether these are meta tensors of one type; None counts for any."""
    given = [tensor for tensor in tensors if tensor is not None]
    return all(is_tensor(t) and t.is_meta and t.dtype == given[0].dtype for t in given)


def _batch_norm(
    x: Any,
    running_mean: Any,
    running_var: Any,
    weight: Any = None,
    bias: Any = None,
    training: bool = False,
    momentum: Any = 0.1,
    eps: float = 1e-5,
) -> Any:
    """Where the features are those of its parameters."""
    parameters = [t for t in (running_mean, running_var, weight, bias) if t is not None]
    if not is_tensor(x) or not x.is_meta or x.ndim < 2 or any(t.numel() != x.shape[1] for t in parameters):
        return NotImplemented
    if training:
        F._verify_batch_size(x.size())  # type: ignore[attr-defined]
    elif running_mean is None or running_var is None:
        return NotImplemented
    return torch.empty_like(x)


def _instance_norm(
    x: Any,
    running_mean: Any = None,
    running_var: Any = None,
    weight: Any = None,
    bias: Any = None,
    use_input_stats: bool = True,
    momentum: Any = 0.1,
    eps: float = 1e-5,
) -> Any:
    parameters = (running_mean, running_var, weight, bias)
    if not _alike(x, *parameters) or not x.is_floating_point() or x.ndim < 2:
        return NotImplemented
    if not use_input_stats or any(t is not None and t.shape != x.shape[1:2] for t in parameters):
        return NotImplemented
    F._verify_spatial_size(x.size())  # type: ignore[attr-defined]
    return x.new_empty(x.shape)


def _group_norm(x: Any, num_groups: Any, weight: Any = None, bias: Any = None, eps: float = 1e-5) -> Any:
    if not _alike(x, weight, bias) or not x.is_floating_point() or x.ndim < 2 or not x.is_contiguous():
        return NotImplemented
    if type(num_groups) is not int or num_groups < 1 or x.shape[1] % num_groups:
        return NotImplemented
    if any(t is not None and t.shape != x.shape[1:2] for t in (weight, bias)):
        return NotImplemented
    F._verify_batch_size([x.shape[0] * x.shape[1] // num_groups, num_groups, *x.shape[2:]])  # type: ignore[attr-defined]
    return x.new_empty(x.shape)


def _layer_norm(x: Any, shape: Any, weight: Any = None, bias: Any = None, eps: float = 1e-5) -> Any:
    shape = tuple(shape) if isinstance(shape, list | tuple) else ()
    if (
        not shape
        or not _alike(x, weight, bias)
        or x.shape[-len(shape) :] != shape
        or not x.is_floating_point()
    ):
        return NotImplemented
    if any(parameter is not None and parameter.shape != shape for parameter in (weight, bias)):
        return NotImplemented
    return x.new_empty(x.shape)


def _linear(x: Any, weight: Any, bias: Any = None) -> Any:
    if not _alike(x, weight, bias) or weight.ndim != 2 or not x.ndim or x.shape[-1] != weight.shape[1]:
        return NotImplemented
    if bias is not None and bias.shape != weight.shape[:1]:
        return NotImplemented
    return x.new_empty((*x.shape[:-1], weight.shape[0]))


def _elementwise(x: Any, other: Any) -> Any:
    """Two tensors in the plain order, each dimension as long as the other's, 1, or left out."""
    if not (is_tensor(x) and is_tensor(other) and _alike(x, other)):
        return NotImplemented
    if not x.is_contiguous() or not other.is_contiguous():
        return NotImplemented
    pairs = list(zip_longest(reversed(x.shape), reversed(other.shape), fillvalue=1))
    if any(m != n and 1 not in (m, n) for m, n in pairs):
        return NotImplemented
    return x.new_empty([n if m == 1 else m for m, n in reversed(pairs)])


def _average(x: Any, output_size: Any) -> Any:
    """Over two axes, to sizes given as numbers."""
    sizes = (output_size, output_size) if type(output_size) is int else output_size
    if not is_tensor(x) or not x.is_meta or not x.is_floating_point() or not x.is_contiguous():
        return NotImplemented
    if x.ndim not in (3, 4) or 0 in x.shape or not isinstance(sizes, list | tuple) or len(sizes) != 2:
        return NotImplemented
    if not all(type(n) is int and n > 0 for n in sizes):
        return NotImplemented
    return x.new_empty((*x.shape[:-2], *sizes))


def _cat(tensors: Any, dim: Any = 0) -> Any:
    """Where plain shapes decide it."""
    if not isinstance(tensors, list | tuple) or not tensors or not all(is_tensor(t) for t in tensors):
        return NotImplemented
    first = tensors[0]
    if not isinstance(dim, int) or not _alike(*tensors) or not -first.ndim <= dim < first.ndim:
        return NotImplemented
    shapes = [list(tensor.shape) for tensor in tensors]
    lengths = [shape.pop(dim) if len(shape) == first.ndim else -1 for shape in shapes]
    if min(lengths) < 0 or any(shape != shapes[0] for shape in shapes):
        return NotImplemented
    shapes[0].insert(dim % first.ndim, sum(lengths))
    return first.new_empty(shapes[0])


# torch.cat is another one while a model is traced
_SHORT: Final[Mapping[Any, Callable[..., Any]]] = {
    F.batch_norm: _batch_norm,
    F.instance_norm: _instance_norm,
    F.group_norm: _group_norm,
    F.layer_norm: _layer_norm,
    F.linear: _linear,
    F.adaptive_avg_pool2d: _average,
    torch.cat: _cat,
    torch.mul: _elementwise,
    torch.add: _elementwise,
    torch.Tensor.mul: _elementwise,
    torch.Tensor.add: _elementwise,
}
_NAMES: Final = {short: signature(short).parameters.keys() for short in _SHORT.values()}


def _dtype(kind: Any) -> Any:
    """Of a type of tensors or its name, such as x.type() gives it; there are none of the meta device."""
    name = kind.__name__ if isinstance(kind, type) else str(kind).rpartition(".")[2]
    return kind if isinstance(kind, torch.dtype) else getattr(torch, name).dtype
