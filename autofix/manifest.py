"""A stored repair, `net.autofix.json`: what was changed in which source; applied again by attribute."""

from __future__ import annotations

import hashlib
import json
import platform
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from autofix.errors import AutofixError

if TYPE_CHECKING:
    from torch import nn

    from autofix.fault import Location
    from autofix.source.patch import SourcePatch
    from autofix.source.wanted import Edit, Insert

SCHEMA = "autofix/manifest/1"


class ManifestError(AutofixError):
    """A stored repair that cannot be read, or that was made for another model or another source."""


@dataclass(frozen=True)
class StoredEdit:
    """One edit as stored. `type` is the class of the layer, by which a changed architecture is noticed."""

    module: str | None
    site: str
    knob: str
    old: tuple[int, ...]
    new: tuple[int, ...]
    type: str = ""
    split: bool = False
    called_at: Mapping[str, Any] | None = None


@dataclass(frozen=True)
class Manifest:
    """One stored repair.

    target:       TARGET as given
    architecture: hash over the names and classes of all modules and the shapes of all weights
    sources:      file relative to the project root -> SHA-256 of the bytes that were read
    inserts:      each insert as plain data
    results:      what was written, patched file or "recipe" -> SHA-256 of the bytes that were verified
    certificate:  as the verification made it, opaque here
    versions:     of autofix, torch and Python when it was made
    """

    target: str
    architecture: str
    edits: tuple[StoredEdit, ...] = ()
    inserts: tuple[Mapping[str, Any], ...] = ()
    sources: Mapping[str, str] = field(default_factory=dict)
    certificate: Mapping[str, Any] = field(default_factory=dict)
    versions: Mapping[str, str] = field(default_factory=dict)
    results: Mapping[str, str] = field(default_factory=dict)

    def to_dict(self) -> dict[str, Any]:
        return {"schema": SCHEMA, **asdict(self)}

    def to_json(self) -> str:
        return json.dumps(self.to_dict(), indent=2, ensure_ascii=False) + "\n"

    @classmethod
    def from_dict(cls, data: object) -> Manifest:
        """Raises ManifestError where `data` is no manifest of this version."""
        if not isinstance(data, dict) or data.get("schema") != SCHEMA:
            found = data.get("schema") if isinstance(data, dict) else type(data).__name__
            raise ManifestError(f"no autofix manifest: schema {found!r} instead of {SCHEMA!r}")
        try:
            return cls(
                target=str(data["target"]),
                architecture=str(data["architecture"]),
                edits=tuple(_stored(edit) for edit in data["edits"]),
                inserts=tuple(dict(insert) for insert in data["inserts"]),
                sources=dict(data["sources"]),
                certificate=dict(data["certificate"]),
                versions=dict(data["versions"]),
                results=dict(data.get("results", {})),
            )
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise ManifestError(f"the manifest is damaged: {type(error).__name__}: {error}") from error


def make_manifest(
    model: nn.Module,
    target: str,
    edits: Iterable[Edit],
    inserts: Iterable[Insert] = (),
    *,
    sources: Iterable[Path] = (),
    project_root: Path = Path(),
    certificate: Mapping[str, Any] | None = None,
    patch: SourcePatch | None = None,
) -> Manifest:
    """The manifest of a repair of `model`, which is the model before the repair."""
    return Manifest(
        target,
        architecture_hash(model),
        tuple(_of_edit(model, edit, project_root) for edit in edits),
        tuple(_of_insert(insert, project_root) for insert in inserts),
        {_relative(path, project_root): source_hash(path) for path in sources},
        dict(certificate or {}),
        versions(),
        results(patch, project_root) if patch is not None else {},
    )


def results(patch: SourcePatch, project_root: Path) -> dict[str, str]:
    """The hash of everything a patch would write."""
    found = {_relative(file.path, project_root): _sha(file.new) for file in patch.files}
    return found if patch.recipe is None else {**found, "recipe": _sha(patch.recipe.encode())}


def read_manifest(path: Path) -> Manifest:
    """Raises ManifestError where the file cannot be read or is no manifest."""
    try:
        return Manifest.from_dict(json.loads(path.read_text(encoding="utf-8")))
    except OSError as error:
        raise ManifestError(f"{path}: {error.strerror}") from error
    except (UnicodeDecodeError, json.JSONDecodeError) as error:
        raise ManifestError(f"{path}: not JSON ({error})") from error


def write_manifest(path: Path, manifest: Manifest) -> None:
    from autofix.source.write import write_atomically

    write_atomically(path, manifest.to_json().encode())


