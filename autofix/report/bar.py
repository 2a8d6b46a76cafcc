"""The progress bar of the command line, on stderr, once something takes more than half a second."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from rich.console import Console
from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

from autofix.progress import watched

DELAY: Final = 0.5  # seconds without a bar, so that what is quick does not flicker


@contextmanager
def bar(first: str, console: Console | None = None, delay: float = DELAY) -> Iterator[None]:
    """Show the phases of what runs inside, `first` until there is one; gone afterwards."""
    text = TextColumn("{task.description}", markup=False)
    columns = (SpinnerColumn(), text, BarColumn(), TimeElapsedColumn())
    progress = Progress(*columns, console=console or Console(stderr=True), transient=True)
    task = progress.add_task(first, total=None)

    def show(name: str, done: int, total: int) -> None:
        progress.update(task, description=name, completed=done, total=total or None)

    timer = threading.Timer(delay, progress.start)
    timer.daemon = True
    timer.start()
    try:
        with watched(show):
            yield
    finally:
        timer.cancel()
        timer.join()
        progress.stop()
