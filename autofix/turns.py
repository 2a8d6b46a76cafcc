"""The calls of this package, one after another, and each as if it were alone in its process."""

from __future__ import annotations

import gc
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import wraps
from typing import Final, ParamSpec, TypeVar

_TRACING: Final = threading.RLock()
P = ParamSpec("P")
R = TypeVar("R")


def one_at_a_time(function: Callable[P, R]) -> Callable[P, R]:
    """Let threads take turns: a trace replaces methods of nn.Module for a moment."""

    @wraps(function)
    def call(*args: P.args, **kwargs: P.kwargs) -> R:
        with _TRACING, _own_garbage():
            return function(*args, **kwargs)

    return call


@contextmanager
def _own_garbage() -> Iterator[None]:
    """Let the collector look at what is made from here on alone.

    In a process that has imported much, going through all there is takes longer than a check.
    """
    if gc.get_freeze_count():  # somebody's choice, or a call within a call
        yield
        return
    gc.freeze()
    try:
        yield
    finally:
        gc.unfreeze()