def apply_edits(
    model: nn.Module,
    manifest: Manifest | Mapping[str, Any] | str | Path,
    *,
    project_root: Path | None = None,
) -> nn.Module:
    """Apply a stored repair to `model`, in place, and return it.

    manifest:     a Manifest, its dict, or the path of its file
    project_root: where given, the sources must be what they were, too
    Raises ManifestError, with the model unchanged, where source or architecture changed, or where the repair
    needs a change of forward, which attributes cannot make.
    """
    from autofix.source.attributes import set_knob

    stored = _read(manifest)
    if project_root is not None:
        check_sources(stored, project_root)
    if stored.inserts or any(edit.module is None or edit.split for edit in stored.edits):
        raise ManifestError("this repair changes forward; take its patched source instead")
    check_architecture(model, stored)
    for edit in stored.edits:
        assert edit.module is not None
        set_knob(model.get_submodule(edit.module), edit.knob, edit.new)
    return model


def check_sources(manifest: Manifest, project_root: Path) -> None:
    """Raises ManifestError where a source file is no longer the one the repair was made for."""
    for name, expected in manifest.sources.items():
        path = project_root / name
        try:
            found = source_hash(path)
        except OSError as error:
            raise ManifestError(f"{path}: {error.strerror}") from error
        if found != expected:
            raise ManifestError(f"{path} has changed since the repair was made; run autofix repair again")


def source_hash(path: Path) -> str:
    return _sha(path.read_bytes())


def _sha(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def architecture_hash(model: nn.Module) -> str:
    """Over names and classes of modules and shapes of weights; knobs are compared one by one instead."""
    modules = [f"{name}:{type(module).__name__}" for name, module in model.named_modules()]
    weights = [f"{name}:{tuple(value.shape)}" for name, value in model.named_parameters()]
    return hashlib.sha256("\n".join(modules + weights).encode()).hexdigest()


def versions() -> dict[str, str]:
    import torch

    import autofix

    return {"autofix": autofix.__version__, "torch": torch.__version__, "python": platform.python_version()}


def _read(manifest: Manifest | Mapping[str, Any] | str | Path) -> Manifest:
    if isinstance(manifest, Manifest):
        return manifest
    if isinstance(manifest, str | Path):
        return read_manifest(Path(manifest))
    return Manifest.from_dict(dict(manifest))


def check_architecture(model: nn.Module, manifest: Manifest) -> None:
    """Raises ManifestError where the layers or hyperparameters are not those the repair was made for."""
    for edit in manifest.edits:
        if edit.module is not None:
            _check_layer(model, edit)
    if architecture_hash(model) != manifest.architecture:
        raise ManifestError("the model's layers or weights are not those the repair was made for")


def _check_layer(model: nn.Module, edit: StoredEdit) -> None:
    from autofix.source.wanted import knob_value, same_value

    try:
        module = model.get_submodule(edit.module or "")
    except AttributeError as error:
        raise ManifestError(f"the model has no layer {edit.module}") from error
    if type(module).__name__ != edit.type:
        raise ManifestError(f"{edit.module} is a {type(module).__name__}, no {edit.type}")
    value = knob_value(module, edit.knob)
    if value is None or (not isinstance(value, str) and not same_value(value, edit.old)):
        raise ManifestError(f"{edit.module} has {edit.knob} {value} where the repair expects {edit.old}")


def _of_edit(model: nn.Module, edit: Edit, root: Path) -> StoredEdit:
    kind = type(model.get_submodule(edit.module)).__name__ if edit.module is not None else ""
    split = bool(getattr(edit, "split", False))
    place = _of_place(edit.called_at, root)
    return StoredEdit(edit.module, edit.site, edit.knob, tuple(edit.old), tuple(edit.new), kind, split, place)


def _of_insert(insert: Insert, root: Path) -> dict[str, Any]:
    names = (
        "kind",
        "site",
        "op",
        "module",
        "sizes",
        "operand",
        "like",
        "multiples",
        "offsets",
        "passes",
        "after",
    )
    fields = {name: getattr(insert, name) for name in names if hasattr(insert, name)}
    return {**fields, "called_at": _of_place(insert.called_at, root)}


def _of_place(place: Location | None, root: Path) -> dict[str, Any] | None:
    return None if place is None else {**asdict(place), "file": _relative(Path(place.file), root)}


def _stored(data: Mapping[str, Any]) -> StoredEdit:
    edit = StoredEdit(**data)
    if not (isinstance(edit.knob, str) and (edit.module is None or isinstance(edit.module, str))):
        raise TypeError("an edit names its module and its knob")
    return StoredEdit(
        edit.module,
        str(edit.site),
        edit.knob,
        tuple(int(value) for value in edit.old),
        tuple(int(value) for value in edit.new),
        str(edit.type),
        bool(edit.split),
        None if edit.called_at is None else dict(edit.called_at),
    )


def _relative(path: Path, root: Path) -> str:
    path, root = path.resolve(), root.resolve()
    return path.relative_to(root).as_posix() if path.is_relative_to(root) else str(path)
