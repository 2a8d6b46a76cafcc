"""`accepts` against torch: published networks, networks as written, and random ones.

The default run asks the telling sizes; with AUTOFIX_FULL=1 it asks each square size from 1 to 80 and 200
others, in eval and in train mode.
"""

from __future__ import annotations

import pytest
import zoo
from agreement import FULL, disagreements, false_minimum, telling_questions, within
from nets_as_written import NETS
from networks import random_network
from torchvision_ops import ensure_torchvision

from autofix import CaptureError, check_model

HAS_TORCHVISION = ensure_torchvision()
CLASSIFIERS = zoo.torchvision_classifiers() if HAS_TORCHVISION else {}
OTHERS = {**zoo.torchvision_segmentation(), **zoo.torchvision_video()} if HAS_TORCHVISION else {}
MONAI = zoo.monai_networks()

BATCHES, PER_BATCH = 50, 10


@pytest.mark.parametrize("name", zoo.FAST)
def test_torchvision_classifiers(name: str) -> None:
    """One or two of each family, thoroughly."""
    if not HAS_TORCHVISION:
        pytest.skip("torchvision is not installed")
    agrees(CLASSIFIERS[name], 24)


@pytest.mark.parametrize("name", [name for name in {**CLASSIFIERS, **OTHERS} if name not in zoo.FAST])
def test_all_of_torchvision(name: str) -> None:
    """The rest, at a few sizes."""
    if not FULL and not name.endswith(("_t", "50", "_18", "large", "s3d", "vgg16_bn", "b_16", "v2_s")):
        pytest.skip("a sibling is checked; AUTOFIX_FULL=1 checks all")
    agrees({**CLASSIFIERS, **OTHERS}[name], 4)


@pytest.mark.parametrize("name", MONAI)
def test_monai(name: str) -> None:
    """MONAI's networks, 2d and 3d. What cannot be captured yet must be refused, not answered."""
    agrees(MONAI[name], 8, may_refuse=True)


@pytest.mark.parametrize("name", NETS)
def test_networks_as_written(name: str) -> None:
    """Against the oracle, and against what is known by reasoning."""
    entry = NETS[name]
    model = entry.make()
    with within(60):
        try:
            report = check_model(model, input_shape=entry.template)
        except CaptureError:
            if entry.plain:
                raise
            pytest.skip("not captured, and says so")
        rank = len(report.axes)
        questions = telling_questions(report, rank, 1, 20)
    assert not disagreements(model, entry.template, report, questions, entry.dtypes)
    assert not false_minimum(model, entry.template, report, 1, entry.dtypes)
    if entry.known is not None:
        for size, training, batch in questions:
            if not training and batch == 2:
                assert report.accepts(*size) == entry.known(*size), size


@pytest.mark.parametrize("least", sorted(zoo.FROM.items()))
def test_known_minima(least: tuple[str, int]) -> None:
    """Values published by those who met them."""
    if not HAS_TORCHVISION:
        pytest.skip("torchvision is not installed")
    name, size = least
    report = check_model(CLASSIFIERS[name].build())
    assert report.minimum_input == (size, size)
    assert [n for n in range(1, 81) if report.accepts(n, n)] == list(range(size, 81))


def test_train_with_one_image_asks_for_more() -> None:
    """ResNet-18: one pixel is enough in eval mode; in train mode one image leaves batch norm one value."""
    if not HAS_TORCHVISION:
        pytest.skip("torchvision is not installed")
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
        with within(60):
            report = check_model(model, input_shape=network.template)
            described += not report.unmodelled
            questions = telling_questions(report, network.rank, seed, 10)
        found = disagreements(model, network.template, report, questions)
        assert not found, (seed, network, found)
        assert not false_minimum(model, network.template, report, seed), (seed, network)
    assert described >= PER_BATCH - 3, "operators without a rule must stay rare"


def agrees(entry: zoo.Entry, count: int, may_refuse: bool = False) -> None:
    """No disagreement at the telling sizes of a published network."""
    model = entry.build()
    rank = len(entry.template) - 2
    largest = 80 if rank < 3 else 40
    with within(60):
        try:
            report = check_model(model, input_shape=entry.template)
        except CaptureError:
            if not may_refuse:
                raise
            pytest.skip("not captured, and says so")
        questions = telling_questions(report, rank, 1, count, largest)
    assert not disagreements(model, entry.template, report, questions)
    assert not false_minimum(model, entry.template, report, 1)
    if entry.known is not None:
        sizes = [n for n in range(1, largest + 1) if report.accepts(*(n,) * rank)]
        assert sizes == [n for n in range(1, largest + 1) if entry.known(n)]
