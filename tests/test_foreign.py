"""What networks of published packages showed: each construct in small, held against torch."""

from __future__ import annotations

import contextlib
import functools
import itertools
from collections.abc import Callable
from typing import Any

import numpy as np
import oracle
import pytest
import torch
import torch.nn.functional as F
from nets_as_written import NETS
from torch import Tensor, nn

from autofix import CaptureError, InfeasibleError, check_model, fix_model

SEQUENCE = (1, 8, "T")


class Base(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv1d(8, 8, 3)


def of(forward: Callable[..., Any], **layers: Any) -> nn.Module:
    """A network with a convolution `conv`, layers and buffers besides, and this forward."""
    net = type("Net", (Base,), {"forward": forward})()
    for name, layer in layers.items():
        net.register_buffer(name, layer) if isinstance(layer, Tensor) else setattr(net, name, layer)
    return net


def agrees(net: nn.Module, template: Any = SEQUENCE, sizes: range = range(1, 24)) -> Any:
    """`accepts` is what torch does with real values."""
    report = check_model(net, input_shape=template)
    axes = sum(isinstance(dim, str) for dim in template)
    for n in sizes:
        for training, batch in ((False, 2), (True, 1), (True, 2)):
            said = report.accepts(*[n] * axes, training=training, batch=batch)
            assert said == runs(net.train(training), oracle.fill(template, (n,) * axes, batch)), (n, batch)
    return report


def runs(net: nn.Module, shape: Any) -> bool:
    try:
        net(torch.randn(shape))
    except (RuntimeError, ValueError, IndexError):
        return False
    return True


class Swish(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        return x * torch.sigmoid(x)

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> Tensor:
        return grad


WITH_NUMBERS: dict[str, Callable[[Tensor], Any]] = {
    "pow": lambda x: torch.pow(x, 2),
    "pow by name": lambda x: torch.pow(x, exponent=2),
    "float_power": lambda x: torch.float_power(x, 2),
    "remainder": lambda x: torch.remainder(x, 2),
    "where": lambda x: torch.where(x > 0, x, 0.0),
    "xlogy": lambda x: torch.xlogy(x, 2.0),
    "full_like": lambda x: torch.full_like(x, 3.0),
    "autograd function": Swish.apply,
    "checkpoint": lambda x: torch.utils.checkpoint.checkpoint(torch.relu, x, use_reentrant=False),
    "reshape": lambda x: torch.reshape(x, (x.shape[0], x.shape[2], x.shape[1])),
    "narrow": lambda x: torch.narrow(x, 2, 0, x.shape[2] - 1),
    "isinstance": lambda x: (
        x
        if isinstance(x, Tensor) and not isinstance(x, nn.Parameter) and isinstance(x.shape[2], int)
        else None
    ),
}


@pytest.mark.parametrize("name", WITH_NUMBERS)
def test_torch_functions_are_given_symbols(name: str) -> None:
    """The C code of torch tells a symbol from a tensor, or the process would crash."""

    def forward(self: Any, x: Tensor) -> Any:
        x = self.conv(x)
        return WITH_NUMBERS[name](x + 0.0 if x.shape[-1] > 5 else x)

    assert not agrees(of(forward)).unmodelled


def _compiling() -> bool:
    try:
        return torch.compiler.is_compiling()
    except RuntimeError:
        return False


def test_a_handler_that_no_call_is_under() -> None:
    def forward(self: Any, x: Tensor) -> Any:
        if not _compiling() and x.dim() != 3:
            raise ValueError
        return self.norm(self.conv(x if x.shape[2] % 2 else x[..., 1:]).mean(2))

    net = of(forward, norm=nn.BatchNorm1d(8))
    report = agrees(net)
    assert check_model(net, input_shape=SEQUENCE, min_input=3).ok
    assert report.minimum_input == (3,)


def _decorated(function: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(function)
    def call(self: Any, *args: Any, **kwargs: Any) -> Any:
        kwargs.pop("return_dict", None)
        return function(self, *args, **kwargs)

    return call


@_decorated
def _flagged(self: Any, x: Tensor, flag: bool | None = None, **kwargs: Any) -> Any:
    return self.conv(x) if flag is None and not kwargs else None


def _several(self: Any, *xs: Tensor) -> Any:
    (x,) = xs
    return self.conv(x)


def _anything(self: Any, *args: Any, **kwargs: Any) -> Any:
    return self.conv(args[0])


@pytest.mark.parametrize("forward", [_flagged, _several, _anything])
def test_signatures(forward: Callable[..., Any]) -> None:
    net = of(forward)
    assert agrees(net).capture == "torch.fx"
    fix = fix_model(net, input_shape=SEQUENCE, min_input=1)
    x = torch.randn(2, 8, 1)
    assert torch.equal(fix.graph_module(x), fix.model(x))


def test_numbers_that_a_model_keeps_in_buffers() -> None:
    def forward(self: Any, x: Tensor) -> Any:
        if self.scale > 1:
            x = x[..., int(self.scale) :]
        return self.conv(x) * float(self.scale + 1)

    assert agrees(of(forward, scale=torch.tensor(2.5))).minimum_input == (5,)
    assert agrees(of(forward, scale=torch.tensor(0.5))).minimum_input == (3,)


def test_a_number_that_counts_calls() -> None:
    def forward(self: Any, x: Tensor) -> Any:
        self.count += 1
        return self.conv(x) if self.count < 5 else x

    with pytest.raises(CaptureError, match="needs more than sizes"):
        check_model(of(forward, count=torch.tensor(0)), input_shape=SEQUENCE)


def test_what_the_meta_device_has_no_answer_to_is_no_refusal() -> None:
    def forward(self: Any, x: Tensor) -> Any:
        return self.conv(x) if self.table.sum() > 0 else x

    with pytest.raises(CaptureError, match=r"data of a tensor|needs more than sizes"):
        check_model(of(forward, table=torch.ones(3)), input_shape=SEQUENCE)


def test_a_difficulty_of_the_trace_is_no_refusal() -> None:
    def forward(self: Any, x: Tensor) -> Any:
        return torch.Tensor.mul(self.head(self.conv(x)), 2)

    with pytest.raises(CaptureError, match="descriptor 'mul'"):
        check_model(of(forward, head=nn.Linear(998, 4)), input_shape=SEQUENCE)


def test_a_table_of_positions() -> None:
    def forward(self: Any, x: Tensor) -> Any:
        x = self.conv(x)
        return x + self.table[..., : x.size(2)] + self.one.expand(x.shape[0], -1, x.shape[-1])

    report = agrees(of(forward, table=torch.randn(1, 8, 15), one=torch.randn(1, 8, 1)))
    assert report.working_sizes == "only 3-17"
    assert report.proved


def test_numbers_of_numpy() -> None:
    pool, average = nn.MaxPool1d(np.int64(4)), nn.AvgPool1d(np.int64(2), stride=1)

    def forward(self: Any, x: Tensor) -> Any:
        return F.max_pool1d(average(pool(self.conv(x))), np.int64(1))

    net = of(forward, pool=pool, average=average, up=nn.Upsample(size=np.int64(7)))
    assert agrees(net).minimum_input == (10,)
    fix = fix_model(net, input_shape=SEQUENCE, min_input=np.int64(5))  # type: ignore[arg-type]
    assert fix.proved


def test_an_error_of_the_trace_that_the_model_swallows() -> None:
    def forward(self: Any, x: Tensor) -> Any:
        with contextlib.suppress(RuntimeError, ValueError):
            if x.shape[2] < 5:
                x = F.pad(x, (0, 2))
        return self.conv(x)

    assert agrees(of(forward)).minimum_input == (1,)


def test_traits_of_a_symbol() -> None:
    def forward(self: Any, x: Tensor) -> Any:
        x = self.conv(x[..., 1:] if x.shape[2] > 4 else x)
        return (
            x.flip(dims=[2]).permute(dims=(0, 2, 1)) if x.is_floating_point() and not x.is_complex() else None
        )

    agrees(of(forward))


def test_a_layer_that_is_set_to_eval_on_the_way() -> None:
    def alone(self: Any, x: Tensor) -> Any:
        if x.shape[0] == 1:
            self.norm.eval()
        else:
            self.norm.train(self.training)
        return self.norm(self.conv(x).mean(-1))

    def frozen(self: Any, x: Tensor) -> Any:
        self.norm.eval()
        return self.norm(self.conv(x).mean(-1))

    for forward in (alone, frozen):
        agrees(of(forward, norm=nn.BatchNorm1d(8)))


class Shifted(nn.Conv1d):
    def forward(self, x: Tensor) -> Tensor:
        return super().forward(F.pad(x, (1, 0)))


@pytest.mark.parametrize("kind", ["weight_norm", "spectral_norm"])
def test_a_parametrized_layer_of_ones_own(kind: str) -> None:
    def forward(self: Any, x: Tensor) -> Any:
        return self.shifted(self.conv(x))

    net = of(forward, shifted=getattr(torch.nn.utils.parametrizations, kind)(Shifted(8, 4, 3, 2)))
    assert agrees(net).minimum_input == (4,)
    fix = fix_model(net.eval(), input_shape=SEQUENCE, min_input=2)
    x = torch.randn(2, 8, 2)
    assert fix.proved
    assert torch.equal(fix.graph_module(x), fix.model(x))


def test_a_tensor_made_where_the_input_is() -> None:
    class Net(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.down, self.up = nn.Conv2d(3, 8, 3, 2, 1), nn.Upsample(scale_factor=2)

        def forward(self, x: Tensor) -> Tensor:
            batch, _, rows, columns = x.shape
            x = x + 0.0 if rows > 5 else x
            empty = torch.zeros((batch, 3, rows, columns), dtype=x.dtype, device=x.device)
            return torch.cat([self.up(self.down(x)), empty], 1)

    fix = fix_model(Net(), input_shape=(1, 3, "H", "W"), min_input=4)
    assert [insert.kind for insert in fix.inserts] == ["align"]
    assert fix.model.to("meta")(torch.empty(2, 3, 7, 5, device="meta")).shape == (2, 11, 7, 5)


def test_a_sequence_that_comes_before_its_channels() -> None:
    def forward(self: Any, x: Tensor) -> Any:
        return self.norm(self.conv(x.transpose(1, 2)).mean(-1))

    report = agrees(of(forward, norm=nn.BatchNorm1d(8)), (1, "T", 8))
    assert report.accepts(44, training=True, batch=2)


@pytest.mark.parametrize("strategy", ["fewest", "preserve"])
def test_a_pool_before_a_crop_would_change_what_worked(strategy: str) -> None:
    def forward(self: Any, x: Tensor) -> Any:
        y = self.same(x).view(x.size(0), -1)
        return self.head(y[:, : 8 * 20].view(x.size(0), 5, 32))

    net = of(forward, same=nn.Conv1d(8, 8, 3, padding=1), head=nn.Linear(32, 2)).eval()
    fix = fix_model(net, input_shape=SEQUENCE, min_input=9, strategy=strategy)
    assert [insert.safety.value for insert in fix.inserts] == ["identical"]
    for n in (20, 21, 33, 50):
        x = torch.randn(2, 8, n)
        assert torch.equal(fix.model(x), net(x)), n


def test_a_broadcast_that_always_happens_is_meant() -> None:
    def forward(self: Any, x: Tensor) -> Any:
        mean = F.avg_pool1d(x + self.table[..., : x.shape[2]], 20)
        return self.conv(x[..., :20]) * mean

    net = of(forward, table=torch.randn(1, 8, 35)).eval()
    report = agrees(net, sizes=range(16, 45))
    assert report.working_sizes == "only 20-35"
    assert all(not fault.silent for fault in report.faults)
    assert check_model(net, input_shape=SEQUENCE, min_input=20, max_input=35).ok


def test_what_the_model_raises_is_said_of_the_very_size() -> None:
    class Checked(Base):
        def check(self, x: Tensor) -> None:
            if x.shape[2] % 8:
                raise ValueError(f"{x.shape[2]} is no multiple of 8")

        def forward(self, x: Tensor) -> Tensor:
            self.check(x)
            return F.relu(self.conv(x))

    fault = check_model(Checked(), input_shape=SEQUENCE, min_input=16).faults[0]
    assert fault.message == "the model raises ValueError: 17 is no multiple of 8"
    assert fault.site == "check"
    assert fault.called_at is not None
    assert fault.called_at.text.startswith("raise ValueError")
    fix = fix_model(Checked(), input_shape=SEQUENCE, min_input=16)
    assert [insert.kind for insert in fix.inserts] == ["round"]
    assert fix.proved


def test_the_spectrum_of_a_signal() -> None:
    def forward(self: Any, x: Tensor) -> Any:
        y = torch.fft.irfft(torch.fft.rfft(x), n=x.shape[2])
        frames = torch.stft(y.flatten(0, 1), 6, 2, return_complex=True).abs()
        return self.conv(y).mean(-1, keepdim=True) + frames.mean() + y

    assert agrees(of(forward)).minimum_input == (4,)


class PadsByTypeName(nn.Module):
    """Conv-TasNet: the rest is zeros of the input's own type, which has no name on the meta device."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv1d(1, 4, 8, 4)

    def forward(self, x: Tensor) -> Tensor:
        rest = (4 - x.size(2) % 4) % 4
        return self.conv(torch.cat([x, torch.zeros(x.size(0), 1, rest).type(x.type())], 2))


def test_the_name_of_a_type() -> None:
    report = check_model(PadsByTypeName(), input_shape=(1, 1, "T"))
    assert report.proved
    assert [n for n in range(1, 20) if report.accepts(n)] == list(range(5, 20))
    fix = fix_model(PadsByTypeName(), min_input=1, input_shape=(1, 1, "T"))
    x = torch.randn(2, 1, 2, dtype=torch.float64)
    assert fix.proved
    assert fix.graph_module.double()(x).dtype is torch.float64


class FillsADict(nn.Module):
    """A hook that closes over the model: a deep copy's would fill the original's dict."""

    def __init__(self) -> None:
        super().__init__()
        self.down, self.up, self.kept = nn.Conv2d(3, 4, 2, 2), nn.Upsample(scale_factor=2), {}
        self.first = nn.Conv2d(3, 3, 3, 1, 1)

        def keep(module: nn.Module, args: object, output: Tensor) -> None:
            self.kept.update(first=output, by=keep)

        self.first.register_forward_hook(keep)

    def forward(self, x: Tensor) -> Tensor:
        return torch.cat([self.up(self.down(self.first(x))), self.kept["first"]], 1)


@pytest.mark.parametrize("ran", [False, True])
def test_a_hook_that_closes_over_the_model(ran: bool) -> None:
    model = FillsADict()
    if ran:
        model(torch.randn(1, 3, 8, 8))
    before = dict(model.kept)
    assert check_model(model).working_sizes == "2k from 2"
    fix = fix_model(model, min_input=5)
    assert model.kept.keys() == before.keys()
    assert all(model.kept[name] is before[name] for name in before)
    x = torch.randn(1, 3, 7, 9)
    assert fix.proved
    assert torch.equal(fix.model(x), fix.graph_module(x))


class CropsAndViews(nn.Module):
    """Cropped to the skip's size, which cuts something off at odd sizes only; then a view."""

    def __init__(self, branches: bool, copies: bool) -> None:
        super().__init__()
        self.down, self.up = nn.Conv2d(2, 4, 3, 2, 1), nn.ConvTranspose2d(4, 4, 2, 2)
        self.branches, self.copies = branches, copies

    def forward(self, x: Tensor) -> Tensor:
        y = self.up(self.down(x))
        if self.branches and x.shape[2] > 500:
            y = y + 1
        y = y[:, :, : x.shape[2], : x.shape[3]]
        return y.reshape(y.size(0), 4, -1) if self.copies else y.view(y.size(0), 4, -1)


@pytest.mark.parametrize("branches", [False, True])
def test_a_view_of_what_is_cropped_at_some_sizes(branches: bool) -> None:
    model = CropsAndViews(branches, copies=False)
    report = check_model(model)
    for size in itertools.product((1, 2, 7, 8, 31, 32, 33, 96), repeat=2):
        try:
            model(torch.randn(2, 2, *size))
            runs = True
        except RuntimeError:
            runs = False
        assert report.accepts(*size) == runs, size
    assert not report.proved
    assert "reshape would copy" in report.unmodelled[0]
    assert "at most" in report.working_sizes
    assert check_model(CropsAndViews(branches, copies=True)).proved or branches


class RepeatsAConstant(nn.Module):
    """PointNet's identity matrix, from numpy, and a token that is no parameter: one for each sample."""

    def __init__(self) -> None:
        super().__init__()
        self.conv, self.fc, self.token = nn.Conv1d(3, 9, 3), nn.Linear(9, 2), torch.ones(1, 9, 1)

    def forward(self, x: Tensor) -> Tensor:
        batch = x.size(0)
        eye = torch.from_numpy(np.eye(3, dtype=np.float32).flatten()).view(1, 9).repeat(batch, 1)
        x = torch.cat([self.token.expand(batch, -1, -1), self.conv(x)], 2)
        return self.fc(x.max(2)[0] + eye + self.token.new_zeros(batch, 9))


def test_what_is_repeated_for_each_sample() -> None:
    before = {name: getattr(torch.Tensor, name) for name in ("repeat", "expand", "new_zeros")}
    report = check_model(RepeatsAConstant(), input_shape=(1, 3, "T"))
    assert report.proved
    assert [n for n in range(1, 8) if report.accepts(n)] == [3, 4, 5, 6, 7]
    fix = fix_model(RepeatsAConstant(), min_input=1, input_shape=(1, 3, "T"))
    assert fix.proved
    for batch in (1, 3):
        x = torch.randn(batch, 3, 2)
        assert torch.equal(fix.model(x), fix.graph_module(x))
    assert {name: getattr(torch.Tensor, name) for name in before} == before
    assert not before.keys() & vars(torch.Tensor).keys()


class AssertsOneRow(nn.Module):
    """A recogniser of text: some edit makes more than one row of it, which forward asserts."""

    def __init__(self) -> None:
        super().__init__()
        self.cnn = nn.Sequential(nn.Conv2d(1, 4, 3, padding=1), nn.MaxPool2d(2, 2), nn.Conv2d(4, 4, 2))
        self.rnn = nn.LSTM(4, 4)

    def forward(self, x: Tensor) -> Tensor:
        x = self.cnn(x)
        _, _, rows, _ = x.size()
        assert rows == 1, "one row"
        return self.rnn(x.squeeze(2).permute(2, 0, 1))[0]


def test_what_the_model_raises_after_an_edit_does_not_end_the_search() -> None:
    fix = fix_model(AssertsOneRow(), min_input=(3, 4), input_shape=(1, 1, "H", "W"))
    assert fix.proved
    assert fix.model(torch.randn(2, 1, 9, 4)).shape[1:] == (2, 4)
    with pytest.raises(InfeasibleError, match="one row"):
        fix_model(AssertsOneRow(), min_input=(3, 4), input_shape=(1, 1, "H", "W"), frozen="cnn.*")


class CropsToWidth(nn.Module):
    """Nothing is cut off up to 64 columns, and something beyond; the first size looked at is beyond."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(2, 4, 3, 1, 1)

    def forward(self, x: Tensor) -> Tensor:
        return self.conv(x)[:, :, :, :64].view(x.size(0), -1)


def test_a_view_of_what_is_cropped_at_large_sizes() -> None:
    report = check_model(CropsToWidth())
    assert [report.accepts(9, n) for n in (8, 64, 65, 96)] == [True, True, False, False]


def test_float_of_a_size_stays_a_size() -> None:
    assert check_model(NETS["SamePadsEachAxis"].make(), input_shape=(1, 3, "T", "H", "W")).proved
