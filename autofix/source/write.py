"""Files written whole or not at all: a kill or a power cut leaves the old content or the new."""

from __future__ import annotations

import contextlib
import os
import shutil
import tempfile
from collections.abc import Iterable
from pathlib import Path

from autofix.errors import AutofixError


class WriteError(AutofixError):
    """A file could not be written, or is no longer the one that was read."""


def write_atomically(path: Path, data: bytes) -> None:
    """Write `data` to `path` in one step, mode kept; raises WriteError. A link stays, its target changes."""
    try:
        staged = _stage(path.resolve(), data)
    except OSError as error:
        raise WriteError(f"{path}: {error.strerror}") from error
    _put(staged, path.resolve())


def replace_files(files: Iterable[tuple[Path, bytes, bytes]]) -> None:
    """Write over (path, old, new) files, after checking that each still has its old content.

    Everything is on disk before the first file changes. If one cannot be put in place, those before it
    get their old content back; raises WriteError.
    """
    files = [(path.resolve(), old, new) for path, old, new in files]
    for path, old, _ in files:
        _check_unchanged(path, old)
    staged = _stage_all([(path, new) for path, _, new in files])
    done: list[tuple[Path, bytes]] = []
    try:
        for (path, old, _), temporary in zip(files, staged, strict=True):
            _check_unchanged(path, old)
            _put(temporary, path)
            done.append((path, old))
    except WriteError:
        for temporary in staged:
            temporary.unlink(missing_ok=True)
        for path, old in done:
            write_atomically(path, old)
        raise


def _check_unchanged(path: Path, old: bytes) -> None:
    try:
        now = path.read_bytes()
    except OSError as error:
        raise WriteError(f"{path}: {error.strerror}") from error
    if now != old:
        raise WriteError(f"{path} has changed since it was read; nothing was written over it")


def _stage_all(files: list[tuple[Path, bytes]]) -> list[Path]:
    staged: list[Path] = []
    try:
        for path, data in files:
            staged.append(_stage(path, data))
    except OSError as error:
        for temporary in staged:
            temporary.unlink(missing_ok=True)
        raise WriteError(f"{error.filename}: {error.strerror}") from error
    return staged


def _stage(path: Path, data: bytes) -> Path:
    """`data` in a file beside `path`, on disk, with the mode `path` has or a new file would get."""
    descriptor, name = tempfile.mkstemp(prefix=f".{path.name}.", suffix=".tmp", dir=path.parent)
    temporary = Path(name)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(data)
            file.flush()
            _copy_mode(path, temporary)
            os.fsync(file.fileno())
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    return temporary


def _copy_mode(path: Path, temporary: Path) -> None:
    if path.exists():
        shutil.copymode(path, temporary)
        return
    mask = os.umask(0)
    os.umask(mask)
    temporary.chmod(0o666 & ~mask)


def _put(temporary: Path, path: Path) -> None:
    try:
        temporary.replace(path)
    except OSError as error:
        temporary.unlink(missing_ok=True)
        raise WriteError(f"{path}: {error.strerror}") from error
    _sync_folder(path.parent)


def _sync_folder(folder: Path) -> None:
    """Have the new name itself on disk, where the system can do that for folders."""
    with contextlib.suppress(OSError):
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
