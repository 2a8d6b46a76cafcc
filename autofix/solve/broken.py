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
            raise InfeasibleError(text, (text,))


def _mistakes(mode: Mode) -> Iterator[str]:
    """What a model raises that no size of its input can be blamed for."""
    for piece in mode.pieces:
        for requirement in piece.meaning.requirements:
            if requirement.condition == NEVER and MISTAKES.search(requirement.what):
                yield requirement.what
