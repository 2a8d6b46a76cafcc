"""Runs the user's code so that its printing, exiting, argument parsing and reading of input stay harmless."""

from __future__ import annotations

import io
import os
import sys
import traceback
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stdout, suppress
from pathlib import Path
from typing import IO, Any, cast

from autofix.errors import LoadError

_MAIN = "put such code under `if __name__ == '__main__':`"


class Held(io.RawIOBase):
    """Keeps what is written until `release`, then passes everything on to stderr.

    A logger that the user's code sets up keeps this stream for good, so it stays open.
    """

    def __init__(self) -> None:
        self.chunks: list[bytes] = []
        self.released = False

    def writable(self) -> bool:
        return True

    def fileno(self) -> int:
        return 2  # faulthandler.enable() insists on one

    def close(self) -> None:
        """Stay open: code that wraps sys.stdout again closes it when that wrapper goes."""

    def write(self, data: Any) -> int:
        chunk = bytes(data)
        if self.released:
            _to_stderr(chunk)
        else:
            self.chunks.append(chunk)
        return len(chunk)

    def text(self) -> str:
        return b"".join(self.chunks).decode(errors="replace")

    def release(self) -> None:
        _to_stderr(b"".join(self.chunks))
        self.released = True


def _to_stderr(data: bytes) -> None:
    if data:
        with suppress(OSError, ValueError):
            sys.stderr.write(data.decode(errors="replace"))
            sys.stderr.flush()


@contextmanager
def stdout_to_stderr() -> Iterator[None]:
    """Keep our stdout for results: whatever prints meanwhile, in Python or below it, prints to stderr."""
    with _fd_1_to_stderr(sys.stdout), redirect_stdout(sys.stderr):
        yield


@contextmanager
def _fd_1_to_stderr(stdout: Any) -> Iterator[None]:
    """Send what bypasses sys.stdout (C code, child processes) the same way, where fd 1 is behind `stdout`."""
    try:
        ours = stdout.fileno() == 1
    except (OSError, ValueError, AttributeError):
        ours = False
    if not ours:
        yield
        return
    stdout.flush()
    copy = os.dup(1)
    os.dup2(2, 1)
    try:
        yield
    finally:
        os.dup2(copy, 1)
        os.close(copy)


@contextmanager
def isolated(argv0: str) -> Iterator[Held]:
    """Give the user's code a bare argv, an empty stdin, a stream of its own, and the folder back after it."""
    held = Held()
    stream = io.TextIOWrapper(cast("IO[bytes]", held), encoding="utf-8", errors="replace", write_through=True)
    before = sys.argv, sys.stdin, sys.stdout, sys.stderr, Path.cwd()
    os.environ.setdefault("MPLBACKEND", "Agg")  # a plt.show() at import must not wait for a window
    sys.argv, sys.stdin, sys.stdout, sys.stderr = [argv0], io.StringIO(), stream, stream
    try:
        with _fd_1_to_stderr(before[2]):
            yield held
    finally:
        sys.argv, sys.stdin, sys.stdout, sys.stderr = before[:4]
        os.chdir(before[4])


def explain(error: BaseException, doing: str, where: str, file: Path | None, printed: str) -> LoadError:
    """One line on what the user's code did: the place in their file, the error, and what to do."""
    line = _line_in(error, file)
    place = f"{where}:{line}" if line else where
    if isinstance(error, SystemExit):
        last = printed.strip().splitlines()[-1:] or [str(error.code or "")]
        reason = f" ({last[0].strip()})" if last[0].strip() not in ("", str(error.code)) else ""
        return LoadError(f"{place}: {doing} calls sys.exit({_code(error)}){reason}; {_MAIN}")
    if isinstance(error, EOFError):
        return LoadError(f"{place}: {doing} reads standard input, which is empty here; {_MAIN}")
    return LoadError(f"{place}: {doing} raises {one_line(error)}")


def one_line(error: BaseException) -> str:
    """`ValueError: bad depth`: the type and the first line of the message."""
    try:
        text = next((line.strip() for line in str(error).splitlines() if line.strip()), "")
    except Exception:  # a broken __str__ is the user's too
        text = ""
    text = text if len(text) <= 300 else f"{text[:297]}..."
    return f"{type(error).__name__}: {text}" if text else type(error).__name__


def _code(error: SystemExit) -> str:
    return "" if error.code is None else repr(error.code)


def _line_in(error: BaseException, file: Path | None) -> int | None:
    """The line of `file` that was running: the innermost one."""
    if file is None:
        return None
    frames = traceback.extract_tb(error.__traceback__)
    lines = [frame.lineno for frame in frames if Path(frame.filename) == file]
    return lines[-1] if lines else None
