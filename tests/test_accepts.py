"""`accepts` against torch: published networks, networks as written, and random ones.

The default run asks the telling sizes; with AUTOFIX_FULL=1 it asks each square size from 1 to 80 and 200
others, in eval and in train mode.
"""

from __future__ import annotations

import published
import pytest
from agreement import FULL, disagreements, false_minimum, telling_questions, within
from nets_as_written import NETS
from networks import random_network
from torchvision_ops import ensure_torchvision

from autofix import check_model

ensure_torchvision()
CLASSIFIERS = published.torchvision_classifiers()
OTHERS = {**published.torchvision_segmentation(), **published.torchvision_video()}
MONAI = published.monai_networks()

# One of each family that published.FAST leaves out, and networks that check in about a second.
SIBLINGS = ("maxvit_t", "swin_t", "mnasnet1_0", "regnet_y_8gf", "fcn_resnet50", "r3d_18", "s3d")
CHOSEN = [n for n in {**CLASSIFIERS, **OTHERS} if n not in published.FAST and (FULL or n in SIBLINGS)]

BATCHES, PER_BATCH = 50, 10


@pytest.mark.parametrize("name", published.FAST)
def test_torchvision_classifiers(name: str) -> None:
    """One or two of each family, thoroughly."""
    agrees(CLASSIFIERS[name], 24)


@pytest.mark.parametrize("name", CHOSEN)
def test_all_of_torchvision(name: str) -> None:
    """The rest, at a few sizes."""
    agrees({**CLASSIFIERS, **OTHERS}[name], 4)


@pytest.mark.parametrize("name", MONAI)
def test_monai(name: str) -> None:
    """MONAI's networks, 2d and 3d: all are described."""
    agrees(MONAI[name], 8)


@pytest.mark.parametrize("name", NETS)
def test_networks_as_written(name: str) -> None:
    """Against the oracle, and against what is known by reasoning."""
    entry = NETS[name]
    model = entry.make()
    with within(180):
        report = check_model(model, input_shape=entry.template)
        rank = len(report.axes)
        questions = telling_questions(report, rank, 1, 20)
    assert not disagreements(model, entry.template, report, questions, entry.dtypes)
    assert not false_minimum(model, entry.template, report, 1, entry.dtypes)
    if entry.known is not None:
        for size, training, batch in questions:
            if not training and batch == 2:
                assert report.accepts(*size) == entry.known(*size), size


@pytest.mark.parametrize("least", sorted(published.FROM.items()))
def test_known_minima(least: tuple[str, int]) -> None:
    """Values published by those who met them."""
    name, size = least
    report = check_model(CLASSIFIERS[name].build())
    assert report.minimum_input == (size, size)
    assert [n for n in range(1, 81) if report.accepts(n, n)] == list(range(size, 81))


def test_train_with_one_image_asks_for_more() -> None:
    """ResNet-18: one pixel is enough in eval mode; in train mode one image leaves batch norm one value."""
    report = check_model(CLASSIFIERS["resnet18"].build())
    sizes = range(1, 81)
    assert [n for n in sizes if report.accepts(n, n, training=True, batch=1)] == list(range(33, 81))
    assert all(report.accepts(n, n, training=True, batch=2) for n in sizes)


@pytest.mark.parametrize("batch", range(BATCHES))
def test_random_networks(batch: int) -> None:
    """Of the whole operator range; a failing one prints as a class to paste."""
    described = 0
    for seed in range(batch * PER_BATCH, (batch + 1) * PER_BATCH):
        network = random_network(seed)
        model = network.build()
        with within(180):
            report = check_model(model, input_shape=network.template)
            described += not report.unmodelled
            questions = telling_questions(report, network.rank, seed, 10)
        found = disagreements(model, network.template, report, questions)
        assert not found, (seed, network, found)
        assert not false_minimum(model, network.template, report, seed), (seed, network)
    assert described >= PER_BATCH - 3, "operators without a rule must stay rare"


def agrees(entry: published.Entry, count: int) -> None:
    """No disagreement at the telling sizes of a published network."""
    model = entry.build()
    rank = len(entry.template) - 2
    largest = 80 if rank < 3 else 40
    with within(180):
        report = check_model(model, input_shape=entry.template)
        questions = telling_questions(report, rank, 1, count, largest)
    assert not disagreements(model, entry.template, report, questions)
    assert not false_minimum(model, entry.template, report, 1)
    if entry.known is not None:
        sizes = [n for n in range(1, largest + 1) if report.accepts(*(n,) * rank)]
        assert sizes == [n for n in range(1, largest + 1) if entry.known(n)]
