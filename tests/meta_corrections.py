"""Where the meta device and a real run disagree on what is accepted, and the mode that corrects it.

Found by running every operator over small sizes on both devices (torch 2.13); a real run is the truth.
`tests/test_oracle.py` holds one case for each row.

| operator                            | real run                          | meta device                      |
|-------------------------------------|-----------------------------------|----------------------------------|
| convolution of an empty map, padded | refuses zero spatial size         | accepts                          |
| transposed convolution, output 0    | batch 1 refuses, oneDNN from      | refuses                          |
|                                     |   batch 2 on returns it empty     |                                  |
| transposed, output_padding large    | refuses                           | accepts                          |
| transposed, wrong channels          | refuses                           | accepts                          |
| linear/bi/tri/bicubic resize to or  | refuses                           | accepts                          |
|   from size 0                       |                                   |                                  |
| resize 'area' of an empty map       | refuses                           | accepts                          |
| adaptive_avg_pool(0), empty map     | refuses                           | accepts                          |
| max/min/median over an empty axis   | refuses                           | accepts                          |
| index_select, grid_sample, empty    | refuse                            | accept                           |
| pixel_unshuffle of an empty map     | returns it unchanged              | checks and computes the shape    |
| max_unpool, index out of the output | refuses, depending on the values  | accepts: it has no indices       |
| attention, key and value of         | accepts, reads past the shorter   | refuses                          |
|   different lengths                 |   one                             |                                  |

Two are left as the meta device has them: reading past the end of a tensor is nothing to accept, nor is what
depends on the kernel that is chosen. Unpooling counts as refused where some values make a real run refuse it.
"""

from __future__ import annotations

import functools
import math
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves, tree_map

aten = torch.ops.aten
POOLS = (aten.max_pool2d_with_indices.default, aten.max_pool3d_with_indices.default)
UNPOOLS = (aten.max_unpool2d.default, aten.max_unpool3d.default)


class CorrectedMeta(TorchDispatchMode):
    """Asks the CPU for its verdict on every call in which the meta device is known to be wrong."""

    def __init__(self) -> None:
        super().__init__()
        # By storage, so that a view of the indices is found; the tensor is kept so that none is used twice.
        self.pooled: dict[int, tuple[Tensor, int]] = {}

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        if func in UNPOOLS:
            self._check_unpool(args[1], args[2])
        if func not in POOLS:
            return _remembered(func, args, kwargs)
        result = _corrected(func, args, kwargs)
        if args[0].numel():
            self.pooled[result[1].untyped_storage()._cdata] = result[1], _largest_index(func, args, kwargs)
        return result

    def _check_unpool(self, indices: Tensor, size: list[int]) -> None:
        _, largest = self.pooled.get(indices.untyped_storage()._cdata, (indices, 0))
        if largest >= math.prod(size):
            raise RuntimeError(f"Found an invalid max index: {largest} (output volumes are of size {size})")


def _remembered(func: Any, args: Any, kwargs: Any) -> Any:
    """The result of the same call before: on the meta device it depends on shapes and numbers alone.

    Most operators' meta kernels are Python, and a network makes the same calls again and again.
    """
    key = func, _described(args), _described(kwargs)
    if key in KNOWN:
        made = KNOWN[key]
        return args[0] if made is None else tree_map(_made_again, made)
    before = _described(args[0]) if args else None
    result = _corrected(func, args, kwargs)
    if len(KNOWN) > 100_000:
        KNOWN.clear()
    if isinstance(result, Tensor) and func._schema.is_mutable:
        if result is args[0] and _described(result) == before:
            KNOWN[key] = None
    elif not _is_view(func) and _all_meta(result):
        KNOWN[key] = tree_map(_Made.of, result)
    return result


@dataclass(frozen=True)
class _Made:
    """What a meta tensor is."""

    size: tuple[int, ...]
    stride: tuple[int, ...]
    dtype: torch.dtype

    @staticmethod
    def of(value: Any) -> Any:
        return _Made(tuple(value.shape), value.stride(), value.dtype) if isinstance(value, Tensor) else value


