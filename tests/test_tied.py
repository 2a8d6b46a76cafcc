"""Networks whose sizes are tied to tables of positions: the refusal names the table."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from autofix import InfeasibleError, check_model, fix_model


class Tokens(nn.Module):
    """Patches and a learned position for each, as in a vision transformer for 32 x 32."""

    def __init__(self) -> None:
        super().__init__()
        self.patches = nn.Conv2d(3, 8, 8, 8)
        self.pos_embed = nn.Parameter(torch.zeros(1, 16, 8))
        self.mix = nn.Linear(8, 8)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        tokens = self.patches(x).flatten(2).transpose(1, 2)
        return self.mix(tokens + self.pos_embed).mean(1)


def test_a_table_of_positions_is_named():
    model = Tokens()
    assert check_model(model).accepts(32, 32)
    assert check_model(model).accepts(16, 64)
    assert not check_model(model).accepts(40, 40)
    with pytest.raises(InfeasibleError, match=r"tied to position embeddings \(pos_embed\)"):
        fix_model(model, min_input=32)
