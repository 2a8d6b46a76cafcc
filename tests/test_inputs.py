"""What goes into a model, where only the model is given."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from autofix import check_model, fix_model


class SpaceToDepth(nn.Module):
    """Blocks of pixels become channels before the first convolution."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(48, 8, 3)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        batch, channels, height, width = x.shape
        blocks = x.view(batch, channels, height // 4, 4, width // 4, 4).permute(0, 3, 5, 1, 2, 4)
        return self.conv(blocks.reshape(batch, channels * 16, height // 4, width // 4))


def test_an_image_that_is_rearranged_before_the_first_convolution():
    report = check_model(SpaceToDepth())
    assert report.analysis.inputs.shapes == (("B", 3, "H", "W"),)
    assert [n for n in range(1, 30) if report.accepts(n, n)] == [12, 16, 20, 24, 28]
    assert report.working_sizes == "4k from 12"


def test_blocks_of_pixels_are_made_whole():
    fix = fix_model(SpaceToDepth(), min_input=9)
    assert [insert.kind for insert in fix.inserts] == ["round"]
    assert fix.proved
    assert fix.report.accepts(9, 17)


class RawAudio(nn.Module):
    """Rows of samples, as (batch, samples)."""

    def __init__(self) -> None:
        super().__init__()
        self.conv, self.fc, self.norm = nn.Conv1d(1, 4, 9, 4), nn.Linear(4, 3), nn.BatchNorm1d(3)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.norm(self.fc(self.conv(x.unsqueeze(1)).mean(2)))


def test_a_row_in_front_is_the_batch_where_there_may_be_several() -> None:
    for shape in ((1, "T"), ("B", "T")):
        report = check_model(RawAudio(), input_shape=shape)
        assert report.accepts(9, training=True, batch=2)
        assert not report.accepts(9, training=True, batch=1)
        assert report.accepts(9, batch=1)
        assert not report.accepts(8)


def test_a_row_in_front_is_a_channel_where_the_model_takes_one_sample() -> None:
    assert check_model(nn.Conv1d(1, 4, 9), input_shape=(1, "T")).working_sizes == ">= 9"


def test_boards_without_channels_are_a_batch() -> None:
    class Board(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.conv = nn.Conv2d(1, 4, 3)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return self.conv(x.unsqueeze(1)).mean((2, 3))

    assert check_model(Board(), input_shape=(1, "H", "W")).accepts(8, 8, batch=5)


class Pair(nn.Module):
    """Two images, each with sizes of its own: four axes."""

    def __init__(self, head: bool) -> None:
        super().__init__()
        self.a, self.b, self.up = nn.Conv2d(3, 4, 3, 2), nn.Conv2d(3, 4, 3, 2), nn.ConvTranspose2d(4, 3, 2, 2)
        self.head = nn.Linear(4 * 2 * 3 + 4 * 5 * 2, 2) if head else None

    def forward(self, x: torch.Tensor, z: torch.Tensor):
        one, other = self.a(x), self.b(z)
        if self.head is not None:
            return self.head(torch.cat([one.flatten(1), other.flatten(1)], 1))
        return torch.cat([x, self.up(one)], 1), other


@pytest.mark.parametrize("head", [False, True])
def test_two_inputs_with_axes_of_their_own(head: bool) -> None:
    shapes = ((1, 3, "H", "W"), (1, 3, "P", "Q"))
    report = check_model(Pair(head), input_shape=shapes)
    assert report.working_sizes
    assert report.accepts(5, 7, 11, 5) == head
    fix = fix_model(Pair(head), input_shape=shapes, min_input=2)
    assert fix.proved
    for sizes in ((2, 2, 2, 2), (2, 5, 9, 4), (8, 3, 4, 13)):
        fix.model(torch.randn(2, 3, *sizes[:2]), torch.randn(2, 3, *sizes[2:]))
