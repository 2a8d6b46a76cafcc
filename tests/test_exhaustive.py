"""The brute force on networks small enough to repair by hand."""

from __future__ import annotations

import exhaustive
import pytest
from exhaustive import Edit, optimum
from networks import random_small_chain
from torch import Tensor, nn

D1, D2 = (1, 1, "W"), (1, 1, "H", "W")


def chain(*layers: nn.Module) -> nn.Module:
    return nn.Sequential(*layers)


def test_nothing_to_do() -> None:
    found = optimum(chain(nn.Conv1d(1, 1, 3)), D1, 3)
    assert found is not None
    assert found.cost == (0, 0, 0)
    assert found.repairs == {frozenset()}


def test_one_pixel_of_padding() -> None:
    """5 -> 3 -> 1 -> needs 3: one more on either side of the last convolution."""
    model = chain(nn.Conv2d(1, 1, 3), nn.MaxPool2d(2, 2), nn.Conv2d(1, 1, 3))
    found = optimum(model, D2, 5)
    assert found is not None
    assert found.cost == (1, 1, 2)
    assert found.repairs == {frozenset({Edit("2", "padding", (0, 0), (1, 1), exhaustive.PADDING)})}


def test_ceil_mode_before_more_padding() -> None:
    """3 -> 1 -> needs 2: for kernels of 2 any padding is above 'same', so rounding up is milder."""
    found = optimum(chain(nn.AvgPool1d(2, 2), nn.Conv1d(1, 1, 2)), D1, 3)
    assert found is not None
    assert found.repairs == {frozenset({Edit("0", "ceil_mode", (0,), (1,), exhaustive.CEIL)})}


def test_output_of_padding_only_is_no_repair() -> None:
    """At size 1 a dilated kernel of two taps steps over its input, whatever the padding."""
    found = optimum(chain(nn.Conv1d(1, 1, 2, dilation=2)), D1, 1)
    assert found is None


def test_a_skip_restrains_its_branch() -> None:
    class Skip(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.conv = nn.Conv1d(1, 1, 3)

        def forward(self, x: Tensor) -> Tensor:
            return x + self.conv(x)

    found = optimum(Skip(), D1, 2)
    assert found is not None
    assert found.repairs == {frozenset({Edit("conv", "padding", (0,), (1,), exhaustive.PADDING)})}


def test_the_limit() -> None:
    layers = [nn.Conv2d(1, 1, 5, 3) for _ in range(4)]
    with pytest.raises(exhaustive.TooLargeError):
        optimum(chain(*layers), D2, 4, limit=50)


def test_small_chains_have_optima() -> None:
    networks = [random_small_chain(seed) for seed in range(12)]
    found = [optimum(network.build(), network.template, 6) for network in networks]
    assert {best.cost[0] for best in found if best is not None} >= {0, 1}
