"""A structural copy of a model on the meta device: same classes, same names, shapes but no data."""

from __future__ import annotations

import copy
import random
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import nn
from torch.overrides import TorchFunctionMode

from autofix.errors import CaptureError


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
        return nn.Parameter(result, requires_grad=tensor.requires_grad)
    return result


def to_meta(model: nn.Module) -> nn.Module:
    """The copy; the model itself is not touched.

    Raises CaptureError for lazy modules, whose shapes are not known yet, and for models that cannot be copied.
    """
    for name, module in model.named_modules():
        if isinstance(module, nn.modules.lazy.LazyModuleMixin) and module.has_uninitialized_params():  # type: ignore[misc]
            raise CaptureError(
                f"{name} ({type(module).__name__}) is lazy: run one forward pass first, so that it has shapes"
            )
    try:
        with _WithoutData():
            return copy.deepcopy(model)
    except Exception as error:
        raise CaptureError(f"{type(model).__name__} cannot be copied: {error}") from error


@contextmanager
def undisturbed() -> Iterator[None]:
    """Run a model's code on the meta device without consuming the caller's random numbers."""
    state, python_state = torch.get_rng_state(), random.getstate()
    try:
        with torch.device("meta"), torch.no_grad():
            yield
    finally:
        torch.set_rng_state(state)
        random.setstate(python_state)
