"""The oracle against real runs, row by row, and proof that it can say no."""

from __future__ import annotations

import itertools
from collections.abc import Callable

import oracle
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

H = (1, 2, "H")
HW = (1, 2, "H", "W")


class Call(nn.Module):
    """A function as a model."""

    def __init__(self, function: Callable[..., object], *modules: nn.Module) -> None:
        super().__init__()
        self.function = function
        self.inner = nn.ModuleList(modules)

    def forward(self, *inputs: Tensor) -> object:
        return self.function(*self.inner, *inputs)


def crop(x: Tensor) -> Tensor:
    """Empty at size 3, so that what follows meets an empty map."""
    return x[..., 3:]


CORRECTED = {
    "conv of an empty map": (Call(lambda c, x: c(crop(x)), nn.Conv1d(2, 4, 1, padding=1)), H, {4, 5, 6}),
    "transposed to 0": (nn.ConvTranspose1d(2, 4, 1, padding=1), H, {3, 4, 5, 6}),
    "output_padding": (nn.ConvTranspose1d(2, 4, 1, output_padding=1), H, set()),
    "transposed channels": (nn.ConvTranspose1d(3, 4, 2), H, set()),
    "linear resize": (Call(lambda x: F.interpolate(x, scale_factor=0.3, mode="linear")), H, {4, 5, 6}),
    "area resize": (Call(lambda x: F.interpolate(crop(x), size=2, mode="area")), H, {4, 5, 6}),
    "adaptive": (Call(lambda x: F.adaptive_avg_pool1d(crop(x), 0)), H, {4, 5, 6}),
    "max": (Call(lambda x: crop(x).max(2)[0]), H, {4, 5, 6}),
    "max of all": (Call(lambda x: crop(x).max()), H, {4, 5, 6}),
    "median": (Call(lambda x: crop(x).median(dim=2)[0]), H, {4, 5, 6}),
    "unshuffle": (Call(lambda x: F.pixel_unshuffle(x[:, :, 3:, 3:], 2)), HW, {1, 2, 3, 5}),
    "unpool": (
        Call(lambda p, u, x: u(*p(x)), nn.MaxPool1d(2, 2, 1, return_indices=True), nn.MaxUnpool1d(2, 2, 1)),
        H,
        {2, 4, 6},
    ),
    "batch norm": (nn.Sequential(nn.BatchNorm1d(2)).train(), H, {1, 2, 3, 4, 5, 6}),
    "instance norm": (nn.InstanceNorm2d(2), HW, {2, 3, 4, 5, 6}),
    "reflect": (nn.ReflectionPad1d(2), H, {3, 4, 5, 6}),
    "circular": (nn.Conv1d(2, 2, 3, padding=2, padding_mode="circular"), H, {2, 3, 4, 5, 6}),
}


@pytest.mark.parametrize("name", CORRECTED)
def test_corrected_rows(name: str) -> None:
    model, template, expected = CORRECTED[name]
    assert set(oracle.accepted_square(model, range(1, 7), template)) == expected


@pytest.mark.parametrize("name", [name for name in CORRECTED if name not in ("unpool", "transposed to 0")])
def test_rows_against_a_real_run(name: str) -> None:
    model, template, _ = CORRECTED[name]
    meta = oracle.to_meta(model)
    for size, batch, training in itertools.product(range(1, 7), (1, 2), (False, True)):
        shape = oracle.fill(template, (size,) * len(oracle.axes(template)), batch)
        assert oracle.runs(meta, shape, training) == oracle.really_runs(model, shape, training), shape


def test_unpool_is_refused_when_some_values_are_refused() -> None:
    pool, unpool = nn.MaxPool1d(2, 2, 1, return_indices=True), nn.MaxUnpool1d(2, 2, 1)
    with pytest.raises(RuntimeError, match="invalid max index"):
        unpool(*pool(torch.arange(5.0).reshape(1, 1, 5)))
    assert not oracle.runs(Call(lambda p, u, x: u(*p(x)), pool, unpool), (1, 1, 5))


