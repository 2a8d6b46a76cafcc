"""The phases that a run tells of, and the bar that shows them."""

from __future__ import annotations

import io
import time

from rich.console import Console

import autofix
from autofix.examples.mri import BadCNN
from autofix.progress import phase, watched
from autofix.report.bar import bar


def test_a_repair_tells_its_phases_in_order():
    told: list[str] = []
    with watched(lambda name, done, total: told.append(name)):
        autofix.fix_model(BadCNN(), min_input=5)
    assert list(dict.fromkeys(told)) == [
        "recording what BadCNN computes, and its sizes",
        "searching for the smallest repair",
        "proving the repair",
        "running the repaired model",
    ]
    phase("nobody listens")
    assert len(set(told)) == 4


def test_the_bar_shows_what_is_slow_and_nothing_that_is_quick():
    quick, slow = (Console(file=io.StringIO(), force_terminal=True, width=100) for _ in range(2))
    with bar("checking [net].py", quick, delay=0.5):
        pass
    with bar("checking [net].py", slow, delay=0.01):
        time.sleep(0.3)
        phase("searching", 1, 4)
        time.sleep(0.3)
    assert quick.file.getvalue() == ""
    assert "checking [net].py" in slow.file.getvalue()
    assert "searching" in slow.file.getvalue()
