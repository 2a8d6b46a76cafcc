"""One argument of one call changed, everything else in the call kept as it was written."""

from __future__ import annotations

import ast
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from autofix.source.text import SourceError, SourceFile, Splice

if TYPE_CHECKING:
    import libcst as cst


@dataclass(frozen=True)
class Signature:
    """The parameters a call's positional arguments go to, in order, without an implicit self."""

    positional: tuple[str, ...]

    def index(self, name: str) -> int | None:
        return self.positional.index(name) if name in self.positional else None


def find_argument(call: ast.Call, name: str, signature: Signature) -> ast.expr | None:
    """The expression `call` passes for the parameter `name`; None where it leaves the default.

    Raises SourceError where `*args` or `**kwargs` hide whether it is passed.
    """
    for keyword in call.keywords:
        if keyword.arg == name:
            return keyword.value
    index = signature.index(name)
    starred = [i for i, value in enumerate(call.args) if isinstance(value, ast.Starred)]
    if index is not None and starred and starred[0] <= index:
        raise SourceError(f"*arguments may already pass {name}")
    if index is not None and index < len(call.args):
        return call.args[index]
    if any(keyword.arg is None for keyword in call.keywords):
        raise SourceError(f"**arguments may already pass {name}")
    return None


def written(values: tuple[int, ...], knob: str, old: ast.expr | None) -> str:
    """`values` in the style of the call: a tuple where there was one, else one number if one is enough."""
    if knob == "ceil_mode":
        return "True" if values[0] else "False"
    items = ", ".join(map(str, values))
    if isinstance(old, ast.Tuple | ast.List) and len(old.elts) == len(values):
        items += "," if len(values) == 1 and isinstance(old, ast.Tuple) else ""
        return f"[{items}]" if isinstance(old, ast.List) else f"({items})"
    return str(values[0]) if len(set(values)) == 1 else f"({items})"


def change_call(
    source: SourceFile, call: ast.Call, arguments: Mapping[str, str], signature: Signature
) -> Splice:
    """Set `arguments` (parameter -> expression) in `call`; the splice covers only what differs."""
    import libcst as cst

    before = source.segment(call)
    # In parentheses, so that a chain over several lines parses on its own.
    config = cst.PartialParserConfig(default_newline=source.newline)
    expression = cst.parse_expression(f"({before})", config)
    layout = cst.Module(body=[], default_newline=source.newline)
    if not isinstance(expression, cst.Call) or layout.code_for_node(expression) != f"({before})":
        raise SourceError(f"{source.path}:{call.lineno}: this call cannot be rewritten")
    for name, text in arguments.items():
        expression = _with_argument(expression, name, cst.parse_expression(text), signature)
    after = layout.code_for_node(expression)[1:-1]
    return _smallest(source.start(call), before, after)


def _with_argument(call: cst.Call, name: str, value: cst.BaseExpression, signature: Signature) -> cst.Call:
    import libcst as cst

    args = list(call.args)
    position = _position(args, name, signature)
    if position is not None:
        args[position] = args[position].with_changes(value=value)
        return call.with_changes(args=args)
    equal = cst.AssignEqual(cst.SimpleWhitespace(""), cst.SimpleWhitespace(""))
    new = cst.Arg(value=value, keyword=cst.Name(name), equal=equal)
    return call.with_changes(args=_appended(args, new))


def _position(args: list[cst.Arg], name: str, signature: Signature) -> int | None:
    index = signature.index(name)
    for position, arg in enumerate(args):
        if arg.keyword is not None and arg.keyword.value == name:
            return position
    if index is not None and index < len(args) and args[index].keyword is None and not args[index].star:
        return index
    return None


def _appended(args: list[cst.Arg], new: cst.Arg) -> list[cst.Arg]:
    """`new` as the last argument, on a line of its own where the arguments before it are."""
    import libcst as cst

    if not args:
        return [new]
    last = args[-1]
    if isinstance(last.comma, cst.Comma):  # a trailing comma: keep it last, with its layout
        between = args[-2].comma if len(args) > 1 else last.comma
        closing = last.comma
        if isinstance(between, cst.Comma) and not _comments(between):
            args[-1] = last.with_changes(comma=_joined(closing, between))
        return [*args, new.with_changes(comma=cst.Comma(whitespace_after=_last_line_only(closing)))]
    between = args[-2].comma if len(args) > 1 else cst.MaybeSentinel.DEFAULT
    if not isinstance(between, cst.Comma) or _comments(between):
        between = cst.Comma(whitespace_after=cst.SimpleWhitespace(" "))
    tail = last.whitespace_after_arg
    args[-1] = last.with_changes(comma=between, whitespace_after_arg=cst.SimpleWhitespace(""))
    return [*args, new.with_changes(whitespace_after_arg=tail)]


def _comments(comma: cst.Comma) -> bool:
    import libcst as cst

    space = comma.whitespace_after
    return isinstance(space, cst.ParenthesizedWhitespace) and (
        space.first_line.comment is not None or any(line.comment for line in space.empty_lines)
    )


def _joined(closing: cst.Comma, between: cst.Comma) -> cst.Comma:
    """The comma before the new argument: a comment beside the old last argument stays there."""
    import libcst as cst

    space, indent = closing.whitespace_after, between.whitespace_after
    if isinstance(space, cst.ParenthesizedWhitespace) and isinstance(indent, cst.ParenthesizedWhitespace):
        return closing.with_changes(whitespace_after=indent.with_changes(first_line=space.first_line))
    return between


def _last_line_only(comma: cst.Comma) -> cst.BaseParenthesizableWhitespace:
    import libcst as cst

    space = comma.whitespace_after
    if isinstance(space, cst.ParenthesizedWhitespace) and space.first_line.comment is not None:
        bare = space.first_line.with_changes(comment=None, whitespace=cst.SimpleWhitespace(""))
        return space.with_changes(first_line=bare, empty_lines=[])
    return space


def _smallest(start: int, before: str, after: str) -> Splice:
    """One splice from the first to the last character that differs."""
    head = 0
    while head < min(len(before), len(after)) and before[head] == after[head]:
        head += 1
    tail = 0
    while tail < min(len(before), len(after)) - head and before[-1 - tail] == after[-1 - tail]:
        tail += 1
    return Splice(start + head, start + len(before) - tail, after[head : len(after) - tail])
