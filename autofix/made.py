"""How a model was made: where its layers were built, and what builds it again. Kept while the model lives."""

from __future__ import annotations

import ast
import inspect
import re
import sys
import weakref
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from autofix.construct import Constructions, record
from autofix.source.recipe import Origin
from autofix.source.text import SourceError, SourceFile
from autofix.source.wanted import user_files

if TYPE_CHECKING:
    from torch import nn

    from autofix.load import Loaded

_OURS = str(Path(__file__).parent)
_MARKERS = ("pyproject.toml", ".git")


@dataclass(frozen=True)
class Made:
    """How one model was made.

    target:       TARGET that makes it again; "" where none is known
    origin:       the same, for a recipe to import
    file:         the source that TARGET names or that defines the class; None where it is no user's
    name:         what the files of a repair are called: `net` for net.py, `bad_cnn` for a library's BadCNN
    project_root: what paths in a patch are relative to; only files in it are edited
    """

    constructions: Constructions
    target: str
    origin: Origin | None
    file: Path | None
    name: str
    project_root: Path

    @property
    def is_user(self) -> Callable[[str], bool]:
        """Whether a file may be edited."""
        inside = user_files(self.project_root)
        return lambda file: self.file is not None and not file.startswith(_OURS) and inside(file)


_made: dict[int, tuple[weakref.ref[nn.Module], Made]] = {}
_recordings: list[Constructions] = []


@contextmanager
def recording() -> Iterator[Constructions]:
    """Note where each layer built inside the with-block is constructed, for a repair to be written there.

    with autofix.recording():
        model = Net()
    """
    with record() as constructions:
        yield constructions
    _recordings[:] = [known for known in _recordings if len(known)] + [constructions]


def remember(model: nn.Module, made: Made) -> None:
    """Keep what is known of a model for as long as it lives."""
    key = id(model)

    def forget(_: object) -> None:
        _made.pop(key, None)

    _made[key] = (weakref.ref(model, forget), made)


def made_of(model: nn.Module) -> Made:
    """What is remembered of a model, else what its class and a `recording` tell."""
    entry = _made.get(id(model))
    if entry is not None and entry[0]() is model:
        return entry[1]
    made = _guess(model, constructions_of(model))
    remember(model, made)
    return made


def constructions_of(model: nn.Module) -> Constructions:
    """The recording in which the model was built; an empty one where there is none."""
    entry = _made.get(id(model))
    if entry is not None and entry[0]() is model:
        return entry[1].constructions
    return next((log for log in reversed(_recordings) if log.of(model) is not None), Constructions())


def made_from(loaded: Loaded) -> Made:
    """What `load` tells of the model it built."""
    file = loaded.file if loaded.user_source else None
    named = loaded.target.file
    if file is not None and named is not None:
        file = named.expanduser().resolve()
    name = file.stem if file is not None else _name(loaded.target.name or loaded.qualname)
    root = project_root(file.parent if file is not None else Path.cwd())
    constructions = loaded.constructions or Constructions()
    return Made(constructions, loaded.target.text, Origin.of(loaded), file, name, root)


def project_root(folder: Path) -> Path:
    """The nearest folder, from this one up, with a pyproject.toml or .git; this one where there is none."""
    folder = folder.resolve()
    for one in (folder, *folder.parents):
        if any((one / marker).exists() for marker in _MARKERS):
            return one
    return folder


def _guess(model: nn.Module, constructions: Constructions) -> Made:
    """From the class's source, and from the call that built the model where that was recorded."""
    variable = _variable(model, constructions)
    kind = type(model)
    code = kind.forward.__code__ if hasattr(kind.forward, "__code__") else None
    place = variable[0] if variable else code.co_filename if code is not None else ""
    root = project_root(Path(place).parent) if place and not place.startswith("<") else Path.cwd()
    users = bool(place) and not place.startswith(_OURS) and user_files(root)(place)
    file = Path(place).resolve() if users else None
    name = file.stem if file is not None else _name(kind.__qualname__)
    origin = Origin(variable[1], variable[2], called=False) if variable else _origin(model, constructions)
    target = f"{file}:{_called(origin)}" if file is not None and origin is not None else ""
    return Made(constructions, target, origin, file, name, root if users else Path.cwd())


def _variable(model: nn.Module, constructions: Constructions) -> tuple[str, str, str] | None:
    """File, module and name of a variable of a module that is the model, as `model = nn.Sequential(...)`."""
    built = constructions.of(model)
    call = built.made_by if built is not None else None
    if call is None or call.code.co_name != "<module>" or call.file.startswith("<"):
        return None
    names = (name for name, value in call.globals.items() if value is model and name.isidentifier())
    name = next(names, None)
    return (call.file, str(call.globals.get("__name__", "")), name) if name else None


def _origin(model: nn.Module, constructions: Constructions) -> Origin | None:
    """The class and the arguments it was given; None where these are not known or it cannot be imported."""
    kind = type(model)
    found: object = sys.modules.get(kind.__module__)
    for part in kind.__qualname__.split("."):
        found = getattr(found, part, None)
    if found is not kind:
        return None
    given = _arguments(model, constructions)
    assumed = given is None
    if given is None:
        if kind.__module__.startswith("torch."):  # a Sequential() of no layers is another model
            return None
        try:
            inspect.signature(kind).bind()
        except (TypeError, ValueError):
            return None
        given = (), ()
    return Origin(kind.__module__, kind.__qualname__, *given, assumed=assumed)


def _arguments(
    model: nn.Module, constructions: Constructions
) -> tuple[tuple[object, ...], tuple[tuple[str, object], ...]] | None:
    """The literals that the recorded call of the class passes; None where they are no literals."""
    built = constructions.of(model)
    call = built.made_by if built is not None else None
    span = call.span if call is not None and Path(call.file).is_file() else None
    if call is None or span is None:
        return None
    try:
        node = SourceFile.read(call.file).call_at(span)
        if node is None or not ast.unparse(node.func).endswith(type(model).__name__):
            return None
        positional = tuple(ast.literal_eval(argument) for argument in node.args)
        return positional, tuple((str(k.arg), ast.literal_eval(k.value)) for k in node.keywords if k.arg)
    except (SourceError, ValueError, SyntaxError):
        return None


def _called(origin: Origin) -> str:
    return origin.expression if origin.called and (origin.args or origin.kwargs) else origin.name


def _name(qualname: str) -> str:
    """`BadCNN` -> `bad_cnn`."""
    last = qualname.rsplit(".", 1)[-1]
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])", "_", last).lower()
