"""The patched source run in a fresh process, with the original's weights, at several sizes."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from autofix.construct import Constructions
from autofix.source.patch import SourcePatch, patch_source
from autofix.source.text import SourceError
from autofix.source.wanted import Edit, Insert

if TYPE_CHECKING:
    import torch
    from torch import nn


@dataclass(frozen=True)
class PatchVerdict:
    """What the fresh process found: `message` says what went wrong, `sizes` what was compared and equal."""

    ok: bool
    message: str = ""
    sizes: tuple[tuple[int, ...], ...] = ()


def save_reference(folder: Path, model: nn.Module, inputs: Sequence[tuple[Any, ...]]) -> Path:
    """Run the repaired `model` in eval mode on each tuple of inputs; store weights, inputs and outputs."""
    import torch

    training = {module: module.training for module in model.modules()}
    try:
        with torch.random.fork_rng(devices=[]), torch.no_grad():
            torch.manual_seed(0)
            outputs = [model.eval()(*one) for one in inputs]
    finally:
        for module, mode in training.items():
            module.training = mode
    file = folder / "reference.pt"
    content = {
        "state": dict(model.state_dict()),
        "inputs": [list(one) for one in inputs],
        "outputs": [list(flatten(output)) for output in outputs],
    }
    torch.save(content, file)
    return file


def verify_patch(
    patch: SourcePatch,
    target: str,
    model: nn.Module,
    inputs: Sequence[tuple[Any, ...]],
    *,
    timeout: float = 300,
) -> PatchVerdict:
    """Load `target` as patched, give it the repaired `model`'s weights, compare every output bit for bit.

    target: TARGET as on the command line; the recipe's `build` is used instead where there is a recipe
    """
    if patch.paste is not None:
        return PatchVerdict(False, "there is no source to load")
    with tempfile.TemporaryDirectory(prefix="autofix-") as name:
        folder = Path(name)
        request = _request(folder, patch, target, save_reference(folder, model, inputs))
        return _run(request, timeout)


def verified_patch(
    model: nn.Module,
    constructions: Constructions,
    fixed: nn.Module,
    edits: Sequence[Edit],
    inserts: Sequence[Insert],
    inputs: Sequence[tuple[Any, ...]],
    target: str,
    **options: Any,
) -> tuple[SourcePatch, PatchVerdict]:
    """`patch_source` and `verify_patch`; where editing the constructor calls turns out wrong, by attribute.

    fixed:   the repaired model, which the patched source has to equal
    options: further arguments of `patch_source`
    """
    with contextlib.suppress(SourceError):
        patch = patch_source(model, constructions, edits, inserts, **options)
        verdict = verify_patch(patch, target, fixed, inputs)
        if verdict.ok or patch.failures or patch.paste is not None:
            return patch, verdict
    patch = patch_source(model, constructions, edits, inserts, **options, by_attribute=True)
    return patch, verify_patch(patch, target, fixed, inputs)


def _request(folder: Path, patch: SourcePatch, target: str, reference: Path) -> Path:
    import torch

    files: dict[str, str] = {}
    for number, file in enumerate(patch.files):
        stored = folder / f"{number}.source"
        stored.write_bytes(file.new)
        files[os.path.realpath(file.path)] = str(stored)
    if patch.recipe is not None:
        recipe = folder / "autofix_recipe.py"
        recipe.write_text(patch.recipe, encoding="utf-8")
    path = folder / "request.json"
    request = {
        "files": files,
        "recipe": patch.recipe is not None,
        "target": target,
        "reference": str(reference),
        "threads": torch.get_num_threads(),
        "path": [entry or str(Path.cwd()) for entry in sys.path],
    }
    path.write_text(json.dumps(request), encoding="utf-8")
    return path


def _run(request: Path, timeout: float) -> PatchVerdict:
    answer = request.with_name("answer.json")
    command = [sys.executable, "-m", "autofix.source.child", str(request), str(answer)]
    package = str(Path(__file__).resolve().parents[2])
    paths = filter(None, [package, os.environ.get("PYTHONPATH")])
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(paths), "PYTHONDONTWRITEBYTECODE": "1"}
    try:
        done = subprocess.run(command, capture_output=True, timeout=timeout, env=environment, check=False)
    except subprocess.TimeoutExpired:
        return PatchVerdict(False, f"the patched model was not done after {timeout:.0f} s")
    if not answer.exists():
        lines = done.stderr.decode("utf-8", "replace").strip().splitlines()
        why = lines[-1] if lines else f"exit code {done.returncode}"
        return PatchVerdict(False, f"the patched model could not be run: {why}")
    found = json.loads(answer.read_text(encoding="utf-8"))
    return PatchVerdict(found["ok"], found["message"], tuple(tuple(size) for size in found["sizes"]))


def flatten(output: object) -> list[torch.Tensor]:
    """Every tensor in nested lists, tuples and dicts, in order."""
    import torch

    if isinstance(output, torch.Tensor):
        return [output.detach()]
    if isinstance(output, dict):
        return [tensor for value in output.values() for tensor in flatten(value)]
    if isinstance(output, list | tuple):
        return [tensor for value in output for tensor in flatten(value)]
    return []
