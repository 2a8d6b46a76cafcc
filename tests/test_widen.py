"""A norm of a single value: padded to two where every axis has one, and left alone elsewhere."""

from __future__ import annotations

import importlib
import importlib.util
import itertools
import sys
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from autofix import check_model, fix_model

SOURCE = """
import torch
import torch.nn.functional as F
from torch import nn


class Norms(nn.Module):
    def __init__(self):
        super().__init__()
        self.down = nn.Conv2d(1, 4, 3, 2, 1)
        self.up = nn.ConvTranspose2d(4, 1, 2, 2)

    def forward(self, x):
        y = F.instance_norm(self.down(x))
        return torch.cat([x, self.up(y)], 1)
"""


class UNet(nn.Module):
    """One level, with an instance norm at the bottom, in two dimensions or three."""

    def __init__(self, rank: int) -> None:
        super().__init__()
        kinds = {name: getattr(nn, f"{name}{rank}d") for name in ("Conv", "ConvTranspose", "InstanceNorm")}
        self.down = nn.Sequential(kinds["Conv"](1, 4, 3, 4, 1), kinds["InstanceNorm"](4), nn.ReLU())
        self.up = kinds["ConvTranspose"](4, 2, 4, 4)

    def forward(self, x: Tensor) -> Tensor:
        return torch.cat([x, self.up(self.down(x))], 1)


@pytest.mark.parametrize("rank", [2, 3])
def test_a_single_value_is_padded_and_nothing_else(rank: int) -> None:
    torch.manual_seed(0)
    model, template = UNet(rank).eval(), (1, 1, *"DHW"[-rank:])
    before = check_model(model, input_shape=template)
    fix = fix_model(model, input_shape=template, min_input=2, strategy="preserve")
    assert [insert.kind for insert in fix.inserts] == ["widen", "align"]
    assert fix.proved
    assert fix.report.ok
    worked = 0
    for sizes in itertools.product((2, 3, 4, 5, 8), repeat=rank):
        x = torch.randn(2, 1, *sizes)
        result = fix.model(x)
        assert result.shape == (2, 3, *sizes)
        assert torch.equal(fix.graph_module.eval()(x), result)
        fix.model.train()(x)
        fix.model.eval()
        if before.accepts(*sizes):
            worked += 1
            assert torch.equal(result, model(x)), sizes
    assert worked


def test_unequal_sizes_that_worked_stay() -> None:
    """1 x 2 values are enough: the norm works at 3 x 5, though 3 x 3 does not."""
    model = nn.Sequential(nn.Conv2d(1, 4, 3, 2), nn.InstanceNorm2d(4)).eval()
    fix = fix_model(model, input_shape=(1, 1, "H", "W"), min_input=3, strategy="preserve")
    for sizes in ((3, 5), (5, 3), (4, 6), (9, 9)):
        x = torch.randn(2, 1, *sizes)
        assert torch.equal(fix.model(x), model(x))
    assert fix.model(torch.randn(2, 1, 3, 4)).shape == (2, 4, 1, 2)


def test_the_written_file_does_the_same(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "norms.py").write_text(SOURCE)
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.chdir(tmp_path)
    model = importlib.import_module("norms").Norms().eval()
    fix = fix_model(model, input_shape=(1, 1, "H", "W"), min_input=1, strategy="preserve")
    assert "F.instance_norm(widen(self.down(x)))" in fix.diff
    (written, *_) = fix.save(tmp_path / "out")
    spec = importlib.util.spec_from_file_location("written", written)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    again = module.Norms().eval()
    again.load_state_dict(model.state_dict())
    for sizes in itertools.product((1, 2, 3, 4, 7), repeat=2):
        x = torch.randn(2, 1, *sizes)
        assert torch.equal(again(x), fix.model(x))
    sys.modules.pop("norms")


def test_it_exports() -> None:
    fix = fix_model(UNet(2), input_shape=(1, 1, "H", "W"), min_input=2, strategy="preserve")
    free = {"x": {2: torch.export.Dim.AUTO, 3: torch.export.Dim.AUTO}}
    program = torch.export.export(fix.model.eval(), (torch.randn(2, 1, 21, 37),), dynamic_shapes=free)
    x = torch.randn(2, 1, 24, 33)
    assert torch.allclose(program.module()(x), fix.model(x))
