"""What a repair changes: edits of hyperparameters and inserted operations."""

from __future__ import annotations

from dataclasses import dataclass

from autofix.fault import Location, Safety


@dataclass(frozen=True)
class Edit:
    """A knob's new value at a site.

    module:   dotted path of the edited layer; None for a call of a function
    old, new: one value for each of `axes`; a single one for a flag, as 0 or 1
    """

    site: str
    op: str
    module: str | None
    knob: str
    old: tuple[int, ...]
    new: tuple[int, ...]
    axes: tuple[str, ...]
    why: str
    safety: Safety = Safety.CHANGES_OUTPUTS
    made_at: Location | None = None
    called_at: Location | None = None

    def __str__(self) -> str:
        return f"{self.site} ({self.op}): {self.knob} {short(self.old, self.knob)} -> {short(self.new, self.knob)}"


@dataclass(frozen=True)
class Insert:
    """A new operation at a site.

    kind:     "fit" pads an input up to `sizes` before a kernel that would not fit; "align" gives operand number
              `operand` of a join the size of operand `like`; "adaptive" pools to `sizes`; "round" pads the
              model's input to the next size that works and crops its output back
    """

    kind: str
    site: str
    op: str
    text: str
    why: str
    safety: Safety = Safety.IDENTICAL
    sizes: tuple[int, ...] = ()
    operand: int = 0
    like: int = 0
    called_at: Location | None = None

    def __str__(self) -> str:
        return f"{self.site} ({self.op}): {self.text}"


def short(values: tuple[int, ...], knob: str) -> str:
    """Equal values as one: (1, 1, 1) -> 1; flags as True and False."""
    if knob == "ceil_mode":
        return str(bool(values[0]))
    return str(values[0]) if len(set(values)) == 1 else str(values)
