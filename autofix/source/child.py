"""The fresh process of `check`: python -m autofix.source.child REQUEST ANSWER."""

from __future__ import annotations

import json
import os
import sys
from importlib.machinery import SourceFileLoader
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import torch
    from torch import nn


def overlay(files: dict[str, str]) -> None:
    """Have imports read the patched copy for each original path, through the usual names of the modules."""
    get_data, path_stats = SourceFileLoader.get_data, SourceFileLoader.path_stats

    def patched_data(self: SourceFileLoader, path: str) -> bytes:
        return get_data(self, files.get(os.path.realpath(path), path))

    def patched_stats(self: SourceFileLoader, path: str) -> Any:
        if os.path.realpath(path) in files:
            raise OSError("no cached bytecode: it is the original's")
        return path_stats(self, path)

    SourceFileLoader.get_data = patched_data  # type: ignore[assignment, method-assign]
    SourceFileLoader.path_stats = patched_stats  # type: ignore[method-assign]


def main(request_file: str, answer_file: str) -> None:
    request = json.loads(Path(request_file).read_text(encoding="utf-8"))
    sys.path[:] = [*sys.path, *(entry for entry in request["path"] if entry not in sys.path)]
    overlay(request["files"])
    try:
        sizes = _compare(request, Path(request_file).parent)
        answer = {"ok": True, "message": "", "sizes": sizes}
    except Exception as error:
        answer = {"ok": False, "message": f"{type(error).__name__}: {error}", "sizes": []}
    Path(answer_file).write_text(json.dumps(answer), encoding="utf-8")


def _compare(request: dict[str, Any], folder: Path) -> list[list[int]]:
    """Sizes at which the patched model equals the reference; raises where it does not."""
    import torch

    torch.set_num_threads(request["threads"])
    model = _load(request, folder)
    reference = torch.load(request["reference"], weights_only=True)
    model.load_state_dict(reference["state"], strict=True)
    model.eval()
    sizes: list[list[int]] = []
    for inputs, expected in zip(reference["inputs"], reference["outputs"], strict=True):
        torch.manual_seed(0)
        with torch.no_grad():
            _check_equal(model(*inputs), expected, list(inputs[0].shape))
        sizes.append(list(inputs[0].shape))
    return sizes


def _load(request: dict[str, Any], folder: Path) -> nn.Module:
    from autofix.load import load

    target = f"{folder / 'autofix_recipe.py'}:build" if request["recipe"] else request["target"]
    return load(target).model


def _check_equal(output: object, expected: list[torch.Tensor], size: list[int]) -> None:
    from autofix.source.check import flatten

    found = flatten(output)
    if len(found) != len(expected):
        raise ValueError(f"at {size}: {len(found)} outputs instead of {len(expected)}")
    for one, other in zip(found, expected, strict=True):
        if one.shape != other.shape:
            raise ValueError(f"at {size}: an output of {list(one.shape)} instead of {list(other.shape)}")
        if not bool(((one == other) | ((one != one) & (other != other))).all()):
            raise ValueError(f"at {size}: an output differs by {float((one - other).abs().max()):.3g}")


if __name__ == "__main__":
    main(*sys.argv[1:])
