"""`autofix apply`: a stored repair written into its source again, if that is still what it was."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

from autofix.change import Edit, Insert
from autofix.errors import UsageError
from autofix.fault import Location
from autofix.made import Made, made_of
from autofix.manifest import (
    Manifest,
    ManifestError,
    StoredEdit,
    check_architecture,
    check_sources,
    read_manifest,
    results,
)
from autofix.source.output import output_files, write_beside, write_in_place
from autofix.source.patch import SourcePatch, patch_source
from autofix.source.text import SourceError

if TYPE_CHECKING:
    from torch import nn


def apply_again(file: Path, model: nn.Module, folder: Path, in_place: bool = False) -> tuple[Path, ...]:
    """Write the repair stored in `file` for a freshly built model; what was written.

    The text is accepted only if it is, byte for byte, what was verified when the repair was made.
    Raises ManifestError where source or architecture changed, and WriteError.
    """
    manifest, made = read_manifest(file), made_of(model)
    check_sources(manifest, made.project_root)
    check_architecture(model, manifest)
    patch = _same_patch(manifest, model, made)
    if in_place:
        return write_in_place(patch)
    folder.mkdir(parents=True, exist_ok=True)
    beside = made.file is not None and folder.resolve() == made.file.parent
    files = output_files(patch, folder / f"{made.name}.py", None, None if beside else folder)
    return write_beside(files)


def _same_patch(manifest: Manifest, model: nn.Module, made: Made) -> SourcePatch:
    if not manifest.results:
        raise ManifestError("this repair was stored without source; apply it with autofix.apply_edits")
    for by_attribute in (False, True):
        try:
            patch = patch_source(
                model,
                made.constructions,
                _edits(manifest, made.project_root),
                _inserts(manifest, made.project_root),
                project_root=made.project_root,
                origin=made.origin,
                is_user=made.is_user,
                by_attribute=by_attribute,
            )
        except SourceError:
            continue
        if results(patch, made.project_root) == manifest.results:
            return patch
    raise ManifestError("the patched source would not be the one that was verified; run autofix repair again")


def _edits(manifest: Manifest, root: Path) -> list[Edit]:
    return [_edit(stored, root) for stored in manifest.edits]


def _edit(stored: StoredEdit, root: Path) -> Edit:
    place = _place(stored.called_at, root)
    values = {**vars(stored), "op": stored.type, "axes": (), "why": "", "called_at": place}
    return Edit(**_known(Edit, values))


def _inserts(manifest: Manifest, root: Path) -> Iterator[Insert]:
    for stored in manifest.inserts:
        values = {name: _tuples(value) for name, value in stored.items()}
        values |= {"why": "", "called_at": _place(stored.get("called_at"), root)}
        try:
            yield Insert(**_known(Insert, values))
        except TypeError as error:
            raise ManifestError(f"the manifest is damaged: {error}") from error


def _known(kind: type[Any], values: Mapping[str, Any]) -> dict[str, Any]:
    names = {field.name for field in fields(kind)}
    return {name: value for name, value in values.items() if name in names}


def _tuples(value: Any) -> Any:
    """JSON's lists as the tuples they were."""
    return tuple(_tuples(item) for item in value) if isinstance(value, list) else value


def _place(stored: Mapping[str, Any] | None, root: Path) -> Location | None:
    if stored is None:
        return None
    try:
        return Location(**{**stored, "file": str(root.resolve() / stored["file"])})
    except (KeyError, TypeError) as error:
        raise ManifestError(f"the manifest is damaged: {type(error).__name__}: {error}") from error


def check_readable(file: Path) -> None:
    """Refuse a manifest that is not there before the model is built."""
    if not file.is_file():
        raise UsageError(f"no manifest {str(file)!r}")
