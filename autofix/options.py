"""What the command line's options look like as text, and the options that several commands share."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any, TypeVar

import click

from autofix import config

KNOBS = ("padding", "stride", "ceil_mode", "output_padding", "dilation", "kernel_size")
FORMATS = ("full", "concise", "json", "github", "sarif")
SHAPES_FORMATS = ("full", "json", "dot", "mermaid")
STRATEGIES = ("fewest", "same", "preserve", "fastest")

if TYPE_CHECKING:
    _ParamType = click.ParamType[Any, Any]
else:  # generic from click 8.4 on
    _ParamType = click.ParamType

Command = TypeVar("Command", bound=Callable[..., Any])


class Sizes(_ParamType):
    """`10` -> 10; `10,10,8` -> (10, 10, 8), one per spatial axis."""

    name = "N[,N...]"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        sizes = tuple(self._size(part, param, ctx) for part in _parts(value))
        if not sizes:
            self.fail("no size given; write 10 or 10,10,8", param, ctx)
        return sizes if len(sizes) > 1 or isinstance(value, list | tuple) else sizes[0]

    def _size(self, part: Any, param: click.Parameter | None, ctx: click.Context | None) -> int:
        size = _integer(part)
        if size is None:
            self.fail(f"{str(part).strip()!r} is no whole number; write 10 or 10,10,8", param, ctx)
        if size < 1:
            self.fail(f"{size} is no size; the smallest is 1", param, ctx)
        return size


class Shape(_ParamType):
    """`1,3,H,W` -> (1, 3, "H", "W"): numbers are fixed, names vary."""

    name = "SHAPE"

    def __init__(self, symbolic: bool) -> None:
        self.symbolic = symbolic

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        return tuple(self._extent(part, param, ctx) for part in _parts(value))

    def _extent(self, part: Any, param: click.Parameter | None, ctx: click.Context | None) -> int | str:
        number = _integer(part)
        example = "1,3,H,W" if self.symbolic else "1,3,224,224"
        if number is None and self.symbolic and str(part).strip().isidentifier():
            return str(part).strip()
        if number is None:
            self.fail(f"{str(part).strip()!r} is no extent; write {example}", param, ctx)
        if number < 1:
            self.fail(f"{number} is no extent; the smallest is 1", param, ctx)
        return number


class Knobs(_ParamType):
    """`padding,stride` -> ("padding", "stride")."""

    name = "KNOB[,KNOB...]"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        names = tuple(str(part).strip() for part in _parts(value))
        for name in names:
            if name not in KNOBS:
                self.fail(f"{name!r} is no knob; choose among {', '.join(KNOBS)}", param, ctx)
        return names


def _parts(value: Any) -> Iterable[Any]:
    """The parts of a comma-separated text, or of what a config file gives as a list."""
    if isinstance(value, list | tuple):
        return value
    return str(value).split(",")


def _integer(part: Any) -> int | None:
    try:
        return int(str(part).strip())
    except ValueError:
        return None


def shared(*names: str) -> Callable[[Command], Command]:
    """Decorate a command with TARGET and the named options, in the given order."""

    def decorate(command: Command) -> Command:
        for name in reversed(("target", *names, "weights", "debug")):
            command = _SHARED[name](command)
        return command

    return decorate


def option(*names: str, **settings: Any) -> Callable[[Command], Command]:
    """An option that AUTOFIX_<FLAG> gives a value to as well, the same one for every command."""
    flag = next(name for name in names if name.startswith("--"))
    return click.option(*names, envvar=f"AUTOFIX_{config.key_of(flag).upper()}", **settings)


_SHARED: dict[str, Callable[[Any], Any]] = {
    "target": click.argument("target", is_eager=True, callback=config.apply),
    "min_input": option(
        "--min-input", type=Sizes(), help="Every size from here on must work: 10 or 10,10,8."
    ),
    "min_input_needed": option(
        "--min-input", type=Sizes(), required=True, help="Every size from here on must work: 10 or 10,10,8."
    ),
    "max_input": option("--max-input", type=Sizes(), help="The largest size asked about. Default: no limit."),
    "reference": option("--reference", type=Sizes(), help="The size that the model was built for."),
    "input_shape": option(
        "--input-shape",
        type=Shape(symbolic=True),
        help="The input: 1,3,H,W. Default: from the first convolution.",
    ),
    "format": option("--format", type=click.Choice(FORMATS), default="full", help="Default: full."),
    "weights": option(
        "--weights", type=click.Path(), help="Load this state_dict (read with weights_only=True)."
    ),
    "debug": option("--debug", is_flag=True, help="Show the traceback of whatever goes wrong."),
}
