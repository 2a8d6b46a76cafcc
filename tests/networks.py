"""Hypothesis strategies for whole networks that torch.fx can trace.

Channel counts are right by construction; sizes may fail, and where they fail is what the tests ask.
"""

from __future__ import annotations

from collections.abc import Callable
from random import Random
from typing import Any

import oracle
from hypothesis import strategies as st
from network_blocks import (
    attention,
    dense,
    gate,
    patches,
    pyramid,
    residual,
    shared,
    shuffle,
    split,
    strided_residual,
    unet_level,
    up_and_down,
)
from network_builder import Builder, Network, code
from network_layers import (
    adaptive,
    conv,
    fractional_pool,
    functional_conv,
    functional_norm,
    norm,
    pad,
    pointwise,
    pool,
    pool_and_unpool,
    resize,
    slicing,
    transposed,
    turn,
)

COMMON = [conv, conv, pool, conv, functional_conv, residual, unet_level, strided_residual, norm, pointwise]
SPECIAL = [
    transposed,
    resize,
    up_and_down,
    pad,
    pool_and_unpool,
    slicing,
    dense,
    pyramid,
    gate,
    split,
    shared,
    attention,
    turn,
    adaptive,
    functional_norm,
]
ONLY_2D = [shuffle, patches]

ALL_AXES = {1: "2", 2: "(2, 3)", 3: "(2, 3, 4)"}


@st.composite
def networks(draw: Any, max_blocks: int = 6) -> Network:
    """Networks of the whole operator range, which hypothesis can shrink."""
    return _network(_drawing(draw), max_blocks)


def random_network(seed: int, max_blocks: int = 6) -> Network:
    """The same by a number: hypothesis repeats and varies its examples, seeds are all different."""
    return _network(Random(seed).randrange, max_blocks)


@st.composite
def small_chains(draw: Any) -> Network:
    """Small networks for exhaustive search."""
    return _small_chain(_drawing(draw))


def random_small_chain(seed: int) -> Network:
    """The same by a number."""
    return _small_chain(Random(seed).randrange)


def _drawing(draw: Any) -> Callable[[int], int]:
    return lambda count: int(draw(st.integers(0, count - 1)))


def _network(choose: Callable[[int], int], max_blocks: int) -> Network:
    """1d, 2d or 3d: a chain of layers and branching blocks, then a head."""
    b = Builder(choose, 2, 1)
    b.rank = rank = b.pick([2, 2, 2, 1, 3])
    b.channels = b.start = b.pick([2, 1, 3, 4])
    special = SPECIAL + (ONLY_2D if rank == 2 else []) + ([fractional_pool] if rank > 1 else [])
    for _ in range(b.pick(range(1, max_blocks + 1))):
        b.pick(COMMON if b.chance(60) else special)(b)
    return b.finish(_head(b))


def _head(b: Builder) -> str:
    """What follows the map; returns the expression that forward returns."""
    kind = b.pick(["map", "pooled", "fixed", "flat", "row", "view", "both", "whole map"])
    c, axes = b.channels, ALL_AXES[b.rank]
    if kind == "both":
        return b.pick(["(x, x.mean())", "{'out': x, 'first': x[:, :1]}", "[x, x.flatten(1)]"])
    if kind == "pooled":
        pooled = b.pick(
            [
                f"x.mean({axes})",
                f"torch.flatten(F.adaptive_avg_pool{b.rank}d(x, 1), 1)",
                "x.view(x.size(0), x.size(1), -1).mean(-1)",
                "x.flatten(2).max(dim=2)[0]",
                f"torch.sum(x, dim={axes})",
            ]
        )
        b.emit(f"x = {pooled}")
        b.apply(f"nn.Linear({c}, 3)", "fc")
    elif kind == "fixed":
        side = b.pick([1, 2, 3])
        b.apply(f"nn.AdaptiveAvgPool{b.rank}d({side})", "pool")
        b.emit(f"x = {b.pick(['x.flatten(1)', f'x.view(-1, {c * side**b.rank})', 'torch.flatten(x, 1)'])}")
        b.apply(f"nn.Linear({c * side**b.rank}, 3)", "fc")
    elif kind == "row":
        b.emit(f"x = x.{b.pick(['transpose(1, -1)', 'movedim(1, -1)'])}")
        b.apply(f"nn.Linear({c}, 3)", "fc")
    elif kind in ("flat", "view", "whole map"):
        _reference_head(b, kind)
    return "x"


def _reference_head(b: Builder, kind: str) -> None:
    """A head that fits one reference size only, found by running the body there."""
    body = oracle.to_meta(b.finish().build())
    size = b.pick([24, 32, 17, 48])
    shape = oracle.fill(b.finish().template, (size,) * b.rank, 2)
    if not oracle.runs(body, shape):
        return
    (found,) = oracle.outputs(body, shape)
    if len(found) != b.rank + 2 or 0 in found or found[1] != b.channels:
        return
    features = 1
    for extent in found[1:]:
        features *= extent
    if kind == "whole map":
        b.apply(f"nn.Conv{b.rank}d({b.channels}, 3, {code(found[2:])})", "conv")
        b.emit(f"x = x{''.join(['.squeeze(-1)'] * b.rank)}")
    elif kind == "flat":
        b.emit(f"x = {b.pick(['x.flatten(1)', 'x.view(x.size(0), -1)', 'torch.flatten(x, start_dim=1)'])}")
        b.apply(f"nn.Linear({features}, 3)", "fc")
    else:
        b.emit(f"x = x.{b.pick(['view', 'reshape'])}(-1, {features})")
        b.apply(f"nn.Linear({features}, 3)", "fc")


def _small_chain(choose: Callable[[int], int]) -> Network:
    """Two to four convolutions and pools, 1d or 2d, sometimes with a skip."""
    b = Builder(choose, 1, 1)
    b.rank = rank = b.pick([1, 2])
    for _ in range(b.pick([2, 3, 4])):
        kernel = b.per_axis([3, 2, 5, 4])
        stride = b.per_axis([1, 2])
        if b.chance(30):
            ceil = b.pick(["", ", ceil_mode=True"])
            name = b.pick(["MaxPool", "AvgPool"])
            b.apply(f"nn.{name}{rank}d({code(b.per_axis([2, 3]))}, {code(stride)}{ceil})", "pool")
        elif b.chance(25):
            skip = b.let("x", "skip")
            b.apply(f"nn.Conv{rank}d(1, 1, 3, padding={b.pick([1, 0])})", "conv")
            b.emit(f"x = x + {skip}")
        else:
            dilation = b.pick([1, 1, 2])
            padding = b.pick([0, 0, 1])
            parts = ["1", "1", code(kernel), code(stride), str(padding)] + (["2"] if dilation == 2 else [])
            b.apply(f"nn.Conv{rank}d({', '.join(parts)})", "conv")
    return b.finish()
