"""Lets `import torchvision` work where its wheel brings no compiled extension.

The models need none of the box operators, but the import registers fake kernels for them and stops at the
first one whose schema nobody defined.
"""

from __future__ import annotations

import importlib
import importlib.util
import re
import sys
from pathlib import Path

import torch

# Kept for the life of the process: a Library that is collected takes its schemas with it.
_LIBRARIES: list[torch.library.Library] = []


def ensure_torchvision() -> bool:
    """Make `import torchvision` work; False where it is not installed. Harmless when called again."""
    if "torchvision" in sys.modules:
        return True
    spec = importlib.util.find_spec("torchvision")
    if spec is None or spec.origin is None:
        return False
    try:
        importlib.import_module("torchvision")
    except RuntimeError as error:
        if "torchvision::" not in str(error):
            raise
        _forget_half_import()
        _define_schemas(Path(spec.origin).parent)
        importlib.import_module("torchvision")
    return True


def missing_operators(folder: Path) -> tuple[str, ...]:
    """The operators that torchvision registers kernels for, read from its source."""
    text = (folder / "_meta_registrations.py").read_text(encoding="utf-8")
    plain = re.findall(r'@register_meta\("(\w+)"\)', text)
    faked = re.findall(r'register_fake\("torchvision::(\w+)"\)', text)
    return tuple(dict.fromkeys([*plain, *faked]))


def _forget_half_import() -> None:
    for name in [name for name in sys.modules if name.split(".")[0] == "torchvision"]:
        del sys.modules[name]


def _define_schemas(folder: Path) -> None:
    library = torch.library.Library("torchvision", "FRAGMENT")
    _LIBRARIES.append(library)
    for name in missing_operators(folder):
        library.define(f"{name}(Tensor x) -> Tensor")
