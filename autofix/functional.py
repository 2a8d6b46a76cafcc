"""A layer as the function it stands for, of the layer's own parameters."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch.nn.functional as F
from torch import fx, nn

from autofix.errors import CaptureError
from autofix.source.attributes import reversed_padding

_POOLS: Mapping[str, tuple[str, ...]] = {
    "MaxPool": ("kernel_size", "stride", "padding", "dilation", "ceil_mode", "return_indices"),
    "AvgPool": ("kernel_size", "stride", "padding", "ceil_mode", "count_include_pad"),
    "LPPool": ("norm_type", "kernel_size", "stride", "ceil_mode"),
}
_NAMES = {
    "MaxPool": "max_pool",
    "AvgPool": "avg_pool",
    "LPPool": "lp_pool",
    "Conv": "conv",
    "ConvTranspose": "conv_transpose",
}


def as_function(graph: fx.Graph, node: fx.Node, module: nn.Module, knobs: Mapping[str, Any]) -> None:
    """Replace one call of a layer by the function with other hyperparameters; other calls keep the layer.

    A second layer would add keys to the state_dict; a function of the first one's parameters does not.
    """
    kind, rank = type(module).__name__[:-2], type(module).__name__[-2:]
    if kind not in _NAMES:
        raise CaptureError(
            f"{node.target} ({type(module).__name__}) is called several times and has no functional form"
        )
    function = getattr(F, f"{_NAMES[kind]}{rank}")
    new = {name: bool(value[0]) if name == "ceil_mode" else value for name, value in knobs.items()}
    x = node.args[0] if node.args else node.kwargs["input"]
    if kind in _POOLS:
        args, kwargs = (x,), {name: getattr(module, name) for name in _POOLS[kind]} | new
    else:
        args, kwargs = _convolution(graph, node, module, kind, x, new)
    result = graph.call_function(function, args, kwargs)
    node.replace_all_uses_with(result)
    graph.erase_node(node)


def _convolution(
    graph: fx.Graph, node: fx.Node, module: Any, kind: str, x: Any, new: Mapping[str, Any]
) -> tuple[tuple[Any, ...], dict[str, Any]]:
    names = ("stride", "padding", "dilation", "groups") + (
        ("output_padding",) if kind == "ConvTranspose" else ()
    )
    kwargs = {name: getattr(module, name) for name in names} | dict(new)
    if module.padding_mode != "zeros":
        x = graph.call_function(
            F.pad, (x, list(reversed_padding(kwargs["padding"]))), {"mode": module.padding_mode}
        )
        kwargs["padding"] = 0
    weight = graph.get_attr(f"{node.target}.weight")
    bias = graph.get_attr(f"{node.target}.bias") if module.bias is not None else None
    return (x, weight, bias), kwargs
