"""Distances and similarities between vectors."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import nn

from autofix.fault import Code
from autofix.ops.base import Call, Refused, Tensor, axis_of, register, same_number
from autofix.ops.join import broadcast


def distances(call: Call, x1: Tensor, x2: Tensor, p: float = 2.0, compute_mode: str = "") -> Tensor:
    """torch.cdist: ..., P, M and ..., R, M -> ..., P, R."""
    if x1.ndim < 2 or x2.ndim < 2:
        raise Refused(f"tensors with {x1.ndim} and {x2.ndim} dimensions where 2 or more are needed")
    same_number(call, x2.shape[-1], x1.shape[-1], Code.JOIN, "both sets of vectors have the same length")
    return Tensor((*broadcast(call, x1.shape[:-2], x2.shape[:-2]), x1.shape[-2], x2.shape[-2]))


def similarity(call: Call, x1: Tensor, x2: Tensor, dim: int = 1, eps: float = 1e-8) -> Tensor:
    """torch.nn.functional.cosine_similarity: one dimension of the common shape goes."""
    shape = broadcast(call, x1.shape, x2.shape)
    along = axis_of(dim, len(shape))
    return Tensor(shape[:along] + shape[along + 1 :])


def pairwise_distance(
    call: Call, x1: Tensor, x2: Tensor, p: float = 2.0, eps: float = 1e-6, keepdim: bool = False
) -> Tensor:
    """torch.nn.functional.pairwise_distance: the last dimension goes."""
    shape = broadcast(call, x1.shape, x2.shape)
    return Tensor((*shape[:-1], 1) if keepdim else shape[:-1])


register(
    "cdist",
    distances,
    (torch.cdist,),
    samples=(
        "torch.cdist(x, torch.ones(5, 4)) @ 2,H,W",
        "torch.cdist(x, torch.ones(3, 5, 4)) @ C,H,W",
        "torch.cdist(x, torch.ones(5, 4)) @ H,W",
        "torch.cdist(x, torch.ones(5, 1)) @ H",
        "torch.cdist(torch.ones(5, 1), x) @ H",
    ),
)
register(
    "cosine similarity",
    similarity,
    (F.cosine_similarity, nn.CosineSimilarity),
    reads=("dim", "eps"),
    samples=(
        "F.cosine_similarity(x, torch.ones(3, 5, 4)) @ C,H,W",
        "F.cosine_similarity(x, x, dim=-1) @ 2,H,W",
    ),
)
register(
    "pairwise distance",
    pairwise_distance,
    (F.pairwise_distance, nn.PairwiseDistance),
    reads=lambda m: {"p": m.norm, "eps": m.eps, "keepdim": m.keepdim},
    samples=(
        "F.pairwise_distance(x, torch.ones(5, 4)) @ 2,H,W",
        "F.pairwise_distance(x, torch.ones(5, 1), keepdim=True) @ 2,H,W",
    ),
)
