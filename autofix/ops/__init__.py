"""The operator table: one module for each family, one row for each operator."""

from autofix.ops import (
    adaptive,
    attention,
    elementwise,
    join,
    matmul,
    neutral,
    norm,
    pad,
    pool,
    resize,
    unfold,
    window,
)
from autofix.ops.base import TABLE, lookup, lookup_module

__all__ = [
    "TABLE",
    "adaptive",
    "attention",
    "elementwise",
    "join",
    "lookup",
    "lookup_module",
    "matmul",
    "neutral",
    "norm",
    "pad",
    "pool",
    "resize",
    "unfold",
    "window",
]
