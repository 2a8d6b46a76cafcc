"""Constructors of tensors as they were before torch 0.4: torch.FloatTensor(2, 3), which no mode can move."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any, Final
from unittest.mock import patch

import torch
from torch import fx

_NAMES: Final = (
    *("FloatTensor", "DoubleTensor", "HalfTensor", "LongTensor", "IntTensor", "ByteTensor", "BoolTensor"),
)


class Typed(type):
    """torch.FloatTensor, in whose place a class of this type makes tensors where all others are made."""

    dtype: torch.dtype

    def __call__(cls, *given: Any) -> Any:
        alone = len(given) == 1 and isinstance(given[0], tuple) and hasattr(given[0], "numel")
        sizes = given[0] if alone else given  # a torch.Size, or what stands for one
        if all(_is_number(size) for size in sizes):
            return torch.empty(tuple(sizes) or (0,), dtype=cls.dtype)
        return torch.tensor(given[0], dtype=cls.dtype)

    def __instancecheck__(cls, instance: Any) -> bool:
        return isinstance(instance, torch.Tensor) and instance.dtype == cls.dtype


_TYPED: Final = {
    name: Typed(name, (), {"dtype": kind.dtype, "__module__": "torch"})
    for name, kind in ((name, getattr(torch, name)) for name in _NAMES)
}


@contextmanager
def typed_constructors() -> Iterator[None]:
    """Let torch.FloatTensor and its like take symbols, and make meta tensors where that is asked for."""
    with ExitStack() as stack:
        for name, kind in _TYPED.items():
            stack.enter_context(patch.object(torch, name, kind))
        yield


def _is_number(size: Any) -> bool:
    return type(size) is int or issubclass(type(size), fx.Proxy)
