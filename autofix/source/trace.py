"""From a layer back to the argument that set its knob: through `super().__init__`, helpers and factories."""

from __future__ import annotations

import ast
import builtins
import functools
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from types import CodeType
from typing import TYPE_CHECKING, Any

from autofix.construct import Call, Construction
from autofix.source.edit_call import Signature, find_argument
from autofix.source.text import Function, SourceError, SourceFile

if TYPE_CHECKING:
    from torch import nn

_NESTED = ("<listcomp>", "<setcomp>", "<dictcomp>", "<genexpr>", "<lambda>")
_VARKEYWORDS = 0x08


@dataclass(frozen=True)
class Argument:
    """A call in the user's source and its parameter that decides a knob; `value` None where left out."""

    source: SourceFile
    call: ast.Call
    name: str
    value: ast.expr | None
    signature: Signature

    @property
    def key(self) -> tuple[str, int, int, str]:
        return (self.source.path, self.call.end_lineno or 0, self.call.end_col_offset or 0, self.name)


@dataclass(frozen=True)
class _Step:
    """The call to look at next, the parameter to look for, and what the callee's *args mean."""

    index: int
    name: str
    rest: tuple[str, ...] = ()


@dataclass(frozen=True)
class Tracer:
    """Reads the files that `is_user` accepts, through `read`, which the caller caches."""

    is_user: Callable[[str], bool]
    read: Callable[[str], SourceFile]

    def arguments(self, module: nn.Module, built: Construction, knob: str) -> list[Argument]:
        """Every argument that set `knob`, innermost call first; each decides it for what its call builds."""
        first = self._first(built)
        step = _Step(first, knob) if first is not None else None
        found: list[Argument] = []
        while step is not None:
            argument = self._argument(module, built.calls, step)
            if argument is None:
                break
            found.append(argument)
            step = self._outwards(argument, built.calls, step.index)
        return [argument for argument in found if not isinstance(argument.value, ast.Starred)]

    def _first(self, built: Construction) -> int | None:
        """The innermost user call that runs an `__init__` of the layer itself."""
        for index in range(1, built.site + 1):
            if index < len(built.calls) and self.is_user(built.calls[index].file):
                return index
        return None

    def _argument(self, module: nn.Module, calls: tuple[Call, ...], step: _Step) -> Argument | None:
        """What the call at `step` passes to the function it runs; None where that cannot be told."""
        frame, callee, name = calls[step.index], calls[step.index - 1].code, step.name
        span = frame.span
        source = self.read(frame.file)
        call = source.call_at(span) if span is not None else None
        if call is None or not _takes(callee, name):
            return None
        signature = signature_of(callee, call, step.rest)
        if not _calls(call, frame.globals, module, callee):
            return None
        try:
            return Argument(source, call, name, find_argument(call, name, signature), signature)
        except SourceError:
            return self._passed_on(source, call, name, signature)

    def _passed_on(
        self, source: SourceFile, call: ast.Call, name: str, signature: Signature
    ) -> Argument | None:
        """`Conv2d(cin, cout, **kwargs)`, where only the call further out can tell what is in `kwargs`."""
        stars = [keyword.value for keyword in call.keywords if keyword.arg is None]
        if len(stars) == 1 and isinstance(stars[0], ast.Name):
            return Argument(source, call, name, ast.Starred(stars[0]), signature)
        return None

    def _outwards(self, argument: Argument, calls: tuple[Call, ...], index: int) -> _Step | None:
        """Where the argument is just a parameter of the function around it: the call that passes it."""
        function = argument.source.function_around(argument.call)
        while calls[index].code.co_name in _NESTED and index + 1 < len(calls):
            index += 1
        if function is None or function.name != calls[index].code.co_name or index + 1 >= len(calls):
            return None
        if not self.is_user(calls[index + 1].file):
            return None
        value = argument.value
        if isinstance(value, ast.Name) and _only_use(function, value.id):
            return _Step(index + 1, value.id) if value.id in _parameters(function) else None
        if isinstance(value, ast.Starred) and isinstance(value.value, ast.Name):
            kwargs = function.args.kwarg
            passes = kwargs is not None and kwargs.arg == value.value.id and _only_use(function, kwargs.arg)
            return _Step(index + 1, argument.name, _rest(argument)) if passes else None
        return None


def signature_of(callee: CodeType, call: ast.Call, rest: tuple[str, ...] = ()) -> Signature:
    """How positional arguments of `call` meet the parameters of `callee`; `rest` is what its *args mean."""
    positional = callee.co_varnames[: callee.co_argcount]
    if positional[:1] in (("self",), ("cls",)) or callee.co_name == "__init__":
        explicit = isinstance(call.func, ast.Attribute) and call.func.attr == "__init__"
        over_super = isinstance(call.func, ast.Attribute) and _is_super(call.func.value)
        if not explicit or over_super:
            positional = positional[1:]
    return Signature(positional + rest)


def _rest(argument: Argument) -> tuple[str, ...]:
    """The parameters that `*args` in the call stands for."""
    for index, value in enumerate(argument.call.args):
        if isinstance(value, ast.Starred):
            return argument.signature.positional[index:]
    return ()


def _takes(callee: CodeType, name: str) -> bool:
    names = callee.co_varnames[: callee.co_argcount + callee.co_kwonlyargcount]
    return name in names or bool(callee.co_flags & _VARKEYWORDS)


def _is_super(node: ast.expr) -> bool:
    return isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "super"


def _calls(call: ast.Call, scope: dict[str, Any], module: nn.Module, callee: CodeType) -> bool:
    """Whether `call` runs `callee` itself, and not through something like `map` that calls it in turn."""
    target = _resolve(call.func, scope)
    if target is None:
        return True
    if isinstance(target, functools.partial):
        target = target.func
    if isinstance(target, type):
        return isinstance(module, target) or _initialiser_code(target) is callee
    code = getattr(target, "__code__", None)
    return code is None or code is callee or code is _initialiser_code(type(module))


def _initialiser_code(cls: type) -> CodeType | None:
    code: CodeType | None = getattr(vars(cls).get("__init__", cls.__init__), "__code__", None)  # type: ignore[misc]
    return code


def _resolve(node: ast.expr, scope: dict[str, Any]) -> Any:
    """The object a dotted name means in the module; None where it is local or computed."""
    if isinstance(node, ast.Name):
        return scope.get(node.id, getattr(builtins, node.id, None))
    if isinstance(node, ast.Attribute):
        owner = _resolve(node.value, scope)
        return getattr(owner, node.attr, None) if owner is not None else None
    return None


def _parameters(function: Function) -> set[str]:
    args = function.args
    return {arg.arg for arg in [*args.posonlyargs, *args.args, *args.kwonlyargs]}


def _only_use(function: Function, name: str) -> bool:
    """Whether the body names `name` once: then changing what is passed for it changes nothing else."""
    return sum(1 for node in _body(function) if isinstance(node, ast.Name) and node.id == name) == 1


def _body(function: Function) -> Iterator[ast.AST]:
    for statement in function.body:
        yield from ast.walk(statement)
