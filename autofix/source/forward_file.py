"""One file whose `forward` gets inserts: the splices so far, and the helpers they call."""

from __future__ import annotations

import ast
from collections.abc import Callable
from dataclasses import dataclass, field

from autofix.source.helpers import Helper, definition_splices, free_name, torch_import
from autofix.source.text import SourceFile, Splice


@dataclass
class ForwardFile:
    """`first` is the first place in the file that a helper is called from."""

    source: SourceFile
    splices: list[Splice] = field(default_factory=list)
    helpers: dict[str, Helper] = field(default_factory=dict)
    first: ast.AST | None = None
    needs_torch: bool = False

    def helper(self, make: Callable[[int, str], Helper], axes: int, name: str) -> str:
        """The name of a helper, defined on its first use."""
        name = free_name(self.source, name)
        helper = make(axes, name)
        if self.helpers.get(name, helper) != helper:  # one file with networks of different dimensions
            name = free_name(self.source, f"{name}_{axes}d")
        self.helpers.setdefault(name, make(axes, name))
        return name

    def wrap(self, node: ast.expr, before: str, after: str) -> None:
        self.splices += self.source.wrap(node, before, after)
        if self.first is None or _place(node) < _place(self.first):
            self.first = node

    def finished(self) -> list[Splice]:
        """All splices, with the helpers' definitions above the first class that uses them."""
        if self.first is None or not self.helpers:
            return [*self.splices, *(torch_import(self.source) if self.needs_torch else [])]
        return [*self.splices, *definition_splices(self.source, list(self.helpers.values()), self.first)]


def _place(node: ast.AST) -> tuple[int, int]:
    return getattr(node, "lineno", 0), getattr(node, "col_offset", 0)
