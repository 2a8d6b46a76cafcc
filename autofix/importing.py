"""A .py file or a dotted name -> the imported module, as `python -m` would see it."""

from __future__ import annotations

import ast
import difflib
import importlib
import importlib.util
import pkgutil
import sys
from collections.abc import Iterable
from importlib.machinery import SourceFileLoader
from pathlib import Path
from types import ModuleType

from autofix.errors import LoadError
from autofix.guard import Held, explain


def import_file(file: Path, shown: str, held: Held) -> ModuleType:
    """Import the source file, under its dotted name where it lies in a package that can be imported.

    `shown` is the file as the user wrote it, for errors. Raises LoadError.
    """
    tree = _parse(file, shown)
    name, root = _dotted_name(file, tree)
    add_to_path(root)
    already = sys.modules.get(name)
    if already is not None and getattr(already, "__file__", None) == str(file):
        del sys.modules[name]  # it may have been edited since
    elif already is not None or not name.replace(".", "_").isidentifier():
        name = _free_name(file)
    try:
        if "." in name and _package_of(name, tree) is None:
            add_to_path(file.parent)
            alone = name.rpartition(".")[2]
            return _execute(_free_name(file) if alone in sys.modules else alone, file)
        return sys.modules.get(name) or _execute(name, file)  # a package may import it by itself
    except KeyboardInterrupt:
        raise
    except BaseException as error:
        raise explain(error, "importing it", shown, file, held.text()) from error


def _package_of(name: str, tree: ast.Module) -> ModuleType | None:
    """The package around a file; None where its own code fails, and the file does not need it."""
    try:
        return importlib.import_module(name.rpartition(".")[0])
    except Exception:
        imports = (node for node in ast.walk(tree) if isinstance(node, ast.ImportFrom))
        package = name.partition(".")[0]
        if any(node.level or (node.module or "").partition(".")[0] == package for node in imports):
            raise
        return None


def import_dotted(name: str, held: Held) -> ModuleType:
    """Import `package.module`, from the current folder too. Raises LoadError."""
    add_to_path(Path.cwd())
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        if error.name is None or not f"{name}.".startswith(f"{error.name}."):
            raise explain(error, "importing it", name, _file_of(name), held.text()) from error
        hint = did_you_mean(name, _siblings(name)) or "; is it installed, or in the current folder?"
        raise LoadError(f"no module {name!r}{hint}") from error
    except KeyboardInterrupt:
        raise
    except SyntaxError as error:
        raise LoadError(f"{error.filename}:{error.lineno}: {error.msg}") from error
    except BaseException as error:
        raise explain(error, "importing it", name, _file_of(name), held.text()) from error


def did_you_mean(name: str, choices: Iterable[str]) -> str:
    """`; did you mean 'Net'?` where something is close, else nothing."""
    folded = {choice.lower(): choice for choice in choices}
    close = difflib.get_close_matches(name.lower(), folded, n=1)
    return f"; did you mean {folded[close[0]]!r}?" if close else ""


def add_to_path(folder: Path) -> None:
    """Make the folder's modules importable, before all others, as for a script that lies there."""
    if str(folder) not in sys.path:
        sys.path.insert(0, str(folder))


class _Fresh(SourceFileLoader):
    """Always compiles the source.

    A cached .pyc is trusted when time in seconds and length agree, and after `padding=0` became `padding=1`
    in the same second they do.
    """

    def path_stats(self, path: object) -> dict[str, float]:
        raise OSError("not cached")


def _execute(name: str, file: Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location(name, file, loader=_Fresh(name, str(file)))
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    try:
        spec.loader.exec_module(module)
    except BaseException:
        sys.modules.pop(name, None)
        raise
    parent, _, child = name.rpartition(".")
    if parent:
        setattr(sys.modules[parent], child, module)
    return module


def _parse(file: Path, shown: str) -> ast.Module:
    if file.is_dir():
        raise LoadError(f"{shown} is a folder; name the file in it, as model.py:Net")
    if not file.exists():
        others = [path.name for path in file.parent.glob("*.py")] if file.parent.is_dir() else []
        raise LoadError(f"no file {shown!r}{did_you_mean(file.name, others)}")
    try:
        return ast.parse(file.read_bytes(), str(file))
    except SyntaxError as error:
        place = f"{shown}:{error.lineno}" if error.lineno else shown
        raise LoadError(f"{place}: {error.msg}") from error
    except OSError as error:
        raise LoadError(f"cannot read {shown}: {error.strerror}") from error
    except (ValueError, RecursionError) as error:
        raise LoadError(f"{shown} is no Python source: {error}") from error


def _dotted_name(file: Path, tree: ast.Module) -> tuple[str, Path]:
    """The module's name and the folder it is imported from.

    Folders with an __init__.py are packages; without one, relative imports say how far up the package goes.
    """
    levels = (node.level for node in ast.walk(tree) if isinstance(node, ast.ImportFrom))
    wanted = max(levels, default=0)
    stem = file.stem.replace(".", "_")  # net.autofix.py is no submodule of a package net
    parts, folder = [stem], file.parent
    while folder.name.isidentifier() and (wanted > 0 or (folder / "__init__.py").exists()):
        parts.append(folder.name)
        folder, wanted = folder.parent, wanted - 1
    if parts[0] == "__init__":
        parts = parts[1:] or parts
    return ".".join(reversed(parts)), folder


def _free_name(file: Path) -> str:
    stem = "".join(c if c.isalnum() else "_" for c in file.stem)
    return next(name for i in range(10**6) if (name := f"_target{i}_{stem}") not in sys.modules)


def _file_of(name: str) -> Path | None:
    """The source file of a module that failed to import, for the line to name."""
    try:
        spec = importlib.util.find_spec(name)
    except Exception:  # a parent package that cannot be imported either
        return None
    return Path(spec.origin) if spec and spec.origin and spec.has_location else None


def _siblings(name: str) -> list[str]:
    """Modules that could have been meant: next to the last part that can be imported."""
    parent, _, _ = name.rpartition(".")
    package = sys.modules.get(parent) if parent else None
    folders = list(getattr(package, "__path__", [])) if parent else [str(Path.cwd())]
    prefix = f"{parent}." if parent else ""
    return [prefix + module.name for module in pkgutil.iter_modules(folders)]
