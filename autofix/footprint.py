"""What a call takes besides time: peak memory and floating point operations."""

from __future__ import annotations

import weakref
from collections.abc import Callable
from typing import Any

import torch
from torch import nn
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves
from torch.utils.flop_counter import FlopCounterMode


def peak_memory(call: Callable[[], object], device: str = "cpu") -> int:
    """Bytes that the call allocates at its peak, above what is there already.

    On CUDA as the allocator counts them; elsewhere the storages that it makes, each until it is freed.
    """
    if torch.device(device).type != "cuda":
        storages = _Storages()
        with storages:
            call()
        return storages.peak
    torch.cuda.synchronize()
    torch.cuda.reset_peak_memory_stats()
    before: int = torch.cuda.memory_allocated()
    call()
    torch.cuda.synchronize()
    peak: int = torch.cuda.max_memory_allocated()
    return peak - before


class _Storages(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Follows the storages that operators return."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.now = self.peak = 0
        self.known: dict[int, int] = {}

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        for tensor in tree_leaves((args, kwargs)):
            if isinstance(tensor, torch.Tensor):
                self._see(tensor, 0)  # made before: counts nothing
        result = func(*args, **(kwargs or {}))
        for tensor in tree_leaves(result):
            if isinstance(tensor, torch.Tensor):
                self._see(tensor, 1)
        return result

    def _see(self, tensor: torch.Tensor, made: int) -> None:
        storage = tensor.untyped_storage()
        key = storage._cdata
        if key in self.known:
            return
        self.known[key] = made * storage.nbytes()
        self.now += self.known[key]
        self.peak = max(self.peak, self.now)
        weakref.finalize(storage, self._freed, key)

    def _freed(self, key: int) -> None:
        self.now -= self.known.pop(key, 0)


def flops(model: nn.Module, inputs: tuple[Any, ...]) -> int | None:
    """Floating point operations of one forward pass, as torch counts them; None where it cannot."""
    training = {module: module.training for module in model.modules()}
    model.eval()
    try:
        with torch.no_grad(), FlopCounterMode(display=False) as counter:
            model(*inputs)
    except Exception:
        return None
    finally:
        for module, mode in training.items():
            module.training = mode
    return int(counter.get_total_flops())
