"""[tool.autofix] of the nearest pyproject.toml -> defaults of the options, checked key by key."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any

import click

from autofix.errors import UsageError
from autofix.importing import did_you_mean
from autofix.target import parse_target

_PATHS = ("weights", "report", "output")  # relative to the file that names them


def apply(ctx: click.Context, param: click.Parameter, target: str) -> str:
    """Callback of TARGET, which is read before the options: put the config file's values under them."""
    file, table = find(parse_target(target).file)
    if file is not None:
        ctx.default_map = _defaults(ctx, file, table)
        ctx.meta["config"] = file
    return target


def find(model_file: Path | None) -> tuple[Path | None, dict[str, Any]]:
    """The nearest pyproject.toml with a [tool.autofix]: upwards from the model's file, else from here."""
    starts = [model_file.expanduser().resolve().parent] if model_file else []
    for start in [*starts, Path.cwd()]:
        for folder in (start, *start.parents):
            table = _table(folder / "pyproject.toml")
            if table is not None:
                return folder / "pyproject.toml", table
    return None, {}


def key_of(flag: str) -> str:
    """`--min-input` and `min-input` -> `min_input`."""
    return flag.lstrip("-").replace("-", "_")


def origin(error: click.BadParameter) -> str:
    """Where a bad value was written: the flag, the environment variable or the config file's key."""
    param, ctx = error.param, error.ctx
    if param is None or param.name is None or ctx is None or isinstance(param, click.Argument):
        return error.param_hint if isinstance(error.param_hint, str) else ""
    flag = max(param.opts, key=len)
    source = ctx.get_parameter_source(param.name)
    if source is click.core.ParameterSource.ENVIRONMENT:
        return str(param.envvar)
    if source is click.core.ParameterSource.DEFAULT_MAP:
        return f"{ctx.meta['config']}: {flag.lstrip('-')}"
    return flag


def _table(file: Path) -> dict[str, Any] | None:
    if not file.is_file():
        return None
    try:
        content = tomllib.loads(file.read_text(encoding="utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, OSError) as error:
        raise UsageError(f"{file}: {error}") from error
    tool = content.get("tool", {})
    table = tool.get("autofix") if isinstance(tool, dict) else None
    if table is not None and not isinstance(table, dict):
        raise UsageError(f"{file}: [tool.autofix] is no table")
    return table


def _defaults(ctx: click.Context, file: Path, table: dict[str, Any]) -> dict[str, Any]:
    """The keys that this command knows; one that no command knows is an error."""
    mine = _options(ctx.command)
    known = {name for command in _commands(ctx) for name in _options(command)}
    values = {}
    for key, value in table.items():
        name = key_of(key)
        if name not in known:
            hint = did_you_mean(key, (name.replace("_", "-") for name in known))
            raise UsageError(f"{file}: unknown key {key!r} in [tool.autofix]{hint}")
        if name in mine and _from_config(mine[name]):
            values[str(mine[name].name)] = _value(mine[name], name, value, file)
    return values


def _from_config(option: click.Option) -> bool:
    """Options without an environment variable belong to one call alone."""
    return option.envvar is not None


def _value(option: click.Option, name: str, value: Any, file: Path) -> Any:
    if isinstance(value, dict):
        raise UsageError(f"{file}: {name.replace('_', '-')} in [tool.autofix] is a table, not a value")
    if name in _PATHS and isinstance(value, str):
        return str(file.parent / value)
    return [value] if option.multiple and not isinstance(value, list) else value


def _options(command: click.Command) -> dict[str, click.Option]:
    """By the long flag, which a parameter may be called differently from."""
    return {key_of(max(p.opts, key=len)): p for p in command.params if isinstance(p, click.Option)}


def _commands(ctx: click.Context) -> list[click.Command]:
    group = ctx.find_root().command
    return list(group.commands.values()) if isinstance(group, click.Group) else [group]
