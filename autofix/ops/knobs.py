"""The hyperparameters of windows that a repair may change, with their domains per axis."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from autofix.ops.base import Knob, per_axis
from autofix.ops.formula import effective_kernel


def _rank(hyper: Mapping[str, Any]) -> int:
    return int(hyper["nd"]) if "nd" in hyper else hyper["weight"].ndim - 2


def _shape(hyper: Mapping[str, Any], axis: int) -> tuple[int, int, int]:
    """Kernel, stride and dilation along an axis."""
    rank = _rank(hyper)
    kernel = (
        hyper["weight"].shape[2 + axis] if "weight" in hyper else per_axis(hyper["kernel_size"], rank)[axis]
    )
    stride = hyper.get("stride", 1 if "weight" in hyper else None)
    stride = kernel if stride is None or stride == [] else per_axis(stride, rank)[axis]
    return kernel, stride, per_axis(hyper.get("dilation", 1), rank)[axis]


def _present(hyper: Mapping[str, Any], name: str, axis: int) -> int | None:
    """The value a knob has now; None for padding='same', which is already what a repair would reach for."""
    if name == "stride":
        return _shape(hyper, axis)[1]
    value = hyper.get(name, {"dilation": 1}.get(name, 0))
    if value == "same":
        return None
    return 0 if value == "valid" else int(per_axis(value, _rank(hyper))[axis])


def _knob(name: str, values: Callable[[Mapping[str, Any], int], Iterable[int]], kind: Any = None) -> Knob:
    def domain(hyper: Mapping[str, Any], axis: int) -> tuple[int, ...]:
        present = _present(hyper, name, axis)
        return () if present is None else tuple(dict.fromkeys((present, *values(hyper, axis))))

    return Knob(name, domain, kind or (lambda hyper, axis, value: 4))


def _reach(hyper: Mapping[str, Any], axis: int) -> int:
    kernel, _, dilation = _shape(hyper, axis)
    return int(effective_kernel(kernel, dilation))


def _padding_kind(hyper: Mapping[str, Any], axis: int, value: int) -> int:
    return 1 if value <= (_reach(hyper, axis) - 1) // 2 else 3


def _always(rank: int) -> Any:
    return lambda hyper, axis, value: rank


# Padding beyond the effective kernel - 1 would make windows that see nothing else.
PADDING = _knob("padding", lambda h, a: range(_reach(h, a)), _padding_kind)
POOL_PADDING = _knob("padding", lambda h, a: range(_reach(h, a) // 2 + 1), _padding_kind)
STRIDE = _knob("stride", lambda h, a: range(_shape(h, a)[1], 0, -1))
DILATION = _knob("dilation", lambda h, a: range(_shape(h, a)[2], 0, -1))
POOL_KERNEL = _knob("kernel_size", lambda h, a: range(_shape(h, a)[0], 0, -1))
OUTPUT_PADDING = _knob("output_padding", lambda h, a: range(max(_shape(h, a)[1:])), _always(3))
TRANSPOSED_PADDING = _knob("padding", lambda h, a: range(_reach(h, a)), _padding_kind)
CEIL_MODE = Knob(
    "ceil_mode", lambda h, a: (int(h.get("ceil_mode", 0)), 1 - int(h.get("ceil_mode", 0))), _always(2), False
)
