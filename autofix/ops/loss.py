"""Losses, which some models compute in their own forward."""

from __future__ import annotations

from typing import Any

import torch.nn.functional as F
from torch import nn

from autofix.fault import Code
from autofix.ops.base import Call, Refused, Tensor, Unmodelled, register, same_number
from autofix.ops.join import broadcast, broadcast_into
from autofix.size import Dim


def pointwise_loss(call: Call, input: Tensor, target: Tensor, *options: Any, **named: Any) -> Tensor:
    """torch.nn.functional.mse_loss and its like: element by element, then reduced."""
    _check_labels(target)
    return _reduced(broadcast(call, input.shape, target.shape), options, named)


def matched_loss(call: Call, input: Tensor, target: Tensor, *options: Any, **named: Any) -> Tensor:
    """torch.nn.functional.binary_cross_entropy: of tensors of one shape, with weights that broadcast."""
    _check_labels(target)
    _same_shape(call, input.shape, target.shape)
    for weight in (*options, *named.values()):
        if isinstance(weight, Tensor):
            broadcast_into(call, input.shape, weight.shape)
    return _reduced(input.shape, options, named)


def class_loss(call: Call, input: Tensor, target: Tensor, *options: Any, **named: Any) -> Tensor:
    """torch.nn.functional.nll_loss and cross_entropy: (N, C, ...) against the classes (N, ...)."""
    _check_labels(target)
    if target.ndim != input.ndim - 1:
        raise Refused(f"classes of {target.ndim} dimensions for scores of {input.ndim}")
    _same_shape(call, _without_classes(input.shape), target.shape)
    return _reduced(target.shape, options, named)


def cross_entropy(call: Call, input: Tensor, target: Tensor, *options: Any, **named: Any) -> Tensor:
    """torch.nn.functional.cross_entropy: against classes, or against a probability of each."""
    _check_labels(target)
    if input.ndim == 0 or target.ndim != input.ndim:
        return class_loss(call, input, target, *options, **named)
    _same_shape(call, input.shape, target.shape)
    return _reduced(_without_classes(input.shape), options, named)


def _check_labels(target: Tensor | None) -> None:
    """Models that compute their loss leave the labels to the caller."""
    if target is None:
        raise Refused("the loss has no target: labels are None")


def _without_classes(shape: tuple[Dim, ...]) -> tuple[Dim, ...]:
    return (*shape[:1], *shape[2:]) if len(shape) > 1 else ()


def _same_shape(call: Call, input: tuple[Dim, ...], target: tuple[Dim, ...]) -> None:
    if len(input) != len(target):
        raise Refused(f"a target of {len(target)} dimensions where {len(input)} are needed")
    for mine, theirs in zip(input, target, strict=True):
        same_number(call, mine, theirs, Code.JOIN, "input and target have equal sizes")


def _reduced(shape: tuple[Dim, ...], options: tuple[Any, ...], named: dict[str, Any]) -> Tensor:
    """One number, unless the reduction is "none", which stands at different places of torch's functions."""
    given = (named.get("size_average"), named.get("reduce"), *options)
    if any(isinstance(value, bool) for value in given):
        raise Unmodelled("size_average and reduce, which torch deprecates")
    words = (named.get("reduction"), *(value for value in options if isinstance(value, str)))
    return Tensor(shape if "none" in words else ())


register(
    "pointwise loss",
    pointwise_loss,
    (
        *(F.mse_loss, F.l1_loss, F.smooth_l1_loss, F.huber_loss, F.kl_div, F.soft_margin_loss),
        *(nn.MSELoss, nn.L1Loss, nn.SmoothL1Loss, nn.HuberLoss, nn.KLDivLoss, nn.SoftMarginLoss),
    ),
    reads=("reduction",),
    samples=(
        "F.mse_loss(x, y) @ 2,3,H ; 2,3,W",
        "F.l1_loss(x, y, reduction='none') @ 2,H,1 ; 2,5,W",
        "F.smooth_l1_loss(x, x[:, :1], beta=0.5) @ 2,H",
        "F.huber_loss(x, y, 'none') @ 2,H ; 2,W",
        "F.kl_div(x, y, reduction='batchmean') @ 2,H ; 2,W",
        "nn.MSELoss(reduction='none') @ 2,H ; 2,W",
        "nn.L1Loss() @ 2,H ; 2,W",
    ),
)
register(
    "loss of equal shapes",
    matched_loss,
    (
        F.binary_cross_entropy,
        F.binary_cross_entropy_with_logits,
        nn.BCELoss,
        nn.BCEWithLogitsLoss,
    ),
    reads=lambda m: {
        name: Tensor(tuple(value.shape)) if hasattr(value, "shape") else value
        for name in ("weight", "pos_weight", "reduction")
        if (value := getattr(m, name, None)) is not None
    },
    samples=(
        "F.binary_cross_entropy_with_logits(x, y) @ 2,3,H ; 2,3,W",
        "F.binary_cross_entropy(x, y, torch.ones(4), reduction='none') @ 2,H ; 2,W",
        "F.binary_cross_entropy_with_logits(x, y) @ 2,H ; 2,W,1",
        "nn.BCEWithLogitsLoss(pos_weight=torch.ones(4), reduction='none') @ 2,H ; 2,W",
        "nn.BCELoss() @ 2,H ; 2,W",
    ),
)
register(
    "loss of classes",
    class_loss,
    (F.nll_loss, nn.NLLLoss),
    reads=("reduction",),
    samples=(
        "F.nll_loss(x, y.long()) @ 2,3,H,5 ; 2,W,5",
        "F.nll_loss(x, y.long(), reduction='none') @ 2,3,H ; 2,W",
        "F.nll_loss(x, y.long()) @ 2,3,H ; 2,3,W",
        "F.nll_loss(x, y.sum().long(), reduction='none') @ H ; W",
        "F.nll_loss(x.sum(), y.sum().long()) @ H ; W",
    ),
)
register(
    "cross entropy",
    cross_entropy,
    (F.cross_entropy, nn.CrossEntropyLoss),
    reads=("reduction",),
    samples=(
        "F.cross_entropy(x, y.long()) @ 2,3,H ; 2,W",
        "F.cross_entropy(x, None) @ 2,3,H",
        "F.cross_entropy(x, y, reduction='none') @ 2,3,H ; 2,3,W",
        "F.cross_entropy(x, y.long(), reduction='none') @ H,3 ; W",
        "nn.CrossEntropyLoss(reduction='none') @ 2,3,H ; 2,3,W",
        "nn.CrossEntropyLoss() @ 3,H ; 3,W",
        "F.cross_entropy(x, y, reduction='none') @ H ; W",
        "F.cross_entropy(x, y.sum().long(), reduction='none') @ H ; W",
        "F.cross_entropy(x.sum(), y.sum().long()) @ H ; W",
    ),
)
