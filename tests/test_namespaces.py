"""What forward keeps in global names, class attributes and containers is put back after a check."""

from __future__ import annotations

import importlib
import itertools
from pathlib import Path
from typing import Any, ClassVar

import oracle
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torchvision_ops import ensure_torchvision

from autofix import check_model, fix_model
from autofix.namespaces import LARGEST, outside_restored

IMAGE = (1, 3, "H", "W")
GRIDS: dict[str, Tensor] = {}
SEEN: list[Any] = ["kept"]
NAMES: set[str] = {"kept"}
LONG = list(range(LARGEST + 1))
last = None


class Flow(nn.Module):
    """Grids of each size are kept in a global dict, as in the warping layers of optical flow."""

    calls = 0
    grids: ClassVar[dict[str, Tensor]] = {}

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 2, 3, 2)

    def forward(self, x: Tensor) -> Tensor:
        global last  # noqa: PLW0603 (as such layers do)
        y = self.conv(x)
        key = str(y.size())
        for cache in (GRIDS, self.grids):
            if key not in cache:
                row = torch.linspace(-1.0, 1.0, y.shape[3]).view(1, 1, 1, -1)
                cache[key] = row.expand(y.shape[0], 2, y.shape[2], -1) + 0
        Flow.calls += 1
        Flow.latest = y
        SEEN.append(y)
        NAMES.add(key)
        last = y
        return F.grid_sample(y, (GRIDS[key] + self.grids[key]).permute(0, 2, 3, 1), align_corners=False)


def test_what_is_kept_outside_of_the_layers_is_put_back() -> None:
    model = Flow()
    report = check_model(model, input_shape=IMAGE)
    assert report.minimum_input == (3, 3)
    fix = fix_model(model, input_shape=IMAGE, min_input=1)
    assert fix.proved
    assert (GRIDS, Flow.grids, SEEN, NAMES, last, Flow.calls) == ({}, {}, ["kept"], {"kept"}, None, 0)
    assert not hasattr(Flow, "latest")
    assert type(model(torch.randn(1, 3, 9, 9))) is Tensor
    assert fix.model(torch.randn(1, 3, 1, 2)).shape[0] == 1
    for container in (GRIDS, Flow.grids, SEEN, NAMES):
        container.clear()
    SEEN.append("kept")
    NAMES.add("kept")


@pytest.mark.parametrize("change", ["add", "remove", "replace", "order"])
def test_containers_get_back_what_they_held_in_the_order_they_held_it(change: str) -> None:
    kept = {"one": [1], "two": [2]}
    rows = [[1], [2]]
    globals()["kept"], globals()["rows"] = kept, rows
    one, two = kept["one"], rows[1]
    with outside_restored(Flow()):
        if change == "add":
            kept["three"] = [3]
            rows.append([3])
        elif change == "remove":
            del kept["one"], rows[0]
        elif change == "replace":
            kept["one"], rows[1] = [1], [2]
        else:
            kept["one"] = kept.pop("one")
            rows.reverse()
    del globals()["kept"], globals()["rows"]
    assert list(kept.items()) == [("one", [1]), ("two", [2])]
    assert kept["one"] is one
    assert rows == [[1], [2]]
    assert rows[1] is two


def test_long_data_is_not_copied_and_modules_that_are_imported_stay() -> None:
    import sys

    LONG.append(-1)
    with outside_restored(Flow()):
        LONG.append(-2)
        globals()["imported"] = sys
        globals()["made"] = 1
    assert LONG[-2:] == [-1, -2]
    assert globals().pop("imported") is sys
    assert "made" not in globals()


@pytest.mark.parametrize("home", ["library", "file"])
def test_numbers_of_sizes_in_code_of_others(
    home: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One trace stands for all sizes, wherever the model's code finds the function that crops."""
    ensure_torchvision()
    (tmp_path / "crops.py").write_text(CROPS)
    name = f"net_cropped_by_{home}"
    (tmp_path / f"{name}.py").write_text(NET if home == "file" else LIBRARY)
    monkeypatch.syspath_prepend(str(tmp_path))
    model = importlib.import_module(name).Net()
    report = check_model(model, input_shape=IMAGE)
    assert report.proved
    assert len(report.analysis.evaluating.pieces) == 1
    meta = oracle.to_meta(model)
    for size in itertools.product(range(8, 20), (9, 12, 15, 18)):
        assert report.accepts(*size) == oracle.runs(meta, (2, 3, *size), training=False), size


CROPS = """
def center_crop(x, size):
    top, left = (int(round((n - m) / 2.0)) for n, m in zip(x.shape[2:], size))
    return x[..., top : top + size[0], left : left + size[1]]
"""

NET = """
import crops
import torch
from torch import nn


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.first, self.down = nn.Conv2d(3, 4, 3), nn.Conv2d(4, 4, 3, 2)
        self.up = nn.ConvTranspose2d(4, 4, 2, 2)

    def forward(self, x):
        x = self.first(x)
        y = self.up(self.down(x))
        return torch.cat([y, crops.center_crop(x, y.shape[2:])], 1)
"""

LIBRARY = NET.replace("import crops", "from torchvision.transforms import CenterCrop").replace(
    "crops.center_crop(x, y.shape[2:])", "CenterCrop(list(y.shape[2:]))(x)"
)
