"""What fails in a model whatever the size of its input, so that there is nothing to search for."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

from autofix.agreement import any_working
from autofix.analyse import Analysis, Mode
from autofix.condition import NEVER
from autofix.errors import InfeasibleError

MISTAKES: Final = re.compile(r"(Name|UnboundLocal|Attribute|Import|ModuleNotFound)Error\b")


def check_sane(analysis: Analysis, name: str) -> None:
    """Raises InfeasibleError where a mode works at no size, for an error of the model's own code."""
    for mode in analysis.modes:
        mistake = next(_mistakes(mode), None)
        if mistake is not None and any_working(mode, analysis.inputs) is None:
            where = "train mode" if mode.training else "eval mode"
            text = f"in {where} {mistake}, whatever the size: mend that in {name} first"
            raise InfeasibleError(text)
    refusal = _refuses_to_train(analysis)
    if refusal:
        text = f"in train mode {refusal}, whatever the size, and a repair is to work in both modes"
        raise InfeasibleError(text)


def _refuses_to_train(analysis: Analysis) -> str:
    """What a model raises in train mode on every path, as one that asks for labels does; "" if it goes on."""
    trains, inputs = analysis.training, analysis.inputs
    raised = [
        next((r.what for r in piece.meaning.requirements if r.condition == NEVER), "")
        for piece in trains.pieces
    ]
    works = any_working(analysis.evaluating, inputs) is not None
    return raised[0] if works and all(raised) and analysis.complete else ""


def _mistakes(mode: Mode) -> Iterator[str]:
    """What a model raises that no size of its input can be blamed for."""
    for piece in mode.pieces:
        for requirement in piece.meaning.requirements:
            if requirement.condition == NEVER and MISTAKES.search(requirement.what):
                yield requirement.what
