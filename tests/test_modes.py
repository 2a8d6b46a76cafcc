"""A repair that changes forward keeps what it does in train mode, without gradients and under autocast."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from autofix import fix_model
from autofix.repair import Fix

IMAGE = (1, 1, "H", "W")


class Drops(nn.Module):
    """Drops by a function that takes the mode as an argument; another one takes its opposite."""

    def __init__(self) -> None:
        super().__init__()
        self.conv, self.fc = nn.Conv2d(1, 4, 3, padding=1), nn.Linear(64, 2)

    def forward(self, x: Tensor) -> Tensor:
        x = F.max_pool2d(self.conv(x), 2)
        x = F.dropout(x, p=0.5, training=self.training)
        x = F.feature_alpha_dropout(x, 0.0, not self.training)
        return self.fc(x.flatten(1))


class Deep(nn.Module):
    """A second head in train mode alone, where the fault is."""

    def __init__(self, forks: bool = False) -> None:
        super().__init__()
        self.conv, self.head, self.aux = nn.Conv2d(1, 4, 3, 2, 1), nn.Conv2d(4, 2, 1), nn.Conv2d(4, 2, 1)
        self.more, self.forks = nn.Conv2d(4, 4, 1), forks

    def forward(self, x: Tensor) -> Any:
        x = self.conv(x)
        if self.forks and x.shape[2] % 2:
            x = self.more(x)
        if self.training:
            return self.head(x), self.aux(F.avg_pool2d(x, 5, 3))
        return self.head(x)


def head_of(strategy: str = "fewest") -> Fix:
    return fix_model(Drops(), input_shape=IMAGE, min_input=6, strategy=strategy)


@pytest.mark.parametrize("which", ["model", "graph_module"])
def test_dropout_by_a_function_follows_the_mode(which: str) -> None:
    fix = head_of("preserve")
    model = getattr(fix, which)
    x = torch.randn(2, 1, 8, 8)
    assert fix.proved
    for again in (model, copy.deepcopy(model)):
        again.train()
        assert not torch.equal(again(x), again(x))
        again.eval()
        assert torch.equal(again(x), again(x))


def test_the_written_file_follows_the_mode_too(tmp_path: Path) -> None:
    fix = head_of()
    assert "training=self.training" in fix.diff or "dropout" not in fix.diff
    assert "self.training" in fix.graph_module.code


@pytest.mark.parametrize("forks", [False, True], ids=["one path", "two paths"])
def test_a_head_that_only_trains_is_kept(forks: bool) -> None:
    torch.manual_seed(0)
    model = Deep(forks)
    fix = fix_model(model, input_shape=IMAGE, min_input=6, strategy="preserve")
    assert [insert.site for insert in fix.inserts] == ["avg_pool2d"]
    for size in (6, 7, 8, 9, 10, 12):
        x = torch.randn(2, 1, size, size)
        main, aux = fix.model.train()(x)
        assert aux.shape[2:] == (1, 1)
        assert torch.equal(main, fix.model.eval()(x))
        assert torch.equal(main, model.eval()(x))
        if size >= 9:
            assert torch.equal(aux, model.train()(x)[1])


def test_a_graph_of_one_mode_refuses_the_other() -> None:
    graph = fix_model(Deep(), input_shape=IMAGE, min_input=6, strategy="preserve").graph_module
    assert graph.eval()(torch.randn(1, 1, 6, 6)).shape == (1, 2, 3, 3)
    with pytest.raises(AssertionError, match="stands for eval mode"):
        graph.train()(torch.randn(1, 1, 6, 6))


class Joined(nn.Module):
    """A join that is a pixel off at odd sizes; `how` the encoder is run."""

    def __init__(self, how: str) -> None:
        super().__init__()
        self.conv, self.pool, self.how = nn.Conv2d(1, 4, 3, padding=1), nn.MaxPool2d(2), how
        self.up, self.last = nn.ConvTranspose2d(4, 4, 2, 2), nn.Conv2d(8, 2, 1)

    def encode(self, x: Tensor) -> Tensor:
        if self.how == "no_grad":
            with torch.no_grad():
                return self.conv(x)
        if self.how == "within":
            with torch.no_grad():
                kept = self.conv(x)
                with torch.enable_grad():
                    return kept + self.conv(x)
        with torch.autocast("cpu", dtype=torch.bfloat16):
            return self.conv(x).float()

    def forward(self, x: Tensor) -> Tensor:
        x = self.encode(x)
        return self.last(torch.cat([x, self.up(self.pool(x))], 1))


class Frozen(Joined):
    @torch.no_grad()
    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x)


def gradients(model: nn.Module, x: Tensor) -> list[bool]:
    model.zero_grad()
    result = model(x)
    if result.requires_grad:
        result.sum().backward()
    return [parameter.grad is not None for parameter in model.parameters()]


@pytest.mark.parametrize("kind", [Joined, Frozen])
@pytest.mark.parametrize("how", ["no_grad", "within", "autocast"])
@pytest.mark.parametrize("which", ["model", "graph_module"])
def test_what_forward_runs_otherwise_is_run_so(kind: type[Joined], how: str, which: str) -> None:
    torch.manual_seed(0)
    model = kind(how).eval()
    fix = fix_model(model, input_shape=IMAGE, min_input=5, strategy="preserve")
    repaired = getattr(fix, which)
    x = torch.randn(2, 1, 8, 8)
    assert torch.equal(repaired(x), model(x))
    assert gradients(repaired, x) == gradients(model, x)
    assert torch.is_grad_enabled()
    assert not torch.is_autocast_enabled("cpu")
    with torch.no_grad():
        assert not repaired(x).requires_grad
        assert not torch.is_grad_enabled()
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert torch.equal(repaired(x), model(x))


class Scales(nn.Module):
    """Arguments beside the image, which have defaults."""

    def __init__(self) -> None:
        super().__init__()
        self.conv, self.fc = nn.Conv2d(1, 4, 3, padding=1), nn.Linear(256, 2)

    def forward(self, x: Tensor, scale: float = 1.0, mask: Any = None, features: bool = False) -> Any:
        x = self.conv(x)
        y = self.fc(x.flatten(1)) * scale
        y = y if mask is None else y * mask
        return (y, x) if features else y


@pytest.mark.parametrize("which", ["model", "graph_module"])
def test_other_arguments_than_the_repair_was_made_with_are_refused(which: str) -> None:
    fix = fix_model(Scales(), input_shape=IMAGE, min_input=6)
    repaired, x = getattr(fix, which), torch.randn(2, 1, 8, 8)
    assert torch.equal(repaired(x, scale=1.0, mask=None), fix.model(x))
    for other in ({"scale": 2.0}, {"mask": torch.ones(2)}, {"features": True}):
        with pytest.raises(AssertionError, match=f"made with {next(iter(other))}="):
            repaired(x, **other)
