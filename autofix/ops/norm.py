"""Normalisation: batch, instance, group, layer, RMS and local response, and vector norms."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import nn

from autofix.condition import NEVER, any_of, at_least, divides
from autofix.fault import Code
from autofix.ops.base import (
    Call,
    Refused,
    Tensor,
    axis_of,
    listed,
    numel,
    ranks,
    register,
    same_features,
    same_number,
)
from autofix.size import Dim

_PER_CHANNEL = "batch norm has more than one value per channel"
_SPATIAL = "instance norm has more than one spatial element"
_PER_GROUP = "group norm has more than one value per group"


def several_values(call: Call, dims: Sequence[Dim], what: str, train: bool = False) -> None:
    """Require the product of sizes to exceed 1: one of them is at least 2, since none is below 1."""
    if any(isinstance(dim, int) and dim > 1 for dim in dims):
        return
    open_dims = [dim for dim in dims if not isinstance(dim, int)] or [1]
    condition = any_of(at_least(dim, 2) for dim in open_dims)
    call.require(
        condition, Code.NORM, what, needs=2, gets=open_dims[0] if len(open_dims) == 1 else 1, train=train
    )


def batch_norm(
    call: Call,
    input: Tensor,
    running_mean: Any,
    running_var: Any,
    weight: Any = None,
    bias: Any = None,
    training: bool = False,
    momentum: float = 0.1,
    eps: float = 1e-5,
) -> Tensor:
    """torch.nn.functional.batch_norm."""
    if input.ndim < 2:
        raise Refused(f"a tensor with {input.ndim} dimensions where 2 or more are needed")
    for given in (running_mean, running_var, weight, bias):
        if isinstance(given, Tensor):
            same_features(call, input.shape[1], numel(given.shape))
    if training:
        several_values(call, (input.shape[0], *input.shape[2:]), _PER_CHANNEL)
    else:
        _kept(running_mean, running_var)
    return input


def _kept(running_mean: Any, running_var: Any) -> None:
    if running_mean is None or running_var is None:
        raise Refused("running statistics are None where those of the input are not to be used")


def batch_norm_layer(
    call: Call,
    input: Tensor,
    *,
    num_features: int,
    affine: bool,
    track_running_stats: bool,
    eps: float,
    allowed: tuple[int, ...],
) -> Tensor:
    """torch.nn.BatchNorm1d/2d/3d and SyncBatchNorm: statistics of the batch in training, or always."""
    if input.ndim not in allowed:
        raise Refused(
            f"a tensor with {input.ndim} dimensions where {' or '.join(map(str, allowed))} are needed"
        )
    if affine or track_running_stats:
        same_features(call, input.shape[1], num_features)
    several_values(call, (input.shape[0], *input.shape[2:]), _PER_CHANNEL, train=track_running_stats)
    if eps <= 0 and _asks_for_eps():
        what = f"eps of {eps} is positive in training"
        call.require(NEVER, Code.LIMIT, what, train=track_running_stats)
    return input


@functools.cache
def _asks_for_eps() -> bool:
    """Whether this torch refuses to train without an eps."""
    try:
        F.batch_norm(torch.zeros(2, 1), None, None, training=True, eps=0.0)
    except ValueError:
        return True
    return False


def instance_norm(
    call: Call,
    input: Tensor,
    running_mean: Any = None,
    running_var: Any = None,
    weight: Any = None,
    bias: Any = None,
    use_input_stats: bool = True,
    momentum: float = 0.1,
    eps: float = 1e-5,
) -> Tensor:
    """torch.nn.functional.instance_norm."""
    if input.ndim < 2:
        raise Refused(f"a tensor with {input.ndim} dimensions where 2 or more are needed")
    for given in (running_mean, running_var, weight, bias):
        if isinstance(given, Tensor):
            same_features(call, input.shape[1], numel(given.shape))
    if use_input_stats:
        several_values(call, input.shape[2:], _SPATIAL)
    else:
        _kept(running_mean, running_var)
    return input


def instance_norm_layer(
    call: Call, input: Tensor, *, num_features: int, affine: bool, track_running_stats: bool, nd: int
) -> Tensor:
    """torch.nn.InstanceNorm1d/2d/3d: statistics of the input in training, or where none are kept."""
    if input.ndim not in (nd + 1, nd + 2):
        raise Refused(f"a tensor with {input.ndim} dimensions where {nd + 1} or {nd + 2} are needed")
    if affine or track_running_stats:
        same_features(call, input.shape[-nd - 1], num_features)
    several_values(call, input.shape[-nd:], _SPATIAL, train=track_running_stats)
    return input


def group_norm(
    call: Call, input: Tensor, num_groups: int, weight: Any = None, bias: Any = None, eps: float = 1e-5
) -> Tensor:
    """torch.nn.functional.group_norm: more than one value per group, in both modes."""
    if input.ndim < 2:
        raise Refused(f"a tensor with {input.ndim} dimensions where 2 or more are needed")
    batch, channels, *sizes = input.shape
    for given in (weight, bias):
        if isinstance(given, Tensor):
            same_features(call, channels, numel(given.shape))
    what = "channels are a multiple of the groups"
    call.require(divides(num_groups, channels), Code.DIVISIBLE, what, needs=num_groups, gets=channels)
    several_values(call, (batch, channels // num_groups, *sizes), _PER_GROUP)
    return input


def group_norm_layer(
    call: Call, input: Tensor, *, num_groups: int, num_channels: int, affine: bool
) -> Tensor:
    """torch.nn.GroupNorm."""
    if affine and input.ndim > 1:
        same_features(call, input.shape[1], num_channels)
    return group_norm(call, input, num_groups)


def layer_norm(call: Call, input: Tensor, normalized_shape: Any, *args: Any, **options: Any) -> Tensor:
    """torch.nn.functional.layer_norm and rms_norm: the last sizes are those of the layer."""
    wanted = listed(normalized_shape)
    if not wanted or len(wanted) > input.ndim:
        raise Refused(f"normalisation over {len(wanted)} dimensions of {input.ndim}")
    for number, features in zip(input.shape[-len(wanted) :], wanted, strict=True):
        if isinstance(features, int):
            same_features(call, number, features)
        else:
            same_number(call, number, features, Code.HEAD, "normalised sizes are those given")
    return input


def local_response_norm(call: Call, input: Tensor, size: int, *args: Any, **options: Any) -> Tensor:
    """torch.nn.functional.local_response_norm: its pooling over padded channels always fits."""
    if input.ndim < 3:
        raise Refused(f"a tensor with {input.ndim} dimensions where 3 or more are needed")
    return input


def map_response_norm(call: Call, input: Tensor) -> Tensor:
    """torch.nn.CrossMapLRN2d."""
    if input.ndim != 4:
        raise Refused(f"a tensor with {input.ndim} dimensions where 4 are needed")
    return input


def vector_normalize(
    call: Call, input: Tensor, p: float = 2.0, dim: Any = 1, eps: float = 1e-12, out: Any = None
) -> Tensor:
    """torch.nn.functional.normalize."""
    for one in listed(dim):
        axis_of(one, input.ndim)
    return input


register(
    "batch norm",
    batch_norm,
    (F.batch_norm,),
    samples=(
        "F.batch_norm(x, torch.ones(3), torch.ones(3)) @ 2,C,H,W",
        "F.batch_norm(x, None, None, training=True) @ N,3,H,W",
        "F.batch_norm(x, None, None, torch.ones(4), torch.ones(4), True) @ N,C",
        "F.batch_norm(x, None, None, training=True) @ 1,3,H",
        "F.batch_norm(x, torch.ones(3), torch.ones(3)) @ C",
        "F.batch_norm(x, None, None) @ 2,3,H",
        "F.batch_norm(x, torch.ones(3), None) @ 2,3,H",
    ),
)
register(
    "batch norm",
    batch_norm_layer,
    {
        nn.BatchNorm1d: {"allowed": (2, 3)},
        nn.BatchNorm2d: {"allowed": (4,)},
        nn.BatchNorm3d: {"allowed": (5,)},
        nn.SyncBatchNorm: {"allowed": (2, 3, 4, 5, 6)},
        nn.LazyBatchNorm1d: {"allowed": (2, 3)},
        nn.LazyBatchNorm2d: {"allowed": (4,)},
        nn.LazyBatchNorm3d: {"allowed": (5,)},
    },
    reads=("num_features", "affine", "track_running_stats", "eps"),
    samples=(
        "nn.BatchNorm1d(3) @ N,3",
        "nn.BatchNorm1d(4) @ N,C,H",
        "nn.BatchNorm2d(3) @ N,3,H,W",
        "nn.BatchNorm2d(3, track_running_stats=False) @ N,3,H,W",
        "nn.BatchNorm2d(3, affine=False) @ 2,C,H,W",
        "nn.BatchNorm2d(3, False) @ N,3,H,W",
        "nn.BatchNorm3d(2) @ 1,2,D,H,W",
    ),
)
register(
    "instance norm",
    instance_norm,
    (F.instance_norm,),
    samples=(
        "F.instance_norm(x) @ 2,3,H,W",
        "F.instance_norm(x, weight=torch.ones(4), bias=torch.ones(4)) @ 2,C,H,W",
        "F.instance_norm(x, torch.ones(3), torch.ones(3), use_input_stats=False) @ 2,3,H,W",
        "F.instance_norm(x, torch.ones(3), torch.ones(3), use_input_stats=False) @ 2,C",
        "F.instance_norm(x, torch.ones(3), torch.ones(3), use_input_stats=False) @ C",
        "F.instance_norm(x, use_input_stats=False) @ 2,3,H",
        "F.instance_norm(x, torch.ones(3), None, use_input_stats=False) @ 2,3,H",
    ),
)
register(
    "instance norm",
    instance_norm_layer,
    ranks("InstanceNorm{}d", "LazyInstanceNorm{}d"),
    reads=("num_features", "affine", "track_running_stats"),
    samples=(
        "nn.InstanceNorm1d(3) @ 2,3,H",
        "nn.InstanceNorm2d(4) @ 2,C,H,W",
        "nn.InstanceNorm2d(4, affine=True) @ C,H,W",
        "nn.InstanceNorm2d(3, track_running_stats=True) @ 2,3,H,W",
        "nn.InstanceNorm3d(2, affine=True) @ 2,2,D,H,W",
    ),
)
register(
    "group norm",
    group_norm,
    (F.group_norm,),
    samples=(
        "F.group_norm(x, 4) @ 2,C,H,W",
        "F.group_norm(x, 3, torch.ones(6), torch.ones(6)) @ N,C,H",
        "F.group_norm(x, 3) @ N,3,H,W",
        "F.group_norm(x, 3) @ C",
    ),
)
register(
    "group norm",
    group_norm_layer,
    (nn.GroupNorm,),
    reads=("num_groups", "num_channels", "affine"),
    samples=(
        "nn.GroupNorm(2, 6) @ 2,C,H,W",
        "nn.GroupNorm(4, 4) @ N,4,H,W",
        "nn.GroupNorm(3, 6, affine=False) @ 1,C,H",
        "nn.GroupNorm(1, 3) @ N,C",
        "nn.GroupNorm(1, 3) @ C",
    ),
)
register(
    "layer norm",
    layer_norm,
    (F.layer_norm, F.rms_norm, torch.layer_norm, torch.rms_norm, nn.LayerNorm, nn.RMSNorm),
    reads=("normalized_shape",),
    samples=(
        "nn.LayerNorm(5) @ 2,H,W",
        "nn.LayerNorm((4, 5)) @ 2,3,H,W",
        "nn.RMSNorm((3, 6)) @ 2,H,W",
        "F.layer_norm(x, (4,), torch.ones(4), torch.ones(4)) @ 2,H,W",
        "F.layer_norm(x, x.shape[1:]) @ 2,H,W",
        "F.layer_norm(x, (x.shape[1], 3)) @ 2,H,W",
        "F.layer_norm(x, (x.shape[1],)) @ 2,H,W",
        "nn.LayerNorm((2, 5)) @ N,H",
    ),
)
register(
    "local response norm",
    local_response_norm,
    (F.local_response_norm, nn.LocalResponseNorm),
    reads=("size",),
    samples=(
        "nn.LocalResponseNorm(5) @ 2,C,H,W",
        "nn.LocalResponseNorm(2) @ 2,C,H",
        "F.local_response_norm(x, 3) @ 2,3,D,H,W",
        "F.local_response_norm(x, 3) @ 2,H",
    ),
)
register(
    "response norm across maps",
    map_response_norm,
    (nn.CrossMapLRN2d,),
    samples=("nn.CrossMapLRN2d(5) @ 2,C,H,W", "nn.CrossMapLRN2d(2) @ 2,C,H"),
)
register(
    "normalize",
    vector_normalize,
    (F.normalize,),
    samples=("F.normalize(x, dim=1) @ 2,3,H,W", "F.normalize(x, p=1.0, dim=-1) @ 2,H"),
)
