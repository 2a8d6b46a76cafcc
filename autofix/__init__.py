"""autofix repairs the spatial sizes of PyTorch convolutional networks, exactly and with proof."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from autofix.errors import AutofixError, CaptureError, InfeasibleError, LoadError, UsageError

if TYPE_CHECKING:
    from autofix.pipeline import check_model, fix_model

__version__ = "0.1.0"
__all__ = [
    "AutofixError",
    "CaptureError",
    "InfeasibleError",
    "LoadError",
    "UsageError",
    "check_model",
    "fix_model",
]


def __getattr__(name: str) -> Any:
    """Import torch only when a model is really looked at."""
    if name in ("check_model", "fix_model"):
        from autofix import pipeline

        return getattr(pipeline, name)
    raise AttributeError(f"module 'autofix' has no attribute {name!r}")
