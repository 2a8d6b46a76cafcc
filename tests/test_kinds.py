"""Models of every kind: other types than float, graphs, compiled functions, a forward of the instance."""

from __future__ import annotations

import math
import types
from math import sqrt
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.autograd import Variable

from autofix import check_model, fix_model

IMAGE = (1, 3, "H", "W")


@torch.jit.script
def swish(x: Tensor) -> Tensor:
    return x * torch.sigmoid(x)


def repaired(model: nn.Module, strategy: str) -> None:
    """Proved, runs from the size asked for, and keeps what worked."""
    report = check_model(model, input_shape=IMAGE)
    assert report.proved
    assert report.working_sizes == ">= 5"
    fix = fix_model(model, input_shape=IMAGE, min_input=2, strategy=strategy)
    assert fix.proved
    assert list(fix.model.state_dict()) == list(model.state_dict())
    kind = next(model.parameters()).dtype
    for module in (model, fix.model, fix.graph_module):
        module.eval()
    assert fix.model(torch.randn(2, 3, 2, 3).to(kind)).dtype == kind
    x = torch.randn(2, 3, 7, 9).to(kind)
    assert torch.equal(fix.graph_module(x), fix.model(x))
    if strategy == "preserve":
        assert torch.equal(fix.model(x), model(x))


@pytest.mark.parametrize("strategy", ["fewest", "preserve"])
@pytest.mark.parametrize("kind", [torch.float64, torch.float16, torch.bfloat16], ids=str)
def test_other_types_than_float(kind: torch.dtype, strategy: str) -> None:
    model = nn.Sequential(nn.Conv2d(3, 4, 5), nn.BatchNorm2d(4), nn.ReLU()).to(kind)
    repaired(model, strategy)


@pytest.mark.parametrize("strategy", ["fewest", "preserve"])
def test_a_graph_of_torch_fx(strategy: str) -> None:
    repaired(torch.fx.symbolic_trace(nn.Sequential(nn.Conv2d(3, 4, 5), nn.ReLU())), strategy)


class Older(nn.Module):
    """As networks were written: Variable, compiled functions, roots of sizes, a `train` without result."""

    def __init__(self) -> None:
        super().__init__()
        self.conv, self.rnn = nn.Conv2d(3, 4, 5), nn.LSTM(4, 4)

    def train(self, mode: bool = True) -> Any:
        super().train(mode)

    def eval(self) -> Any:
        super().train(False)

    def forward(self, x: Tensor) -> Tensor:
        y = swish(self.conv(Variable(x)))
        state = Variable(torch.zeros(1, x.size(0), 4))
        y = self.rnn(y.mean(2).permute(2, 0, 1), (state, state))[0]
        return y / sqrt(y.shape[0]) * math.log(y.shape[0] + 1) * np.sqrt(x.shape[2])


@pytest.mark.parametrize("strategy", ["fewest", "preserve"])
def test_what_older_code_does(strategy: str) -> None:
    repaired(Older(), strategy)


def test_a_forward_of_the_instance_is_its_forward() -> None:
    model = nn.Sequential(nn.Conv2d(3, 4, 5))
    model.forward = types.MethodType(lambda self, x: self[0](F.pad(x, (0, 0, 1, 1))), model)
    report = check_model(model, input_shape=IMAGE)
    assert report.proved
    assert report.working_sizes == "H >= 3; W >= 5"
    x = torch.randn(2, 3, 4, 6)
    for strategy in ("fewest", "preserve"):
        fix = fix_model(model, input_shape=IMAGE, min_input=2, strategy=strategy)
        assert fix.proved
        assert fix.model(x[..., :2, :2]).shape[:2] == (2, 4)
    assert torch.equal(fix.model(x), model(x))


def test_a_number_that_is_rounded_the_same_on_a_path() -> None:
    class Rounds(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.conv = nn.Conv1d(1, 4, 3, 1, 1)

        def forward(self, x: Tensor) -> Tensor:
            n = x.shape[-1]
            if n > 64:
                return self.conv(x)
            return self.conv(F.pad(x, (0, math.ceil((n % 2 + 1) / 4))))

    assert check_model(Rounds(), input_shape=(1, 1, "T")).ok


def test_a_failure_that_is_far_off_is_seen() -> None:
    """The pool gives two values only from 1,281 on."""
    body = [nn.Conv2d(4 if i else 3, 4, 3, 2, 1) for i in range(6)]
    model = nn.Sequential(*body, nn.AvgPool2d(12, 9), nn.Flatten(), nn.Linear(4, 5))
    fix = fix_model(model, input_shape=IMAGE, min_input=300, strategy="preserve")
    assert [insert.kind for insert in fix.inserts] == ["fit", "adaptive"]
    assert fix.proved
