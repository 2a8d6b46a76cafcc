"""The frames of the user's own code on the stack, while a model is traced."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path
from types import FrameType

import torch
from torch import fx

from autofix.program import Place

_TORCH = str(Path(torch.__file__).parent / "_")[:-1]  # with the separator: torchvision is not torch
_OURS = str(Path(__file__).parent)
_EXAMPLES = str(Path(__file__).parent / "examples")
_TRACE = fx.Tracer.trace.__code__


def users_frames() -> Iterator[FrameType]:
    """The frames within the model's forward that are neither torch's nor ours, the innermost first."""
    frame: FrameType | None = sys._getframe(1)
    while frame is not None and frame.f_code is not _TRACE:
        if is_users(frame.f_code.co_filename):
            yield frame
        frame = frame.f_back


def is_tracing() -> bool:
    """Whether a model's forward is being traced, and its code is what runs."""
    frame: FrameType | None = sys._getframe(1)
    while frame is not None and frame.f_code is not _TRACE:
        frame = frame.f_back
    return frame is not None and next(users_frames(), None) is not None


def caller() -> Place | None:
    """Where the user's code stands; None where torch's own containers call each other."""
    frame = next(users_frames(), None)
    return None if frame is None else Place(frame.f_code, frame.f_lasti)


@lru_cache(maxsize=1024)
def is_users(file: str) -> bool:
    """Whether a file is neither torch's nor ours."""
    return file.startswith(_EXAMPLES) or not file.startswith((_TORCH, _OURS, "<eval_with_key>"))
