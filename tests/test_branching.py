"""Changes of a forward whose path differs from size to size: each is repaired, and chosen rightly."""

from __future__ import annotations

import copy
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context

import pytest
import torch
from torch import Tensor, nn

from autofix import fix_many, fix_model
from autofix.branching import UNCOVERED
from autofix.repair import Fix


class Fork(nn.Module):
    """Another first layer above 20 rows, and below 9 columns; then a join that only even sizes reach."""

    def __init__(self) -> None:
        super().__init__()
        self.high, self.low = nn.Conv2d(1, 2, (3, 1), padding=(1, 0)), nn.Conv2d(1, 2, (1, 3), padding=(0, 1))
        self.down, self.up = nn.MaxPool2d(2), nn.Upsample(scale_factor=2)
        self.last = nn.Conv2d(4, 1, 1)
        self.register_buffer("table", torch.arange(3.0))

    def forward(self, image: Tensor) -> Tensor:
        x = self.high(image) if image.shape[2] > 20 else self.low(image)
        if image.shape[-1] <= 8:
            x = x * self.table.sum()
        return self.last(torch.cat([self.up(self.down(x)), x], 1))


class Checked(Fork):
    """Its own Python refuses a range of sizes, on a path that no repair opens."""

    def forward(self, image: Tensor) -> Tensor:
        if image.shape[2] == 30:
            raise ValueError("no rows of this number")
        return super().forward(image)


@pytest.fixture(scope="module", params=["fewest", "preserve"])
def fixed(request: pytest.FixtureRequest) -> tuple[Fork, Fix]:
    torch.manual_seed(0)
    model = Fork().eval()
    return model, fix_model(model, min_input=3, strategy=request.param)


SIZES = [(height, width) for height in (3, 8, 20, 21, 22, 35) for width in (4, 7, 8, 9, 10, 13)]


def expected(model: Fork, image: Tensor) -> Tensor:
    """The model with the join aligned, written by hand."""
    x = model.high(image) if image.shape[2] > 20 else model.low(image)
    x = x * 3 if image.shape[3] <= 8 else x
    up = model.up(model.down(x))
    pad = (0, x.shape[3] - up.shape[3], 0, x.shape[2] - up.shape[2])
    return model.last(torch.cat([nn.functional.pad(up, pad), x], 1))


def test_every_path_computes_what_it_should(fixed: tuple[Fork, Fix]) -> None:
    model, fix = fixed
    assert len(fix.branches) == 4
    assert [insert.kind for insert in fix.inserts] == ["align"]
    assert not fix.edits
    for size in SIZES:
        image = torch.randn(2, 1, *size)
        assert torch.equal(fix.model(image), expected(model, image)), size
        if fix.before.accepts(*size):
            assert torch.equal(fix.model(image), model(image)), size


def test_the_class_and_what_torch_does_with_it(fixed: tuple[Fork, Fix]) -> None:
    model, fix = fixed
    assert isinstance(fix.model, Fork)
    assert list(fix.model.state_dict()) == list(model.state_dict())
    image = torch.randn(1, 1, 25, 11)
    exported = torch.export.export(fix.model, (image,)).module()
    assert torch.equal(exported(image), fix.model(image))
    assert torch.equal(copy.deepcopy(fix.model)(image), fix.model(image))
    fix.model(image).sum().backward()


def test_the_graph_is_the_one_of_the_smallest_size_and_refuses_those_of_others(
    fixed: tuple[Fork, Fix],
) -> None:
    _, fix = fixed
    for height, width in SIZES:
        image = torch.randn(2, 1, height, width)
        if height <= 20 and width <= 8:
            assert torch.equal(fix.graph_module(image), fix.model(image)), (height, width)
        else:
            with pytest.raises(AssertionError, match="another path"):
                fix.graph_module(image)


