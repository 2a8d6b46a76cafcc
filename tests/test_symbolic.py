"""The second rung: a model's own Python followed along one size, and that nothing is disturbed by it."""

from __future__ import annotations

import builtins
import contextlib
import math
import sys
from collections.abc import Callable

import oracle
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, as_tensor, nn

from autofix import AutofixError, CaptureError, check_model, fix_model
from autofix.outcome import Report

IMAGE = (1, 3, "H", "W")
ROW = (1, 3, "W")


class Of(nn.Module):
    """A function of a convolution and the input."""

    def __init__(self, function: Callable[..., object], **layers: nn.Module) -> None:
        super().__init__()
        self.function = function
        self.layers = nn.ModuleDict({"conv": nn.Conv1d(3, 3, 3), **layers})

    def forward(self, x: Tensor) -> object:
        return self.function(self.layers, x)


def branches(layers: nn.ModuleDict, x: Tensor) -> Tensor:
    return layers["conv"](x) if x.shape[2] > 5 else x


def remainder(layers: nn.ModuleDict, x: Tensor) -> Tensor:
    if x.size(-1) % 3:
        x = F.pad(x, (0, 3 - x.size(-1) % 3))
    return F.max_pool1d(x, 3)


def halves(layers: nn.ModuleDict, x: Tensor) -> Tensor:
    return layers["conv"](F.interpolate(x, size=int(x.shape[2] * 0.5)))


def at_least_six(layers: nn.ModuleDict, x: Tensor) -> Tensor:
    return layers["conv"](F.pad(x, (0, max(6 - x.shape[2], 0))))


def ceils(layers: nn.ModuleDict, x: Tensor) -> Tensor:
    return layers["conv"](x[..., : math.ceil(x.shape[2] / 2)])


def at_most_four(layers: nn.ModuleDict, x: Tensor) -> Tensor:
    return layers["conv"](x[..., : min(4, x.size(2) - 2)])


def counts(layers: nn.ModuleDict, x: Tensor) -> Tensor:
    return torch.stack([x[..., i].sum() for i in range(x.shape[2])])


def takes_apart(layers: nn.ModuleDict, x: Tensor) -> Tensor:
    left, right = torch.chunk(x, 2, -1)
    return left[..., : right.shape[-1]] + right if int(right.shape[-1]) > 1 else left


def asserts(layers: nn.ModuleDict, x: Tensor) -> Tensor:
    assert x.shape[2] % 4 != 1, "one pixel is left over"
    return layers["conv"](x)


def doubles(layers: nn.ModuleDict, x: Tensor) -> Tensor:
    while x.shape[-1] < 10:
        x = torch.cat([x, x], -1)
    return layers["conv"](x[..., :10])


def makes_tensors(layers: nn.ModuleDict, x: Tensor) -> Tensor:
    if x.shape[2] % 2:
        x = torch.as_tensor(x[..., 1:], dtype=x.dtype)
    scale = torch.tensor([[x.shape[2], 2]]).sum() + as_tensor(x.shape[2])
    return layers["conv"](torch.asarray(x)) * scale


FUNCTIONS = (
    branches,
    remainder,
    halves,
    at_least_six,
    ceils,
    at_most_four,
    takes_apart,
    asserts,
    doubles,
    makes_tensors,
)


@pytest.mark.parametrize("function", FUNCTIONS, ids=lambda function: function.__name__)
def test_sizes_followed_through_python(function: Callable[..., object]) -> None:
    model = Of(function)
    report = check_model(model, input_shape=ROW)
    assert not report.unmodelled
    meta = oracle.to_meta(model)
    for size in range(1, 41):
        for training in (False, True):
            assert report.accepts(size, training=training) == oracle.runs(meta, (2, 3, size), training), size


def paths(report: Report) -> int:
    return len(report.analysis.evaluating.pieces)


def test_a_branch_is_a_path_condition() -> None:
    report = check_model(Of(branches), input_shape=ROW)
    assert paths(report) == 2
    for piece in report.analysis.evaluating.pieces:
        small = bool(piece.domain.at({0: 5}))
        assert [bool(piece.domain.at({0: size})) for size in (1, 5, 6, 99)] == [
            small,
            small,
            not small,
            not small,
        ]
    assert report.analysis.complete


