"""TARGET -> model: runs the user's code, guarded, and says in one line what is wrong with it."""

from __future__ import annotations

import inspect
import site
import sysconfig
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING

from torch import nn

from autofix.errors import LoadError
from autofix.guard import Held, explain, isolated
from autofix.importing import did_you_mean, import_dotted, import_file
from autofix.target import Target, parse_target
from autofix.weights import load_weights

if TYPE_CHECKING:
    from autofix.construct import Constructions


@dataclass(frozen=True)
class Loaded:
    """A model that was built, and where it came from.

    file:        source file that defines the named class or function, None where there is none
    qualname:    its name inside that file
    module:      dotted name under which the file is imported
    user_source: the file is the user's to edit, not an installed package's
    constructions: what `recorder` gave: where each module was built
    """

    model: nn.Module
    target: Target
    file: Path | None
    qualname: str
    module: str
    user_source: bool
    constructions: Constructions | None = None


def load(
    text: str,
    *,
    weights: str | Path | None = None,
    recorder: AbstractContextManager[Constructions] | None = None,
) -> Loaded:
    """Import what TARGET names, build the model, load the weights.

    `recorder` is entered once, around the import and the construction.
    Raises UsageError where the text is no TARGET and LoadError where it names no model that can be built.
    """
    target = parse_target(text)
    with isolated(target.where) as held:
        with recorder or nullcontext() as constructions:
            module = _import(target, held)
            found = _find(target, module)
            model = _build(target, module, found, held)
        if weights is not None:
            load_weights(model, Path(weights))
    held.release()
    file = _source(found, module)
    named = getattr(found, "__qualname__", target.name)
    qualname = target.name if isinstance(found, nn.Module) else named
    return Loaded(model, target, file, qualname, _module_of(found, module), _is_users(file), constructions)


def _import(target: Target, held: Held) -> ModuleType:
    if target.file is None:
        return import_dotted(target.module, held)
    return import_file(target.file.expanduser().resolve(), str(target.file), held)


def _find(target: Target, module: ModuleType) -> object:
    """The object that TARGET names, or the only nn.Module class where it names none."""
    if not target.name:
        return getattr(module, _only_class(target, module))
    found: object = module
    for part in target.name.split("."):
        try:
            found = getattr(found, part)
        except AttributeError:
            names = [name for name in vars(module) if not name.startswith("_")]
            hint = did_you_mean(target.name, names) or _offer(target, classes_in(module))
            raise LoadError(f"no {target.name!r} in {target.where}{hint}") from None
    return found


def classes_in(module: ModuleType) -> list[str]:
    """Names of the nn.Module classes that the module itself defines, in source order."""
    return [
        name
        for name, value in vars(module).items()
        if inspect.isclass(value) and issubclass(value, nn.Module) and value.__module__ == module.__name__
    ]


def _only_class(target: Target, module: ModuleType) -> str:
    names = classes_in(module) or [n for n, v in vars(module).items() if isinstance(v, nn.Module)]
    if len(names) == 1:
        return names[0]
    if not names:
        raise LoadError(
            f"{target.where} defines no nn.Module class; name the function that builds the model, "
            f"as {target.where}:make_net"
        )
    raise LoadError(f"{target.where} defines {len(names)} models{_offer(target, names)}")


def _offer(target: Target, names: list[str]) -> str:
    if not names:
        return ""
    listed = ", ".join(f"{target.where}:{name}" for name in names[:8])
    more = f" and {len(names) - 8} more" if len(names) > 8 else ""
    return f"; choose {listed}{more}"


def _build(target: Target, module: ModuleType, found: object, held: Held) -> nn.Module:
    """Call the class or function; an instance is taken as it is."""
    name = target.name or getattr(found, "__name__", "")
    where = target.where
    if isinstance(found, nn.Module):
        if target.called:
            raise LoadError(f"{name} in {where} is a model already; leave the arguments out")
        return found
    if not callable(found):
        raise LoadError(f"{name} in {where} is a {type(found).__name__}, no nn.Module and no function")
    if inspect.isclass(found) and not issubclass(found, nn.Module):
        raise LoadError(f"{name} in {where} is a class, but no nn.Module")
    _check_arguments(target, name, found)
    try:
        model = found(*target.args, **dict(target.kwargs))
    except KeyboardInterrupt:
        raise
    except BaseException as error:
        file = _module_file(module)
        raise explain(error, f"{name}()", where, file, held.text()) from error
    if not isinstance(model, nn.Module):
        raise LoadError(f"{name}() in {where} returns a {type(model).__name__}, no nn.Module")
    return model


def _check_arguments(target: Target, name: str, found: object) -> None:
    """Name the arguments that are missing or unknown, before the user's code sees them."""
    assert callable(found)
    try:
        signature = inspect.signature(found)
    except (TypeError, ValueError):  # no signature to be had: the call itself will tell
        return
    try:
        bound = signature.bind_partial(*target.args, **dict(target.kwargs))
    except TypeError as error:
        takes = list(signature.parameters)
        unknown = [key for key, _ in target.kwargs if key not in takes]
        hint = did_you_mean(unknown[0], takes) if unknown else ""
        hint = hint or f"; it takes {', '.join(takes) or 'no arguments'}"
        raise LoadError(f"{name} in {target.where}: {error}{hint}") from None
    missing = [p for p in signature.parameters.values() if _is_required(p) and p.name not in bound.arguments]
    if missing:
        given = [repr(a) for a in target.args] + [f"{k}={v!r}" for k, v in target.kwargs]
        call = ", ".join(given + [f"{p.name}={_sample(p)}" for p in missing])
        names = ", ".join(p.name for p in missing)
        plural = "arguments" if len(missing) > 1 else "the argument"
        raise LoadError(f"{name} needs {plural} {names}: write {target.where}:{name}({call})")


def _is_required(parameter: inspect.Parameter) -> bool:
    variadic = parameter.kind in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD)
    return parameter.default is parameter.empty and not variadic


def _sample(parameter: inspect.Parameter) -> str:
    """A literal of the annotated type, to show the syntax."""
    if parameter.annotation is parameter.empty:
        return "1"
    name = getattr(parameter.annotation, "__name__", str(parameter.annotation))
    return {"int": "1", "float": "0.1", "bool": "True", "str": "'...'"}.get(name, "...")


def _source(found: object, module: ModuleType) -> Path | None:
    """Where the class or function is written, which may not be the module that TARGET names."""
    if inspect.isclass(found) or inspect.isfunction(found):
        try:
            return Path(inspect.getsourcefile(found) or "").resolve() or None
        except (TypeError, OSError):
            pass
    return _module_file(module)


def _module_file(module: ModuleType) -> Path | None:
    file = getattr(module, "__file__", None)
    return Path(file).resolve() if file else None


def _module_of(found: object, module: ModuleType) -> str:
    defined = inspect.isclass(found) or inspect.isfunction(found)
    return str(getattr(found, "__module__", module.__name__)) if defined else module.__name__


def _is_users(file: Path | None) -> bool:
    if file is None:
        return False
    paths = sysconfig.get_paths()
    installed = {paths[key] for key in ("stdlib", "platstdlib", "purelib", "platlib")}
    installed |= {site.getusersitepackages(), str(Path(__file__).parent)}
    return not any(file.is_relative_to(Path(folder).resolve()) for folder in installed)
