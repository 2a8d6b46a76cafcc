"""The other strategies, asked the same question: what they would change, and what that costs more."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from autofix.errors import AutofixError
from autofix.fault import Safety
from autofix.guard import one_line
from autofix.meta import to_meta
from autofix.repair import Fix
from autofix.report.page.cost import Cost, usage
from autofix.report.text import changes, summary
from autofix.report.typeset import typeset
from autofix.report.wording import count

SECONDS = 10.0  # for the search of each
STRATEGIES = ("fewest", "same", "preserve")


@dataclass(frozen=True)
class Alternative:
    """A strategy's answer. `changes` are its edits and inserts in words; `refused` is why there are none."""

    strategy: str
    chosen: bool
    changes: tuple[str, ...] = ()
    keeps_outputs: bool = False
    why: str = ""
    refused: str = ""


def alternatives(fix: Fix, costs: Cost) -> tuple[Alternative, ...]:
    """The chosen repair first, then the other strategies; () where nothing had to be repaired."""
    if not changes(fix):
        return ()
    others = [strategy for strategy in STRATEGIES if strategy != fix.strategy]
    return (_alternative(fix), *(_other(fix, strategy, costs) for strategy in others))


def _other(fix: Fix, strategy: str, costs: Cost) -> Alternative:
    if fix.original is None:
        return Alternative(strategy, False, refused="the original was changed in place")
    try:
        found = _asked_again(fix, strategy)
        return _alternative(found, _compared(found, fix, costs))
    except AutofixError as error:
        return Alternative(strategy, False, refused=f"there is none: {one_line(error)}")
    except Exception as error:  # a comparison must not cost the user the report itself
        return Alternative(strategy, False, refused=f"could not be worked out: {one_line(error)}")


def _asked_again(fix: Fix, strategy: str) -> Fix:
    from autofix.pipeline import fix_model

    assert fix.original is not None
    inputs, box = fix.before.analysis.inputs, fix.before.box
    axes = range(len(inputs.axes))
    highs = tuple(box[axis][1] for axis in axes)
    bounded: dict[str, Any] = {} if None in highs else {"max_input": highs}
    lows = tuple(box[axis][0] for axis in axes)
    asked: dict[str, Any] = {
        "min_input": lows,
        "input_shape": inputs.shapes,
        "time_limit": SECONDS,
        "reference": fix.reference or None,
        "allow": fix.allow or None,
        "frozen": fix.frozen,
        **bounded,
    }
    return fix_model(fix.original, strategy=strategy, **asked)


def _alternative(fix: Fix, why: str = "") -> Alternative:
    found = changes(fix)
    return Alternative(
        strategy=fix.strategy,
        chosen=not why,
        changes=tuple(typeset(f"{change.site}: {summary(change)}") for change in found),
        keeps_outputs=all(change.safety is Safety.IDENTICAL for change in found),
        why=why,
    )


def _compared(fix: Fix, chosen: Fix, costs: Cost) -> str:
    """What it costs more and less, tier by tier, in the order in which repairs are compared."""
    mine, theirs = ({str(change) for change in changes(each)} for each in (chosen, fix))
    if mine == theirs:
        return "The same repair"
    counted = (
        ("inserted operation", len(chosen.inserts), len(fix.inserts)),
        ("edited layer", len({e.site for e in chosen.edits}), len({e.site for e in fix.edits})),
    )
    differing = [each for each in counted if each[1] != each[2]]
    told = [(others > ours, f"{count(others, noun)} instead of {ours}") for noun, ours, others in differing]
    told += _work(fix, costs)
    more, less = (", ".join(text for worse, text in told if worse is wanted) for wanted in (True, False))
    if not told:
        return "As many changes, but larger ones"
    return f"{more}; but {less}" if more and less else more or less


def _work(fix: Fix, costs: Cost) -> list[tuple[bool, str]]:
    """How its FLOPs compare at the largest size at which both run."""
    point = next((point for point in reversed(costs.points) if point.after), None)
    if point is None or point.after is None:
        return []
    used = usage(to_meta(fix.model), fix.before.analysis.inputs, point.size)
    if used is None or not point.after.flops or used.flops == point.after.flops:
        return []
    change = (used.flops / point.after.flops - 1) * 100
    size = "\u00d7".join(map(str, point.size))
    return [(change > 0, f"{abs(change):.1f} % {'more' if change > 0 else 'fewer'} FLOPs at {size}")]
