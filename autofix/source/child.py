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
    import torch

    request = json.loads(Path(request_file).read_text(encoding="utf-8"))
    sys.path[:] = [*sys.path, *(entry for entry in request["path"] if entry not in sys.path)]
    torch.set_num_threads(request["threads"])
    overlay({path: copy for claim in request["claims"] for path, copy in claim["files"].items()})
    answers = [_answer(claim) for claim in request["claims"]]
    Path(answer_file).write_text(json.dumps(answers), encoding="utf-8")


def _answer(claim: dict[str, Any]) -> dict[str, Any]:
    known, paths = set(sys.modules), sys.path[:]
    sys.path[:0] = claim["path"]
    try:
        return {"ok": True, "message": "", "sizes": _compare(claim)}
    except Exception as error:
        return {"ok": False, "message": f"{type(error).__name__}: {error}", "sizes": []}
    finally:
        sys.path[:] = paths
        _forget(set(sys.modules) - known, claim)


def _forget(names: set[str], claim: dict[str, Any]) -> None:
    """The modules of one project, whose names the next one may use too."""
    target = claim["target"].partition(".py:")[0]
    folders = {str(Path(path).resolve().parent) for path in (*claim["files"], target)}
    folders |= {os.path.realpath(path) for path in claim["path"]}
    for name in names:
        file = getattr(sys.modules[name], "__file__", None)
        if file and os.path.realpath(file).startswith(tuple(folders)):
            del sys.modules[name]


def _compare(claim: dict[str, Any]) -> list[list[int]]:
    """Sizes at which the patched model equals the reference; raises where it does not."""
    import torch

    from autofix.load import load
    from autofix.source.check import evaluated

    model = load(claim["target"]).model
    reference = torch.load(claim["reference"], weights_only=True)
    model.load_state_dict(reference["state"], strict=True)
    sizes: list[list[int]] = []
    for inputs, expected in zip(reference["inputs"], reference["outputs"], strict=True):
        (found,) = evaluated(model, [tuple(inputs)])
        check_equal(found, expected, list(inputs[0].shape))
        sizes.append(list(inputs[0].shape))
    return sizes


def check_equal(found: list[torch.Tensor], expected: list[torch.Tensor], size: list[int]) -> None:
    """Raises ValueError where the tensors differ in number, shape or any value."""
    if len(found) != len(expected):
        raise ValueError(f"at {size}: {len(found)} outputs instead of {len(expected)}")
    for one, other in zip(found, expected, strict=True):
        if one.shape != other.shape:
            raise ValueError(f"at {size}: an output of {list(one.shape)} instead of {list(other.shape)}")
        if not bool(((one == other) | ((one != one) & (other != other))).all()):
            raise ValueError(f"at {size}: an output differs by {float((one - other).abs().max()):.3g}")


if __name__ == "__main__":
    main(*sys.argv[1:])
