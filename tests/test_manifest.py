"""A stored repair: written, read, applied again, and refused where it does not fit."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from source_cases import Edit, Insert
from torch import nn

import autofix
from autofix.manifest import (
    Manifest,
    ManifestError,
    apply_edits,
    check_sources,
    make_manifest,
    read_manifest,
    write_manifest,
)


def net(width: int = 4, padding: int = 0) -> nn.Sequential:
    torch.manual_seed(0)
    return nn.Sequential(
        nn.Conv2d(1, width, 3, padding=padding),
        nn.MaxPool2d(3, 2),
        nn.Conv2d(width, 1, 3, padding_mode="reflect"),
    )


EDITS = (
    Edit("0", "padding", (1, 2), "0", old=(0, 0)),
    Edit("1", "ceil_mode", (1,), "1", old=(0,)),
    Edit("2", "padding", (1, 1), "2", old=(0, 0)),
)


def test_stored_and_applied_again(tmp_path: Path) -> None:
    source = tmp_path / "net.py"
    source.write_text("# network\n")
    made = make_manifest(
        net(), "net.py:net", EDITS, sources=[source], project_root=tmp_path, certificate={"period": 2}
    )
    write_manifest(tmp_path / "net.autofix.json", made)
    stored = read_manifest(tmp_path / "net.autofix.json")
    assert stored == made
    assert stored.certificate == {"period": 2}
    assert set(stored.versions) == {"autofix", "torch", "python"}
    model = autofix.manifest.apply_edits(net(), tmp_path / "net.autofix.json", project_root=tmp_path)
    expected = nn.Sequential(
        nn.Conv2d(1, 4, 3, padding=(1, 2)),
        nn.MaxPool2d(3, 2, ceil_mode=True),
        nn.Conv2d(4, 1, 3, padding=1, padding_mode="reflect"),
    )
    expected.load_state_dict(model.state_dict())
    x = torch.randn(2, 1, 8, 11)
    assert torch.equal(model(x), expected(x))


@pytest.mark.parametrize(
    ("model", "message"),
    [
        (net(width=8), "layers or weights are not those"),
        (net(padding=1), r"0 has padding \(1, 1\) where the repair expects \(0, 0\)"),
        (nn.Sequential(nn.Conv2d(1, 4, 3), nn.AvgPool2d(3, 2)), "1 is a AvgPool2d, no MaxPool2d"),
        (nn.Sequential(), "no layer 0"),
    ],
)
def test_another_architecture_is_refused(model: nn.Module, message: str) -> None:
    before = str(model)
    with pytest.raises(ManifestError, match=message):
        apply_edits(model, make_manifest(net(), "", EDITS))
    assert str(model) == before


def test_applied_twice_is_refused() -> None:
    manifest = make_manifest(net(), "", EDITS)
    model = apply_edits(net(), manifest)
    with pytest.raises(ManifestError, match="where the repair expects"):
        apply_edits(model, manifest.to_dict())


def test_another_source_is_refused(tmp_path: Path) -> None:
    source = tmp_path / "net.py"
    source.write_text("# network\n")
    manifest = make_manifest(net(), "", EDITS, sources=[source], project_root=tmp_path)
    source.write_text("# another\n")
    with pytest.raises(ManifestError, match=r"net\.py has changed since"):
        apply_edits(net(), manifest, project_root=tmp_path)
    source.unlink()
    with pytest.raises(ManifestError, match="No such file"):
        check_sources(manifest, tmp_path)


def test_a_change_of_forward_is_refused() -> None:
    manifest = make_manifest(net(), "", (), [Insert("align", "cat", sizes=(1, 1))])
    assert json.loads(manifest.to_json())["inserts"][0]["kind"] == "align"
    with pytest.raises(ManifestError, match="changes forward"):
        apply_edits(net(), manifest)


@pytest.mark.parametrize(
    "text",
    ["", "[]", "{}", '{"schema": "autofix/manifest/1"}', '{"schema": "other"}', "\udcff"],
)
def test_no_manifest(text: str, tmp_path: Path) -> None:
    path = tmp_path / "net.autofix.json"
    path.write_bytes(text.encode("utf-8", "surrogateescape"))
    with pytest.raises(ManifestError):
        read_manifest(path)


def test_a_damaged_edit() -> None:
    data = make_manifest(net(), "", EDITS).to_dict()
    data["edits"][0]["new"] = "wide"
    with pytest.raises(ManifestError, match="damaged"):
        Manifest.from_dict(data)
