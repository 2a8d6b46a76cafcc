"""Models whose weights are not on the CPU."""

from __future__ import annotations

import torch
from torch import nn

from autofix import fix_model


def test_a_model_without_values_is_repaired_and_not_computed():
    with torch.device("meta"):
        model = nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU(), nn.Conv2d(4, 4, 3))
    fix = fix_model(model, min_input=3)
    assert fix.proved
    assert fix.verdict.computed is None
    assert "forward" not in fix.verdict.ran
    assert all(parameter.is_meta for parameter in fix.model.parameters())
