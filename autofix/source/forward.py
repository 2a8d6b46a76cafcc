"""Inserts in `forward`: the call they guard gets its tensor padded, aligned or pooled by a small helper."""

from __future__ import annotations

import ast
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from types import CodeType

from autofix.fault import Location
from autofix.source.forward_file import ForwardFile
from autofix.source.functional import functional
from autofix.source.helpers import (
    Helper,
    average_helper,
    crop_helper,
    crop_some_helper,
    fit_helper,
    free_name,
    round_helper,
    widen_helper,
)
from autofix.source.joins import align, operands
from autofix.source.locate import function_call, module_call
from autofix.source.text import Function, SourceError, SourceFile, Splice
from autofix.source.wanted import Insert, ints_of


def insert_line(file: ForwardFile, insert: Insert, at: Location, module: str | None, axes: int) -> None:
    """Write one insert; SourceError where its call cannot be found on the line."""
    if insert.kind == "fit":
        _fit(file, insert, at, module)
    elif insert.kind == "widen":
        name = file.helper(widen_helper, axes, "widen")
        file.wrap(_tensor(file.source, insert, at, module), f"{name}(", ")")
    elif insert.kind == "align":
        align(file, insert, at, axes)
    elif insert.kind == "adaptive":
        _adaptive(file, insert, at, module)
    else:
        raise SourceError(f"{insert.kind}: not an insert for a line of forward")


def _fit(file: ForwardFile, insert: Insert, at: Location, module: str | None) -> None:
    sizes = ints_of(insert, "sizes")
    name = file.helper(fit_helper, len(sizes), "pad_to_fit")
    file.wrap(_tensor(file.source, insert, at, module), f"{name}(", f", {', '.join(map(str, sizes))})")


def _adaptive(file: ForwardFile, insert: Insert, at: Location, module: str | None) -> None:
    sizes = ints_of(insert, "sizes")
    after = getattr(insert, "after", False)
    place = (_call if after else _tensor)(file.source, insert, at, module)
    if getattr(insert, "passes", False):
        name = file.helper(average_helper, len(sizes), "average_to")
        file.wrap(place, f"{name}(", f", {', '.join(map(str, sizes))})")
        return
    prefix, imports = functional(file.source)
    file.splices += imports
    text = f", ({', '.join(map(str, sizes))}{',' * (len(sizes) == 1)}))"
    file.wrap(place, f"{prefix}adaptive_avg_pool{len(sizes)}d(", text)


def _call(source: SourceFile, insert: Insert, at: Location, module: str | None) -> ast.Call:
    return module_call(source, at, module) if module else function_call(source, at, insert.site)


def _tensor(source: SourceFile, insert: Insert, at: Location, module: str | None) -> ast.expr:
    """The tensor that the guarded call works on: its first argument, or what its method is called on."""
    call = _call(source, insert, at, module)
    given = [*call.args, *(keyword.value for keyword in call.keywords)] if module else operands(source, call)
    return given[0]


@dataclass(frozen=True)
class Rounding:
    """Pad these inputs of forward, and crop the outputs that are flagged; one flag a tensor, None for all."""

    inserts: Sequence[Insert]
    cropped: tuple[bool, ...] | None = None

    @property
    def axes(self) -> int:
        return len(ints_of(self.inserts[0], "multiples"))

    @property
    def which(self) -> tuple[int, ...] | None:
        """The numbers of the outputs to crop, None for all of them."""
        if self.cropped is None or all(self.cropped):
            return None
        return tuple(number for number, flag in enumerate(self.cropped) if flag)

    def settings(self, insert: Insert) -> str:
        """The arguments of the padding helper, besides the tensor."""
        multiples = ints_of(insert, "multiples")
        offsets = getattr(insert, "offsets", ()) or ((0,),) * len(multiples)
        least = ints_of(insert, "sizes") or (1,) * len(multiples)
        return f"least={least}, multiples={multiples}, offsets={offsets}"

    def crop(self, name: str, output: str, like: str) -> str:
        which = "" if self.which is None else f", which={self.which}"
        return output if self.which == () else f"{name}({output}, {like}{which})"

    @property
    def crop_helper(self) -> Callable[[int, str], Helper]:
        return crop_helper if self.which is None else crop_some_helper


def insert_round(file: ForwardFile, rounding: Rounding, code: CodeType) -> None:
    """Pad inputs of the model's own forward, and crop what each of its returns gives."""
    function = _forward(file.source, code)
    source, axes = file.source, rounding.axes
    pad = file.helper(round_helper, axes, "pad_to_working_size")
    given = free_name(source, "given")
    names = [_argument(function, insert.site) for insert in rounding.inserts]
    lines = [f"{given} = {names[0]}"] if rounding.which != () else []
    for x, insert in zip(names, rounding.inserts, strict=True):
        lines.append(f"{x} = {pad}({x}, {rounding.settings(insert)})")
    first = _first_statement(function)
    at, indent = source.start(first), source.indentation(first.lineno)
    file.splices.append(Splice(at, at, "".join(line + source.newline + indent for line in lines)))
    file.first = function
    if rounding.which == ():
        return
    crop = file.helper(rounding.crop_helper, axes, "crop_back")
    for node in _returns(function):
        before, after = rounding.crop(crop, "\0", given).split("\0")
        bare = _is_bare_tuple(source, node)
        file.wrap(node, f"{before}{'(' * bare}", f"{')' * bare}{after}")


def _argument(function: Function, site: str) -> str:
    """The parameter a graph's input is named after; torch.fx calls `input` input_1."""
    names = [argument.arg for argument in [*function.args.posonlyargs, *function.args.args]][1:]
    for name in (site, re.sub(r"_\d+$", "", site)):
        if name in names:
            return name
    return names[0]


def _is_bare_tuple(source: SourceFile, node: ast.expr) -> bool:
    """Whether it is `a, b` without parentheses of its own."""
    if not isinstance(node, ast.Tuple):
        return False
    call = ast.parse(f"f({source.segment(node)})", mode="eval").body
    return isinstance(call, ast.Call) and call.args != [] and not isinstance(call.args[0], ast.Tuple)


def _forward(source: SourceFile, code: CodeType) -> Function:
    for node in ast.walk(source.tree):
        if isinstance(node, Function) and node.name == code.co_name:
            lines = [node.lineno, *(decorator.lineno for decorator in node.decorator_list)]
            if min(lines) == code.co_firstlineno and len(node.args.posonlyargs + node.args.args) > 1:
                return node
    raise SourceError(f"{source.path}: no forward with an input to pad")


def _first_statement(function: Function) -> ast.stmt:
    """The statement after the docstring, on a line of its own."""
    body = function.body
    docstring = isinstance(body[0], ast.Expr) and isinstance(body[0].value, ast.Constant) and len(body) > 1
    first = body[1] if docstring else body[0]
    if first.lineno == function.lineno:
        raise SourceError(f"line {first.lineno}: the body of forward is on its def's line")
    return first


def _returns(function: Function) -> list[ast.expr]:
    """What the function itself returns, leaving out functions defined in it."""
    functions = (f for f in ast.walk(function) if f is not function and isinstance(f, Function))
    inner = {node for nested in functions for node in ast.walk(nested)}
    nodes = (node for node in ast.walk(function) if isinstance(node, ast.Return) and node not in inner)
    return [node.value for node in nodes if node.value is not None]
