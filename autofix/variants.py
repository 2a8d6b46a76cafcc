"""What a user can run instead of a model that refuses small inputs: each repair, and a larger input."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final

import torch
import torch.nn.functional as F
from torch import nn

from autofix.errors import AutofixError
from autofix.meta import copied
from autofix.outcome import Report
from autofix.pipeline import check_model, fix_model

REPAIRS: Final = ("fewest", "same", "preserve")
ENLARGED: Final = ("pad", "resize")
_FARTHEST: Final = 1024  # how far above a size the next one that works is looked for
_MODES: Final = {1: "linear", 2: "bilinear", 3: "trilinear"}


@dataclass(frozen=True)
class Variant:
    """A model to run, and which sizes it takes.

    change:  what was changed, in words
    takes:   (sizes, training, batch) -> whether it runs
    """

    name: str
    model: nn.Module
    change: str
    takes: Callable[[tuple[int, ...], bool, int], bool]


def variants(
    model: nn.Module, skipped: dict[str, str], strategies: Sequence[str] = REPAIRS, **asked: Any
) -> tuple[Report, list[Variant]]:
    """The model, its repairs and its enlarged inputs; what cannot be had is in `skipped`."""
    before = check_model(model, **asked)

    def original(sizes: tuple[int, ...], training: bool, batch: int) -> bool:
        return before.accepts(*sizes, training=training, batch=batch)

    plain = copied(model)
    found = [Variant("original", plain, "as it is", original)]
    seen: dict[tuple[str, ...], str] = {}
    for strategy in strategies if not before.ok else ():
        repaired = _repaired(model, strategy, skipped, seen, asked)
        found += [repaired] if repaired else []
    if before.ok:
        skipped.update(dict.fromkeys((*strategies, *ENLARGED), "every size asked for works already"))
    else:
        found += [_enlarged(plain, name, before) for name in ENLARGED]
    return before, found


def _repaired(
    model: nn.Module, strategy: str, skipped: dict[str, str], seen: dict[tuple[str, ...], str], asked: Any
) -> Variant | None:
    try:
        fix = fix_model(model, strategy=strategy, **asked)
    except AutofixError as error:
        skipped[strategy] = str(error)
        return None
    changes = tuple(str(change) for change in (*fix.edits, *fix.inserts))
    if changes in seen:
        skipped[strategy] = f"the same change as {seen[changes]}"
        return None
    seen[changes] = strategy

    def takes(sizes: tuple[int, ...], training: bool, batch: int) -> bool:
        return fix.report.accepts(*sizes, training=training, batch=batch)

    return Variant(strategy, fix.model, "; ".join(changes), takes)


class Enlarged(nn.Module):
    """A model behind an input that is zero-padded or resized up to the next size that works.

    sizes: (sizes, training, batch) -> the size to run at, None where none is known
    """

    def __init__(self, model: nn.Module, how: str, sizes: Callable[..., tuple[int, ...] | None]) -> None:
        super().__init__()
        self.model, self.how, self.sizes = model, how, sizes
        self.known: dict[tuple[Any, ...], tuple[int, ...] | None] = {}

    def target(self, sizes: tuple[int, ...], training: bool, batch: int) -> tuple[int, ...] | None:
        """The size to run at; looked up once."""
        key = (sizes, training, batch)
        if key not in self.known:
            self.known[key] = self.sizes(*key)
        return self.known[key]

    def forward(self, *inputs: torch.Tensor) -> Any:
        """Enlarge every input that has the spatial axes of the first, then the model."""
        first = inputs[0]
        spatial = tuple(first.shape[2:])
        target = self.known[spatial, self.training, first.shape[0]]
        assert target is not None
        return self.model(*(self._enlarge(x, target) if tuple(x.shape[2:]) == spatial else x for x in inputs))

    def _enlarge(self, x: torch.Tensor, target: tuple[int, ...]) -> torch.Tensor:
        if tuple(x.shape[2:]) == target:
            return x
        if self.how == "resize":
            return F.interpolate(x, target, mode=_MODES[len(target)])
        ends = [(0, new - old) for old, new in zip(x.shape[2:], target, strict=True)]
        return F.pad(x, [end for pair in reversed(ends) for end in pair])


def _enlarged(model: nn.Module, how: str, before: Report) -> Variant:
    def sizes(at: tuple[int, ...], training: bool, batch: int) -> tuple[int, ...] | None:
        return next_working(before, at, training, batch)

    wrapped = Enlarged(model, how, sizes)
    words = "zero-pad" if how == "pad" else "resize"

    def takes(at: tuple[int, ...], training: bool, batch: int) -> bool:
        return wrapped.target(at, training, batch) is not None

    return Variant(how, wrapped, f"{words} the input up to the next size that works", takes)


def next_working(
    report: Report, sizes: tuple[int, ...], training: bool, batch: int
) -> tuple[int, ...] | None:
    """The smallest size from `sizes` on that is accepted, all axes raised alike; None where none is near."""
    minimum = report.minimum_input
    raised = tuple(max(n, low or n) for n, low in zip(sizes, minimum, strict=True))
    if report.accepts(*raised, training=training, batch=batch):
        return raised
    for more in range(_FARTHEST):
        candidate = tuple(n + more for n in sizes)
        if report.accepts(*candidate, training=training, batch=batch):
            return candidate
        level = tuple(max(n, min(sizes) + more) for n in sizes)
        if report.accepts(*level, training=training, batch=batch):
            return level
    return None
