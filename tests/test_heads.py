"""Fixed heads: what no edit can mend is said at once, and nothing is said of what one can."""

from __future__ import annotations

import itertools
import math
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from einops import rearrange
from torch import Tensor, nn

from autofix import InfeasibleError, check_model, fix_model
from autofix.analyse import Analysis
from autofix.changes import Changes
from autofix.condition import Box
from autofix.fault import Safety
from autofix.insertion import Adaptive
from autofix.size import BATCH
from autofix.solve import strategy
from autofix.solve.heads import fixed_head
from autofix.solve.request import Request, Solution
from autofix.solve.search import NotFound


class Head(nn.Module):
    """Halves 16 to 8; `tail` leads to the layer that takes 4 * 8 * 8 features."""

    def __init__(self, tail: str = "flatten") -> None:
        super().__init__()
        self.conv, self.fc, self.tail = nn.Conv2d(1, 4, 3, 2, 1), nn.Linear(256, 3), tail

    def forward(self, x: Tensor) -> Tensor:
        x = self.conv(x)
        match self.tail:
            case "flatten":
                return self.fc(torch.flatten(x, 1))
            case "view":
                return self.fc(x.view(x.size(0), -1))
            case "rows":
                return self.fc(x.view(-1, 256))
            case "cropped":
                return self.fc(x[:, :, :8, :8].flatten(1))
            case "padded":
                x = nn.functional.pad(x, (0, 40 - x.shape[3], 0, 40 - x.shape[2]))
                return self.fc(nn.functional.max_pool2d(x, 5).flatten(1))
            case "counted":
                return self.fc(x[:, :, : x.shape[2] - 1, : x.shape[3]].flatten(1))
        return self.fc(nn.functional.adaptive_avg_pool2d(x, 8).flatten(1))


def found_in(model: nn.Module, low: int, high: int | None = None) -> NotFound | None:
    analysis: Analysis = check_model(model, input_shape=(1, 1, "H", "W")).analysis
    box: Box = {BATCH: (1, None), 0: (low, high), 1: (low, high)}
    return fixed_head(analysis, box)


@pytest.mark.parametrize("tail", ["flatten", "view", "rows"])
def test_what_grows_is_seen(tail: str) -> None:
    assert found_in(Head(tail), 10)
    assert not found_in(Head(tail), 10, 40)


@pytest.mark.parametrize("tail", ["cropped", "padded", "counted", "adaptive"])
def test_what_does_not_grow_is_left_to_the_search(tail: str) -> None:
    assert not found_in(Head(tail), 10)


@pytest.mark.parametrize("tail", ["flatten", "view", "rows"])
def test_no_edit_could_do_it(tail: str) -> None:
    """Every padding and stride of the layer: each fails at one of two sizes."""
    for padding, stride in itertools.product(range(2), range(1, 4)):
        model = Head(tail)
        model.conv.padding, model.conv.stride = (padding, padding), (stride, stride)
        report = check_model(model, input_shape=(1, 1, "H", "W"))
        sound = [bool(report.analysis.evaluating.sound.at({BATCH: 1, 0: n, 1: n})) for n in (16, 96)]
        assert not (report.accepts(16, 16) and report.accepts(96, 96) and all(sound))


@pytest.mark.parametrize("tail", ["flatten", "view"])
def test_the_repair_says_so_and_is_an_insert(tail: str) -> None:
    fix = fix_model(Head(tail), min_input=10, input_shape=(1, 1, "H", "W"))
    assert "takes one number, 256, and is given one that grows with the input" in str(fix)
    assert fix.proved
    assert fix.optimal
    assert [insert.kind for insert in fix.inserts] == ["adaptive"]
    for n in (10, 15, 16, 33):
        assert fix.model(torch.randn(2, 1, n, n + 1)).shape == (2, 3)


