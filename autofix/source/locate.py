"""The expression in `forward` that a site stands for, found by line, name and, where known, columns."""

from __future__ import annotations

import ast
import builtins
import re
from typing import TypeVar

from autofix.fault import Location
from autofix.source.text import SourceError, SourceFile

Join = ast.Call | ast.BinOp | ast.AugAssign
_Found = TypeVar("_Found", bound=ast.AST)

_OPERATORS: dict[str, type[ast.operator]] = {
    "add": ast.Add,
    "sub": ast.Sub,
    "mul": ast.Mult,
    "truediv": ast.Div,
    "div": ast.Div,
    "matmul": ast.MatMult,
    "pow": ast.Pow,
}
_SAME = {"concat": "cat", "concatenate": "cat", "subtract": "sub", "multiply": "mul", "divide": "div"}


def function_name(site: str) -> str:
    """`max_pool2d` for the third call of it, `enc.max_pool2d_2`."""
    name = re.sub(r"_\d+$", "", site.rsplit(".", 1)[-1]).strip("_")
    if name.startswith("i") and name[1:] in _OPERATORS:
        name = name[1:]
    return _SAME.get(name, name)


def module_call(source: SourceFile, at: Location, module: str) -> ast.Call:
    """The call of the submodule `module`: `self.conv(x)`, `self.layers[2](x)`, or `layer(x)` in a loop."""
    key = module.rsplit(".", 1)[-1]
    calls = [node for node in _on_line(source, at) if isinstance(node, ast.Call) and node.args]
    named = [call for call in calls if _last_key(call.func) == key]
    local = [call for call in calls if _may_be_module(source, call.func)]
    return _only(source, at, named or local, f"call of {module}")


def function_call(source: SourceFile, at: Location, site: str) -> ast.Call:
    """The call of the function or method a site is named after."""
    name = function_name(site)
    calls = [node for node in _on_line(source, at) if isinstance(node, ast.Call)]
    return _only(source, at, [call for call in calls if _callee(call) == name], f"call of {name}")


def join(source: SourceFile, at: Location, site: str) -> Join:
    """The concatenation, sum or other operation that several tensors meet in."""
    name = function_name(site)
    operator = _OPERATORS.get(name)
    found: list[Join] = []
    for node in _on_line(source, at):
        called = isinstance(node, ast.Call) and _callee(node) == name
        operated = operator is not None and isinstance(node, ast.BinOp | ast.AugAssign)
        if called or (operated and isinstance(node.op, operator)):  # type: ignore[union-attr, arg-type]
            found.append(node)  # type: ignore[arg-type]
    return _only(source, at, found, name)


def _on_line(source: SourceFile, at: Location) -> list[ast.expr | ast.stmt]:
    """Expressions and assignments that stand on the line, those that end or start there exactly if any do."""
    nodes = [node for node in ast.walk(source.tree) if isinstance(node, ast.expr | ast.AugAssign)]
    column = getattr(at, "end_column", None)
    if column is not None:
        line = getattr(at, "end_line", None) or at.line
        exact = [node for node in nodes if (node.end_lineno, node.end_col_offset) == (line, column)]
        if exact:
            return list(exact)
    around = [node for node in nodes if node.lineno <= at.line <= (node.end_lineno or node.lineno)]
    starting = [node for node in around if node.lineno == at.line]
    return list(starting or around)


def _only(source: SourceFile, at: Location, found: list[_Found], what: str) -> _Found:
    if len(found) == 1:
        return found[0]
    count = "no" if not found else f"{len(found)} times"
    raise SourceError(f"{source.path}:{at.line}: {count} {what} on this line")


def _callee(call: ast.Call) -> str:
    name = (_last_key(call.func) or "").rstrip("_")
    return _SAME.get(name, name)


def _last_key(node: ast.expr) -> str | None:
    """The last name or index of `self.layers[2]`, as in a module's path."""
    if isinstance(node, ast.Attribute):
        return node.attr
    if isinstance(node, ast.Name):
        return node.id
    if isinstance(node, ast.Subscript) and isinstance(node.slice, ast.Constant):
        return str(node.slice.value)
    return None


def _may_be_module(source: SourceFile, node: ast.expr) -> bool:
    """A local variable or a computed element; what the file defines or imports is taken for a function."""
    if not isinstance(node, ast.Name):
        return isinstance(node, ast.Subscript)
    return not hasattr(builtins, node.id) and node.id not in top_level_names(source)


def top_level_names(source: SourceFile) -> set[str]:
    """What the file defines or imports at module level."""
    names: set[str] = set()
    for node in source.tree.body:
        if isinstance(node, ast.FunctionDef | ast.ClassDef):
            names.add(node.name)
        elif isinstance(node, ast.Import | ast.ImportFrom):
            names |= {alias.asname or alias.name.split(".")[0] for alias in node.names}
    return names
