"""A structural copy of a model on the meta device: same classes, same names, shapes but no data."""

from __future__ import annotations

import operator
import random
import re
from collections import OrderedDict
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from types import MethodType
from typing import Any, Final
from unittest.mock import patch

import torch
from torch import nn
from torch.overrides import TorchFunctionMode

from autofix.cheap import NUMBER, Cheap
from autofix.duplicate import duplicate
from autofix.errors import CaptureError
from autofix.hooks import kept, rebind
from autofix.legacy import typed_constructors
from autofix.namespaces import outside_restored
from autofix.program import InputShapes
from autofix.size import BATCH
from autofix.unlisted import list_layers


class _WithoutData(TorchFunctionMode):
    """Let deepcopy go through tensors by making empty ones of the same kind."""

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        name = getattr(func, "__name__", "")
        if name == "__deepcopy__":
            tensor, memo = args
            if id(tensor) not in memo:
                memo[id(tensor)] = _empty(tensor)
            return memo[id(tensor)]
        if name == "clone":
            return _empty(args[0])
        return func(*args, **(kwargs or {}))


def _empty(tensor: torch.Tensor) -> torch.Tensor:
    result = torch.empty_strided(tensor.shape, tensor.stride(), dtype=tensor.dtype, device="meta")
    if isinstance(tensor, nn.Parameter):
        result = nn.Parameter(result, requires_grad=tensor.requires_grad)
    if tensor.ndim == 0:
        setattr(result, NUMBER, getattr(tensor, NUMBER, None if tensor.is_meta else tensor.detach().cpu()))
    return result


KEEPS: Final = frozenset(
    (dict, list, OrderedDict)
)  # among these the hooks, which some models register as they run
CONSTANT: Final = "_tensor_constant"  # where fx keeps a tensor that forward makes


def to_meta(model: nn.Module) -> nn.Module:
    """The copy; the model itself is not touched.

    Raises CaptureError for lazy modules, whose shapes are not known yet, and for what cannot be copied.
    """
    for name, module in model.named_modules():
        if isinstance(module, nn.modules.lazy.LazyModuleMixin) and module.has_uninitialized_params():  # type: ignore[misc]
            raise CaptureError(
                f"{name} ({type(module).__name__}) is lazy: run one forward pass first, so that it has shapes"
            )
    try:
        with _WithoutData():
            memo: dict[int, Any] = {}
            result = duplicate(model, memo)
            rebind(result, memo, apart=True)
    except Exception as error:
        raise CaptureError(f"{type(model).__name__} cannot be copied: {error}") from error
    list_layers(result)
    return with_own_forward(result)


def with_own_forward(model: nn.Module) -> nn.Module:
    """The model with a forward that was put on the instance moved to a class of its own, where fx looks."""
    method = vars(model).get("forward")
    if isinstance(method, MethodType) and method.__self__ is model:
        del model.forward
        kind = type(model)
        space = {"forward": method.__func__, "__module__": kind.__module__}
        model.__class__ = type(kind.__name__, (kind,), space)
    return model


@contextmanager
def undisturbed(model: nn.Module) -> Iterator[None]:
    """Run a model's code on the meta device; random numbers and its attributes are afterwards as before."""
    state, python_state = torch.get_rng_state(), random.getstate()
    try:
        arrays = patch.object(torch, "from_numpy", _array)  # which asks no mode where to be
        with restored(model), torch.device("meta"), torch.no_grad(), Cheap(), arrays, typed_constructors():
            yield
    finally:
        torch.set_rng_state(state)
        random.setstate(python_state)


_from_numpy = torch.from_numpy


def _array(values: Any) -> torch.Tensor:
    return _from_numpy(values).to("meta")


Attributes = list[tuple[Any, Any]]  # where a model keeps what forward may assign, and what it kept there


@contextmanager
def restored(model: nn.Module, to: Attributes | None = None) -> Iterator[None]:
    """Undo what forward assigns to attributes, to the lists and dicts in them, and to global names.

    to: run it with the attributes that it had then
    """
    before = attributes(model)
    _assign(to or [])
    try:
        with outside_restored(model):
            yield
    finally:
        _assign(before)


def attributes(model: nn.Module) -> Attributes:
    """What the layers hold now, by reference."""
    spaces = (space for module in model.modules() for space in _spaces(module))
    return [(space, space.copy() if space else None) for space in spaces]


def _assign(attributes: Attributes) -> None:
    for space, content in attributes:
        if content is None:
            if space:
                space.clear()
        elif isinstance(space, list):
            space[:] = content
        elif not _same(space, content):
            made = {name: value for name, value in space.items() if str(name).startswith(CONSTANT)}
            space.clear()
            space.update({**content, **made})


def _spaces(module: nn.Module) -> list[Any]:
    """The attributes of a layer, its parameters and layers, its lists and dicts, and what its hooks keep."""
    attributes = module.__dict__
    found = [attributes, *[value for value in attributes.values() if type(value) in KEEPS]]
    if module._forward_hooks or module._forward_pre_hooks:
        found += kept(module)
    return found


def _same(now: dict[Any, Any], before: dict[Any, Any]) -> bool:
    """Whether two dicts hold the very same objects, in the same order."""
    same = len(now) == len(before) and all(map(operator.is_, now.values(), before.values()))
    return same and (not now or list(now) == list(before))


def raised(meta: nn.Module, inputs: InputShapes, point: Mapping[int, int]) -> Exception | None:
    """What a model raises at a size, really run on the meta device; None where it runs.

    Raises CaptureError where it is the meta device that has no answer, such as the value of a tensor.
    """
    sizes = tuple(point[axis] for axis in range(len(inputs.axes)))
    try:
        with undisturbed(meta):
            meta(*meta_inputs(meta, inputs.concrete(sizes, point[BATCH]), inputs.integer))
    except Exception as error:
        if isinstance(error, NotImplementedError) or _NO_DATA.search(str(error)):
            reason = str(error).strip().partition("\n")[0]
            raise CaptureError(
                f"{type(meta).__name__} needs more than sizes to run: {type(error).__name__}: {reason}"
            ) from error
        return error
    return None


_NO_DATA = re.compile(r"\bmeta\b|register_meta|data is not allocated", re.IGNORECASE)


def copied(model: nn.Module) -> nn.Module:
    """A deep copy, with what hooks computed in a call before: the old weight norm's weight, kept features."""
    memo: dict[int, Any] = {}
    for space in (space for module in model.modules() for space in _spaces(module)):
        for value in space.values() if isinstance(space, dict) else space:
            if isinstance(value, torch.Tensor) and not value.is_leaf:
                memo[id(value)] = value.detach().clone()
    result = duplicate(model, memo)
    rebind(result, memo, apart=False)
    return with_own_forward(result)


def meta_inputs(
    model: nn.Module, shapes: tuple[tuple[int, ...] | None, ...], integer: frozenset[int]
) -> tuple[Any, ...]:
    """Empty input tensors on the meta device, of the model's own type."""
    kinds = [torch.long if index in integer else type_of(model) for index in range(len(shapes))]
    return tuple(
        None if shape is None else torch.empty(shape, device="meta", dtype=kind)
        for shape, kind in zip(shapes, kinds, strict=True)
    )


def type_of(model: nn.Module) -> torch.dtype:
    """The type of a model's weights: double, half, or torch's default where there are none."""
    kinds = (parameter.dtype for parameter in model.parameters() if parameter.is_floating_point())
    return next(kinds, torch.get_default_dtype())
