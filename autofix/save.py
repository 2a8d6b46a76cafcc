"""Fix -> files: the patched source, its diff and the manifest, written only after a fresh process agreed."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from autofix.arguments import references
from autofix.errors import AutofixError, UsageError
from autofix.insertion import operands
from autofix.made import Made, made_of
from autofix.manifest import make_manifest
from autofix.meta import copied
from autofix.ops.base import Tensor
from autofix.progress import phase
from autofix.source.check import VERIFYING, PatchVerdict, equal_outputs, verified_patch, verify_patch
from autofix.source.output import output_files, write_beside, write_in_place
from autofix.source.patch import SourcePatch, patch_source
from autofix.source.text import SourceError
from autofix.source.wanted import knob_value, same_value

if TYPE_CHECKING:
    from torch import nn

    from autofix.change import Edit
    from autofix.manifest import Manifest
    from autofix.program import InputShapes
    from autofix.repair import Fix

MOST_SIZES = 4  # compared in the fresh process


class SaveError(AutofixError):
    """The repair could not be written into source, or what was written does not compute the same."""

    exit_code = 3


def source_of(fix: Fix) -> SourcePatch | None:
    """The change as source, not verified yet; None where it cannot be written, or the model was changed."""
    if fix.original is None:
        return None
    for by_attribute in (False, True):
        try:
            patch = patch_source(
                fix.original,
                made_of(fix.original).constructions,
                _edits(fix),
                fix.inserts,
                **_options(fix),
                by_attribute=by_attribute,
            )
        except SourceError:
            continue
        if patch.complete:
            return patch
    return _written_out(fix)


def _written_out(fix: Fix) -> SourcePatch | None:
    """The whole computation as a recipe, where foreign code is to change; None where that cannot be."""
    from autofix.branching import Branch, forward_of
    from autofix.source.graph_recipe import graph_recipe

    assert fix.original is not None
    origin = made_of(fix.original).origin
    one_of_many = not fix.branches and not fix.before.analysis.one_path
    if origin is None or origin.module in ("__main__", "") or one_of_many:
        return None
    branches = [b for b in fix.branches if isinstance(b, Branch)] or [Branch("", fix.graph_module)]
    try:
        forward = forward_of(branches, fix.report.analysis.inputs)
        return graph_recipe(fix.original, [branch.graph for branch in branches], forward, origin, _edits(fix))
    except SourceError:
        return None


def save_fix(fix: Fix, folder: Path, in_place: bool = False) -> tuple[Path, ...]:
    """Write the repair's files into `folder`, or with `in_place` over the source itself; what was written.

    Nothing is written before the patched source, loaded in a fresh process with the original's weights, has
    computed what the repaired model computes. Raises SaveError, WriteError, UsageError.
    """
    if not fix.edits and not fix.inserts:
        return ()
    if fix.original is None:
        raise UsageError("the model was repaired in place: repair a copy (inplace=False) to save the change")
    if os.environ.get(VERIFYING):
        main = "`if __name__ == '__main__':`"
        raise UsageError(f"the model's file saves a repair when it is imported; put that under {main}")
    made = made_of(fix.original)
    with _modes_kept(fix):
        patch = _verified(fix, made, in_place)
        manifest = _manifest(fix, made, patch)
    fix.__dict__["source"] = patch
    return _write(patch, manifest, made, folder, in_place)


def _verified(fix: Fix, made: Made, in_place: bool) -> SourcePatch:
    """The change as source, which a fresh process found to do what the repaired model does.

    Beside the source, a recipe that needs the patched file would find the one that is not: it is written out.
    """
    assert fix.original is not None
    phase("checking the patched source in a fresh process")
    model, inputs = fix.original, list(sample_inputs(fix))
    if not made.target:
        return _verified_paste(fix, inputs)
    edits, options = _edits(fix), _options(fix)
    try:
        patch, verdict = verified_patch(
            model, made.constructions, fix.model, edits, fix.inserts, inputs, made.target, **options
        )
        failures = patch.failures
        if not failures and patch.paste is not None:
            return _verified_paste(fix, inputs)
        if not failures and not verdict.ok:  # forward may read elsewhere what an edit of the source changes
            failures = (_difference(made, verdict),)
    except SourceError as error:
        failures = (f"this repair cannot be written as source: {error}",)
    mixed = not failures and patch.recipe is not None and bool(patch.files) and not in_place
    if not failures and not mixed:
        return patch
    recipe = _written_out(fix)
    if recipe is not None and (verdict := verify_patch(recipe, made.target, fix.model, inputs)).ok:
        return recipe
    if mixed:
        return patch
    raise SaveError("; ".join(failures))


def _difference(made: Made, verdict: PatchVerdict) -> str:
    """Why the patched source is not the repaired model: another one, where its arguments are not known."""
    if made.origin is not None and made.origin.assumed and "state_dict" in verdict.message:
        name = made.origin.name
        return (
            f"the arguments that {name} was built with are not known, and {name}() is another model; build it"
            " inside `with autofix.recording():` with plain numbers or strings, or repair it by its TARGET"
        )
    return f"the patched source does not do what the repaired model does: {verdict.message}"


def _verified_paste(fix: Fix, inputs: list[tuple[Any, ...]]) -> SourcePatch:
    """Lines for a model that no source builds again: run here, on a copy."""
    assert fix.original is not None
    made = made_of(fix.original)
    options = {**_options(fix), "is_user": lambda file: False, "origin": None}
    patch = patch_source(fix.original, made.constructions, _edits(fix), fix.inserts, **options)
    if patch.failures or patch.paste is None:
        raise SaveError(
            f"how {type(fix.original).__name__} was built is not known, and the change is none of attributes "
            "alone; build the model inside `with autofix.recording():`, or repair it by its TARGET"
        )
    changed = copied(fix.original)
    exec(compile(patch.paste, "<autofix>", "exec"), {"model": changed})
    changed.load_state_dict(fix.model.state_dict())  # which may have been trained since
    return _accepted(patch, equal_outputs(changed, fix.model, inputs))


def _accepted(patch: SourcePatch, verdict: PatchVerdict) -> SourcePatch:
    if not verdict.ok:
        raise SaveError(f"the patched source does not do what the repaired model does: {verdict.message}")
    return patch


def sample_inputs(fix: Fix) -> Iterator[tuple[Any, ...]]:
    """Random inputs at the sizes at which the repaired model was run."""
    inputs = fix.report.analysis.inputs
    lowest = tuple(fix.report.box[axis][0] for axis in range(len(inputs.axes)))
    for sizes in list(dict.fromkeys([lowest, *fix.verdict.runs]))[:MOST_SIZES]:
        yield random_inputs(inputs, sizes)


def random_inputs(inputs: InputShapes, sizes: tuple[int, ...], batch: int = 2) -> tuple[Any, ...]:
    """The same values every time; zeros where integers are wanted."""
    generator = torch.Generator().manual_seed(0)

    def one(index: int, shape: tuple[int, ...] | None) -> Any:
        if shape is None:
            return None
        integer = index in inputs.integer
        return torch.zeros(shape, dtype=torch.long) if integer else torch.rand(shape, generator=generator)

    return tuple(one(index, shape) for index, shape in enumerate(inputs.concrete(sizes, batch)))


@contextmanager
def _modes_kept(fix: Fix) -> Iterator[None]:
    """Leave both models in the mode they were in."""
    models: list[nn.Module] = [fix.model] if fix.original is None else [fix.model, fix.original]
    modes = {module: module.training for model in models for module in model.modules()}
    try:
        yield
    finally:
        for module, training in modes.items():
            module.training = training


def _options(fix: Fix) -> dict[str, Any]:
    assert fix.original is not None
    made = made_of(fix.original)
    return {
        "project_root": made.project_root,
        "origin": made.origin,
        "is_user": made.is_user,
        "calls": _calls(fix),
        "cropped": _cropped(fix),
    }


def _edits(fix: Fix) -> list[Edit]:
    """The edits; those of a call inside a layer, as in a subclass of Conv2d, as edits of that layer."""
    return [edit if edit.module else replace(edit, module=_layer_of(fix, edit)) for edit in fix.edits]


def _layer_of(fix: Fix, edit: Edit) -> str | None:
    """The layer whose weight or bias the call of a function uses, if that layer holds what is edited."""
    assert fix.original is not None
    program = fix.before.analysis.evaluating.pieces[0].program
    site = next((site for site in program.sites if site.name == edit.site), None)
    for ref in references((site.args, site.kwargs)) if site is not None else ():
        path, _, attribute = str(program.sites[ref].target).rpartition(".")
        if program.sites[ref].kind == "get_attr" and path and attribute in ("weight", "bias"):
            value = knob_value(fix.original.get_submodule(path), edit.knob)
            return path if value is not None and same_value(value, edit.old) else None
    return None


def _calls(fix: Fix) -> list[Any]:
    """Where each site stands, which matters only to changes in forward."""
    if not fix.inserts and all(edit.module is not None for edit in fix.edits):
        return []
    program = fix.before.analysis.evaluating.pieces[0].program
    return [place for site in program.sites if (place := site.location) is not None]


def _manifest(fix: Fix, made: Made, patch: SourcePatch) -> Manifest:
    assert fix.original is not None
    certificate = {"modes": [asdict(one) for one in fix.verdict.certificates], "ran": fix.ran}
    sources = {file.path.resolve() for file in patch.files} | {file for file in (made.file,) if file}
    return make_manifest(
        fix.original,
        made.target,
        _edits(fix),
        fix.inserts,
        sources=sorted(sources),
        project_root=made.project_root,
        certificate=certificate,
        patch=patch,
    )


def _write(
    patch: SourcePatch, manifest: Manifest, made: Made, folder: Path, in_place: bool
) -> tuple[Path, ...]:
    if in_place:
        return write_in_place(patch)
    folder.mkdir(parents=True, exist_ok=True)
    beside = made.file is not None and folder.resolve() == made.file.parent
    stem = folder / f"{made.name}.py"
    return write_beside(output_files(patch, stem, manifest, None if beside else folder))


def _cropped(fix: Fix) -> tuple[bool, ...] | None:
    """For each tensor of the output, whether it has the input's resolution at sizes that work."""
    if all(insert.kind != "round" for insert in fix.inserts):
        return None
    from autofix.solve.rounding import same_resolution

    piece = fix.before.analysis.evaluating.pieces[0]
    outputs = operands(piece.meaning.values[-1], Tensor)
    which = same_resolution(fix.before.analysis.evaluating, len(fix.before.axes))
    return tuple(number in which for number in range(len(outputs)))
