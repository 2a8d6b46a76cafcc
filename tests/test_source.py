"""Golden before/after files: each patched copy loads, takes the weights strictly, and computes the same."""

from __future__ import annotations

import copy
import importlib
import itertools
import math
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from source_cases import CASES, Case, Edit, Insert
from torch import nn

from autofix.construct import Constructions, record
from autofix.fault import Location
from autofix.source import Origin, SourcePatch, helpers, patch_source
from autofix.source.attributes import set_knob
from autofix.source.wanted import knob_value, same_value

GOLDEN = Path(__file__).parent / "golden" / "source"


@contextmanager
def importing(folder: Path) -> Iterator[None]:
    """Imports from `folder` and its site-packages; forgotten afterwards."""
    paths, known = sys.path[:], set(sys.modules)
    sys.path[:0] = [str(folder), str(folder / "site-packages")]
    importlib.invalidate_caches()
    try:
        yield
    finally:
        sys.path[:] = paths
        for name in set(sys.modules) - known:
            if str(getattr(sys.modules[name], "__file__", None)).startswith(str(folder)):
                del sys.modules[name]


def build(folder: Path, target: str) -> tuple[nn.Module, Constructions]:
    module, name = target.split(":")
    with importing(folder):
        torch.manual_seed(0)
        with record() as log:
            model = getattr(importlib.import_module(module), name)()
    return model, log


def unpack(case: Case, folder: Path) -> Path:
    """The case's files as a project: net.py, or the files of before/."""
    source = GOLDEN / case.name
    if (source / "before").is_dir():
        shutil.copytree(source / "before", folder, ignore=shutil.ignore_patterns("__pycache__"))
    else:
        folder.mkdir()
        shutil.copyfile(source / "before.py", folder / "net.py")
    return folder


def locate(change: Any, folder: Path) -> Any:
    """The edit or insert with `called_at` set to the line that contains its `at`."""
    file = folder / "net.py"
    if not change.at:
        return change
    lines = file.read_bytes().decode().splitlines()
    (line,) = [number for number, text in enumerate(lines, 1) if change.at in text]
    return replace(change, called_at=Location(str(file), line))


def patch(case: Case, folder: Path, *, by_attribute: bool = False) -> tuple[nn.Module, SourcePatch]:
    model, log = build(folder, case.target)
    edits: list[Edit] = [locate(edit, folder) for edit in case.edits]
    inserts: list[Insert] = [locate(insert, folder) for insert in case.inserts]
    origin = Origin(*case.target.split(":"))
    result = patch_source(
        model,
        log,
        edits,
        inserts,
        project_root=folder,
        origin=origin,
        is_user=lambda file: _is_user(file, folder),
        by_attribute=by_attribute,
    )
    return model, result


def _is_user(file: str, folder: Path) -> bool:
    return file.startswith(str(folder)) and "site-packages" not in file


def golden_files(case: Case, result: SourcePatch, folder: Path) -> dict[Path, bytes]:
    """Expected file -> content."""
    source = GOLDEN / case.name
    several = (source / "before").is_dir()
    files = {
        source / "after" / f.path.relative_to(folder) if several else source / "after.py": f.new
        for f in result.files
    }
    if result.recipe is not None:
        files[source / "recipe.py"] = result.recipe.encode()
    return files


@pytest.mark.parametrize("case", CASES, ids=str)
def test_golden(case: Case, tmp_path: Path, update_golden: bool) -> None:
    _, result = patch(case, unpack(case, tmp_path / "project"))
    assert result.failures == ()
    files = golden_files(case, result, tmp_path / "project")
    assert files
    if update_golden:
        for path, data in files.items():
            path.parent.mkdir(exist_ok=True)
            path.write_bytes(data)
    for path, data in files.items():
        assert data.decode("latin-1") == path.read_bytes().decode("latin-1"), path.name


def patched_model(case: Case, result: SourcePatch, folder: Path) -> nn.Module:
    """The model as a user who took the patched files gets it."""
    for file in result.files:
        file.path.write_bytes(file.new)
    shutil.rmtree(folder / "__pycache__", ignore_errors=True)
    if result.recipe is None:
        return build(folder, case.target)[0]
    (folder / "net_recipe.py").write_text(result.recipe, encoding="utf-8")
    return build(folder, "net_recipe:build")[0]


