"""What a repair does to a program: values of hyperparameters and inserted operations, by what they change."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from autofix.insertion import Insertion
from autofix.program import Program, Site

Key = tuple[Any, ...]
Setting = Mapping[Key, Mapping[str, tuple[int, ...]]]  # key -> knob -> new value per axis (flags: one)


@dataclass(frozen=True)
class Changes:
    """edits by the key of a layer (all its calls) or of one call; inserts by the key of one call."""

    edits: Setting = field(default_factory=dict)
    inserts: Mapping[Key, tuple[Insertion, ...]] = field(default_factory=dict)

    def with_edits(self, setting: Setting) -> Changes:
        return Changes({**self.edits, **setting}, self.inserts)

    def with_insert(self, key: Key, insertion: Insertion) -> Changes:
        present = self.inserts.get(key, ())
        for old in present:
            if insertion.replaces(old):
                insertion = insertion.merged(old)
        kept = [old for old in present if not insertion.replaces(old)]
        return Changes(self.edits, {**self.inserts, key: (*kept, insertion)})

    def each_insert(self) -> list[tuple[Key, Insertion]]:
        """The inserts one by one."""
        return [(key, insertion) for key, found in self.inserts.items() for insertion in found]

    def without(self, key: Key, insertion: Insertion) -> Changes:
        """The changes without one insert."""
        kept = {k: tuple(i for i in v if (k, i) != (key, insertion)) for k, v in self.inserts.items()}
        return Changes(self.edits, {k: v for k, v in kept.items() if v})

    def override(self, keys: tuple[Key, Key]) -> dict[str, Any]:
        """The hyperparameters of a site that take the place of the model's own."""
        found: dict[str, Any] = {}
        for key in keys:
            for name, value in self.edits.get(key, {}).items():
                found[name] = bool(value[0]) if name == "ceil_mode" else value
        return found

    def __bool__(self) -> bool:
        return bool(self.edits or self.inserts)


UNCHANGED = Changes()


def key_maker() -> Callable[[Site], tuple[Key, Key]]:
    """A function that gives, for sites in execution order, the key of the layer and that of this very call.

    Keys outlive a trace: the same call of the same code gets the same key in the next one.
    """
    seen: dict[Key, int] = {}

    def keys(site: Site) -> tuple[Key, Key]:
        layer: Key = (
            ("module", site.name) if site.module is not None else (site.kind, site.target, *_place(site))
        )
        seen[layer] = seen.get(layer, 0) + 1
        call = ("call", *layer, seen[layer])
        return (layer if site.module is not None else call), call

    return keys


def _place(site: Site) -> tuple[Any, ...]:
    """torch.fx makes a new code object, for each trace, of a function with *args or **kwargs."""
    if site.place is None:
        return ()
    code = site.place.code
    return code.co_filename, code.co_firstlineno, code.co_qualname, site.place.positions


def program_keys(program: Program) -> list[tuple[Key, Key]]:
    """The keys of every site."""
    keys = key_maker()
    return [keys(site) for site in program.sites]
