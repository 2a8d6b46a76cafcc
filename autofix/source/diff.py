"""A unified diff of bytes that `git apply` and `patch -p1` take, whatever the encoding or line ending."""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from pathlib import PurePath

_NO_NEWLINE = b"\n\\ No newline at end of file\n"


def unified_diff(files: Iterable[tuple[PurePath, bytes, bytes]]) -> bytes:
    """One patch over (path relative to the project root, old, new)."""
    return b"".join(_one(path.as_posix(), old, new) for path, old, new in files if old != new)


def _one(path: str, old: bytes, new: bytes) -> bytes:
    # A name with a space ends in a tab, as git writes it, or `patch` cuts it off there.
    end = "\t" if " " in path else ""
    names = (f"a/{path}{end}".encode(), f"b/{path}{end}".encode())
    lines = difflib.diff_bytes(difflib.unified_diff, _lines(old), _lines(new), *names, lineterm=b"\n")
    return b"".join(line if line.endswith(b"\n") else line + _NO_NEWLINE for line in lines)


def _lines(data: bytes) -> list[bytes]:
    """Lines by "\\n" alone, as patch counts them; splitlines would break at a lone carriage return too."""
    lines = data.split(b"\n")
    return [line + b"\n" for line in lines[:-1]] + ([lines[-1]] if lines[-1] else [])