class Branches(nn.Module):
    """Two branches over time are joined; only around 3,100 samples make 184 features."""

    def __init__(self) -> None:
        super().__init__()
        self.fine = nn.Sequential(
            nn.Conv1d(1, 4, 50, 6), nn.MaxPool1d(8), nn.Conv1d(4, 8, 8, 1, 4), nn.MaxPool1d(4)
        )
        self.coarse = nn.Sequential(
            nn.Conv1d(1, 4, 400, 50), nn.MaxPool1d(4), nn.Conv1d(4, 8, 6, 1, 3), nn.MaxPool1d(2)
        )
        self.fc = nn.Linear(184, 5)

    def forward(self, x: Tensor) -> Tensor:
        x = torch.cat([self.fine(x), self.coarse(x)], 2)
        return self.fc(x.view(x.size(0), -1))


@pytest.mark.parametrize("strategy", ["fewest", "preserve"])
def test_the_one_size_that_works_is_found_however_large(strategy: str) -> None:
    model = Branches().eval()
    assert check_model(model).working_sizes == "only 3068-3259"
    fix = fix_model(model, min_input=1500, strategy=strategy)
    assert fix.proved
    x = torch.randn(2, 1, 3100)
    assert torch.equal(fix.model(x), model(x))
    assert fix.model(torch.randn(2, 1, 1500)).shape == (2, 5)


class Video(nn.Module):
    """Works at 16 x 112 x 112 alone: halved five times, but four times in time."""

    def __init__(self) -> None:
        super().__init__()
        pools = [nn.MaxPool3d((1, 2, 2)), *(nn.MaxPool3d(2) for _ in range(4))]
        self.pools, self.fc = nn.Sequential(*pools), nn.Linear(2 * 1 * 3 * 3, 5)

    def forward(self, x: Tensor) -> Tensor:
        return self.fc(self.pools(x).view(-1, 18))


def test_the_one_size_that_works_is_found_on_unequal_axes() -> None:
    fix = fix_model(Video(), min_input=(8, 56, 56), input_shape=(1, 2, "T", "H", "W"), strategy="preserve")
    assert fix.proved
    assert fix.model(torch.randn(3, 2, 8, 60, 70)).shape == (3, 5)


class Wide(nn.Module):
    """Built for twice as much width as height: 4 * 3 * 6 features."""

    def __init__(self, last: str = "") -> None:
        super().__init__()
        self.conv, self.fc, self.last = nn.Conv2d(1, 4, 4, 4), nn.Linear(72, 3), last

    def forward(self, x: Tensor) -> Tensor:
        x = self.conv(x)
        match self.last:
            case "permute":
                x = x.permute(0, 2, 3, 1).contiguous()
            case "transpose":
                x = x.transpose(1, 3)
        return self.fc(x.flatten(1))


@pytest.mark.parametrize("last", ["", "permute", "transpose"])
@pytest.mark.parametrize("strategy", ["fewest", "preserve"])
def test_every_map_that_the_head_took_passes(last: str, strategy: str) -> None:
    """18 values of a map, in whatever shape: 1 x 18, 2 x 9, 3 x 6 and so on."""
    model = Wide(last).eval()
    fix = fix_model(model, input_shape=(1, 1, "H", "W"), min_input=4, strategy=strategy)
    (insert,) = fix.inserts
    assert insert.passes
    assert insert.safety is Safety.IDENTICAL
    assert fix.proved
    for height, width in ((1, 18), (2, 9), (3, 6), (6, 3), (18, 1)):
        x = torch.randn(2, 1, 4 * height, 4 * width + 1)
        assert torch.equal(fix.model(x), model(x))
        assert torch.equal(fix.graph_module(x), model(x))
    for height, width in ((4, 4), (12, 23), (12, 28), (40, 71)):
        assert fix.model(torch.randn(2, 1, height, width)).shape == (2, 3)


