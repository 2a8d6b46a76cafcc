"""The operator table: one module for each family, one row for each operator."""

from autofix.ops import pad, pool, resize, unfold, window
from autofix.ops.base import TABLE, lookup, lookup_module

__all__ = ["TABLE", "lookup", "lookup_module", "pad", "pool", "resize", "unfold", "window"]
