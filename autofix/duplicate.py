"""copy.deepcopy for models: the same copy, without its detour through pickle for every layer and hook."""

from __future__ import annotations

import copy
import copyreg
from collections import OrderedDict
from typing import Any, Final

from torch import nn

_ATOMS: Final = frozenset((type(None), bool, int, float, str))
_EMPTY: Final = frozenset((dict, OrderedDict, list, set))
_PICKLED: Final = ("__reduce__", "__reduce_ex__", "__getnewargs__", "__getnewargs_ex__")


def duplicate(model: nn.Module, memo: dict[int, Any]) -> nn.Module:
    """A deep copy; memo: what is copied already, by identity, and afterwards everything that was copied."""
    layers = [layer for layer in model.modules() if _is_plain(type(layer)) and id(layer) not in memo]
    states = [(layer, layer.__getstate__()) for layer in layers]  # type: ignore[no-untyped-call]
    plain = [(layer, state) for layer, state in states if type(state) is dict]
    memo.update((id(layer), object.__new__(type(layer))) for layer, _ in plain)
    for layer, state in plain:
        memo[id(layer)].__setstate__({name: _copied(value, memo) for name, value in state.items()})
    return copy.deepcopy(model, memo)


def _is_plain(kind: type[nn.Module]) -> bool:
    """Whether a layer is copied by its state, as its class does not say otherwise."""
    return (
        not hasattr(kind, "__deepcopy__")
        and kind.__new__ is object.__new__
        and kind not in copyreg.dispatch_table
        and all(getattr(kind, name, None) is getattr(object, name, None) for name in _PICKLED)
    )


def _copied(value: Any, memo: dict[int, Any]) -> Any:
    if type(value) in _ATOMS:
        return value
    if type(value) in _EMPTY and not value:
        return memo.setdefault(id(value), type(value)())
    return copy.deepcopy(value, memo)