KNOWN: dict[Any, Any] = {}  # a call as described -> its result; None for an argument changed in place


def _described(value: Any) -> Any:
    if isinstance(value, Tensor):
        return _Made.of(value), value.device.type
    if isinstance(value, tuple | list):
        return type(value), *[_described(item) for item in value]
    if isinstance(value, dict):
        return tuple((name, _described(item)) for name, item in value.items())
    return type(value), value


def _made_again(value: Any) -> Any:
    if isinstance(value, _Made):
        return torch.empty_strided(value.size, value.stride, dtype=value.dtype, device="meta")
    return value


def _all_meta(result: Any) -> bool:
    leaves = tree_leaves(result)
    return bool(leaves) and all(isinstance(t, Tensor) and t.is_meta for t in leaves)


def _corrected(func: Any, args: Any, kwargs: Any) -> Any:
    if func is aten.convolution.default and args[6]:
        return _transposed(func, args, kwargs)
    given = [leaf for leaf in tree_leaves((args, kwargs)) if isinstance(leaf, Tensor)]
    if not given:
        return func(*args, **kwargs)
    if any(t.numel() == 0 for t in given):
        return _as_on_cpu(func, args, kwargs)
    result = func(*args, **kwargs)
    if any(isinstance(t, Tensor) and t.numel() == 0 for t in tree_leaves(result)):
        return _as_on_cpu(func, args, kwargs)
    return result


def _as_on_cpu(func: Any, args: Any, kwargs: Any) -> Any:
    """The result of a real call on empty or small tensors of the same shapes, as meta tensors.

    A call that writes into an argument is left to the meta device afterwards, so that the argument is the
    tensor that the model holds.
    """
    real = func(*tree_map(_real, args), **tree_map(_real, kwargs))
    if func._schema.is_mutable or _is_view(func):
        return func(*args, **kwargs)
    return tree_map(_meta, real)


def _transposed(func: Any, args: Any, kwargs: Any) -> Any:
    x, weight, bias, stride, padding, dilation, _, output_padding, groups = args
    numbers = tuple(map(tuple, (stride, padding, dilation, output_padding)))
    _try_transposed(x.shape[-len(stride) - 1], tuple(weight.shape), bias is not None, *numbers, groups)
    return _as_on_cpu(func, args, kwargs) if x.numel() == 0 else func(*args, **kwargs)


@functools.lru_cache(maxsize=4096)
def _try_transposed(
    channels: int,
    weight: tuple[int, ...],
    bias: bool,
    stride: tuple[int, ...],
    padding: tuple[int, ...],
    dilation: tuple[int, ...],
    output_padding: tuple[int, ...],
    groups: int,
) -> None:
    """Raise what a real call raises for these channels and hyperparameters, on a map that is large enough."""
    x = torch.zeros((1, channels, *(2 * p + 2 for p in padding)), device="cpu")
    kernel = torch.zeros(weight, device="cpu")
    offset = torch.zeros(weight[1] * groups, device="cpu") if bias else None
    aten.convolution.default(x, kernel, offset, stride, padding, dilation, True, output_padding, groups)


def _largest_index(func: Any, args: Any, kwargs: Any) -> int:
    """The largest index that this pool can give: on a ramp the last element of each window wins."""
    plane = tuple(args[0].shape[2 - args[0].dim() :])
    return int(func(_ramp(plane), *args[1:], **kwargs)[1].max())


def _ramp(plane: tuple[int, ...]) -> Tensor:
    return torch.arange(math.prod(plane), device="cpu", dtype=torch.float32).reshape(1, 1, *plane)


def _is_view(func: Any) -> bool:
    return any(argument.alias_info is not None for argument in func._schema.arguments)


def _real(value: Any) -> Any:
    if isinstance(value, Tensor):
        real = torch.empty_strided(value.size(), value.stride(), dtype=value.dtype, device="cpu")
        return real.zero_() if value.device.type == "meta" else value
    return torch.device("cpu") if isinstance(value, torch.device) else value


def _meta(value: Any) -> Any:
    return value.to("meta") if isinstance(value, Tensor) else value
