"""Forward hooks of layers: code of the user's that runs beside forward, and what it keeps."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from types import CellType, FunctionType
from typing import Any

from torch import nn


def hooked(module: nn.Module) -> bool:
    """Whether the user's own code runs before or after a layer; torch's, as of weight norm, sets weights."""
    if not module._forward_hooks and not module._forward_pre_hooks:
        return False
    return any(not (getattr(hook, "__module__", None) or "").startswith("torch.") for hook in _hooks(module))


def kept(module: nn.Module) -> Iterator[Any]:
    """Where a layer's hooks keep what they see: attributes of their owner, lists and dicts around them."""
    for hook in _hooks(module):
        owner = getattr(hook, "__self__", None)
        if hasattr(owner, "__dict__") and not isinstance(owner, nn.Module):
            yield vars(owner)
        yield from (value for value in _around(hook) if type(value) in (list, dict))


def rebind(model: nn.Module, memo: dict[int, Any], apart: bool) -> None:
    """Let the hooks of a deep copy see the copy, where functions still see the original.

    memo:  what deepcopy has copied, by identity
    apart: lists and dicts that are the user's own are copied too
    """
    for hooks in (h for m in model.modules() for h in (m._forward_pre_hooks, m._forward_hooks) if h):
        for key, hook in hooks.items():
            hooks[key] = _rebound(hook, memo, apart)


def _hooks(module: nn.Module) -> Iterator[Any]:
    yield from module._forward_pre_hooks.values()
    yield from module._forward_hooks.values()


def _around(hook: Any) -> Iterator[Any]:
    """The values of the variables that a function closes over."""
    for cell in getattr(hook, "__closure__", None) or ():
        try:
            yield cell.cell_contents
        except ValueError:  # not assigned yet
            continue


def _rebound(hook: Any, memo: dict[int, Any], apart: bool) -> Any:
    values = list(_around(hook))
    if not isinstance(hook, FunctionType) or not values or len(values) < len(hook.__closure__ or ()):
        return hook
    if id(hook) not in memo:
        cells = tuple(CellType() for _ in values)
        result = FunctionType(hook.__code__, hook.__globals__, hook.__name__, hook.__defaults__, cells)
        result.__dict__.update(hook.__dict__)
        result.__kwdefaults__, result.__module__ = hook.__kwdefaults__, hook.__module__
        memo[id(hook)] = result  # it may close over itself
        for cell, value in zip(cells, values, strict=True):
            cell.cell_contents = _seen(value, memo, apart)
    return memo[id(hook)]


def _seen(value: Any, memo: dict[int, Any], apart: bool) -> Any:
    if isinstance(value, FunctionType):
        return _rebound(value, memo, apart)
    ours = id(value) in memo or (apart and type(value) in (list, dict))
    return copy.deepcopy(value, memo) if ours else value
