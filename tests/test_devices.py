"""Models whose weights are not on the CPU."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from autofix import check_model, fix_model


def test_a_model_without_values_is_repaired_and_not_computed():
    with torch.device("meta"):
        model = nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU(), nn.Conv2d(4, 4, 3))
    fix = fix_model(model, min_input=3)
    assert fix.proved
    assert fix.verdict.computed is None
    assert "forward" not in fix.verdict.ran
    assert all(parameter.is_meta for parameter in fix.model.parameters())


class NamesItsDevice(nn.Module):
    """Says where its tensors are to be, in each of the ways that people do."""

    def __init__(self, how: str) -> None:
        super().__init__()
        self.conv, self.last, self.how = nn.Conv2d(3, 4, 3, 2, 1), nn.Conv2d(4, 4, 3), how
        self.device, self.mean = torch.device("cpu"), torch.zeros(1, 4, 1, 1)

    def forward(self, x):
        match self.how:
            case "to":
                x = x.to(self.device)
            case "factory":
                x = x + torch.zeros(x.shape, device="cpu")
            case "number":
                x = x * torch.tensor(2.0, device=self.device)
            case "constant":
                return self.last(self.conv(x) + self.mean.to("cpu", non_blocking=True))
            case "get_device":
                x = x if self.conv.weight.get_device() < 0 and x.get_device() < 0 else x[0]
            case "others":
                x = x[0] if x.is_xpu or x.is_mps or x.is_cuda or not x.is_cpu else x
            case "contiguous":
                x = x if x.is_contiguous() else x.contiguous()
            case "empty":
                x = x[0] if x.numel() == 0 else x
            case "layer":
                x = nn.Identity().to(x)(x)
        return self.last(self.conv(x)).cpu()


WAYS = ["to", "factory", "number", "constant", "get_device", "others", "contiguous", "empty", "layer"]


@pytest.mark.parametrize("how", WAYS)
def test_a_model_that_names_its_device(how):
    model = NamesItsDevice(how).eval()
    report = check_model(model, input_shape=(1, 3, "H", "W"))
    assert report.proved
    assert report.working_sizes == ">= 5"
    fix = fix_model(model, input_shape=(1, 3, "H", "W"), min_input=2, strategy="preserve")
    assert fix.proved
    x = torch.randn(2, 3, 7, 9)
    assert torch.equal(fix.model(x), model(x))
    assert fix.model(x[..., :2, :2]).shape == (2, 4, 1, 1)


def test_a_device_that_is_not_there_is_the_models_own_matter():
    """The repair is made and proved; with real values neither it nor the model could run here."""
    model = NamesItsDevice("to")
    model.device = torch.device("xpu")
    fix = fix_model(model, input_shape=(1, 3, "H", "W"), min_input=2)
    assert fix.proved
    assert fix.verdict.computed is None
