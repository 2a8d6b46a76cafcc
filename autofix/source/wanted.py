"""What is asked of the source: the edits and inserts, as the search hands them over."""

from __future__ import annotations

import keyword
import os
import sysconfig
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from torch import nn

    from autofix.fault import Location


class Edit(Protocol):
    """A knob's new value at a site.

    module: dotted path of the layer in the model; None for a functional call in forward
    knob:   padding, stride, ceil_mode, output_padding, dilation or kernel_size
    old, new: one int per spatial axis; ceil_mode as 0 or 1

    An edit may also have `split: bool`: it is for this one call of a module that is called several times.
    """

    @property
    def module(self) -> str | None: ...
    @property
    def site(self) -> str: ...
    @property
    def knob(self) -> str: ...
    @property
    def old(self) -> tuple[int, ...]: ...
    @property
    def new(self) -> tuple[int, ...]: ...
    @property
    def called_at(self) -> Location | None: ...


class Insert(Protocol):
    """A new operation at a site.

    kind:  fit:      zero-pad the call's tensor at the end of each axis up to `sizes`
           widen:    zero-pad a single value to two, along the last axis
           align:    pad or crop operand number `operand` of a join to the size of operand `like`
           adaptive: average the call's tensor to fixed `sizes`; None leaves an axis as it is; with `passes`
                     a map with as many elements stays
           round:    pad the input up to the next size that works, crop the outputs back
    site:   the path of the module called there, or the graph's name of the call (`cat_1`)
    sizes:  one int per spatial axis (fit, adaptive; for round the least size to pad to, or empty)
    multiples, offsets: for round, per axis: pad until the size leaves one of the offsets modulo the multiple

    The attributes a kind does not use may be missing. `module` may name the module where `site` does not.
    """

    @property
    def kind(self) -> str: ...
    @property
    def site(self) -> str: ...
    @property
    def called_at(self) -> Location | None: ...


Place = tuple[str, int, int | None, int | None]


def place_key(at: Location) -> Place:
    """The expression of a location: two calls on one line are two places where columns are known."""
    return at.file, at.line, at.end_line, at.end_column


def module_of(insert: Insert, model: nn.Module) -> str | None:
    """The path of the module called at the site: told by the insert, else the site's own name."""
    told: str | None = getattr(insert, "module", None)
    if told is not None:
        return told
    try:
        module = model.get_submodule(insert.site)
    except AttributeError:
        return None
    return insert.site if getattr(insert, "op", type(module).__name__) == type(module).__name__ else None


def ints_of(insert: Insert, name: str) -> tuple[int, ...]:
    values: tuple[int, ...] | None = getattr(insert, name, None)
    return tuple(values or ())


Value = tuple[int, ...] | str | None


def knob_value(module: nn.Module, knob: str) -> Value:
    """The knob as the module has it now: one int per axis, one int for all of them, or a string padding."""
    value = getattr(module, knob, None)
    if isinstance(value, bool | int):
        return (int(value),)
    if isinstance(value, list | tuple):
        return tuple(int(item) for item in value)
    return value if isinstance(value, str) else None


def same_value(a: Value, b: Value) -> bool:
    """Equal, where one number stands for the same on every axis."""
    if isinstance(a, tuple) and isinstance(b, tuple) and len(set(a)) == len(set(b)) == 1:
        return a[0] == b[0]
    return a == b


def user_files(project_root: Path) -> Callable[[str], bool]:
    """The files that are the user's to edit: inside the project, and no installed package of it."""
    root = os.path.realpath(project_root)
    paths = sysconfig.get_paths()
    installed = tuple(os.path.realpath(paths[key]) + os.sep for key in ("purelib", "platlib", "stdlib"))

    def is_user(file: str) -> bool:
        real = os.path.realpath(file)
        if file.startswith("<") or not real.startswith(root.rstrip(os.sep) + os.sep):
            return False
        foreign = "site-packages" in real or "dist-packages" in real or real.startswith(installed)
        return not foreign and Path(real).is_file()

    return is_user


def access(root: nn.Module, path: str, name: str) -> str:
    """The expression for the submodule `path` of the variable `name`: `self.stages[2].conv`."""
    from torch import nn

    expression, module = name, root
    for key in path.split(".") if path else ():
        child = module._modules[key]
        listed = isinstance(module, nn.Sequential | nn.ModuleList)
        if listed and list(module._modules).index(key) == _int(key):
            expression += f"[{key}]"
        elif isinstance(module, nn.ModuleDict):
            expression += f'["{key}"]'
        elif key.isidentifier() and not keyword.iskeyword(key) and getattr(module, key, None) is child:
            expression += f".{key}"
        else:
            expression += f'.get_submodule("{key}")'
        assert child is not None, f"{path} is no submodule"
        module = child
    return expression


def _int(key: str) -> int | None:
    return int(key) if key.isdecimal() else None
