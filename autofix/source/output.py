"""The files a repair leaves: patched copies, one patch, the manifest; all written whole or not at all."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from autofix.source.patch import SourcePatch
from autofix.source.write import WriteError, replace_files, write_atomically

if TYPE_CHECKING:
    from autofix.manifest import Manifest


def output_files(
    patch: SourcePatch, stem: Path, manifest: Manifest | None = None, folder: Path | None = None
) -> dict[Path, bytes]:
    """Path -> content of everything that `autofix repair` writes.

    stem:   `net.py` of TARGET, or for a target without a file a name such as `squeezenet1_0`
    folder: where to write instead of beside the originals
    """
    named = (folder or stem.parent) / stem.stem
    files = {folder / f.beside.name if folder else f.beside: f.new for f in patch.files}
    if len(files) < len(patch.files):
        raise WriteError(f"two files of one name cannot both go to {folder}; leave the folder out")
    if patch.recipe is not None:
        recipe = _suffixed(named, ".autofix.py")
        files[_suffixed(named, ".recipe.autofix.py") if recipe in files else recipe] = patch.recipe.encode()
    if patch.paste is not None:
        files[_suffixed(named, ".autofix.txt")] = patch.paste.encode()
    if patch.patch:
        files[_suffixed(named, ".autofix.patch")] = patch.patch
    if manifest is not None:
        files[_suffixed(named, ".autofix.json")] = manifest.to_json().encode()
    return files


def write_beside(files: dict[Path, bytes]) -> tuple[Path, ...]:
    """Write each file; raises WriteError."""
    for path, data in files.items():
        write_atomically(path, data)
    return tuple(files)


def write_in_place(patch: SourcePatch) -> tuple[Path, ...]:
    """Write over the originals, if they are still the files that were read; raises WriteError otherwise."""
    if patch.recipe is not None or patch.paste is not None:
        raise WriteError("the layers are not built by code of this project alone; nothing was written")
    replace_files((file.path, file.old, file.new) for file in patch.files)
    return tuple(file.path for file in patch.files)


def _suffixed(path: Path, suffix: str) -> Path:
    return path.with_name(path.name + suffix)
