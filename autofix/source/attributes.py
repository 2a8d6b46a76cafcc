"""Knobs set after construction: at the end of a class's `__init__`, in a recipe, or on a live model."""

from __future__ import annotations

import ast
import inspect
import re
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, is_dataclass
from types import CodeType
from typing import TYPE_CHECKING

from autofix.source.text import Function, SourceError, SourceFile, Splice
from autofix.source.wanted import access

if TYPE_CHECKING:
    from torch import nn


@dataclass(frozen=True)
class Assignment:
    """`module.knob = value`, with `module` as a dotted path."""

    module: str
    knob: str
    value: tuple[int, ...]


@dataclass(frozen=True)
class Initialiser:
    """The `__init__` (or `__post_init__`) that one kind of module runs, in a user's file."""

    source: SourceFile
    function: Function
    code: CodeType
    owner: type

    @property
    def variable(self) -> str:
        """What the function calls the module it builds: `self`."""
        arguments = [*self.function.args.posonlyargs, *self.function.args.args]
        return arguments[0].arg


def attribute_value(module: nn.Module, knob: str, value: tuple[int, ...]) -> bool | int | tuple[int, ...]:
    """`value` in the type the module keeps this knob in."""
    if knob == "ceil_mode":
        return bool(value[0])
    if isinstance(getattr(module, knob, None), int) and len(set(value)) == 1:
        return value[0]
    return value


def reversed_padding(padding: tuple[int, ...]) -> tuple[int, ...]:
    """What F.pad takes: the last axis first, each padding twice."""
    return tuple(one for one in reversed(padding) for _ in range(2))


def set_knob(module: nn.Module, knob: str, value: tuple[int, ...]) -> None:
    """Set a knob on a live module, with what the module precomputes from it."""
    if follows_kernel(module, knob):
        module.stride = module.kernel_size
    setattr(module, knob, attribute_value(module, knob, value))
    if knob == "padding" and hasattr(module, "_reversed_padding_repeated_twice"):
        object.__setattr__(module, "_reversed_padding_repeated_twice", reversed_padding(value))


def follows_kernel(module: nn.Module, knob: str) -> bool:
    """Whether the stride is None and would change with the kernel (LPPool keeps it so)."""
    return knob == "kernel_size" and getattr(module, "stride", 0) is None


def assignment_lines(root: nn.Module, variable: str, assignments: Iterable[Assignment]) -> list[str]:
    """Python lines that make the assignments on `variable`; layers with equal lines share a loop."""
    blocks: dict[tuple[str, ...], list[str]] = defaultdict(list)
    for path, group in _by_module(assignments).items():
        module = root.get_submodule(path)
        lines = tuple(line for one in group for line in _lines_for(module, one))
        blocks[lines].append(access(root, path, variable))
    return [line for lines, places in blocks.items() for line in _block(lines, places)]


def _by_module(assignments: Iterable[Assignment]) -> dict[str, list[Assignment]]:
    grouped: dict[str, list[Assignment]] = defaultdict(list)
    for assignment in assignments:
        grouped[assignment.module].append(assignment)
    return grouped


def _lines_for(module: nn.Module, assignment: Assignment) -> Iterator[str]:
    """The assignment, as `.padding = (1, 1)` for any name in front of it."""
    value = attribute_value(module, assignment.knob, assignment.value)
    if follows_kernel(module, assignment.knob):
        yield f".stride = {module.kernel_size}"
    yield f".{assignment.knob} = {value}"
    mode = getattr(module, "padding_mode", "zeros")
    if assignment.knob == "padding" and mode != "zeros":
        yield f"# what {mode!r} padding reads: last axis first, before and after"
        yield f"._reversed_padding_repeated_twice = {reversed_padding(assignment.value)}"


