"""Aligning the operands of a join: `torch.cat([x, skip], 1)`, `x + skip`, `x += skip`."""

from __future__ import annotations

import ast
from typing import Final

from autofix.fault import Location
from autofix.source.forward_file import ForwardFile
from autofix.source.helpers import free_name, match_all_helper, match_helper
from autofix.source.locate import Join, join
from autofix.source.text import SourceError, SourceFile, Splice
from autofix.source.wanted import Insert

_NO_TENSORS: Final = frozenset(("self", "torch", "F", "nn", "functional"))  # a star may import them too


def align(file: ForwardFile, insert: Insert, at: Location, axes: int) -> None:
    operand, like = int(getattr(insert, "operand", 1)), int(getattr(insert, "like", 0))
    node = join(file.source, at, insert.site)
    joined = _joined(file.source, node)
    match = file.helper(match_helper, axes, "match_size")
    if not isinstance(joined, list):
        _align_list(file, joined, match, operand, like)
        return
    if isinstance(node, ast.AugAssign) and operand == 0:
        _align_target(file, node, match)
        return
    moved, model = joined[operand], joined[like]
    if _is_plain(model):
        file.wrap(moved, f"{match}(", f", {file.source.segment(model)})")
    elif isinstance(node, ast.Call) and not _is_method_join(node):
        tensors = node.args[0]
        _align_list(file, tensors, match, operand, like)
    else:
        _align_with_name(file, moved, model, match, before=like < operand)


def _joined(source: SourceFile, node: Join) -> list[ast.expr] | ast.expr:
    """The operands one by one, or the expression for all of them where they are not written out."""
    if isinstance(node, ast.BinOp):
        return [node.left, node.right]
    if isinstance(node, ast.AugAssign):
        return [node.target, node.value]
    given = operands(source, node)
    first = given[0]
    if isinstance(first, ast.List | ast.Tuple):
        written_out = not any(isinstance(item, ast.Starred) for item in first.elts)
        return list(first.elts) if written_out else first
    return given if len(given) > 1 and _takes_tensors(node) else first


def _takes_tensors(call: ast.Call) -> bool:
    """add(a, b) names its tensors one by one; cat(tensors, 1) has them in a list."""
    name = call.func.attr if isinstance(call.func, ast.Attribute) else getattr(call.func, "id", "")
    return name not in ("cat", "concat", "concatenate", "stack", "hstack", "vstack", "dstack")


def _is_method_join(call: ast.Call) -> bool:
    return _takes_tensors(call)


def _is_plain(node: ast.expr) -> bool:
    """A name, attribute or element, which may be written twice without being computed twice."""
    if isinstance(node, ast.Subscript):
        return _is_plain(node.value) and not any(isinstance(part, ast.Call) for part in ast.walk(node.slice))
    return isinstance(node, ast.Name) or (isinstance(node, ast.Attribute) and _is_plain(node.value))


def _align_list(file: ForwardFile, tensors: ast.expr, match: str, operand: int, like: int) -> None:
    helper = file.helpers[match]
    name = file.helper(lambda axes, name: match_all_helper(helper, name), 0, "match_sizes")
    file.wrap(tensors, f"{name}(", f", operand={operand}, like={like})")


def _align_with_name(
    file: ForwardFile, moved: ast.expr, model: ast.expr, match: str, *, before: bool
) -> None:
    """`f(x) + g(x)`: the computed operand that gives the size is named, so that it is computed once."""
    name = free_name(file.source, "reference")
    if before:
        file.wrap(model, f"({name} := ", ")")
        file.wrap(moved, f"{match}(", f", {name})")
        return
    source = file.source
    text = source.segment(model)
    file.wrap(moved, f"{match}(", f", {name} := {text})")
    file.splices.append(Splice(source.start(model), source.end(model), name))


def _align_target(file: ForwardFile, node: ast.AugAssign, match: str) -> None:
    """`x += y` with x to be aligned: an assignment of its own in the line above."""
    source = file.source
    if not _is_plain(node.value):
        raise SourceError(f"{source.path}:{node.lineno}: the right side would be computed twice")
    target = source.segment(node.target)
    line = f"{target} = {match}({target}, {source.segment(node.value)})"
    at = source.start(node)
    file.splices.append(Splice(at, at, line + source.newline + source.indentation(node.lineno)))
    file.first = file.first or node


def operands(source: SourceFile, call: ast.Call) -> list[ast.expr]:
    """The tensors a call gets, a method's own tensor first; modules and functions have no own."""
    named = [keyword.value for keyword in call.keywords if keyword.arg in ("input", "tensors", "other")]
    if isinstance(call.func, ast.Attribute) and _is_method(source, call.func):
        return [call.func.value, *call.args, *named]
    return [*call.args, *named]


def _is_method(source: SourceFile, function: ast.Attribute) -> bool:
    """Whether `x.view` is a method of a tensor, and not torch.view, F.view or self.pool."""
    root: ast.expr = function
    while isinstance(root, ast.Attribute):
        root = root.value
    return not (isinstance(root, ast.Name) and root.id in _NO_TENSORS | source.imported)
