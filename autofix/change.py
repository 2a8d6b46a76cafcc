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
    split: bool = False  # for one call of a layer that is called several times

    def __str__(self) -> str:
        old, new = short(self.old, self.knob), short(self.new, self.knob)
        return f"{self.site} ({self.op}): {self.knob} {old} -> {new}"


@dataclass(frozen=True)
class Insert:
    """A new operation at a site.

    kind:     "fit" zero-pads the call's input at the end of each axis up to `sizes`;
              "widen" zero-pads the call's input at the end of its last axis where it has one value in all;
              "align" pads (zeros) or crops operand number `operand` of a join, at the end of each axis, to
              the size of operand `like`;
              "adaptive" averages the call's input (its result, with `after`) to `sizes`, of which None leaves
              an axis as it is; with `passes` a map with as many elements stays;
              "round" pads the model's input at the end of each axis a up to at least `sizes[a]` and then
              up to the next number that leaves one of `offsets[a]` when divided by `multiples[a]`, and crops
              every output that had the input's resolution back to it
    module:   dotted path of the layer called at the site; None for a function or method
    """

    kind: str
    site: str
    op: str
    why: str
    safety: Safety = Safety.IDENTICAL
    module: str | None = None
    sizes: tuple[int | None, ...] = ()
    operand: int = 0
    like: int = 0
    multiples: tuple[int, ...] = ()
    offsets: tuple[tuple[int, ...], ...] = ()
    passes: bool = False
    after: bool = False
    called_at: Location | None = None

    @property
    def text(self) -> str:
        """What is inserted, in words."""
        size = " x ".join(str(least) if least else "any" for least in self.sizes)
        match self.kind:
            case "fit":
                return f"pad the input to at least {size}"
            case "widen":
                return "pad a single value to two"
            case "align":
                return f"pad or crop operand {self.operand + 1} to the size of operand {self.like + 1}"
            case "adaptive":
                unless = ", unless it has as many values" if self.passes else ""
                return f"average the {'output' if self.after else 'input'} to {size}{unless}"
        if set(self.multiples) == {1}:
            return f"pad the input to at least {size}, crop outputs of its size back"
        return f"pad the input up to the next size that works ({self._next()}), crop outputs of its size back"

    def _next(self) -> str:
        pairs = dict.fromkeys(zip(self.multiples, self.offsets, strict=True))
        return "; ".join(" or ".join(f"{m}k+{r}" if r else f"{m}k" for r in offsets) for m, offsets in pairs)

    def __str__(self) -> str:
        return f"{self.site} ({self.op}): {self.text}"


def short(values: tuple[int, ...], knob: str) -> str:
    """Equal values as one: (1, 1, 1) -> 1; flags as True and False."""
    if knob == "ceil_mode":
        return str(bool(values[0]))
    return str(values[0]) if len(set(values)) == 1 else str(values)
