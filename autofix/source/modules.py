"""Layer edits: at the call that built the layer where it builds only that, else by attribute afterwards."""

from __future__ import annotations

import ast
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from autofix.construct import Constructions
from autofix.source.attributes import Assignment, find_initialiser, follows_kernel
from autofix.source.edit_call import change_call, find_argument, written
from autofix.source.text import SourceError, SourceFile, Splice
from autofix.source.trace import Argument, Tracer
from autofix.source.wanted import Edit, knob_value, same_value

if TYPE_CHECKING:
    from torch import nn

Key = tuple[str, int, int, str]


@dataclass
class Layers:
    """The layers of one model and the value every edited knob is to have."""

    model: nn.Module
    log: Constructions
    tracer: Tracer
    wanted: dict[tuple[int, str], tuple[int, ...]] = field(default_factory=dict)
    _arguments: dict[tuple[int, str], list[Argument]] = field(default_factory=dict)
    _built_by: dict[str, dict[Key, list[nn.Module]]] = field(default_factory=dict)

    def want(self, edits: Iterable[Edit]) -> None:
        for edit in edits:
            if edit.module is not None:
                self.wanted[id(self.model.get_submodule(edit.module)), edit.knob] = edit.new

    def final(self, module: nn.Module, knob: str) -> tuple[int, ...] | str | None:
        """The knob's value once every edit is made."""
        return self.wanted.get((id(module), knob), knob_value(module, knob))

    def arguments(self, module: nn.Module, knob: str) -> list[Argument]:
        key = (id(module), knob)
        if key not in self._arguments:
            built = self.log.of(module)
            self._arguments[key] = self.tracer.arguments(module, built, knob) if built is not None else []
        return self._arguments[key]

    def built_by(self, argument: Argument, knob: str) -> list[nn.Module]:
        """The layers of the model whose knob this argument decides."""
        if knob not in self._built_by:
            table: dict[Key, list[nn.Module]] = defaultdict(list)
            for module in self.model.modules():
                for found in self.arguments(module, knob) if hasattr(module, knob) else ():
                    table[found.key].append(module)
            self._built_by[knob] = table
        return self._built_by[knob][argument.key]

    def place(self, module: nn.Module, knob: str) -> Argument | None:
        """The outermost argument all of whose layers get the same edit; None where there is none.

        Layers that differed before depend on something, which a constant there would cut off.
        """
        old, value = knob_value(module, knob), self.wanted[id(module), knob]
        if any(not same_value(self.final(twin, knob), value) for twin in self._copies(module, knob)):
            return None
        for argument in reversed(self.arguments(module, knob)):
            group = self.built_by(argument, knob)
            alike = all(same_value(knob_value(other, knob), old) for other in group)
            if alike and all(same_value(self.final(other, knob), value) for other in group):
                return argument
        return None

    def _copies(self, module: nn.Module, knob: str) -> list[nn.Module]:
        """Layers no constructor ran for: deep copies, perhaps of this one, which follow what is built."""
        return [
            other
            for other in self.model.modules()
            if type(other) is type(module) and self.log.of(other) is None and hasattr(other, knob)
        ]


@dataclass(frozen=True)
class LayerPlan:
    """Splices per file, and what has to be set after construction instead."""

    splices: dict[str, list[Splice]]
    assignments: tuple[Assignment, ...]
    notes: tuple[str, ...]


def plan_layers(layers: Layers, edits: Iterable[Edit], *, by_attribute: bool = False) -> LayerPlan:
    """Where each edit of a layer is written. `by_attribute` leaves the constructor calls alone."""
    calls: dict[tuple[str, int, int], dict[str, tuple[Argument, str]]] = defaultdict(dict)
    assignments: list[Assignment] = []
    notes: list[str] = []
    for edit in edits:
        assert edit.module is not None
        module = layers.model.get_submodule(edit.module)
        argument = None if by_attribute else layers.place(module, edit.knob)
        if argument is None:
            assignments.append(Assignment(edit.module, edit.knob, edit.new))
            continue
        changes = calls[argument.key[:3]]
        changes[argument.name] = (argument, written(edit.new, edit.knob, argument.value))
        changes.update(_pinned_stride(argument, module, edit.knob, changes))
        notes += _shared(layers, argument, edit)
    splices: dict[str, list[Splice]] = defaultdict(list)
    for changes in calls.values():
        source, splice = _splice(changes)
        splices[source.path].append(splice)
    return LayerPlan(dict(splices), tuple(assignments), tuple(dict.fromkeys(notes)))


def _splice(changes: dict[str, tuple[Argument, str]]) -> tuple[SourceFile, Splice]:
    first = next(argument for argument, _ in changes.values())
    arguments = {name: text for name, (_, text) in changes.items()}
    return first.source, change_call(first.source, first.call, arguments, first.signature)


def _pinned_stride(
    argument: Argument, module: nn.Module, knob: str, changes: dict[str, tuple[Argument, str]]
) -> dict[str, tuple[Argument, str]]:
    """A pool's stride defaults to its kernel: where only the kernel changes, the stride has to be said."""
    stride = knob_value(module, "kernel_size" if follows_kernel(module, knob) else "stride")
    if knob != "kernel_size" or argument.name != knob or "stride" in changes or not isinstance(stride, tuple):
        return {}
    try:
        given = find_argument(argument.call, "stride", argument.signature)
    except SourceError:
        return {}
    if given is not None and not (isinstance(given, ast.Constant) and given.value is None):
        return {}
    return {"stride": (argument, written(stride, "stride", None))}


def _shared(layers: Layers, argument: Argument, edit: Edit) -> list[str]:
    """A word of warning where other networks may be built through the same lines."""
    function = argument.source.function_around(argument.call)
    root = find_initialiser(type(layers.model), layers.tracer.is_user, layers.tracer.read)
    if function is None or (root is not None and root.function is function):
        return []
    count = len(layers.built_by(argument, edit.knob))
    layer = "layer" if count == 1 else "layers"
    place = f"{argument.source.path}:{argument.call.lineno}"
    built = f"{function.name} builds {count} {layer} of this model here"
    return [f"{place}: {built}; other models built through it change too"]
