"""What is being done, told to whoever watches: the library says it, the command line draws it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar

Watcher = Callable[[str, int, int], None]

_watcher: ContextVar[Watcher | None] = ContextVar("autofix_progress", default=None)


def phase(name: str, done: int = 0, total: int = 0) -> None:
    """`name` is under way, `done` of `total` steps of it are through; total 0: their number is not known."""
    watcher = _watcher.get()
    if watcher is not None:
        watcher(name, done, total)


@contextmanager
def watched(watcher: Watcher) -> Iterator[None]:
    """Have `watcher` called at every phase."""
    token = _watcher.set(watcher)
    try:
        yield
    finally:
        _watcher.reset(token)
