"""Edits and inserts -> patched source: which file changes where, as new bytes and one diff."""

from __future__ import annotations

import ast
import functools
import os
from collections import defaultdict
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from autofix.construct import Constructions
from autofix.fault import Location
from autofix.source.attributes import Assignment, append_to, find_initialiser
from autofix.source.diff import unified_diff
from autofix.source.functional import edit_function, split_call
from autofix.source.inserting import InsertPlan, Statement, plan_inserts, statement_helpers
from autofix.source.modules import Layers, plan_layers
from autofix.source.placing import place_assignments
from autofix.source.recipe import Origin, paste, recipe
from autofix.source.text import SourceError, SourceFile, Splice
from autofix.source.trace import Tracer
from autofix.source.wanted import Edit, Insert, Place, place_key, user_files

if TYPE_CHECKING:
    from torch import nn

Splices = dict[str, list[Splice]]


@dataclass(frozen=True)
class FilePatch:
    """One file of the user's, before and after."""

    path: Path
    old: bytes
    new: bytes

    @property
    def beside(self) -> Path:
        """Where the patched copy goes: `net.autofix.py` beside `net.py`."""
        return self.path.with_name(f"{self.path.stem}.autofix{self.path.suffix}")


@dataclass(frozen=True)
class SourcePatch:
    """The repair as source.

    files:    every file of the user's that changes
    recipe:   a module with `build()`, where layers are not built by code of the user's alone; it does the
              whole change, or where `files` has some too, what they leave over
    paste:    lines that change a finished `model`, where there is no source at all
    patch:    one diff over all files, relative to the project root, to be written as it is
    notes:    what a reviewer should know
    failures: what could not be written; then the text does not do all that was asked
    """

    files: tuple[FilePatch, ...] = ()
    recipe: str | None = None
    paste: str | None = None
    patch: bytes = b""
    notes: tuple[str, ...] = ()
    failures: tuple[str, ...] = ()

    @property
    def complete(self) -> bool:
        return not self.failures

    @property
    def diff(self) -> str:
        """The patch as text; the recipe or the text to paste where there is no file to patch."""
        parts = (self.patch.decode("utf-8", "replace").replace("\r\n", "\n"), self.recipe, self.paste)
        return "\n".join(part for part in parts if part)


def patch_source(
    model: nn.Module,
    constructions: Constructions,
    edits: Iterable[Edit],
    inserts: Iterable[Insert] = (),
    *,
    project_root: Path,
    origin: Origin | None = None,
    is_user: Callable[[str], bool] | None = None,
    calls: Iterable[Location] = (),
    by_attribute: bool = False,
    cropped: tuple[bool, ...] | None = None,
) -> SourcePatch:
    """Write the repair of `model` into the source it was built from.

    model:         the model as it was built, not a copy: its modules are looked up in `constructions`
    project_root:  what the paths in the diff are relative to; only files in it are edited
    origin:        how the model is made again, for a recipe
    calls:         where every site of the model's graph is called, to see a line that several sites share
    by_attribute:  leave constructor calls alone, and set attributes after construction
    cropped:       for each tensor of the output, whether a `round` crops it; None for all
    """
    read = functools.cache(SourceFile.read)
    tracer = Tracer(is_user or user_files(project_root), read)
    layers = Layers(model, constructions, tracer)
    edits = list(edits)
    of_layers = [edit for edit in edits if edit.module is not None and not getattr(edit, "split", False)]
    layers.want(of_layers)
    plan = plan_layers(layers, of_layers, by_attribute=by_attribute)
    placed, left = place_assignments(layers, plan.assignments)
    calls = list(calls)
    in_forward = plan_inserts(layers, inserts, calls, cropped)
    of_calls = [edit for edit in edits if edit not in of_layers]
    splices_of_calls, failures = _calls_in_forward(layers, of_calls, calls)
    splices: Splices = {}
    _merge(splices, splices_of_calls, plan.splices, placed)
    statements = _place_statements(layers, in_forward, splices)
    in_source = [*splices_of_calls, *in_forward.files]
    if (left or statements) and not in_source:  # a recipe that can do it all needs no patched file beside it
        splices, left = {}, tuple(Assignment(e.module or "", e.knob, e.new) for e in of_layers)
    _merge(splices, {path: file.finished() for path, file in in_forward.files.items()})
    files = _files(splices, read)
    failures += in_forward.failures
    notes = plan.notes if files else ()
    return _result(model, project_root, files, notes, left, statements, origin, failures)


