"""The optimum of the search against brute force, tier by tier: edited layers, kinds of edits, total change.

One departure is deliberate. A stride on one branch only of a join whose branches have the same resolution
stays as it is: with all strides at 1 a U-Net would join at every size, and be none any more. The brute force
is held to the same rule, found in another way: each stride is set to 1 in turn, the model is run at one large
size, and a stride that changes the operands of a join by different factors is on one of its branches.
"""

from __future__ import annotations

from typing import Any

import exhaustive
import oracle
import pytest
import torch
import torch.nn.functional as F
from exhaustive import Cost, Edit, TooLargeError, Watch
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st
from network_builder import Builder, Network, code
from networks import small_chains
from torch import Tensor, nn

from autofix import InfeasibleError, fix_model
from autofix.repair import Fix

RANKS = {"ceil_mode": exhaustive.CEIL, "output_padding": exhaustive.MORE_PADDING, "stride": exhaustive.STRIDE}
LARGE, SMALL = 4096, 64  # at LARGE the rounding of a few layers hides no factor of 2


class Joined(Watch):
    """The operands' sizes along one axis at each addition; operands that differ are cropped to go on."""

    def __init__(self, axis: int) -> None:
        super().__init__()
        self.axis, self.sizes = axis, list[tuple[int, int]]()

    def added(self, left: Tensor, right: Tensor) -> tuple[Tensor, Tensor]:
        self.sizes.append((left.shape[self.axis], right.shape[self.axis]))
        least = tuple(slice(min(a, b)) for a, b in zip(left.shape, right.shape, strict=True))
        return left[least], right[least]


def strides_that_stay(model: nn.Module, template: oracle.Template) -> frozenset[str]:
    """Layers on one branch only of a join of equal resolutions."""
    meta, rank = oracle.to_meta(model), len(template) - 2
    found: set[str] = set()
    for axis in range(rank):
        before = joins(meta, template, axis)
        for name, module in meta.named_modules():
            if hasattr(module, "stride"):
                kept = exhaustive.per_axis(module.stride, rank)
                module.stride = (*kept[:axis], 1, *kept[axis + 1 :])
                if any(map(on_one_branch, before, joins(meta, template, axis))):
                    found.add(name)
                module.stride = kept
    return frozenset(found)


def joins(meta: nn.Module, template: oracle.Template, axis: int) -> list[tuple[int, int]]:
    sizes = [SMALL] * (len(template) - 2)
    sizes[axis] = LARGE
    with Joined(2 + axis) as joined:
        oracle.outputs(meta, oracle.fill(template, tuple(sizes), 2))
    return joined.sizes


def on_one_branch(before: tuple[int, int], after: tuple[int, int]) -> bool:
    """The operands had one resolution, and only one of them has changed, or one more than the other."""
    return (
        0.9 < before[0] / before[1] < 1.1 and not 0.8 < (after[0] * before[1]) / (after[1] * before[0]) < 1.25
    )


def cost_of(fix: Fix) -> Cost:
    return exhaustive.cost(frozenset(as_edits(fix)))


def as_edits(fix: Fix) -> list[Edit]:
    """The edits of a repair as the brute force writes them."""
    assert fix.original is not None
    found = []
    for edit in fix.edits:
        assert edit.module is not None
        layer = fix.original.get_submodule(edit.module)
        rank = exhaustive.rank_of(layer, edit.knob, edit.old, edit.new)
        found.append(Edit(edit.module, edit.knob, edit.old, edit.new, rank))
    return found


def agrees(network: Network, least: int) -> Cost | None:
    """Both searches find the same; the cost, None where edits cannot do it."""
    model = network.build()
    stay = strides_that_stay(model, network.template)
    best = exhaustive.optimum(model, network.template, least, stay=stay)
    try:
        fix = fix_model(model, min_input=least, input_shape=network.template, time_limit=30)
    except InfeasibleError:
        fix = None
    if best is None:
        assert fix is None or fix.inserts
        return None
    assert fix is not None
    assert not fix.inserts
    assert fix.optimal
    assert cost_of(fix) == best.cost
    assert frozenset(as_edits(fix)) in best.repairs
    return best.cost


@settings(max_examples=40, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
@given(small_chains(), st.integers(1, 9))
def test_small_networks(network: Network, least: int) -> None:
    try:
        agrees(network, least)
    except TooLargeError:
        assume(False)


@st.composite
def forked(draw: Any) -> Network:
    """A strided fork whose branches are added, and a convolution after it."""
    b = Builder(lambda count: int(draw(st.integers(0, count - 1))), 1, 1)
    stride = b.pick([2, 1, 3])
    if b.chance(50):
        b.apply(f"nn.Conv1d(1, 1, 3, {b.pick([1, 2])}, {b.pick([1, 0])})", "first")
    side = b.let(f"{b.module(f'nn.Conv1d(1, 1, {b.pick([1, 2, 3])}, {stride})', 'side')}(x)")
    shape = f"{code((b.pick([3, 2, 5]),))}, {b.pick([stride, stride, 1])}, {b.pick([1, 0])}"
    b.apply(f"nn.Conv1d(1, 1, {shape})", "main")
    b.emit(f"x = x + {side}")
    b.apply(f"nn.Conv1d(1, 1, {b.pick([1, 3])})", "last")
    return b.finish()


@settings(max_examples=25, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
@given(forked(), st.integers(1, 7))
def test_strided_forks(network: Network, least: int) -> None:
    agrees(network, least)


class Fork(nn.Module):
    """Two strided branches, an odd size apart."""

    def __init__(self) -> None:
        super().__init__()
        self.left = nn.Conv1d(1, 1, 1, stride=2)
        self.right = nn.Conv1d(1, 1, 2, stride=2)

    def forward(self, x: Tensor) -> Tensor:
        return self.left(x) + self.right(x)


def test_the_rule_on_strides() -> None:
    """With both strides at 1 no padding would be right; the paddings alone cannot do it either way."""
    assert strides_that_stay(Fork(), (1, 1, "W")) == {"left", "right"}
    deep = nn.Sequential(nn.Conv1d(1, 1, 3, 2), Fork())
    assert strides_that_stay(deep, (1, 1, "W")) == {"1.left", "1.right"}


class Tower(nn.Module):
    """The branches differ in resolution: the stride is the mistake, and may change."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv1d(1, 1, 3, stride=2, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        return F.relu(x + self.conv(x))


def test_a_stride_that_is_the_mistake_changes() -> None:
    assert not strides_that_stay(Tower(), (1, 1, "W"))
    fix = fix_model(Tower(), min_input=2, input_shape=(1, 1, "W"))
    assert cost_of(fix) == (1, exhaustive.STRIDE, 1)


def test_broadcasting_is_no_repair() -> None:
    """At size 3 the branch has one element, which torch would add to all three."""
    with pytest.raises(RuntimeError):
        exhaustive.EqualOperands().added(torch.zeros(1, 1, 3), torch.zeros(1, 1, 1))
