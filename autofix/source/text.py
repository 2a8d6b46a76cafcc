"""One source file: its text, its syntax tree, and changes spliced in without touching any other byte."""

from __future__ import annotations

import ast
import io
import tokenize
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

from autofix.construct import Span
from autofix.errors import AutofixError

Function = ast.FunctionDef | ast.AsyncFunctionDef
Placed = ast.expr | ast.stmt


class SourceError(AutofixError):
    """The change cannot be written into this source; the message says why."""


@dataclass(frozen=True)
class Splice:
    """Replace text[start:end] by `text`. `rank` orders insertions at one point, closings before openings."""

    start: int
    end: int
    text: str
    rank: int = 0


@dataclass(frozen=True)
class SourceFile:
    """A file as it was read. `text` is without the BOM and keeps its own line endings."""

    path: str
    data: bytes
    encoding: str
    text: str = field(repr=False)

    @classmethod
    def read(cls, path: str) -> SourceFile:
        """Decode a Python file as Python does: by BOM, coding cookie, or UTF-8."""
        return cls.of(path, Path(path).read_bytes())

    @classmethod
    def of(cls, path: str, data: bytes) -> SourceFile:
        try:
            encoding, _ = tokenize.detect_encoding(io.BytesIO(data).readline)
            return cls(path, data, encoding, data.decode(encoding))
        except (SyntaxError, UnicodeDecodeError) as error:
            raise SourceError(f"{path}: {error}") from error

    def encode(self, text: str) -> bytes:
        return text.encode(self.encoding)

    @cached_property
    def imported(self) -> frozenset[str]:
        """The names that imports bind: modules, classes and functions, and no tensors."""
        imports = (node for node in ast.walk(self.tree) if isinstance(node, ast.Import | ast.ImportFrom))
        names = ((alias.asname or alias.name).split(".")[0] for node in imports for alias in node.names)
        return frozenset(names)

    @cached_property
    def tree(self) -> ast.Module:
        return ast.parse(self.text, self.path)

    @cached_property
    def newline(self) -> str:
        """The line ending of the file: that of its first line."""
        first = self._lines[0]
        return "\r\n" if first.endswith("\r\n") else "\n"

    @cached_property
    def indent(self) -> str:
        """One level of indentation as this file writes it."""
        for node in ast.walk(self.tree):
            if isinstance(node, ast.FunctionDef | ast.ClassDef) and node.col_offset == 0:
                line = self._lines[node.body[0].lineno - 1]
                blank = line[: len(line) - len(line.lstrip())]
                if blank and node.body[0].lineno != node.lineno:
                    return blank
        return "    "

    @cached_property
    def _lines(self) -> list[str]:
        """Lines as the tokenizer counts them: str.splitlines would also break at form feeds."""
        return list(io.StringIO(self.text, newline=""))

    @cached_property
    def _starts(self) -> list[int]:
        starts = [0]
        for line in self._lines:
            starts.append(starts[-1] + len(line))
        return starts

    def offset(self, line: int, column: int) -> int:
        """Index into `text` of a 1-based line and a 0-based column in bytes of UTF-8."""
        if line > len(self._lines):
            return len(self.text)
        text = self._lines[line - 1]
        if text.isascii():
            return self._starts[line - 1] + column
        return self._starts[line - 1] + len(text.encode()[:column].decode())

    def start(self, node: Placed) -> int:
        return self.offset(node.lineno, node.col_offset)

    def end(self, node: Placed) -> int:
        return self.offset(node.end_lineno or node.lineno, node.end_col_offset or 0)

    def segment(self, node: Placed) -> str:
        return self.text[self.start(node) : self.end(node)]

    def line_end(self, line: int) -> int:
        """Offset just after a 1-based line, its line ending included."""
        return self._starts[min(line, len(self._lines))]

    def line_start(self, line: int) -> int:
        return self._starts[line - 1]

    def indentation(self, line: int) -> str:
        text = self._lines[line - 1]
        return text[: len(text) - len(text.lstrip())]

    @cached_property
    def _calls(self) -> dict[tuple[int, int], ast.Call]:
        calls = (node for node in ast.walk(self.tree) if isinstance(node, ast.Call))
        return {(node.end_lineno or 0, node.end_col_offset or 0): node for node in calls}

    def call_at(self, span: Span) -> ast.Call | None:
        """The call expression that ends where `span` ends.

        Only the end is compared: in a chain over several lines Python moves the start to the attribute's.
        """
        return self._calls.get((span.end_line, span.end_column))

    @cached_property
    def parents(self) -> dict[ast.AST, ast.AST]:
        return {child: node for node in ast.walk(self.tree) for child in ast.iter_child_nodes(node)}

    def outwards(self, node: ast.AST) -> Iterator[ast.AST]:
        """The nodes around `node`, innermost first."""
        while node in self.parents:
            node = self.parents[node]
            yield node

    def function_around(self, node: ast.AST) -> Function | None:
        for outer in self.outwards(node):
            if isinstance(outer, Function):
                return outer
        return None

    def wrap(self, node: ast.expr, before: str, after: str) -> tuple[Splice, Splice]:
        """Two splices that put `before` and `after` around an expression; wraps may nest."""
        start, end = self.start(node), self.end(node)
        return (
            Splice(start, start, before, rank=start - end),
            Splice(end, end, after, rank=-2 * len(self.text) - 1 + end - start),
        )

    def spliced(self, splices: Iterable[Splice]) -> str:
        """The text with all splices made; SourceError where two of them overlap."""
        parts: list[str] = []
        position = 0
        for splice in sorted(dict.fromkeys(splices), key=lambda s: (s.start, s.end, s.rank)):
            if splice.start < position:
                raise SourceError(f"{self.path}: two changes meet at one place")
            parts += [self.text[position : splice.start], splice.text]
            position = splice.end
        return "".join([*parts, self.text[position:]])
