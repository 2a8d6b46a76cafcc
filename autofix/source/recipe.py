"""The repair as a short program, for code that is not the user's: build the model, change it, return it."""

from __future__ import annotations

import sys
from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from autofix.source.attributes import Assignment, assignment_lines
from autofix.source.inserting import Statement, statement_helpers

if TYPE_CHECKING:
    from torch import nn


@dataclass(frozen=True)
class Origin:
    """How the model is made again: `from module import name`, then `name(*args, **kwargs)`.

    called: False where `name` is a finished model, not something to call
    assumed: the arguments are not known, and there may have been some
    """

    module: str
    name: str
    args: tuple[object, ...] = ()
    kwargs: tuple[tuple[str, object], ...] = ()
    called: bool = True
    assumed: bool = False

    @classmethod
    def of(cls, loaded: Any) -> Origin:
        """From what `load.load` returns."""
        from torch import nn

        found: object = sys.modules.get(loaded.module)
        for part in loaded.qualname.split("."):
            found = getattr(found, part, None)
        called = not isinstance(found, nn.Module)
        return cls(loaded.module, loaded.qualname, loaded.target.args, loaded.target.kwargs, called)

    @property
    def expression(self) -> str:
        if not self.called:
            return f"copy.deepcopy({self.name})"
        given = [repr(value) for value in self.args] + [f"{key}={value!r}" for key, value in self.kwargs]
        return f"{self.name}({', '.join(given)})"


def body_lines(
    model: nn.Module, variable: str, assignments: Iterable[Assignment], statements: Iterable[Statement]
) -> list[str]:
    """The changes to a finished model, as lines; a leading tab is one level of indentation."""
    lines = assignment_lines(model, variable, assignments)
    return [*lines, *(statement.line(variable) for statement in statements)]


def recipe(
    model: nn.Module, origin: Origin, assignments: Iterable[Assignment], statements: Iterable[Statement]
) -> str:
    """A module with `build()`, which makes the repaired model."""
    statements = list(statements)
    lines = body_lines(model, "model", assignments, statements)
    helpers = statement_helpers(statements)
    imports = ["import copy"] if not origin.called else []
    imports += ["import torch"] if helpers or any("torch." in line for line in lines) else []
    imports += [f"\nfrom {origin.module} import {origin.name.split('.')[0]}"]
    text = f'"""{origin.expression} with changed spatial sizes; the weights and their names stay."""\n\n'
    text += "\n".join(imports).lstrip("\n") + "\n"
    text += "".join(f"\n\n{helper.text}" for helper in helpers)
    text += '\n\ndef build():\n    """Make the model and apply the changes."""\n'
    for line in [f"model = {origin.expression}", *lines]:
        text += f"    {line}\n".replace("\t", "    ")
    return text + "    return model\n"


def paste(model: nn.Module, assignments: Iterable[Assignment], statements: Iterable[Statement]) -> str:
    """The changes as text for a notebook cell or a REPL, where `model` is the model."""
    statements = list(statements)
    lines = body_lines(model, "model", assignments, statements)
    helpers = "".join(f"{helper.text}\n\n" for helper in statement_helpers(statements))
    imports = "import torch\n\n\n" if helpers or any("torch." in line for line in lines) else ""
    return imports + helpers + "".join(line.replace("\t", "    ") + "\n" for line in lines)
