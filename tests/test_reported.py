"""Networks on which an earlier version was wrong, raised, or refused for no good reason: one test each."""

from __future__ import annotations

import contextlib
import copy
import itertools
import time
import warnings

import oracle
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from autofix import AutofixError, InfeasibleError, UsageError, check_model, fix_model
from autofix.certificate import Axis
from autofix.fault import Code
from autofix.handlers import catches
from autofix.size import BATCH, at

SEQUENCE = (1, 4, "L")
IMAGE = (1, 3, "H", "W")


def agrees(model: nn.Module, template: oracle.Template) -> None:
    """`accepts` is what torch does, along equal sizes and beside them."""
    report, meta = check_model(model, input_shape=template), oracle.to_meta(model)
    axes = len(template) - 2
    for n in range(1, 25):
        for sizes in {(n,) * axes, tuple(1 + (n * (3 + 4 * axis)) % 23 for axis in range(axes))}:
            for training in (False, True):
                said = report.accepts(*sizes, training=training)
                assert said == oracle.runs(meta, oracle.fill(template, sizes, 2), training), (sizes, training)


def works_from(model: nn.Module, template: oracle.Template, low: int, strategy: str = "fewest") -> None:
    """The repair runs, and `preserve` keeps what worked."""
    fix = fix_model(model.eval(), min_input=low, input_shape=template, strategy=strategy)
    for n in range(low, low + 9):
        x = torch.randn(2, *(n if isinstance(dim, str) else dim for dim in template[1:]))
        result = fix.model.eval()(x)
        if strategy == "preserve" and n > 2 and fix.before.accepts(*[n] * (len(template) - 2)):
            assert torch.equal(result, model(x)), n
    assert str(fix)
    assert fix.diff


class Caught(nn.Module):
    """What torch refuses is mended by the model itself."""

    def __init__(self) -> None:
        super().__init__()
        self.down, self.up = nn.Conv2d(3, 4, (3, 5), 2), nn.ConvTranspose2d(4, 3, 3, 2)
        self.last = nn.Conv2d(3, 4, 7)

    def forward(self, x: Tensor) -> Tensor:
        y = self.up(self.down(x))
        try:
            y = y + x
        except RuntimeError:
            y = F.interpolate(y, x.shape[2:]) + x
        return self.last(y)


def test_errors_that_the_model_catches() -> None:
    agrees(Caught(), IMAGE)
    for strategy in ("fewest", "preserve"):
        works_from(Caught(), IMAGE, 5, strategy)


