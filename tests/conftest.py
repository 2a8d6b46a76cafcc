"""Options and fixtures of the test run."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import autofix


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--update-golden", action="store_true", help="rewrite the expected golden files")


SPREAD = {"test_accepts", "test_optimum", "test_oracle", "test_certificate", "test_symbolic"}


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """With pytest-xdist and --dist loadgroup, tests that share what is slow to make stay in one process."""
    for item in items:
        if item.path.stem not in SPREAD:
            item.add_marker(pytest.mark.xdist_group(item.path.stem))


@pytest.fixture
def update_golden(request: pytest.FixtureRequest) -> bool:
    return bool(request.config.getoption("--update-golden"))


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """An empty current folder; what is imported from it is forgotten afterwards."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))
    before = set(sys.modules)
    yield tmp_path
    for name in set(sys.modules) - before:
        file = getattr(sys.modules[name], "__file__", None)
        if file and file.startswith(str(tmp_path)):
            del sys.modules[name]


@pytest.fixture
def pipeline(monkeypatch: pytest.MonkeyPatch) -> Any:
    """A stand-in for autofix.pipeline."""
    from stand_in import Pipeline

    stand_in = Pipeline()
    monkeypatch.setitem(sys.modules, "autofix.pipeline", stand_in)
    monkeypatch.setattr(autofix, "pipeline", stand_in, raising=False)
    return stand_in


@pytest.fixture
def command_line(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A current folder with one model in it, and no AUTOFIX_* in the environment."""
    for name in [name for name in os.environ if name.startswith("AUTOFIX_")]:
        monkeypatch.delenv(name)
    (folder / "model.py").write_text("from torch import nn\nclass Net(nn.Module):\n    pass\n")
    return folder
