"""Does code do anything but compute a value? Watched while it runs, for what runs at every size must not.

A function that stores an attribute, an item or a global, and a method that changes what it is called on, are
taken for effects, whatever they are used for: what is told apart needlessly is only followed on two paths.
"""

from __future__ import annotations

import dis
import gc
import sys
import sysconfig
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import lru_cache
from types import CodeType, FrameType
from typing import Any, Final

from autofix.frames import is_users
from autofix.ops.base import Stopped, words

STORES: Final = frozenset(
    words(
        "STORE_ATTR STORE_SUBSCR STORE_SLICE STORE_GLOBAL STORE_DEREF STORE_NAME"
        " DELETE_ATTR DELETE_SUBSCR DELETE_GLOBAL DELETE_NAME IMPORT_NAME"
    )
)
CHANGES: Final = frozenset(
    words(
        "append extend insert pop remove clear update add discard setdefault popitem sort reverse appendleft"
        " extendleft popleft rotate send throw close write writelines read readline seek seed setstate random"
        " getrandbits shuffle next anext setattr delattr exec eval __setattr__ __delattr__ __setitem__"
        " __delitem__ __next__ __iadd__ manual_seed put get put_nowait acquire release"
    )
)
READS: Final = (dict, str, tuple)  # whose `get` and the like change nothing


class Effect(Stopped):
    """Something is changed that would stay changed."""


@contextmanager
def watched(known: Callable[[Any], bool]) -> Iterator[None]:
    """Raise Effect where the user's code changes anything but what `known` says is looked after."""
    before = sys.getprofile()

    def watch(frame: FrameType, event: str, argument: Any) -> None:
        if event == "call" and _is_asked(frame.f_code.co_filename) and _stores(frame.f_code):
            raise Effect(f"{frame.f_code.co_name} stores something")
        if event == "c_call" and _changes(argument, known) and _is_asked(frame.f_code.co_filename):
            raise Effect(f"{argument.__name__} changes something")

    collects = gc.isenabled()
    gc.disable()  # what is collected now may be anybody's, and its finalizers change what they like
    sys.setprofile(watch)
    try:
        yield
    finally:
        sys.setprofile(before if callable(before) else None)
        if collects:
            gc.enable()


_PYTHONS: Final = sysconfig.get_path("stdlib")
_INSTALLED: Final = (sysconfig.get_path("purelib"), sysconfig.get_path("platlib"))


@lru_cache(maxsize=1024)
def _is_asked(file: str) -> bool:
    """Whether a file is neither torch's, nor ours, nor Python's own."""
    pythons = file.startswith((_PYTHONS, "<frozen", "<string>")) and not file.startswith(_INSTALLED)
    return is_users(file) and not pythons


@lru_cache(maxsize=1024)
def _stores(code: CodeType) -> bool:
    return any(instruction.opname in STORES for instruction in dis.get_instructions(code))


def _changes(function: Any, known: Callable[[Any], bool]) -> bool:
    name, owner = function.__name__, getattr(function, "__self__", None)
    in_place = name.endswith("_") and not name.endswith("__")
    if not in_place and (name not in CHANGES or (name == "get" and isinstance(owner, READS))):
        return False
    return not known(owner)
