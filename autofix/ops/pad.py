"""Padding: constant, reflect, replicate and circular, as modules and torch.nn.functional.pad."""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import nn

from autofix.condition import at_least
from autofix.fault import Code
from autofix.ops.base import Call, Refused, Tensor, register
from autofix.size import Dim


def pad_size(call: Call, n: Dim, before: Dim, after: Dim, mode: str) -> Dim:
    """n + before + after, with each mode's own bound on the padding."""
    if mode == "reflect":
        for side in (before, after):
            call.require(at_least(n - 1, side), Code.PADDING, "reflection padding is less than the size", needs=side + 1, gets=n)
    elif mode == "circular":
        for side in (before, after):
            call.require(at_least(n, side), Code.PADDING, "circular padding is at most the size", needs=side, gets=n)
    return n + before + after
