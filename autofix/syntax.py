"""A function's own source as syntax, and syntax as code that can take the place of the function's own."""

from __future__ import annotations

import ast
import gc
import inspect
from collections.abc import Callable, Iterator, Mapping
from types import CodeType, FunctionType
from typing import Any, Final


def alike(new: CodeType | None, code: CodeType) -> bool:
    """Whether two codes come from the same text; calls of imported modules' functions are compiled apart."""
    if new is None or any(part(new) != part(code) for part in _PARTS):
        return False
    pairs = list(zip(new.co_consts, code.co_consts, strict=False))
    same = all(alike(a, b) if isinstance(b, CodeType) else repr(a) == repr(b) for a, b in pairs)
    return same and len(new.co_consts) == len(code.co_consts)


_PARTS: Final[tuple[Callable[[CodeType], Any], ...]] = (
    lambda code: code.co_names,
    lambda code: code.co_varnames,
    lambda code: set(code.co_positions()),
)


def functions_of(code: CodeType, namespace: Mapping[str, Any]) -> list[FunctionType]:
    """The functions that run a code: the one of its name, or whatever else refers to it, which takes long."""
    first, *parts = code.co_qualname.split(".")
    named = namespace.get(first)
    for part in parts:
        named = getattr(named, part, None)
    candidates = [named] if getattr(named, "__code__", None) is code else gc.get_referrers(code)
    return [f for f in candidates if isinstance(f, FunctionType) and f.__code__ is code]


def definition_of(code: CodeType) -> ast.FunctionDef | None:
    """The function's own syntax, at the lines and columns of its file."""
    lines, first = inspect.getsourcelines(code)
    indented = lines[0][:1].isspace()
    tree = ast.parse("if True:\n" * indented + "".join(lines))
    ast.increment_lineno(tree, first - 1 - indented)
    found = tree.body[0].body[0] if isinstance(tree.body[0], ast.If) else tree.body[0]
    return found if isinstance(found, ast.FunctionDef) and found.name == code.co_name else None


def compiled(definition: ast.FunctionDef, function: FunctionType) -> CodeType | None:
    """The code of a definition that closes over what the function closes over."""
    code = function.__code__
    definition.decorator_list, definition.returns = [], None
    everyone = definition.args
    for argument in (*everyone.posonlyargs, *everyone.args, *everyone.kwonlyargs):
        argument.annotation = None
    for star in (everyone.vararg, everyone.kwarg):
        if star is not None:
            star.annotation = None
    everyone.defaults = [ast.Constant(None) for _ in everyone.defaults]
    everyone.kw_defaults = [default and ast.Constant(None) for default in everyone.kw_defaults]
    owner = _owner(function.__qualname__)
    closed = ", ".join(name for name in code.co_freevars if name != "__class__")
    within = f"class {owner}: pass" if owner else "pass"  # private names are written with the class in front
    tree = ast.parse(f"def {OUTER}({closed}):\n {within}")
    innermost: Any = tree.body[0]
    innermost = innermost.body[0] if owner else innermost
    innermost.body = [definition]
    ast.fix_missing_locations(tree)
    module = compile(tree, code.co_filename, "exec", code.co_flags & _FUTURE, dont_inherit=True)
    arguments = code.co_varnames[: code.co_argcount + code.co_kwonlyargcount]
    found = (c for c in _nested(module) if c.co_name == code.co_name and c.co_flags & inspect.CO_OPTIMIZED)
    new = next((c for c in found if c.co_varnames[: len(arguments)] == arguments), None)
    if new is None or new.co_freevars != code.co_freevars:
        return None
    return new.replace(co_qualname=code.co_qualname, co_firstlineno=code.co_firstlineno)


OUTER: Final = "_autofix_outer"
_FUTURE: Final = 0x1000000  # `from __future__ import annotations`


def _owner(qualname: str) -> str:
    """The class in which a function is written, directly or within a method; "" for none."""
    parts = qualname.split(".")[:-1]
    while parts and parts[-1] == "<locals>":
        parts = parts[:-2]
    return parts[-1] if parts else ""


def _nested(code: CodeType) -> Iterator[CodeType]:
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            yield constant
            yield from _nested(constant)
