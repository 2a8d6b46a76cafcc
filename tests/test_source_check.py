"""The patched source in a fresh process, and code that has no source to patch."""

from __future__ import annotations

import copy
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from source_cases import CASES, Case, Edit, pad
from test_source import build, locate, patch, unpack
from torch import nn

from autofix.construct import record
from autofix.source import SourcePatch, patch_source
from autofix.source.attributes import set_knob
from autofix.source.check import verified_patch, verify_patch
from autofix.source.output import output_files, write_beside, write_in_place
from autofix.source.write import WriteError

INPUTS = [(torch.randn(2, 1, 20, 23),), (torch.randn(1, 1, 17, 30),)]


def repaired(case: Case, folder: Path) -> tuple[nn.Module, SourcePatch]:
    model, result = patch(case, folder)
    fixed = copy.deepcopy(model)
    for edit in case.edits:
        assert edit.module is not None
        set_knob(fixed.get_submodule(edit.module), edit.knob, edit.new)
    return fixed, result


def case(name: str) -> Case:
    (found,) = [one for one in CASES if one.name == name]
    return found


@pytest.mark.parametrize(
    ("name", "target"),
    [
        ("factory_elsewhere", "net.py:Net"),
        ("factory_function", "net:make_net"),
        ("latin1", "net.py:Net"),
    ],
)
def test_a_fresh_process_agrees(
    name: str, target: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = unpack(case(name), tmp_path / "project")
    monkeypatch.chdir(folder)
    fixed, result = repaired(case(name), folder)
    before = {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    verdict = verify_patch(result, target, fixed, INPUTS)
    assert verdict.ok, verdict.message
    assert verdict.sizes == ((2, 1, 20, 23), (1, 1, 17, 30))
    assert {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()} == before


def test_a_patch_that_does_something_else_is_noticed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = unpack(case("keyword"), tmp_path / "project")
    monkeypatch.chdir(folder)
    model, result = patch(case("keyword"), folder)
    verdict = verify_patch(result, "net.py:Net", model, INPUTS)
    assert not verdict.ok
    assert "at [2, 1, 20, 23]: an output of [2, 8, 18, 21] instead of [2, 8, 16, 19]" in verdict.message


def test_attributes_are_the_way_out_where_editing_calls_is_wrong(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "project"
    folder.mkdir()
    (folder / "net.py").write_text(MISLEADING)
    monkeypatch.chdir(folder)
    model, log = build(folder, "net:Net")
    fixed = copy.deepcopy(model)
    set_knob(fixed.get_submodule("conv"), "padding", (1, 1))
    edits = [pad("conv")]
    patch, verdict = verified_patch(
        model, log, fixed, edits, [], INPUTS, "net.py:Net", project_root=folder, is_user=in_project(folder)
    )
    assert verdict.ok, verdict.message
    assert "self.conv.padding = (1, 1)" in patch.diff


MISLEADING = """
from torch import nn


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(1, 4, 3)
        self.conv.padding = (0, 0)

    def forward(self, x):
        return self.conv(x)
"""


def in_project(folder: Path) -> Callable[[str], bool]:
    return lambda file: file.startswith(str(folder))


def test_files_beside_and_in_place(tmp_path: Path) -> None:
    folder = unpack(case("factory_elsewhere"), tmp_path / "project")
    _, result = patch(case("factory_elsewhere"), folder)
    files = output_files(result, folder / "net.py")
    assert sorted(path.name for path in write_beside(files)) == [
        "net.autofix.patch",
        "net.autofix.py",
        "parts.autofix.py",
    ]
    assert sorted(path.name for path in write_in_place(result)) == ["net.py", "parts.py"]
    for name in ("net", "parts"):
        assert (folder / f"{name}.py").read_bytes() == (folder / f"{name}.autofix.py").read_bytes()
    with pytest.raises(WriteError, match="has changed since it was read"):
        write_in_place(result)


def test_a_recipe_is_not_written_in_place(tmp_path: Path) -> None:
    folder = unpack(case("library"), tmp_path / "project")
    _, result = patch(case("library"), folder)
    files = output_files(result, Path("Zoo"), folder=tmp_path)
    assert [path.name for path in files] == ["Zoo.autofix.py"]
    with pytest.raises(WriteError, match="not built by code of this project alone"):
        write_in_place(result)


def test_no_source_gives_text_to_paste() -> None:
    text = """
from torch import nn
model = nn.Sequential(nn.Conv2d(1, 1, 3), nn.Conv2d(1, 1, 3, padding_mode='reflect'))
"""
    scope: dict[str, nn.Module] = {}
    with record() as log:
        exec(compile(text, "<stdin>", "exec"), scope)
    model = scope["model"]
    result = patch_source(model, log, [pad("1", 1, 2)], project_root=Path.cwd())
    assert result.files == ()
    assert result.paste is not None
    exec(result.paste, scope)
    expected = nn.Conv2d(1, 1, 3, padding=(1, 2), padding_mode="reflect")
    expected.load_state_dict(model[1].state_dict())  # type: ignore[index]
    x = torch.randn(1, 1, 9, 9)
    assert torch.equal(model[1](x), expected(x))  # type: ignore[index]


def test_a_shared_line_of_forward_is_not_changed_for_one_site(tmp_path: Path) -> None:
    folder = unpack(case("functional"), tmp_path / "project")
    edit = locate(Edit(None, "ceil_mode", (1,), "max_pool2d", "F.max_pool2d"), folder)
    model, _ = patch(case("functional"), folder)
    with record() as log:
        pass
    calls = [edit.called_at, edit.called_at]
    result = patch_source(model, log, [edit], project_root=folder, calls=calls)
    assert not result.complete
    assert "runs for 2 sites, of which 1 are to change" in result.failures[0]


def test_what_stands_in_foreign_forwards_is_a_failure_not_a_silent_gap(tmp_path: Path) -> None:
    folder = unpack(case("functional"), tmp_path / "project")
    edit = locate(Edit(None, "ceil_mode", (1,), "max_pool2d", "F.max_pool2d"), folder)
    model, _ = patch(case("functional"), folder)
    with record() as log:
        pass
    result = patch_source(model, log, [edit], project_root=folder, is_user=lambda file: False)
    assert not result.complete
    assert "no code of this project" in result.failures[0]


def test_helpers_that_build_for_others_are_noted(tmp_path: Path) -> None:
    folder = unpack(case("helper_shared"), tmp_path / "project")
    _, result = patch(case("helper_shared"), folder)
    assert len(result.notes) == 1
    assert "block builds 2 layers of this model here" in result.notes[0]
