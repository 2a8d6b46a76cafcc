"""A file of weights -> the model's state, or one line on why it does not fit."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.parameter import is_lazy

from autofix.errors import LoadError
from autofix.guard import one_line

_WRAPPERS = ("state_dict", "model", "model_state_dict")
_PREFIXES = ("module.", "_orig_mod.")  # DataParallel, torch.compile


def load_weights(model: nn.Module, file: Path) -> None:
    """Load a state_dict saved by torch.save into the model, every key of it.

    Reads it with weights_only=True; {"state_dict": ...} and {"model": ...} and the prefixes that DataParallel
    and torch.compile leave are undone. Raises LoadError.
    """
    state = _strip(_unwrap(_read(file), file))
    problem = _mismatch(model.state_dict(), state)
    if problem:
        raise LoadError(f"{file} does not fit {type(model).__name__}: {problem}")
    try:
        model.load_state_dict(state)
    except RuntimeError as error:
        raise LoadError(f"{file} does not fit {type(model).__name__}: {one_line(error)}") from error


def _read(file: Path) -> object:
    if not file.is_file():
        raise LoadError(f"no weights file {str(file)!r}")
    try:
        return torch.load(file, map_location="cpu", weights_only=True)
    except Exception as error:  # unpickling, zip and I/O errors of many types
        raise LoadError(
            f"cannot read {file} as plain weights ({type(error).__name__}); "
            f"save them with torch.save(model.state_dict(), {file.name!r})"
        ) from error


def _unwrap(loaded: object, file: Path) -> dict[str, Any]:
    for key in _WRAPPERS:
        if isinstance(loaded, Mapping) and isinstance(loaded.get(key), Mapping):
            loaded = loaded[key]
    if not isinstance(loaded, Mapping) or not any(isinstance(v, Tensor) for v in loaded.values()):
        raise LoadError(f"{file} holds no state_dict, but a {type(loaded).__name__}")
    return {str(key): value for key, value in loaded.items()}


def _strip(state: dict[str, Any]) -> dict[str, Any]:
    for prefix in _PREFIXES:
        if all(key.startswith(prefix) for key in state):
            state = {key.removeprefix(prefix): value for key, value in state.items()}
    return state


def _mismatch(wanted: Mapping[str, Any], state: Mapping[str, Any]) -> str:
    """What differs, in words; empty where every key and shape agrees."""
    reshaped = [
        f"{key} is {tuple(state[key].shape)} in the file and {tuple(value.shape)} in the model"
        for key, value in wanted.items()
        if isinstance(state.get(key), Tensor) and not is_lazy(value) and state[key].shape != value.shape
    ]
    parts = [
        _few("missing", [key for key in wanted if key not in state]),
        _few("unexpected", [key for key in state if key not in wanted]),
        _few("of another shape", reshaped),
    ]
    return "; ".join(part for part in parts if part)


def _few(label: str, items: list[str]) -> str:
    if not items:
        return ""
    rest = ", ..." if len(items) > 3 else ""
    return f"{len(items)} {label} ({', '.join(items[:3])}{rest})"