class Measures(nn.Module):
    """A head of 4 * 6 * 6 features, or of 4 * 6 in each column, behind sizes that forward works out."""

    def __init__(self, how: str) -> None:
        super().__init__()
        self.conv, self.how = nn.Conv2d(1, 4, 3, 2, 1), how
        self.fc, self.rnn, self.along = nn.Linear(144, 3), nn.LSTM(24, 3), nn.Conv1d(24, 3, 3)
        self.norm = nn.LayerNorm([4, 6, 6])

    def features(self, x: Tensor) -> int:
        return math.prod(x.size()[1:])

    def forward(self, x: Tensor) -> Tensor:
        x = self.conv(x)
        b, c, h, w = x.shape
        match self.how:
            case "product":
                return self.fc(x.view(-1, c * h * w))
            case "method":
                return self.fc(torch.relu(x).view(-1, self.features(x)))
            case "twice":
                return self.fc(x.view(b, c, h * w).transpose(1, 2).reshape(b, -1))
            case "columns":
                return self.rnn(x.permute(0, 3, 1, 2).reshape(b, w, c * h))[0].sum(1)
            case "rows":
                return self.along(x.reshape(b, c * h, w)).sum(2)
            case "flatten":
                return self.along(x.flatten(1, 2)).sum(2)
            case "merged":
                return self.fc(torch.relu(x).reshape(b, c * h, w).flatten(1))
            case "norm":
                return self.norm(x).sum((2, 3))[:, :3]
        halves = [part.flatten(1) for part in (x[:, :2], x[:, 2:])]
        return self.fc(torch.cat(halves, 1))


HOWS = ["product", "method", "twice", "columns", "rows", "flatten", "norm", "merged", "branches"]


@pytest.mark.parametrize("strategy", ["fewest", "preserve"])
@pytest.mark.parametrize("how", HOWS)
def test_heads_behind_sizes_that_forward_works_out(how: str, strategy: str) -> None:
    torch.manual_seed(0)
    model = Measures(how).eval()
    fix = fix_model(model, input_shape=(1, 1, "H", "W"), min_input=5, strategy=strategy)
    assert fix.proved
    assert {insert.kind for insert in fix.inserts} == {"adaptive"}
    assert all(insert.safety is Safety.IDENTICAL for insert in fix.inserts)
    assert len(fix.inserts) == (2 if how == "branches" else 1)
    for height, width in itertools.product((11, 12, 5, 9, 23), (11, 12, 5, 24)):
        x = torch.randn(2, 1, height, width)
        assert fix.model(x).shape == (2, 3)
        assert torch.equal(fix.graph_module(x), fix.model(x))
        if fix.before.accepts(height, width):
            assert torch.equal(fix.model(x), model(x)), (height, width)


def test_a_repair_of_a_head_exports() -> None:
    """The sizes stay free, and the file does what the model does at the sizes that pass."""
    fix = fix_model(Wide(), input_shape=(1, 1, "H", "W"), min_input=4)
    free = {"x": {2: torch.export.Dim.AUTO, 3: torch.export.Dim.AUTO}}
    program = torch.export.export(
        fix.model.eval(), (torch.randn(2, 1, 20, 36),), dynamic_shapes=free
    ).module()
    for height, width in ((12, 24), (13, 52), (24, 12)):
        x = torch.randn(2, 1, height, width)
        assert torch.equal(program(x), fix.model(x))
    assert "average_to(" in fix.diff


