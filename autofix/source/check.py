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

VERIFYING = "AUTOFIX_VERIFYING"  # set in the fresh process: a script that saves a repair starts no other


@dataclass(frozen=True)
class PatchVerdict:
    """What the fresh process found: `message` says what went wrong, `sizes` what was compared and equal."""

    ok: bool
    message: str = ""
    sizes: tuple[tuple[int, ...], ...] = ()


@dataclass(frozen=True)
class Claim:
    """That `patch` of `target` computes what the repaired `model` does, on each tuple of `inputs`.

    path: folders that only this target imports from
    """

    patch: SourcePatch
    target: str
    model: nn.Module
    inputs: Sequence[tuple[Any, ...]]
    path: tuple[str, ...] = ()


def evaluated(model: nn.Module, inputs: Sequence[tuple[Any, ...]]) -> list[list[torch.Tensor]]:
    """The outputs in eval mode, one list a tuple of inputs; modes and the random state stay as they were."""
    import torch

    training = {module: module.training for module in model.modules()}
    try:
        with torch.random.fork_rng(devices=[]), torch.no_grad():
            model.eval()
            return [_seeded(model, one) for one in inputs]
    finally:
        for module, mode in training.items():
            module.training = mode


def _seeded(model: nn.Module, inputs: tuple[Any, ...]) -> list[torch.Tensor]:
    import torch

    torch.manual_seed(0)
    return flatten(model(*inputs))


def equal_outputs(one: nn.Module, other: nn.Module, inputs: Sequence[tuple[Any, ...]]) -> PatchVerdict:
    """Compare two models in this process, bit for bit."""
    from autofix.source.child import check_equal

    sizes = tuple(tuple(given[0].shape) for given in inputs)
    try:
        outputs = zip(evaluated(one, inputs), evaluated(other, inputs), sizes, strict=True)
        for found, expected, size in outputs:
            check_equal(found, expected, list(size))
    except Exception as error:
        return PatchVerdict(False, f"{type(error).__name__}: {error}")
    return PatchVerdict(True, sizes=sizes)


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
    return verify_patches([Claim(patch, target, model, inputs)], timeout=timeout)[0]


def verify_patches(claims: Sequence[Claim], *, timeout: float = 300) -> list[PatchVerdict]:
    """The same for several patches, in one fresh process, which imports torch only once."""
    pasted = [i for i, claim in enumerate(claims) if claim.patch.paste]
    verdicts = dict.fromkeys(pasted, PatchVerdict(False, "there is no source to load"))
    loadable = {i: claim for i, claim in enumerate(claims) if i not in verdicts}
    if loadable:
        with tempfile.TemporaryDirectory(prefix="autofix-") as name:
            requests = [_request(Path(name) / str(i), claim) for i, claim in loadable.items()]
            verdicts |= zip(loadable, _run(Path(name), requests, timeout), strict=True)
    return [verdicts[i] for i in range(len(claims))]


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


def _request(folder: Path, claim: Claim) -> dict[str, Any]:
    """What the fresh process needs of one claim, as files in `folder`."""
    folder.mkdir()
    files: dict[str, str] = {}
    for number, file in enumerate(claim.patch.files):
        stored = folder / f"{number}.source"
        stored.write_bytes(file.new)
        files[os.path.realpath(file.path)] = str(stored)
    recipe = folder / f"autofix_recipe_{folder.name}.py"
    if claim.patch.recipe is not None:
        recipe.write_text(claim.patch.recipe, encoding="utf-8")
    return {
        "files": files,
        "target": f"{recipe}:build" if claim.patch.recipe is not None else claim.target,
        "reference": str(_store_reference(folder, claim)),
        "path": list(claim.path),
    }


def _store_reference(folder: Path, claim: Claim) -> Path:
    """Weights, inputs and outputs of the repaired model."""
    import torch

    content = {
        "state": dict(claim.model.state_dict()),
        "inputs": [list(one) for one in claim.inputs],
        "outputs": evaluated(claim.model, claim.inputs),
    }
    torch.save(content, folder / "reference.pt")
    return folder / "reference.pt"


def _run(folder: Path, requests: list[dict[str, Any]], timeout: float) -> list[PatchVerdict]:
    import torch

    request, answer = folder / "request.json", folder / "answer.json"
    paths = [entry or str(Path.cwd()) for entry in sys.path]
    content = {"claims": requests, "threads": torch.get_num_threads(), "path": paths}
    request.write_text(json.dumps(content), encoding="utf-8")
    command = [sys.executable, "-m", "autofix.source.child", str(request), str(answer)]
    try:
        done = subprocess.run(command, capture_output=True, timeout=timeout, env=_environment(), check=False)
    except subprocess.TimeoutExpired:
        return [PatchVerdict(False, f"the patched model was not done after {timeout:.0f} s")] * len(requests)
    if not answer.exists():
        lines = done.stderr.decode("utf-8", "replace").strip().splitlines()
        why = lines[-1] if lines else f"exit code {done.returncode}"
        return [PatchVerdict(False, f"the patched model could not be run: {why}")] * len(requests)
    answers = json.loads(answer.read_text(encoding="utf-8"))
    return [PatchVerdict(a["ok"], a["message"], tuple(tuple(size) for size in a["sizes"])) for a in answers]


def _environment() -> dict[str, str]:
    package = str(Path(__file__).resolve().parents[2])
    paths = filter(None, [package, os.environ.get("PYTHONPATH")])
    bytecode = {"PYTHONPATH": os.pathsep.join(paths), "PYTHONDONTWRITEBYTECODE": "1"}
    return {**os.environ, **bytecode, VERIFYING: "1"}


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