SMALL = [
    lambda k, s, p: nn.Conv1d(2, 3, k, s, p),
    lambda k, s, p: nn.Conv1d(2, 3, k, s, p, dilation=2),
    lambda k, s, p: nn.Conv1d(2, 3, k, s, p, padding_mode="reflect"),
    lambda k, s, p: nn.ConvTranspose1d(2, 3, k, s, p),
    lambda k, s, p: nn.MaxPool1d(k, s, p, ceil_mode=True),
    lambda k, s, p: nn.AvgPool1d(k, s, p, ceil_mode=True),
    lambda k, s, p: nn.LPPool1d(2, k, s, ceil_mode=bool(p)),
    lambda k, s, p: nn.ConstantPad1d((k - 3, p - 1), 0.0),
    lambda k, s, p: nn.AdaptiveMaxPool1d(k),
]


@pytest.mark.parametrize("make", SMALL)
def test_small_operators_against_a_real_run(make: Callable[[int, int, int], nn.Module]) -> None:
    for k, s, p in itertools.product((1, 2, 3), (1, 2, 3), (0, 1, 2)):
        model = make(k, s, p)
        meta = oracle.to_meta(model)
        for size in range(7):
            shape = (2, 2, size)
            runs = oracle.runs(meta, shape)
            if runs or not isinstance(model, nn.ConvTranspose1d):
                assert runs == oracle.really_runs(model, shape), (model, shape)
            if runs:
                with torch.no_grad():
                    assert oracle.outputs(meta, shape) == (tuple(model(torch.zeros(shape)).shape),)


def test_reading_values_is_no_refusal() -> None:
    with pytest.raises(oracle.OracleUnsure):
        oracle.runs(Call(lambda x: x if x.sum() > 0 else -x), (2, 2, 4))
    with pytest.raises(oracle.OracleUnsure):
        oracle.runs(Call(lambda x: x[x > 0]), (2, 2, 4))


def test_a_model_s_own_error_is_a_refusal() -> None:
    def refuse(x: Tensor) -> Tensor:
        raise NotImplementedError("only even sizes")

    assert not oracle.runs(Call(refuse), (2, 2, 4))
    assert oracle.refusal(Call(refuse), (2, 2, 4)) == "NotImplementedError: only even sizes"


def test_to_meta_copies_structure_only() -> None:
    class Odd(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.first = nn.Conv1d(2, 2, 3)
            self.second = nn.Conv1d(2, 2, 3)
            self.second.weight = self.first.weight
            self.plain = [nn.Conv1d(2, 2, 1)]
            self.offset = torch.ones(1, 2, 1)

        def forward(self, x: Tensor) -> Tensor:
            return self.plain[0](self.second(self.first(x))) + self.offset

    model = Odd()
    meta = oracle.to_meta(model)
    assert meta.second.weight is meta.first.weight
    assert {t.device.type for t in (*meta.parameters(), meta.plain[0].weight, meta.offset)} == {"meta"}
    assert model.first.weight.device.type == model.offset.device.type == "cpu"
    assert oracle.accepted_square(model, range(1, 9), H) == [5, 6, 7, 8]


def test_the_mode_and_the_batch_count() -> None:
    model = nn.Sequential(nn.Conv1d(2, 2, 3), nn.BatchNorm1d(2))
    assert oracle.accepted_square(model, range(1, 6), H) == [3, 4, 5]
    assert oracle.accepted_square(model, range(1, 6), H, training=True, batch=1) == [4, 5]
    assert oracle.accepted_square(model, range(1, 6), H, training=True, batch=2) == [3, 4, 5]


def test_several_inputs_and_axes() -> None:
    model = Call(lambda x, y: torch.cat([x, y[:, :, ::2]], 1))
    template = ((1, 2, "H", 4), (1, 3, "W", 4))
    assert oracle.axes(template) == ("H", "W")
    assert oracle.accepted(model, oracle.box(1, 4, 2), template) == {(1, 1), (1, 2), (2, 3), (2, 4)}


def test_integer_inputs() -> None:
    assert oracle.runs(nn.Embedding(9, 4), (2, 5), dtypes=(torch.int64,))
    assert not oracle.runs(nn.Embedding(9, 4), (2, 5))