@pytest.mark.parametrize("template", [(1, 2, 3, "H", "W"), (1, 2, 24, "W")], ids=str)
def test_an_input_with_a_fixed_axis_is_padded_along_the_others(template: tuple[Any, ...]) -> None:
    """As of video with so many frames, or of spectra with so many bins."""

    class Even(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            if x.shape[-1] % 2:
                raise ValueError("even, please")
            return x * 2

    fix = fix_model(Even(), input_shape=template, min_input=3, strategy="preserve")
    assert fix.proved
    (insert,) = fix.inserts
    assert insert.kind == "round"
    sizes = [7 if isinstance(dim, str) else dim for dim in template]
    assert fix.model(torch.ones(sizes)).shape == tuple(sizes)


class Reader(nn.Module):
    """Lines of text, 16 to 31 pixels high and of any length; `how` it takes the height away."""

    def __init__(self, how: str, last: nn.Module) -> None:
        super().__init__()
        self.cnn = nn.Sequential(nn.Conv2d(1, 4, 3, 1, 1), nn.MaxPool2d(4), nn.MaxPool2d((2, 1)), last)
        self.how, self.rnn = how, nn.LSTM(4, 3)

    def forward(self, x: Tensor) -> Tensor:
        x = self.cnn(x)
        b, c, h, w = x.size()
        match self.how:
            case "assert":
                one = h == 1
                x = x * x.size(3) / w
                assert one, "the height must be 1"
            case "raise":
                if h != 1:
                    raise ValueError(f"height {h}")
            case "view":
                return self.rnn(x.view(b, c * h, w).permute(2, 0, 1))[0]
        return self.rnn(x.squeeze(2).permute(2, 0, 1))[0]


@pytest.mark.parametrize("strategy", ["fewest", "preserve"])
@pytest.mark.parametrize("how", ["assert", "raise", "squeeze", "view"])
@pytest.mark.parametrize("last", [nn.ReLU(), nn.Conv2d(4, 4, (2, 1))], ids=["relu", "conv"])
def test_an_average_over_the_one_axis_that_is_asked_for(how: str, last: nn.Module, strategy: str) -> None:
    torch.manual_seed(0)
    model = Reader(how, last).eval()
    least = 8 * (2 if isinstance(last, nn.Conv2d) else 1)
    fix = fix_model(model, input_shape=(1, 1, "H", "W"), min_input=(least, 4), strategy=strategy)
    (insert,) = fix.inserts
    assert insert.kind == "adaptive"
    assert insert.sizes[1] is None
    assert fix.proved
    assert insert.safety is Safety.IDENTICAL
    for height, width in itertools.product((least, least + 7), (4, 9, 23)):
        x = torch.randn(2, 1, height, width)
        assert torch.equal(fix.model(x), model(x))
        assert torch.equal(fix.graph_module(x), model(x))
    for height, width in itertools.product((least + 8, 49, 64), (4, 9, 23)):
        assert fix.model(torch.randn(2, 1, height, width)).shape == (width // 4, 2, 3)


def test_what_the_model_refuses_itself_is_no_proof_that_edits_fail() -> None:
    fix = fix_model(Reader("raise", nn.ReLU()), input_shape=(1, 1, "H", "W"), min_input=(8, 4))
    assert "no edit of any hyperparameter was found that makes every size work" in str(fix)
    assert not fix.optimal


class EvenHead(nn.Module):
    """Refuses odd sizes itself, and has a head for 16 x 12."""

    def __init__(self) -> None:
        super().__init__()
        self.conv, self.head = nn.Conv2d(3, 4, 3, padding=1), nn.Linear(4 * 8 * 6, 2)

    def forward(self, x: Tensor) -> Tensor:
        if x.shape[-1] % 2 or x.shape[-2] % 2:
            raise ValueError("even sizes only")
        return self.head(F.max_pool2d(self.conv(x), 2).flatten(1))


@pytest.mark.parametrize("strategy", ["fewest", "preserve"])
def test_the_input_is_padded_before_a_head_that_is_averaged(strategy: str) -> None:
    model = EvenHead().eval()
    shape = (1, 3, "H", "W")
    fix = fix_model(model, input_shape=shape, min_input=9, reference=(16, 12), strategy=strategy)
    assert fix.proved
    assert [insert.kind for insert in fix.inserts] == ["round", "adaptive"]
    x = torch.randn(2, 3, 16, 12)
    assert torch.equal(fix.model.eval()(x), model(x))
    for size in itertools.product(range(9, 20), (9, 10, 23)):
        assert fix.model(torch.randn(2, 3, *size)).shape == (2, 2)


class Tall(nn.Module):
    """Only a height of 2 or 3 is squeezed away."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(1, 4, (2, 3), 2)

    def forward(self, x: Tensor) -> Tensor:
        return self.conv(x).squeeze(2).permute(2, 0, 1)


def test_a_path_that_fails_is_no_input_that_does_not_fit() -> None:
    assert check_model(Tall(), input_shape=(1, 1, "H", "W")).accepts(3, 7)
    assert not check_model(Tall(), input_shape=(1, 1, "H", "W")).accepts(4, 7)


@pytest.mark.parametrize(("step", "count"), [(32, 16), (32, 20), (128, 2), (128, 3), (64, 5)])
def test_the_sizes_of_a_head_for_large_images_are_named(step: int, count: int) -> None:
    model = nn.Sequential(nn.Conv2d(3, 2, step, step), nn.Flatten(), nn.Linear(2 * count * count, 5))
    report = check_model(model, input_shape=(1, 3, "H", "W"))
    first = step * count
    assert report.working_sizes == f"only {first}-{first + step - 1}"
    assert report.minimum_input == (None, None)


@pytest.mark.parametrize("certain", [True, False])
def test_an_insert_that_was_not_decided_is_not_called_needed(
    monkeypatch: pytest.MonkeyPatch, certain: bool
) -> None:
    """The search without one of two inserts finds nothing: for certain, or because its time was up."""
    analysis = check_model(Head()).analysis
    request = Request(lambda changes: analysis, analysis, {}, (), (), (16, 16), 1e12)
    two = Changes().with_insert(("call", "a"), Adaptive((2,))).with_insert(("call", "b"), Adaptive((3,)))
    monkeypatch.setattr(strategy, "feasible", lambda *_: None)
    monkeypatch.setattr(strategy, "_edits", lambda *_: NotFound((), certain, ""))
    kept = strategy._pruned(request, Solution(two, analysis, True), NotFound((), True, ""))
    assert kept.changes == two
    assert kept.optimal == certain


class OddReader(nn.Module):
    """At the even sizes that are looked at first nothing fits; at odd ones, four dimensions become three."""

    def __init__(self) -> None:
        super().__init__()
        self.conv, self.rnn, self.other = nn.Conv2d(3, 4, 3, padding=1), nn.LSTM(4, 5), nn.Conv2d(7, 4, 1)

    def forward(self, x: Tensor) -> Tensor:
        if x.shape[-1] % 2 == 0 or x.shape[-2] % 2 == 0:
            return self.other(x)
        return self.rnn(self.conv(x).mean(2).permute(2, 0, 1))[0]


def test_an_output_of_another_rank_is_not_cropped() -> None:
    fix = fix_model(OddReader(), input_shape=(1, 3, "H", "W"), min_input=4, strategy="preserve")
    assert [insert.kind for insert in fix.inserts] == ["round"]
    for height, width in itertools.product((4, 5, 9), (4, 7, 10)):
        assert fix.model(torch.randn(3, 3, height, width)).shape == (width + 1 - width % 2, 3, 5)


@pytest.mark.parametrize("frozen", ["flatten", "head", "conv*"])
def test_nothing_is_inserted_where_it_is_frozen(frozen: str) -> None:
    shape = (1, 3, "H", "W")
    fix = fix_model(EvenHead(), input_shape=shape, min_input=10, strategy="preserve", frozen="conv*")
    assert fix.proved
    with pytest.raises(InfeasibleError):
        fix_model(EvenHead(), input_shape=shape, min_input=10, strategy="preserve", frozen="*")


class Conformer(nn.Module):
    """Tokens of a convolution, mixed by einops beside a skip, and a head for 61 of them."""

    def __init__(self) -> None:
        super().__init__()
        self.conv, self.pool = nn.Conv2d(1, 4, (5, 25)), nn.AvgPool2d((1, 75), (1, 15))
        self.head = nn.Linear(61 * 4, 3)

    def forward(self, x: Tensor) -> Tensor:
        tokens = rearrange(self.pool(self.conv(x)), "b e h w -> b (h w) e")
        heads = rearrange(tokens, "b n (h d) -> b h n d", h=2)
        mixed = rearrange(heads, "b h n d -> b n (h d)") + tokens
        return self.head(mixed.contiguous().view(mixed.size(0), -1))


@pytest.mark.parametrize("strategy", ["fewest", "preserve"])
def test_a_head_behind_a_skip_is_averaged_before_both(strategy: str) -> None:
    model = Conformer().eval()
    fix = fix_model(model, input_shape=(1, 1, 5, "T"), min_input=500, strategy=strategy)
    assert fix.proved
    assert [(insert.site, insert.kind) for insert in fix.inserts] == [("pool", "adaptive")]
    x = torch.randn(2, 1, 5, 1000)
    assert torch.equal(fix.model.eval()(x), model(x))
    assert fix.model(torch.randn(2, 1, 5, 517)).shape == (2, 3)
