"""Tensors made as before torch 0.4: torch.FloatTensor(sizes), x.new(sizes), x.type(torch.FloatTensor)."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from autofix import check_model, fix_model

VOLUMES = [
    "torch.FloatTensor(y.size(0), 8, y.size(2), y.size(3)).zero_()",
    "torch.FloatTensor(torch.Size([y.size(0), 8, y.size(2), y.size(3)])).zero_()",
    "torch.DoubleTensor(y.size(0), 8, y.size(2), y.size(3)).fill_(0).type(torch.FloatTensor)",
    "y.new(y.size(0), 8, y.size(2), y.size(3)).zero_()",
    "y.new(y.size()).fill_(0).repeat(1, 2, 1, 1)",
    "y.type(torch.FloatTensor).repeat(1, 2, 1, 1)",
    "(y * torch.FloatTensor([1, 2, 3, 4]).view(1, 4, 1, 1)).repeat(1, 2, 1, 1)",
]


class CostVolume(nn.Module):
    """As in stereo matching: a volume is made, and filled."""

    def __init__(self, how: str) -> None:
        super().__init__()
        self.conv, self.volume = nn.Conv2d(3, 4, (4, 3), (4, 3)), eval(f"lambda y: {how}", {"torch": torch})

    def forward(self, x: Tensor) -> Tensor:
        y = self.conv(x)
        volume = self.volume(y)
        volume[:, :4] = y
        return volume


@pytest.mark.parametrize("how", VOLUMES)
def test_volumes_are_described_and_repaired(how: str) -> None:
    model = CostVolume(how).eval()
    kinds = torch.FloatTensor, torch.LongTensor
    report = check_model(model, input_shape=(1, 3, "H", "W"))
    assert report.proved
    assert report.minimum_input == (4, 3)
    fix = fix_model(model, input_shape=(1, 3, "H", "W"), min_input=2, strategy="preserve")
    assert kinds == (torch.FloatTensor, torch.LongTensor)
    assert fix.model(torch.randn(1, 3, 2, 7)).shape == (1, 8, 1, 2)
    x = torch.randn(2, 3, 9, 7)
    assert torch.equal(fix.model(x), model(x))
    assert torch.equal(fix.graph_module(x), model(x))


def test_what_may_be_data_is_not_taken_for_sizes() -> None:
    report = check_model(CostVolume("y.new((1.0, 2.0))"), input_shape=(1, 3, "H", "W"))
    assert report.unmodelled
