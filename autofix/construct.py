"""Where every nn.Module was constructed: the stack of calls, recorded while the user's code builds the model.

`nn.Module.__init__` is the one function that every module runs, so it is wrapped for the duration. Only
(code, instruction, globals) is kept of each frame: no locals, so nothing the model throws away stays alive,
and columns are worked out later, for the few modules that are asked about.
"""

from __future__ import annotations

import functools
import sys
import weakref
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from types import CodeType, FrameType
from typing import TYPE_CHECKING, Any

from autofix.fault import Location

if TYPE_CHECKING:
    from torch import nn

_VARARGS = 0x04


@dataclass(frozen=True, slots=True)
class Span:
    """Where an expression stands: 1-based lines, 0-based columns counted in bytes of UTF-8, as ast counts."""

    line: int
    column: int
    end_line: int
    end_column: int


@dataclass(frozen=True, slots=True)
class Call:
    """One frame of the stack that led to a module: the call that was under way in it."""

    code: CodeType
    lasti: int
    globals: dict[str, Any] = field(repr=False)

    @property
    def file(self) -> str:
        """The absolute path, or a name in angle brackets where the code came from no file."""
        name = self.code.co_filename
        return name if name.startswith("<") else str(Path(name).absolute())

    @property
    def function(self) -> str:
        return self.code.co_qualname

    @property
    def span(self) -> Span | None:
        """The whole call expression; None where Python was told to leave columns out (-X no_debug_ranges)."""
        positions = list(self.code.co_positions())[self.lasti // 2]
        line, end_line, column, end_column = positions
        if line is None or end_line is None or column is None or end_column is None:
            return None
        return Span(line, column, end_line, end_column)

    @property
    def location(self) -> Location:
        span = self.span
        line = span.line if span else self.code.co_firstlineno
        return Location(self.file, line, _line_text(self.file, line, self.globals))


@dataclass(frozen=True, slots=True)
class Construction:
    """The calls that built one module, innermost first.

    calls: `calls[i]` is a call under way in one function; it runs the function of `calls[i - 1]`
    site:  index of the call that named the module's class: below it are only its own `__init__`s
    """

    calls: tuple[Call, ...]
    site: int

    @property
    def made_by(self) -> Call | None:
        return self.calls[self.site] if self.site < len(self.calls) else None

    def location(self, is_user: Callable[[str], bool] = lambda file: True) -> Location | None:
        """The innermost place in files that `is_user` accepts, from the call of the class outwards."""
        for call in self.calls[self.site :]:
            if is_user(call.file):
                return call.location
        return None


class Constructions:
    """The log of one `record()`: module -> Construction. Holds modules weakly."""

    def __init__(self) -> None:
        self._log: dict[int, tuple[weakref.ref[nn.Module], Construction]] = {}

    def of(self, module: nn.Module) -> Construction | None:
        """How `module` was built; None where no constructor ran for it (a deep copy, an unpickled one)."""
        entry = self._log.get(id(module))
        return entry[1] if entry is not None and entry[0]() is module else None

    def __len__(self) -> int:
        return sum(reference() is not None for reference, _ in self._log.values())

    def add(self, module: nn.Module, frame: FrameType | None, stop: FrameType | None) -> None:
        """Note the stack from `frame` out to `stop`, unless this very module is known already."""
        if self.of(module) is None:
            self._log[id(module)] = (weakref.ref(module), _construction(module, frame, stop))


@contextmanager
def record() -> Iterator[Constructions]:
    """Log where each nn.Module built inside the with-block was constructed."""
    log = Constructions()
    outside = sys._getframe(2)  # 0 is this generator, 1 is contextlib, 2 the with statement
    _listeners.append((log, outside))
    _install()
    try:
        yield log
    finally:
        _listeners.remove((log, outside))
        if not _listeners:
            _uninstall()


_listeners: list[tuple[Constructions, FrameType]] = []
_original: list[Callable[..., None]] = []


def _install() -> None:
    from torch import nn

    if _original:
        return
    init = nn.Module.__init__
    _original.append(init)

    @functools.wraps(init)
    def recording_init(self: nn.Module, *args: Any, **kwargs: Any) -> None:
        frame = sys._getframe(1)
        for log, outside in _listeners:
            log.add(self, frame, outside)
        init(self, *args, **kwargs)

    nn.Module.__init__ = recording_init  # type: ignore[method-assign]


def _uninstall() -> None:
    from torch import nn

    nn.Module.__init__ = _original.pop()  # type: ignore[method-assign]


def _construction(module: nn.Module, frame: FrameType | None, stop: FrameType | None) -> Construction:
    calls: list[Call] = []
    site, inside = 0, True
    while frame is not None:
        calls.append(Call(frame.f_code, frame.f_lasti, frame.f_globals))
        if frame is stop:
            break
        inside = inside and _runs_for(module, frame)
        if inside:
            site = len(calls)
        frame = frame.f_back
    return Construction(tuple(calls), site)


def _runs_for(module: nn.Module, frame: FrameType) -> bool:
    """Whether the frame is part of constructing `module` itself: a method of it, or its metaclass's call."""
    code = frame.f_code
    if code.co_argcount:
        first = frame.f_locals.get(code.co_varnames[0])
    elif code.co_flags & _VARARGS:
        given = frame.f_locals.get(code.co_varnames[code.co_kwonlyargcount])
        first = given[0] if given else None
    else:
        return False
    return first is module or (first is type(module) and code.co_name == "__call__")


def _line_text(file: str, line: int, module_globals: dict[str, Any]) -> str:
    import linecache

    return linecache.getline(file, line, module_globals).strip()
