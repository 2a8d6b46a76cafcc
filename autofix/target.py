"""TARGET as text -> Target: where the model is, what it is called, with which arguments. Imports no torch."""

from __future__ import annotations

import ast
import re
from dataclasses import dataclass
from pathlib import Path

from autofix.errors import UsageError

_FILE = re.compile(r"^(?P<where>.+?\.py)(?:::?(?P<what>.*))?$", re.DOTALL)
_MODULE = re.compile(r"^(?P<where>[^:(]*)(?:::?(?P<what>.*))?$", re.DOTALL)
_HOW = "write model.py:Net, package.module:make_net or model.py:Net(in_channels=1)"

Value = object  # whatever ast.literal_eval gives


@dataclass(frozen=True)
class Target:
    """One parsed TARGET.

    text:   as the user wrote it
    file:   the source file, where TARGET names one
    module: the dotted module, where TARGET names one
    name:   attribute path inside it ("Net", "Outer.Net"), "" when left out
    called: whether arguments were given, be it none: `Net()`
    """

    text: str
    file: Path | None = None
    module: str = ""
    name: str = ""
    args: tuple[Value, ...] = ()
    kwargs: tuple[tuple[str, Value], ...] = ()
    called: bool = False

    @property
    def where(self) -> str:
        """The part before the colon, as the user would write it."""
        return str(self.file) if self.file else self.module


def parse_target(text: str) -> Target:
    """Read `model.py:Net`, `model.py::Net`, `package.module:make_net`, `model.py:Net(in_channels=1)`.

    Raises UsageError where the text can be none of these, or an argument is no literal.
    """
    match = _FILE.match(text) or _MODULE.match(text)
    if match is None or not match["where"].strip():
        raise UsageError(f"{text!r} names no model: {_HOW}")
    where, what = match["where"].strip(), (match["what"] or "").strip()
    name, args, kwargs, called = _parse_what(text, what) if what else ("", (), (), False)
    if where.endswith(".py"):
        return Target(text, Path(where), "", name, args, kwargs, called)
    if not all(part.isidentifier() for part in where.split(".")):
        raise UsageError(f"{where!r} is neither a .py file nor a module: {_HOW}")
    return Target(text, None, where, name, args, kwargs, called)


def _parse_what(text: str, what: str) -> tuple[str, tuple[Value, ...], tuple[tuple[str, Value], ...], bool]:
    try:
        node = ast.parse(what, mode="eval").body
    except (SyntaxError, ValueError):
        raise UsageError(f"cannot read {what!r} in {text!r}: {_HOW}") from None
    if not isinstance(node, ast.Call):
        return _dotted(text, node), (), (), False
    args = tuple(_literal(what, str(i + 1), arg) for i, arg in enumerate(node.args))
    kwargs = tuple((k.arg or "**", _literal(what, k.arg or "**", k.value)) for k in node.keywords)
    return _dotted(text, node.func), args, kwargs, True


def _dotted(text: str, node: ast.expr) -> str:
    if isinstance(node, ast.Name):
        return node.id
    if isinstance(node, ast.Attribute):
        return f"{_dotted(text, node.value)}.{node.attr}"
    raise UsageError(f"cannot read {ast.unparse(node)!r} in {text!r}: {_HOW}")


def _literal(what: str, name: str, node: ast.expr) -> Value:
    if name == "**" or isinstance(node, ast.Starred):
        raise UsageError(f"no * or ** in {what!r}: write every argument out")
    try:
        value: Value = ast.literal_eval(node)
    except (ValueError, TypeError, SyntaxError, MemoryError, RecursionError):
        raise UsageError(
            f"argument {name} of {what!r} must be a literal such as 1, 'same' or (1, 2), "
            f"not {ast.unparse(node)}"
        ) from None
    return value