class Folds(nn.Module):
    """A waveform in rows of five, mirrored up to whole rows; each length in fives has its own number."""

    def __init__(self, counts: bool) -> None:
        super().__init__()
        self.conv, self.counts = nn.Conv2d(1, 4, (5, 1), (3, 1), padding=(2, 0)), counts

    def forward(self, x: Tensor) -> Tensor:
        batch, channels, length = x.shape
        if length % 5:
            x = nn.functional.pad(x, (0, 5 - length % 5), "reflect")
        rows = x.view(batch, channels, -1, 5)
        scale = sum(1 / (2 + row) for row in range(rows.shape[2])) if self.counts else 1.0
        return self.conv(rows * scale).flatten(2)


@pytest.mark.parametrize("counts", [False, True])
def test_a_graph_never_computes_something_else(counts: bool) -> None:
    model = Folds(counts).eval()
    fix = fix_model(model, min_input=3 if counts else 1, input_shape=(1, 1, "T"))
    agreed = []
    for length in range(3, 24):
        x = torch.randn(2, 1, length)
        try:
            found = fix.graph_module(x)
        except AssertionError:
            continue
        assert torch.equal(found, fix.model(x))
        agreed.append(length)
    assert agreed == ([3, 4] if counts else [length for length in range(3, 24) if length % 5])


def test_another_process_sends_it_back() -> None:
    models = [Fork().eval() for _ in range(2)]
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
        fixes = list(fix_many(models, pool, min_input=3))
    image = torch.randn(1, 1, 25, 11)
    for model, fix in zip(models, fixes, strict=True):
        assert isinstance(fix, Fix)
        assert torch.equal(fix.model(image), expected(model, image))


def test_sizes_that_the_model_refuses_stay_refused() -> None:
    fix = fix_model(Checked().eval(), min_input=31)
    assert fix.inserts
    fix.model(torch.randn(1, 1, 33, 33))
    with pytest.raises((RuntimeError, ValueError), match=f"{UNCOVERED}|no rows"):
        fix.model(torch.randn(1, 1, 30, 33))


class Odd(nn.Module):
    """A map that is short after upsampling grows by a layer, axis by axis."""

    def __init__(self, levels: int = 4) -> None:
        super().__init__()
        self.first = nn.Conv2d(1, 2, 3, padding=1)
        self.downs = nn.ModuleList(nn.Conv2d(2, 2, 3, padding=1) for _ in range(levels))
        self.norm, self.pool = nn.InstanceNorm2d(2), nn.MaxPool2d(2)
        self.ups = nn.ModuleList(nn.ConvTranspose2d(2, 2, 2, 2) for _ in range(levels))
        self.grow = nn.ModuleList([nn.ConvTranspose2d(2, 2, (1, 2)), nn.ConvTranspose2d(2, 2, (2, 1))])
        self.convs = nn.ModuleList(nn.Conv2d(4, 2, 3, padding=1) for _ in range(levels))

    def forward(self, x: Tensor) -> Tensor:
        skips = [self.first(x)]
        for down in self.downs:
            skips.append(down(self.pool(skips[-1])))
        x = self.norm(skips.pop())
        for up, conv in zip(self.ups, self.convs, strict=True):
            skip, x = skips.pop(), up(x)
            for axis in range(2):
                if skip.shape[-axis - 1] != x.shape[-axis - 1]:
                    x = self.grow[axis](x)
            x = conv(torch.cat([skip, x], 1))
        return x


@pytest.mark.parametrize("strategy", ["fewest", "preserve"])
def test_more_paths_than_are_followed(strategy: str) -> None:
    """2^8 of them: what was followed must work, sizes of all kinds are run, and nothing is called proved."""
    model = Odd().eval()
    fix = fix_model(model, min_input=16, strategy=strategy)
    assert not fix.proved
    assert not fix.optimal
    assert len(fix.verdict.runs) > 60
    for size in [(16, 16), (17, 31), (23, 16), (31, 50), (33, 47), (64, 29)]:
        image = torch.randn(1, 1, *size)
        assert fix.model(image).shape[-2:] == size, size
        if strategy == "preserve" and min(size) >= 32:
            assert torch.equal(fix.model(image), model(image))
