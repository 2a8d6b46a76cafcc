"""The repair written into the source the model was built from."""

from __future__ import annotations

from autofix.source.patch import FilePatch, SourcePatch, patch_source
from autofix.source.recipe import Origin
from autofix.source.text import SourceError
from autofix.source.wanted import Edit, Insert, user_files

__all__ = [
    "Edit",
    "FilePatch",
    "Insert",
    "Origin",
    "SourceError",
    "SourcePatch",
    "patch_source",
    "user_files",
]
