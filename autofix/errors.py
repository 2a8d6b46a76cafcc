"""What autofix raises: one clear line each, all derived from AutofixError."""

from __future__ import annotations


class AutofixError(Exception):
    """Base of everything autofix raises on purpose; `exit_code` is what the command line returns."""

    exit_code = 2


class UsageError(AutofixError):
    """An argument that cannot be meant: a negative size, a pattern that matches nothing."""


class LoadError(AutofixError):
    """The TARGET names no model that can be built."""


class CaptureError(AutofixError):
    """The model's computation could not be recorded or described."""

    exit_code = 3


class InternalError(AutofixError):
    """A repair that the search found and the real run refused: a bug in autofix, never handed out."""

    exit_code = 3

    def __init__(self, message: str) -> None:
        super().__init__(f"{message}; this is a bug in autofix, please report it")


class InfeasibleError(AutofixError):
    """No repair within what is allowed exists.

    `core` names the requirements that cannot hold together, in words, each with a counterexample size.
    """

    exit_code = 1

    def __init__(self, message: str, core: tuple[str, ...] = ()) -> None:
        super().__init__(message)
        self.core = core
