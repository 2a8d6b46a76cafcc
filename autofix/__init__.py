"""autofix repairs the spatial sizes of PyTorch convolutional networks, exactly and with proof."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from autofix.errors import AutofixError, CaptureError, InfeasibleError, LoadError, UsageError

if TYPE_CHECKING:
    from autofix.made import recording
    from autofix.manifest import apply_edits
    from autofix.many import fix_many
    from autofix.pipeline import check_model, fix_model

__version__ = "0.1.0"
__all__ = [
    "AutofixError",
    "CaptureError",
    "InfeasibleError",
    "LoadError",
    "UsageError",
    "apply_edits",
    "check_model",
    "fix_many",
    "fix_model",
    "recording",
]
_MODULES = {
    "apply_edits": "autofix.manifest",
    "check_model": "autofix.pipeline",
    "fix_many": "autofix.many",
    "fix_model": "autofix.pipeline",
    "recording": "autofix.made",
}


def __getattr__(name: str) -> Any:
    """Import torch only when a model is really looked at."""
    if name in _MODULES:
        import importlib

        return getattr(importlib.import_module(_MODULES[name]), name)
    raise AttributeError(f"module 'autofix' has no attribute {name!r}")
