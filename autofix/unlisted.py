"""Layers that a model keeps in plain lists, tuples and dicts, where torch does not see them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from torch import nn


def list_layers(model: nn.Module) -> list[tuple[nn.Module, str]]:
    """Register such layers under names made of the attribute and the position; returns owners and names."""
    known = set(model.modules())
    added = []
    for owner in list(known):
        for attribute, value in list(vars(owner).items()):
            if attribute.startswith("_"):
                continue
            for key, layer in _entries(value):
                name = f"{attribute}_{key}"
                if not isinstance(layer, nn.Module) or layer in known:
                    continue
                if owner.__dict__.get(name) is layer:  # listed before
                    del owner.__dict__[name]
                if not hasattr(owner, name):
                    owner.add_module(name, layer)
                    added.append((owner, name))
    return added


@contextmanager
def listed(model: nn.Module) -> Iterator[None]:
    """Such layers are registered inside; afterwards they are plain attributes, not in the state_dict."""
    added = list_layers(model)
    try:
        yield
    finally:
        for owner, name in added:
            owner.__dict__[name] = owner._modules.pop(name)


def _entries(value: Any) -> list[tuple[Any, Any]]:
    if isinstance(value, list | tuple):
        return list(enumerate(value))
    return list(value.items()) if isinstance(value, dict) else []
