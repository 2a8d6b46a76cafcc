"""Where each layer was made, for faults and edits to name: as recorded, else read in its parent's class."""

from __future__ import annotations

import linecache
import re
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import torch

from autofix.change import Edit
from autofix.fault import Fault, Location
from autofix.made import constructions_of

if TYPE_CHECKING:
    from types import CodeType

    from torch import nn

_TORCH = str(Path(torch.__file__).parent / "_")[:-1]  # with the separator: torchvision is not torch


def located(faults: Iterable[Fault], model: nn.Module) -> tuple[Fault, ...]:
    """The faults with the places where their layers were made."""
    return tuple(replace(fault, made_at=made_at(model, fault.site)) for fault in faults)


def edits_located(edits: Iterable[Edit], model: nn.Module) -> tuple[Edit, ...]:
    """The edits with the places where their layers were made."""
    return tuple(replace(edit, made_at=made_at(model, edit.module)) for edit in edits)


def made_at(model: nn.Module, path: str | None) -> Location | None:
    """The call that built a layer; None for what is no layer, or where no source is known."""
    if path is None:
        return None
    try:
        layer = model.get_submodule(path)
    except AttributeError:
        return None
    built = constructions_of(model).of(layer)
    place = built.location(lambda file: not file.startswith(_TORCH)) if built is not None else None
    return place or _assigned_at(model, path)


def _assigned_at(model: nn.Module, path: str) -> Location | None:
    """The line `self.<name> = ...` in the class of the nearest parent that has one."""
    keys = path.split(".")
    for depth in range(len(keys) - 1, -1, -1):
        parent = model.get_submodule(".".join(keys[:depth]))
        for owner in type(parent).__mro__:
            code = getattr(vars(owner).get("__init__"), "__code__", None)
            if code is not None and not code.co_filename.startswith(_TORCH):
                place = _assignment(code, keys[depth])
                if place is not None:
                    return place
    return None


def _assignment(code: CodeType, name: str) -> Location | None:
    pattern = re.compile(rf"\s*self\.{re.escape(name)}\b[^=\n]*=(?!=)")
    last = max((line for _, _, line in code.co_lines() if line), default=0)
    for line in range(code.co_firstlineno, last + 1):
        text = linecache.getline(code.co_filename, line)
        if pattern.match(text):
            return Location(code.co_filename, line, text.strip())
    return None
