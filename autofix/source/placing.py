"""Which class's `__init__` an assignment goes to: the nearest one whose every instance is to have it."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

from autofix.source.attributes import (
    Assignment,
    Initialiser,
    append_to,
    assignment_lines,
    find_initialiser,
)
from autofix.source.modules import Layers
from autofix.source.text import SourceError, Splice
from autofix.source.wanted import Value, knob_value, same_value

if TYPE_CHECKING:
    from torch import nn


def place_assignments(
    layers: Layers, assignments: Iterable[Assignment]
) -> tuple[dict[str, list[Splice]], tuple[Assignment, ...]]:
    """Splices per file, and the assignments that no class of the user's can make."""
    groups: dict[int, tuple[Initialiser, nn.Module, dict[Assignment, None]]] = {}
    left: list[Assignment] = []
    order = {name: position for position, (name, _) in enumerate(layers.model.named_modules())}
    for assignment in sorted(assignments, key=lambda one: order.get(one.module, 0)):
        place = _place(layers, assignment)
        if place is None:
            left.append(assignment)
            continue
        initialiser, instance, relative = place
        groups.setdefault(id(initialiser.code), (initialiser, instance, {}))[2][relative] = None
    splices: dict[str, list[Splice]] = defaultdict(list)
    for initialiser, instance, relative_ones in groups.values():
        lines = assignment_lines(instance, initialiser.variable, relative_ones)
        splices[initialiser.source.path].append(append_to(initialiser, lines))
    return dict(splices), tuple(left)


def _place(layers: Layers, assignment: Assignment) -> tuple[Initialiser, nn.Module, Assignment] | None:
    for prefix, rest in _ancestors(assignment.module):
        instance = layers.model.get_submodule(prefix)
        initialiser = find_initialiser(type(instance), layers.tracer.is_user, layers.tracer.read)
        relative = Assignment(rest, assignment.knob, assignment.value)
        if initialiser is None or not _can_append(initialiser):
            continue
        old = knob_value(layers.model.get_submodule(assignment.module), assignment.knob)
        if _holds_for_all(layers, initialiser, relative, old):
            return initialiser, instance, relative
    return None


def _ancestors(path: str) -> Iterator[tuple[str, str]]:
    """(ancestor, path from it), from the module itself out to the model."""
    keys = path.split(".")
    for depth in range(len(keys), -1, -1):
        yield ".".join(keys[:depth]), ".".join(keys[depth:])


def _holds_for_all(layers: Layers, initialiser: Initialiser, assignment: Assignment, old: Value) -> bool:
    """Whether every instance of the class is to have the same edit."""
    instances = [module for module in layers.model.modules() if isinstance(module, initialiser.owner)]
    return all(_holds(layers, instance, initialiser, assignment, old) for instance in instances)


def _holds(
    layers: Layers, instance: nn.Module, initialiser: Initialiser, assignment: Assignment, old: Value
) -> bool:
    """Whether the instance ends its construction in this function, with the layer to get this edit."""
    own = find_initialiser(type(instance), layers.tracer.is_user, layers.tracer.read)
    try:
        layer = instance.get_submodule(assignment.module)
    except AttributeError:
        return False
    built = layers.log.of(layer)
    inside = built is None or any(call.code is initialiser.code for call in built.calls)
    same = same_value(knob_value(layer, assignment.knob), old)
    same = same and same_value(layers.final(layer, assignment.knob), assignment.value)
    return own is not None and own.code is initialiser.code and inside and same


def _can_append(initialiser: Initialiser) -> bool:
    try:
        append_to(initialiser, [])
    except SourceError:
        return False
    return True
