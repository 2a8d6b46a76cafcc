"""What a model's code keeps outside of its layers: global names, class attributes, containers in both."""

from __future__ import annotations

import sys
import sysconfig
from collections import OrderedDict
from collections.abc import Iterator, MutableMapping
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from types import ModuleType
from typing import Any, Final
from weakref import WeakKeyDictionary

from torch import nn

CONTAINERS: Final = frozenset((dict, list, OrderedDict, set))
INSTALLED: Final = frozenset(
    map(Path, ("/", *sysconfig.get_paths().values()))
)  # folders of what is not the user's
LARGEST: Final = 10_000  # entries of a container that is looked after: what is longer is data
_KNOWN: Final[MutableMapping[nn.Module, tuple[list[dict[str, Any]], list[type]]]] = WeakKeyDictionary()


def namespaces(model: nn.Module) -> list[dict[str, Any]]:
    """Where the model's code looks up names: its modules, and where a replaced forward was made."""
    return _outside(model)[0]


@contextmanager
def outside_restored(model: nn.Module) -> Iterator[None]:
    """Undo what forward assigns to global names and to attributes of classes: caches, counters."""
    spaces, classes = _outside(model)
    before = [(space, dict(space)) for space in spaces]
    attributes = [(kind, dict(vars(kind))) for kind in classes]
    held = [(c, c.copy()) for _, names in (*before, *attributes) for c in _containers(names)]
    try:
        yield
    finally:
        for space, names in before:
            _reset(space, names, space.__setitem__, space.__delitem__)
        for kind, names in attributes:
            _reset(vars(kind), names, partial(setattr, kind), partial(delattr, kind))
        for container, content in held:
            _refill(container, content)


def _outside(model: nn.Module) -> tuple[list[dict[str, Any]], list[type]]:
    if model not in _KNOWN:
        _KNOWN[model] = _spaces(model), _classes(model)
    return _KNOWN[model]


def _spaces(model: nn.Module) -> list[dict[str, Any]]:
    forwards = (getattr(type(layer).forward, "__globals__", {}) for layer in model.modules())
    spaces = [*(vars(module) for module in _user_modules(model)), *forwards]
    own = {id(space): space for space in spaces if not str(space.get("__name__", "")).startswith("torch.")}
    return list(own.values())


def _user_modules(model: nn.Module) -> list[ModuleType]:
    """The Python modules of the model's layers, of what they name, and what all these import from beside."""
    names = {base.__module__ for layer in model.modules() for base in type(layer).__mro__}
    own = [sys.modules[name] for name in names if name in sys.modules and not _foreign(name)]
    named = [home for module in own for home in _homes(module) if not _foreign(home.__name__)]
    found = dict.fromkeys((*own, *named))
    beside = [home for module in found for home in _homes(module, modules=True) if _beside(home, module)]
    return list(dict.fromkeys((*found, *beside)))


def _homes(module: ModuleType, modules: bool = False) -> Iterator[ModuleType]:
    """Where what a module names was written: functions and classes; with `modules`, modules too."""
    for value in list(vars(module).values()):
        name = getattr(value, "__module__", None) if callable(value) else None
        home: object = sys.modules.get(name) if isinstance(name, str) else None
        if modules and isinstance(value, ModuleType):
            home = value
        if isinstance(home, ModuleType):  # some libraries put something else in their place
            yield home


def _foreign(name: str) -> bool:
    """Whether a module is of torch or of Python itself."""
    first = name.partition(".")[0]
    return first in ("torch", "numpy", "builtins") or first in sys.stdlib_module_names


def _beside(one: ModuleType, other: ModuleType) -> bool:
    """Whether two modules are of one package, or files in one folder of the user's."""
    if one.__name__.partition(".")[0] == other.__name__.partition(".")[0]:
        return True
    folders = {Path(getattr(module, "__file__", None) or "/").parent for module in (one, other)}
    return len(folders) == 1 and folders.isdisjoint(INSTALLED)


def _classes(model: nn.Module) -> list[type]:
    kinds = dict.fromkeys(base for layer in model.modules() for base in type(layer).__mro__)
    return [kind for kind in kinds if not kind.__module__.startswith(("torch.", "builtins"))]


def _containers(names: dict[str, Any]) -> Iterator[Any]:
    for name, value in names.items():
        if type(value) in CONTAINERS and not name.startswith("__") and len(value) <= LARGEST:
            yield value


def _reset(now: Any, before: dict[str, Any], put: Any, remove: Any) -> None:
    """Each name as it was; a module that was imported in the meantime stays."""
    for name in [name for name in now if name not in before and not isinstance(now[name], ModuleType)]:
        remove(name)
    for name, value in before.items():
        if name not in now or now[name] is not value:
            put(name, value)


def _refill(container: Any, content: Any) -> None:
    if len(container) == len(content) and _same(container, content):
        return
    container.clear()
    (container.extend if isinstance(container, list) else container.update)(content)


def _same(container: Any, content: Any) -> bool:
    """Whether two containers hold the very same objects, in the same order."""
    pairs = zip(container, content, strict=True)
    if isinstance(container, dict):
        return all(a is b and container[a] is content[b] for a, b in pairs)
    return container == content if isinstance(container, set) else all(a is b for a, b in pairs)