def _block(lines: tuple[str, ...], places: list[str]) -> Iterator[str]:
    if len(places) < 3:
        yield from (_on(place, line) for place in places for line in lines)
        return
    numbered = _numbered(places)
    one_line = f"for layer in ({', '.join(places)}):"
    if numbered is not None:
        yield f"for i in {numbered[0]}:"
    elif len(one_line) <= 80:
        yield one_line
    else:
        yield "for layer in ("
        yield from (f"\t{place}," for place in places)
        yield "):"
    yield from ("\t" + _on(numbered[1] if numbered else "layer", line) for line in lines)


def _on(place: str, line: str) -> str:
    return line if line.startswith("#") else place + line


def _numbered(places: list[str]) -> tuple[str, str] | None:
    """`layers[1]`, `layers[3]` -> ("(1, 3)", "layers[i]"); None where more than one index differs."""
    parts = [re.split(r"(?<=\[)(\d+)(?=\])", place) for place in places]
    if len({len(part) for part in parts}) != 1:
        return None
    differing = [column for column, texts in enumerate(zip(*parts, strict=True)) if len(set(texts)) > 1]
    if len(differing) != 1 or differing[0] % 2 == 0:
        return None
    column = differing[0]
    numbers = ", ".join(part[column] for part in parts)
    return f"({numbers})", "".join([*parts[0][:column], "i", *parts[0][column + 1 :]])


def append_to(initialiser: Initialiser, lines: Iterable[str]) -> Splice:
    """Statements after the function's last; a leading tab in a line is one level of indentation."""
    source, last = initialiser.source, initialiser.function.body[-1]
    first = initialiser.function.body[0]
    if first.lineno == initialiser.function.lineno:
        return _append_on_the_line(initialiser, list(lines))
    indent = source.indentation(first.lineno)
    end = source.line_end(last.end_lineno or last.lineno)
    text = "".join(indent + line.replace("\t", source.indent, 1) + source.newline for line in lines)
    whole = source.text[:end].endswith("\n")
    return Splice(end, end, text if whole else source.newline + text.removesuffix(source.newline))


def _append_on_the_line(initialiser: Initialiser, lines: list[str]) -> Splice:
    """`def __init__(self): a; b` goes on with `; c`."""
    source, last = initialiser.source, initialiser.function.body[-1]
    if any(line.startswith(("\t", "#")) for line in lines):
        name = initialiser.function.name
        raise SourceError(f"{source.path}:{last.lineno}: the body of {name} is on its def's line")
    end = source.end(last)
    return Splice(end, end, "".join(f"; {line}" for line in lines))


def find_initialiser(
    cls: type, is_user: Callable[[str], bool], read: Callable[[str], SourceFile]
) -> Initialiser | None:
    """The function in a user's file at whose end a module of `cls` is complete; None where there is none."""
    for owner in cls.__mro__:
        for name in ("__post_init__", "__init__"):
            used = name in owner.__dict__ and (name == "__init__" or is_dataclass(owner))
            function = inspect.unwrap(owner.__dict__[name]) if used else None
            code = getattr(function, "__code__", None)
            if code is None or code.co_filename == "<string>":
                continue
            if not is_user(code.co_filename):
                return None
            source = read(code.co_filename)
            found = _definition(source, code)
            complete = found is not None and _ends_at_its_end(found)
            return Initialiser(source, found, code, owner) if found is not None and complete else None
    return None


def _definition(source: SourceFile, code: CodeType) -> Function | None:
    for node in ast.walk(source.tree):
        if isinstance(node, Function) and node.name == code.co_name:
            first = min([node.lineno, *(decorator.lineno for decorator in node.decorator_list)])
            if first == code.co_firstlineno:
                return node
    return None


def _ends_at_its_end(function: Function) -> bool:
    """False with a return in it, which would skip what is appended."""
    nested = {inner for node in ast.walk(function) if node is not function for inner in _inner(node)}
    return not any(isinstance(node, ast.Return) and node not in nested for node in ast.walk(function))


def _inner(node: ast.AST) -> Iterator[ast.AST]:
    if isinstance(node, Function | ast.Lambda):
        yield from ast.walk(node)