@pytest.mark.parametrize("function", [halves, at_least_six, ceils, at_most_four])
def test_arithmetic_needs_no_path(function: Callable[..., object]) -> None:
    """int, max, min and math.ceil of sizes stay formulas."""
    assert paths(check_model(Of(function), input_shape=ROW)) == 1


def test_a_range_pins_the_size() -> None:
    """Each size is a path of its own; they cannot cover all, and nothing is called proved."""
    report = check_model(Of(counts), input_shape=ROW)
    assert not report.analysis.complete
    assert not report.proved
    assert all(report.accepts(size) for size in (1, 2, 63, 64, 65, 700))


class Crop(nn.Module):
    """The skip is cropped where it is a tensor, which a plain proxy is not."""

    def __init__(self) -> None:
        super().__init__()
        self.up, self.conv = nn.ConvTranspose2d(3, 3, 2, 2), nn.Conv2d(6, 3, 3, padding=1)

    def forward(self, x: Tensor, skip: Tensor | None) -> Tensor:
        x = self.up(x)
        if isinstance(skip, torch.Tensor) and torch.is_tensor(skip):
            return self.conv(torch.cat([skip, x], dim=1))
        return self.conv(torch.cat([x, x], dim=1))


class LosesTheSkip(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.down, self.up = nn.MaxPool2d(2), Crop()

    def forward(self, x: Tensor) -> Tensor:
        return self.up(self.down(x), x)


def test_a_trace_that_lost_a_branch_is_replaced() -> None:
    """Plain tracing succeeds, and joins nothing."""
    model = LosesTheSkip()
    (join,) = [node for node in torch.fx.symbolic_trace(model).graph.nodes if node.target is torch.cat]
    assert len(set(join.args[0])) == 1
    report = check_model(model, input_shape=IMAGE)
    assert [size for size in range(1, 13) if report.accepts(size, size)] == [2, 4, 6, 8, 10, 12]
    assert "followed" in report.capture


def test_control_flow_on_data_is_refused() -> None:
    def by_value(layers: nn.ModuleDict, x: Tensor) -> Tensor:
        return x if x.sum() > 0 else -x

    with pytest.raises(CaptureError, match="data of a tensor"):
        check_model(Of(by_value), input_shape=ROW)


def fails_mid_trace(layers: nn.ModuleDict, x: Tensor) -> Tensor:
    torch.rand(3)
    layers["norm"](x)
    if x.shape[2] > 4:
        raise KeyError("not for such sizes")
    return x


def disturbs(layers: nn.ModuleDict, x: Tensor) -> Tensor:
    noise = torch.rand(1)
    return F.dropout(layers["norm"](layers["conv"](x)), training=True) + max(0, x.shape[2] - 3) * noise


@pytest.mark.parametrize("function", [disturbs, fails_mid_trace, branches], ids=lambda f: f.__name__)
def test_capture_leaves_everything_as_it_was(function: Callable[..., object]) -> None:
    model = Of(function, norm=nn.BatchNorm1d(3))
    model.layers["norm"].eval()
    state = {name: value.clone() for name, value in model.state_dict().items()}
    modes = [module.training for module in model.modules()]
    names = {
        name: vars(module).copy() for name, module in (("own", sys.modules[__name__]), ("all", builtins))
    }
    random = torch.get_rng_state()
    for act in (check_model, lambda model, **shape: fix_model(model, min_input=2, **shape)):
        with contextlib.suppress(AutofixError):
            act(model, input_shape=ROW)
    assert torch.equal(torch.get_rng_state(), random)
    assert [module.training for module in model.modules()] == modes
    assert model.state_dict().keys() == state.keys()
    assert all(torch.equal(value, state[name]) for name, value in model.state_dict().items())
    assert (max, min, int) == (names["all"]["max"], names["all"]["min"], names["all"]["int"])
    assert vars(sys.modules[__name__]) == names["own"]
    assert "training" not in vars(nn.Module)
    assert not any(hasattr(module, "_forward_hooks") and module._forward_hooks for module in model.modules())