def _result(
    model: nn.Module,
    project_root: Path,
    files: tuple[FilePatch, ...],
    notes: tuple[str, ...],
    left: tuple[Assignment, ...],
    statements: list[Statement],
    origin: Origin | None,
    failures: list[str],
) -> SourcePatch:
    text = pasted = None
    if left or statements:
        importable = origin is not None and origin.module not in ("__main__", "")
        text = recipe(model, origin, left, statements) if importable and origin is not None else None
        pasted = None if importable else paste(model, left, statements)
    root = os.path.realpath(project_root)
    relative = [(Path(os.path.relpath(os.path.realpath(f.path), root)), f.old, f.new) for f in files]
    return SourcePatch(files, text, pasted, unified_diff(relative), notes, tuple(failures))


def _calls_in_forward(
    layers: Layers, edits: list[Edit], calls: list[Location]
) -> tuple[dict[str, list[Splice]], list[str]]:
    """Edits of functional calls, and of one call of a module that is called several times."""
    splices: Splices = defaultdict(list)
    failures: list[str] = []
    groups: dict[tuple[Place, str, str | None], list[Edit]] = defaultdict(list)
    for edit in edits:
        at = edit.called_at
        if at is None or not layers.tracer.is_user(at.file):
            failures.append(f"{edit.knob} at {edit.site}: {at or 'its call'} is no code of this project")
            continue
        groups[place_key(at), edit.site, edit.module].append(edit)
    for group in groups.values():
        try:
            _check_shared(group[0], edits, calls)
            _call_in_forward(layers, group, splices)
        except SourceError as error:
            failures.append(f"{group[0].knob} at {group[0].site}: {error}")
    return splices, failures


def _call_in_forward(layers: Layers, group: list[Edit], splices: Splices) -> None:
    at, module = group[0].called_at, group[0].module
    assert at is not None
    source = layers.tracer.read(at.file)
    if module is None:
        splices[source.path].append(edit_function(source, at, group))
    else:
        splices[source.path] += split_call(source, at, layers.model.get_submodule(module), group)


def _check_shared(edit: Edit, edits: list[Edit], calls: list[Location]) -> None:
    """A line that several sites run must be meant to change for all of them."""
    assert edit.called_at is not None
    place = place_key(edit.called_at)
    sites = sum(1 for at in calls if place_key(at) == place)
    alike = [o for o in edits if o.called_at and place_key(o.called_at) == place and o.new == edit.new]
    edited = len({other.site for other in alike})
    if sites > edited:
        raise SourceError(f"{edit.called_at} runs for {sites} sites, of which {edited} are to change")


def _place_statements(layers: Layers, plan: InsertPlan, splices: Splices) -> list[Statement]:
    """Put statements at the end of the model's own `__init__`; what is returned needs a recipe."""
    if not plan.statements:
        return []
    initialiser = find_initialiser(type(layers.model), layers.tracer.is_user, layers.tracer.read)
    if initialiser is None or sum(isinstance(m, initialiser.owner) for m in layers.model.modules()) > 1:
        return plan.statements
    source = initialiser.source
    lines = [statement.line(initialiser.variable) for statement in plan.statements]
    splices.setdefault(source.path, []).append(append_to(initialiser, lines))
    file = plan.file(source)
    for helper in statement_helpers(plan.statements):
        file.helpers.setdefault(helper.name, helper)
    if any("torch." in line for line in lines):
        file.needs_torch = True
    if file.first is None or initialiser.function.lineno < getattr(file.first, "lineno", 0):
        file.first = initialiser.function
    return []


def _merge(into: Splices, *others: Splices) -> None:
    for other in others:
        for path, splices in other.items():
            into.setdefault(path, []).extend(splices)


def _files(splices: Splices, read: Callable[[str], SourceFile]) -> tuple[FilePatch, ...]:
    files: list[FilePatch] = []
    for path in sorted(splices):
        source = read(path)
        text = source.spliced(splices[path])
        try:
            ast.parse(text, path)
        except SyntaxError as error:
            message = f"{path}:{error.lineno}: the change does not fit in there ({error.msg})"
            raise SourceError(message) from error
        files.append(FilePatch(Path(path), source.data, source.encode(text)))
    return tuple(file for file in files if file.old != file.new)