@pytest.mark.parametrize("by_attribute", [False, True], ids=["at the call", "by attribute"])
@pytest.mark.parametrize("case", CASES, ids=str)
def test_patched_source_does_what_was_asked(case: Case, by_attribute: bool, tmp_path: Path) -> None:
    folder = unpack(case, tmp_path / "project")
    model, result = patch(case, folder, by_attribute=by_attribute)
    patched = patched_model(case, result, folder)
    patched.load_state_dict(model.state_dict(), strict=True)
    assert list(patched.state_dict()) == list(model.state_dict())
    edited = copy.deepcopy(model)
    for edit in case.edits:
        if edit.module is not None and not edit.split:
            set_knob(edited.get_submodule(edit.module), edit.knob, edit.new)
    assert_same_knobs(patched, edited)
    whole = all(edit.module is not None and not edit.split for edit in case.edits)
    for shape in case.same if whole else ():
        assert_equal(patched(torch.ones(shape).cumsum(-1)), edited(torch.ones(shape).cumsum(-1)))
    for shape in (*case.runs, *(() if whole else case.same)):
        patched(torch.zeros(shape))


TRACED = ("cat_in_loop", "cat_names", "residual", "flatten_head", "fit", "nested_inserts")


@pytest.mark.parametrize("case", [case for case in CASES if case.name in TRACED], ids=str)
def test_inserts_can_still_be_traced(case: Case, tmp_path: Path) -> None:
    """One trace serves every size: nothing in the helpers depends on the size it was made at."""
    folder = unpack(case, tmp_path / "project")
    patched = patched_model(case, patch(case, folder)[1], folder)
    traced = torch.fx.symbolic_trace(patched)
    for shape in (*case.same, *case.runs):
        x = torch.randn(shape)
        assert_equal(traced(x), patched(x))


def assert_same_knobs(patched: nn.Module, edited: nn.Module) -> None:
    """Every knob of every layer, so that nothing but what was asked has changed."""
    expected = dict(edited.named_modules())
    for name, module in patched.named_modules():
        for knob in ("padding", "stride", "ceil_mode", "output_padding", "dilation", "kernel_size"):
            if hasattr(expected.get(name), knob):
                found, asked = knob_value(module, knob), knob_value(expected[name], knob)
                assert type(module) is not type(expected[name]) or same_value(found, asked), (name, knob)


def assert_equal(one: Any, other: Any) -> None:
    if isinstance(one, torch.Tensor):
        assert torch.equal(one, other)
        return
    assert len(one) == len(other)
    if isinstance(one, dict):
        one, other = one.values(), other.values()
    for a, b in zip(one, other, strict=True):
        assert_equal(a, b)


@pytest.mark.parametrize("case", [c for c in CASES if c.target == "net:Net"], ids=str)
@pytest.mark.parametrize("tool", [["git", "apply", "-"], ["patch", "-p1"]], ids=["git", "patch"])
def test_patch_applies_once(case: Case, tool: list[str], tmp_path: Path) -> None:
    folder = unpack(case, tmp_path / "project")
    result = patch(case, folder)[1]
    done = subprocess.run(tool, cwd=folder, input=result.patch, capture_output=True, check=False)
    assert done.returncode == 0, done.stderr.decode() + done.stdout.decode()
    for file in result.files:
        assert file.path.read_bytes() == file.new
    again = subprocess.run(
        [*tool, *(["--batch", "--forward"] if tool[0] == "patch" else [])],
        cwd=folder,
        input=result.patch,
        capture_output=True,
        check=False,
    )
    assert again.returncode != 0
    assert again.stderr or again.stdout


@pytest.mark.parametrize("sizes", [(3, 6), (2, 3, 3)])
def test_the_written_average_passes_maps_with_as_many_values_alone(sizes):
    helper = helpers.average_helper(len(sizes))
    space = {"torch": torch}
    exec(helper.text, space)
    for given in itertools.product(*(range(1, 8) for _ in sizes)):
        x = torch.rand(1, 2, *given)
        result = space[helper.name](x, *sizes)
        same = math.prod(given) == math.prod(sizes)
        assert result.shape[2:] == (given if same else sizes), given
        assert not same or torch.equal(result, x)


@pytest.mark.parametrize("axes", [1, 2, 3])
def test_the_written_padding_of_one_value_makes_it_two(axes):
    helper = helpers.widen_helper(axes)
    space = {"torch": torch}
    exec(helper.text, space)
    for given in itertools.product(range(1, 4), repeat=axes):
        wanted = (*given[:-1], 2) if math.prod(given) == 1 else given
        assert space[helper.name](torch.rand(1, 2, *given)).shape[2:] == wanted