class Haar(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv1d(4, 4, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        return self.conv(x[:, :, 0::2] + x[:, :, 1::2])


def test_one_and_nothing_are_broadcast_to_nothing() -> None:
    agrees(Haar(), SEQUENCE)


class Rows(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.conv, self.head = nn.Conv2d(3, 4, 3), nn.Linear(36, 2)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.conv(x).view(-1, 36))


def test_sizes_in_words_count_rows_that_fill_up() -> None:
    report = check_model(Rows(), input_shape=IMAGE)
    assert report.working_sizes.startswith("3k-1 from 5")
    agrees(Rows(), IMAGE)


class Assigned(nn.Module):
    """A part of a new tensor is assigned, another one in place."""

    def __init__(self) -> None:
        super().__init__()
        self.conv, self.last = nn.Conv1d(4, 4, 3), nn.Conv1d(8, 2, 2)

    def forward(self, x: Tensor) -> Tensor:
        y = self.conv(x)
        out = torch.zeros(x.size(0), 8, x.size(2))
        out[:, :4, 1:-1] = y
        out[:, 4:, : y.size(2)] += y
        return self.last(out)


def test_assignment_to_a_part() -> None:
    agrees(Assigned(), SEQUENCE)
    works_from(Assigned(), SEQUENCE, 1)


class Halves(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv1d(4, 4, 3, 2, 1)

    def forward(self, x: Tensor) -> Tensor:
        whole, rest = divmod(x.shape[2], 8)
        x = F.pad(x, (0, 8 * whole + rest - x.shape[2]))
        return self.conv(x) + F.interpolate(x, size=int(x.shape[2] * 0.5))


def test_half_of_a_size_and_divmod() -> None:
    agrees(Halves(), SEQUENCE)
    works_from(Halves(), SEQUENCE, 2)


class Squeezed(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv1d(4, 4, 5, 4)

    def forward(self, x: Tensor) -> Tensor:
        return F.adaptive_avg_pool1d(self.conv(x), 1).squeeze()


def test_a_squeeze_of_every_dimension() -> None:
    agrees(Squeezed(), SEQUENCE)
    works_from(Squeezed(), SEQUENCE, 2, "preserve")


class Optional(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.conv, self.up = nn.Conv2d(3, 3, 3, 2, 1), nn.Upsample(scale_factor=2)

    def forward(self, x: Tensor, *args: Tensor, **kwargs: Tensor) -> Tensor:
        return self.up(self.conv(x)) + x


def test_arguments_without_names() -> None:
    works_from(Optional(), IMAGE, 3)
    works_from(Optional(), IMAGE, 3, "preserve")


def test_the_old_weight_norm() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model = nn.Sequential(nn.utils.weight_norm(nn.Conv1d(4, 4, 5)))
    works_from(model, SEQUENCE, 2)


def test_no_training_without_an_eps() -> None:
    agrees(nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4, False)), IMAGE)


def test_a_layer_alone_is_a_model() -> None:
    assert check_model(nn.Conv2d(1, 1, (3, 5))).minimum_input == (3, 5)
    works_from(nn.Conv2d(3, 1, (3, 5)), IMAGE, 2)


class Shrinking(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.last = nn.Conv2d(3, 4, 2)

    def forward(self, x: Tensor) -> Tensor:
        while x.shape[-1] > 8:
            x = F.max_pool2d(x, 2)
        return self.last(x)


@pytest.mark.parametrize("strategy", ["fewest", "preserve"])
def test_a_loop_on_sizes_keeps_the_time_limit(strategy: str) -> None:
    start = time.monotonic()
    with contextlib.suppress(AutofixError):
        fix_model(Shrinking(), min_input=5, input_shape=IMAGE, time_limit=5, strategy=strategy)
    assert time.monotonic() - start < 60


class PaddedHead(nn.Module):
    """224 fills whole rows of the head too, several for each image; 16 to 19 are what it was built for."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.conv = nn.MaxPool2d(2), nn.Conv2d(3, 4, 3)
        self.last, self.head = nn.MaxPool2d(2, 2, padding=1), nn.Linear(64, 2)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.last(self.conv(self.first(x))).view(-1, 64))


@pytest.mark.parametrize("strategy", ["fewest", "preserve"])
def test_a_head_is_fed_as_at_a_size_that_works_soundly(strategy: str) -> None:
    model = PaddedHead().eval()
    fix = fix_model(model, min_input=5, strategy=strategy)
    assert fix.proved
    for n in (5, 6, 11, 16, 19, 20, 33, 224):
        assert fix.model(torch.randn(2, 3, n, n)).shape == (2, 2)
    x = torch.randn(2, 3, 17, 18)
    assert strategy == "fewest" or torch.equal(fix.model(x), model(x))


def test_a_head_over_a_volume_that_is_no_cube() -> None:
    model = nn.Sequential(nn.Conv3d(1, 4, 3), nn.Flatten(), nn.Linear(4 * 2 * 4 * 4, 2)).eval()
    fix = fix_model(model, min_input=3)
    assert [insert.sizes for insert in fix.inserts] == [(2, 4, 4)]
    assert fix.proved
    x = torch.randn(2, 1, 4, 6, 6)
    assert torch.equal(fix.model(x), model(x))


class Elsewhere(nn.Module):
    """Catches errors, but not while it computes; what it computes has one path."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 4, 3)

    def forward(self, x: Tensor) -> Tensor:
        return self.activated(self.conv(x))

    def activated(self, x: Tensor) -> Tensor:
        with torch.autocast("cpu", enabled=False):
            return x.relu()

    def saved(self) -> str:
        try:
            return str(self.state_dict())
        except RuntimeError:
            return ""


class Helped(Elsewhere):
    def activated(self, x: Tensor) -> Tensor:
        try:
            return self.conv(x[:, :3])
        except RuntimeError:
            return x


def test_handlers_count_where_forward_reaches_them() -> None:
    assert not catches(Elsewhere())
    assert catches(nn.Sequential(Helped()))
    assert check_model(Elsewhere()).capture == "torch.fx"
    agrees(Helped(), IMAGE)


class NoGradientInEval(nn.Module):
    """A sample in train mode; in eval mode what its gradient needs is changed in place."""

    def __init__(self) -> None:
        super().__init__()
        self.conv, self.mean = nn.Conv2d(3, 4, 3, 2), nn.Linear(196, 4)

    def forward(self, x: Tensor) -> Tensor:
        mean = self.mean(self.conv(x).flatten(1))
        deviation = torch.exp(0.5 * mean)
        if self.training:
            deviation = torch.randn_like(deviation).mul_(deviation)
        return deviation.add_(mean)


def test_a_model_without_gradients_in_eval_mode_is_repaired() -> None:
    fix = fix_model(NoGradientInEval(), min_input=13, input_shape=IMAGE)
    assert fix.proved
    assert "forward (the original has no backward) on the CPU at 13 x 13" in str(fix)
    assert "forward and backward" in str(fix_model(nn.Conv2d(3, 4, 5), min_input=3, input_shape=IMAGE))


@pytest.mark.parametrize("layer", [nn.Conv1d(2, 4, (1, 2)), nn.ConvTranspose1d(2, 4, (1, 2))], ids=str)
def test_a_kernel_with_more_axes_than_its_layer_is_refused(layer: nn.Module) -> None:
    """As Graph WaveNet has it; torch took it before 1.11."""
    model = nn.Sequential(nn.Conv2d(2, 2, 1), layer)
    agrees(model, (1, 2, "H", "W"))
    assert not check_model(model, input_shape=(1, 2, "H", "W")).accepts(9, 9)


class Codebook(nn.Module):
    """The loss of a quantizer in forward, and a table of relative positions picked by copied integers."""

    def __init__(self) -> None:
        super().__init__()
        self.down, self.up = nn.Conv2d(3, 4, 3, 2, 1), nn.ConvTranspose2d(4, 3, 2, 2)
        self.table = nn.Parameter(torch.randn(49, 4))
        self.register_buffer("index", torch.randint(0, 49, (16, 16)))

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        code = self.down(x)
        bias = self.table[(self.index.clone()[:4, :4].reshape(-1) + 1).clamp(max=48)].reshape(4, 4, -1)
        return F.mse_loss(self.up(code), x), F.l1_loss(code, code.detach(), reduction="none"), bias


def test_losses_in_forward_and_copied_indices() -> None:
    agrees(Codebook(), IMAGE)
    works_from(Codebook(), IMAGE, 2)


class Warps(nn.Module):
    """A list as long as the batch, as MONAI's Warp stacks its reference grid."""

    def __init__(self, dim: int = 0) -> None:
        super().__init__()
        self.flow, self.dim = nn.Conv2d(3, 3, 3, 2, 1), dim

    def forward(self, x: Tensor) -> Tensor:
        flow = self.flow(x)
        grid = torch.stack([flow[0]] * flow.shape[0], dim=self.dim)
        return torch.cat((flow.shape[3] - 2) * [grid], dim=1)


@pytest.mark.parametrize("dim", [0, 1])
def test_a_list_as_long_as_the_batch(dim: int) -> None:
    """Along the width, a list that is as long as that is wide; below 5 the list is empty."""
    report = check_model(Warps(dim), input_shape=IMAGE)
    assert report.proved
    agrees(Warps(dim), IMAGE)
    assert not report.accepts(9, 4)
    piece = report.analysis.evaluating.pieces[0]
    result = piece.meaning.values[-1]
    assert (
        tuple(at(n, {BATCH: 4, 0: 5, 1: 8}) for n in result.shape)
        == Warps(dim)(torch.randn(4, 3, 5, 8)).shape
    )


class AsksOfATensor(nn.Module):
    """Comparisons with what is no number are False for a tensor, whatever is in it."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 4, 3, 2)

    def forward(self, x: Tensor) -> Tensor:
        if torch.jit.isinstance(x, list[torch.Tensor]) or x == [] or x == "none" or x == None or x == {}:  # noqa: E711
            x = x[0]
        if x != ():
            return self.conv(x)
        return x


def test_a_tensor_is_no_list() -> None:
    agrees(AsksOfATensor(), IMAGE)
    assert check_model(AsksOfATensor(), input_shape=IMAGE).proved


class CropsBack(nn.Module):
    """Pads to a multiple, and crops what was added where anything was."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 4, 3, 2, 1)
        self.up = nn.ConvTranspose2d(4, 3, 2, 2)

    def forward(self, x: Tensor) -> Tensor:
        bottom, right = -x.shape[2] % 4, (4 - x.shape[3] % 4) % 4
        y = self.up(self.conv(F.pad(x, (0, right, 0, bottom))))
        y = y[:, :, :-bottom] if bottom else y
        if right > 0:
            y = y[..., :-right]
        return torch.cat([x, y], 1)


def test_a_crop_by_what_was_padded_is_proved() -> None:
    report = check_model(CropsBack(), input_shape=IMAGE)
    assert report.proved
    assert report.ok
    agrees(CropsBack(), IMAGE)


class GroupsAreTheBatch(nn.Module):
    """A kernel for each sample, by as many groups as there are samples."""

    def __init__(self) -> None:
        super().__init__()
        self.conv, self.kernels = nn.Conv2d(3, 4, 3, 2), nn.Linear(4, 36)

    def forward(self, x: Tensor) -> Tensor:
        y = self.conv(x)
        batch, channels, height, width = y.shape
        kernels = self.kernels(y.mean((2, 3))).view(-1, 1, 3, 3)
        y = F.conv2d(y.view(-1, batch * channels, height, width), kernels, padding=1, groups=batch * channels)
        return y.view(batch, channels, height, width)


def test_a_batch_that_is_folded_into_the_channels_is_no_fault() -> None:
    assert check_model(GroupsAreTheBatch(), input_shape=IMAGE, min_input=3).ok
    agrees(GroupsAreTheBatch(), IMAGE)


def test_sizes_that_cannot_be_combined_are_said_so() -> None:
    class Halves(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            if x.shape[2] % 2 == 0 and x.shape[3] % 2 == 0:
                return x + F.interpolate(F.max_pool3d(x, 2), scale_factor=2)
            return x

    report = check_model(Halves(), input_shape=(1, 1, "D", "H", "W"))
    assert not report.accepts(2, 2, 3)
    assert report.working_sizes == ">= 1 (equal sizes on all axes)"
    head = nn.Sequential(nn.Conv2d(1, 2, 8, 8), nn.Flatten(), nn.Linear(14, 3))
    assert check_model(head, input_shape=(1, 1, "H", "W")).working_sizes == (
        "8 x 56 and others; none of the same size on all axes"
    )


class Flows(nn.Module):
    """A flow that is computed at a multiple of 32, and scaled by the quotient of the sizes."""

    def __init__(self, cast: bool) -> None:
        super().__init__()
        self.conv, self.cast = nn.Conv2d(3, 3, 3, 1, 1), cast

    def forward(self, x: Tensor) -> Tensor:
        h, w = x.shape[2:]
        height, width = -(-h // 32) * 32, -(-w // 32) * 32
        flow = F.interpolate(self.conv(F.interpolate(x, size=(height, width))), size=torch.Size([h, w]))
        return flow * (float(w) / float(width) if self.cast else w / width)


class Gates(nn.Module):
    """A gate from the mean of the whole map, as BiSeNet has it."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 4, 3, 2)

    def forward(self, x: Tensor) -> Tensor:
        y = self.conv(x)
        return y * F.avg_pool2d(y, y.size()[2:])


class Counts(nn.Module):
    """Positions by arange, a crop by arange, and a constant that is converted twice."""

    def __init__(self) -> None:
        super().__init__()
        self.conv, self.table, self.steps = nn.Conv1d(4, 4, 3), nn.Embedding(40, 4), torch.arange(4.0)

    def forward(self, x: Tensor) -> Tensor:
        y = self.conv(x)
        y = torch.index_select(y, -1, torch.arange(min(y.shape[-1], 30)))
        y = y + self.table(torch.arange(y.shape[-1])).t()
        return (y.mean(2) * self.steps.type_as(y)).sum(1) + (2 * y.mean(2) * self.steps.type_as(y)).sum(1)


@pytest.mark.parametrize(
    ("model", "template"),
    [(Flows(False), IMAGE), (Flows(True), IMAGE), (Gates(), IMAGE), (Counts(), SEQUENCE)],
    ids=["flows", "floats", "gates", "counts"],
)
def test_what_is_worked_out_from_sizes(model: nn.Module, template: oracle.Template) -> None:
    agrees(model, template)
    assert fix_model(model, input_shape=template, min_input=1).proved
    if not isinstance(model, Flows):  # which takes every size
        works_from(model, template, 1, "preserve")


def test_positions_beyond_the_table_are_refused() -> None:
    class Positions(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.table = nn.Embedding(16, 4)

        def forward(self, x: Tensor) -> Tensor:
            return x + self.table(torch.arange(x.shape[2])).t()

    assert check_model(Positions(), input_shape=SEQUENCE).working_sizes == "only 1-16"


def test_a_length_that_the_model_asserts_is_padded() -> None:
    class Spectrum(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.conv = nn.Conv1d(4, 4, 16, 16)

        def forward(self, x: Tensor) -> Tensor:
            assert x.shape[-1] > 1024
            return self.conv(x)

    fix = fix_model(Spectrum(), input_shape=SEQUENCE, min_input=100, strategy="preserve")
    assert fix.proved
    assert fix.inserts[0].sizes == (1025,)


class ShiftMask(nn.Module):
    """Numbers the regions of shifted windows; where a map is small some regions are empty."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 4, 3, 2, 1)

    def forward(self, x: Tensor) -> Tensor:
        y = self.conv(x)
        mask, number = torch.zeros(y.shape[-2:]), 0
        for top, bottom in ((0, -2), (-2, None)):
            for left, right in ((0, -2), (-2, None)):
                mask[top:bottom, left:right] = number
                number += 1
        return y + mask


class Siamese(nn.Module):
    """Two images in one batch, and apart again; a deep copy, and questions that are not of the data."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 8, 8, 8)

    def forward(self, a: Tensor, b: Tensor) -> Tensor:
        one, other = torch.chunk(self.conv(torch.cat([a, b], 0)), 2, 0)
        if any(n < 9 for n in one.shape[-2:]):
            raise ValueError("small")
        if torch.is_floating_point(one) and not torch.is_complex(other):
            return one + copy.deepcopy(other)
        return one


def test_assignment_to_nothing_is_no_fault() -> None:
    assert check_model(ShiftMask(), input_shape=IMAGE).ok
    agrees(ShiftMask(), IMAGE)


def test_two_images_in_one_batch() -> None:
    report = check_model(Siamese(), input_shape=(IMAGE, IMAGE))
    assert report.proved
    assert report.working_sizes == ">= 72"
    fix = fix_model(Siamese(), input_shape=(IMAGE, IMAGE), min_input=70, strategy="preserve")
    assert fix.proved
    assert {insert.kind for insert in fix.inserts} == {"round"}


def test_a_limit_that_the_meta_device_lets_pass() -> None:
    model = nn.Sequential(nn.Conv2d(3, 4, 3, padding=1), nn.ConvTranspose2d(4, 4, 3, output_padding=1))
    (fault,) = check_model(model, input_shape=IMAGE).faults
    assert fault.site == "1"
    assert fix_model(model, input_shape=IMAGE, min_input=3).edits[0].knob == "output_padding"


def test_an_input_that_is_not_given_is_asked_for() -> None:
    class Conditioned(nn.Module):
        def forward(self, image: Tensor, code: Tensor) -> Tensor:
            return image + code

    with pytest.raises(UsageError, match="takes image, code: give a shape for each"):
        check_model(Conditioned(), input_shape=IMAGE)


def test_one_line_is_one_fault_whatever_the_batch() -> None:
    """At 1 sample the view is refused by other numbers than at 2."""

    class Views(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.fc = nn.Linear(147, 2)

        def forward(self, x: Tensor) -> Tensor:
            return self.fc(x.view(-1, 147))

    faults = check_model(Views(), input_shape=IMAGE, min_input=3).faults
    assert len({(fault.code, fault.site) for fault in faults}) == len(faults)


class Misspelt(nn.Module):
    """A name that is not there, behind layers that could be edited."""

    def __init__(self, trains: bool) -> None:
        super().__init__()
        self.layers = nn.Sequential(*(nn.Conv2d(3, 3, 3) for _ in range(12)))
        self.trains = trains

    def forward(self, x: Tensor) -> Tensor:
        x = self.layers(x)
        return FF.relu(x) if self.training or not self.trains else x  # type: ignore[name-defined] # noqa: F821


@pytest.mark.parametrize(("trains", "mode"), [(False, "eval mode"), (True, "train mode")])
def test_a_mistake_in_the_model_is_no_matter_of_sizes(trains: bool, mode: str) -> None:
    began = time.monotonic()
    with pytest.raises(InfeasibleError, match=f"in {mode} the model raises NameError: name 'FF'.*mend that"):
        fix_model(Misspelt(trains), input_shape=IMAGE, min_input=5)
    assert time.monotonic() - began < 20  # it was searched for as long as the time limit
    assert "no matter of size" in str(check_model(Misspelt(trains), input_shape=IMAGE, min_input=30))


def test_a_guess_at_the_input_is_called_one() -> None:
    class Stacks(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.conv = nn.Conv2d(6, 4, 3)

        def forward(self, x: Tensor) -> Tensor:
            return self.conv(x.flatten(1, 2))

    guess = "the input 1,6,H,W is a guess from the first layer: pass input_shape if it is another"
    assert check_model(Stacks()).notes == (guess,)
    assert check_model(Stacks(), input_shape=(1, 2, 3, "H", "W")).notes == ()


class Detector(nn.Module):
    """Asks for targets in train mode."""

    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.Sequential(*(nn.Conv2d(3, 3, 3) for _ in range(12)))

    def forward(self, x: Tensor, targets: Tensor | None = None) -> Tensor:
        if self.training and targets is None:
            raise ValueError("In training mode, targets should be passed")
        return self.layers(x)


def test_a_model_that_does_not_train_without_targets_is_named() -> None:
    assert check_model(Detector(), input_shape=IMAGE).accepts(30, 30)
    with pytest.raises(InfeasibleError, match="in train mode the model raises ValueError: In training mode"):
        fix_model(Detector(), input_shape=IMAGE, min_input=5)


class ComputesItsLoss(nn.Module):
    """The loss in forward, as in segmentation code; the labels are the caller's."""

    def __init__(self) -> None:
        super().__init__()
        self.down, self.up = nn.Conv2d(3, 4, 3, 2, 1), nn.ConvTranspose2d(4, 3, 2, 2)
        self.criterion = nn.CrossEntropyLoss()

    def forward(self, x: Tensor, y: Tensor | None = None) -> Tensor:
        scores = self.up(self.down(x)) + x
        return self.criterion(scores, y) if self.training else scores


def test_a_loss_without_labels_is_said_to_be_one() -> None:
    agrees(ComputesItsLoss(), IMAGE)
    with pytest.raises(InfeasibleError, match="in train mode the loss has no target: labels are None"):
        fix_model(ComputesItsLoss(), min_input=4, input_shape=IMAGE)


class Quantizes(nn.Module):
    """The nearest of some vectors, written one-hot in place, as VQ-VAEs do."""

    def __init__(self) -> None:
        super().__init__()
        self.encode, self.vectors = nn.Conv2d(3, 4, 4, 2, 1), nn.Embedding(8, 4)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        z = self.encode(x).permute(0, 2, 3, 1).contiguous()
        flat = z.view(-1, 4)
        nearest = torch.argmin(torch.cdist(flat, self.vectors.weight), dim=1).unsqueeze(1)
        chosen = torch.zeros(nearest.shape[0], 8)
        chosen.scatter_(1, nearest, 1)
        quantized = torch.matmul(chosen, self.vectors.weight).view(z.shape)
        loss = torch.mean((quantized.detach() - z) ** 2)
        return loss, (z + (quantized - z).detach()).permute(0, 3, 1, 2)


def test_what_is_written_in_place_depends_on_what_is_written() -> None:
    agrees(Quantizes(), IMAGE)
    assert check_model(Quantizes(), input_shape=IMAGE).proved
    fix = fix_model(Quantizes(), input_shape=IMAGE, min_input=1, strategy="preserve")
    assert fix.proved
    assert fix.model(torch.randn(2, 3, 1, 5))[1].shape == (2, 4, 1, 2)


class WithFloats(nn.Module):
    """Sizes divided as Python 2 did it; torch takes no float for a size."""

    def __init__(self, tail: str) -> None:
        super().__init__()
        self.conv, self.tail = (
            nn.Conv2d(3, 4, 3, padding=1),
            eval(f"lambda y: {tail}", {"F": F, "torch": torch}),
        )

    def forward(self, x: Tensor) -> Tensor:
        return self.tail(self.conv(x))


@pytest.mark.parametrize(
    "tail",
    [
        "y.view(y.size(0), y.size(1) / 2, -1)",
        "y.reshape(y.size(0), -1, y.size(2) / 2)",
        "y[:, :1].expand(-1, y.size(1) / 2, -1, -1)",
        "y.repeat(1, 4 / 2, 1, 1)",
        "torch.split(y, 2.0, 1)[0]",
        "y.narrow(2, 0, y.shape[2] / 2)",
        "y.unfold(2, 2.0, 1)",
        "F.max_pool2d(y, 2.0)",
        "F.interpolate(y, size=(y.shape[2] / 2, y.shape[3] / 2))",
        "F.adaptive_avg_pool2d(y, (y.shape[2] / 2, 1))",
    ],
)
def test_a_float_is_no_size(tail: str) -> None:
    with pytest.raises(TypeError):
        WithFloats(tail)(torch.zeros(2, 3, 8, 8))
    report = check_model(WithFloats(tail), input_shape=(1, 3, "H", "W"))
    assert report.working_sizes == "none"
    assert "a size that is a float" in str(report)


def test_a_transposed_convolution_of_other_channels_is_a_fault() -> None:
    """Which the meta device lets pass."""
    model = nn.Sequential(nn.Conv2d(3, 4, 3, 2, 1), nn.ConvTranspose2d(8, 3, 2, 2))
    report = check_model(model, input_shape=(1, 3, "H", "W"))
    assert [fault.code for fault in report.faults] == [Code.CHANNELS]
    assert not report.accepts(64, 64)


class PinnedPaths(nn.Module):
    """A path for each size, of which not all are followed."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 4, 3, 4, 1)

    def forward(self, x: Tensor) -> Tensor:
        y = F.avg_pool2d(self.conv(x), 64)
        return y + sum(range(y.shape[2]))


def test_what_was_not_followed_is_not_said_to_work() -> None:
    fix = fix_model(PinnedPaths(), input_shape=(1, 3, "H", "W"), min_input=256)
    assert not fix.proved
    assert "nothing to repair" not in str(fix)
    assert "not proved" in str(fix).splitlines()[0]


class Straightens(nn.Module):
    """The grid of an affine map that forward makes, over sizes as a shape or a list."""

    def __init__(self, as_list: bool) -> None:
        super().__init__()
        self.conv, self.as_list = nn.Conv2d(3, 4, (2, 3), 2), as_list

    def forward(self, x: Tensor) -> Tensor:
        y = self.conv(x)
        sizes = list(y[:1].shape) if self.as_list else y[:1].size()
        grid = F.affine_grid(torch.eye(2, 3)[None], sizes, align_corners=False)
        return F.grid_sample(y, grid.repeat(y.shape[0], 1, 1, 1), align_corners=False)


@pytest.mark.parametrize("as_list", [False, True])
def test_a_grid_of_a_constant_map(as_list: bool) -> None:
    agrees(Straightens(as_list), IMAGE)
    works_from(Straightens(as_list), IMAGE, 1, "preserve")


@pytest.mark.parametrize("tail", ["11 * n / (n * 1.1)", "11 * n / (n * 2.2 / 2)", "7 * n / (n * 0.7)"])
def test_a_quotient_by_a_rounded_product_is_not_taken_for_whole(tail: str) -> None:
    """11 * 10 / (10 * 1.1) is 9.999999999999998 in doubles."""
    count = eval(f"lambda n: int({tail})")

    class Counts(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return torch.ones(count(torch.cat([x] * 10, 1).shape[1]))

    report = check_model(Counts(), input_shape=("B", "L"))
    values = (
        {report.analysis.evaluating.pieces[0].meaning.values[-1].shape} if not report.unmodelled else set()
    )
    assert not values


class Spread(nn.Module):
    """The spread over a minibatch in groups of four, as in StyleGAN2's discriminator, and a fixed head."""

    def __init__(self) -> None:
        super().__init__()
        self.conv, self.head = nn.Conv2d(3, 4, 3, 2, 1), nn.Linear(4 * 3 * 5, 1)

    def forward(self, x: Tensor) -> Tensor:
        y = self.conv(x)
        b, c, h, w = y.shape
        spread = y.view(min(b, 4), -1, c, h, w).std(0, correction=0).mean()
        return self.head((y + spread).view(b, -1))


@pytest.mark.parametrize("strategy", ["fewest", "preserve"])
def test_batches_that_fail_at_any_size_are_named_and_left_alone(strategy: str) -> None:
    """No change of sizes helps a batch of 5; up to 4 the head is repaired, and that is proved."""
    check = check_model(Spread(), input_shape=IMAGE)
    assert any("needs 4, gets 5, with a batch of 5" in fault.message for fault in check.faults)
    fix = fix_model(Spread(), min_input=(5, 9), input_shape=IMAGE, strategy=strategy)
    assert fix.proved
    assert "a batch of 5 fails at every size; this is of batches up to 4" in str(fix)
    assert [dict(one.axes)[BATCH] for one in fix.verdict.certificates] == [Axis(1, 4, 0)] * 2
    meta = oracle.to_meta(fix.model)
    for size in itertools.product(range(5, 15), range(9, 15)):
        for training, batch in ((False, 1), (False, 3), (True, 2), (True, 4)):
            assert oracle.runs(meta, (batch, 3, *size), training), (size, training, batch)
        assert not oracle.runs(meta, (5, 3, *size), training=False)


class Attends(nn.Module):
    """A gate of half the size: at 1 x 1 and 2 x 2 it is stretched without a word."""

    def __init__(self) -> None:
        super().__init__()
        self.down, self.less = nn.Conv2d(1, 4, 3, 2, 1), nn.Conv2d(4, 4, 3, 2, 1)
        self.up = nn.Upsample(scale_factor=2)

    def forward(self, x: Tensor) -> Tensor:
        y = self.down(x)
        return y * torch.sigmoid(self.up(self.less(y)))


def test_where_a_branch_is_stretched_the_model_did_not_work() -> None:
    """Torch accepts it, and outputs differ there after a repair that keeps those that were right."""
    model = Attends()
    fix = fix_model(model, min_input=1, input_shape=(1, 1, "H", "W"), strategy="preserve")
    assert fix.before.working_sizes == "1, 2, then 4k-1 or 4k from 3"
    assert "worked at  4k-1 or 4k from 3\n" in str(fix)
    assert model(torch.zeros(1, 1, 2, 2)).shape != fix.model(torch.zeros(1, 1, 2, 2)).shape
