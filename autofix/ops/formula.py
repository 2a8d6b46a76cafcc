"""Formulas of sliding windows, along one axis, in plain arithmetic.

Sizes are those of torch.nn.Conv2d, ConvTranspose2d, MaxPool2d and Unfold as documented
(https://docs.pytorch.org/docs/stable/nn.html); ceil_mode is as in ATen/native/Pool.h. A formula takes ints,
sizes and the search's expressions alike, and knows no axis, so that none can be confused with another.
"""

from __future__ import annotations

from autofix.condition import at_least
from autofix.fault import Code
from autofix.ops.base import Call
from autofix.size import Dim, ceil_divide, smaller


def effective_kernel(kernel: Dim, dilation: Dim) -> Dim:
    """d * (k - 1) + 1: the extent of a dilated kernel."""
    return dilation * (kernel - 1) + 1


def window_size(n: Dim, kernel: Dim, stride: Dim, padding: Dim, dilation: Dim, ceil_mode: Dim = False) -> Dim:
    """floor((n + 2p - d(k-1) - 1) / s) + 1; with ceil_mode, no window may start in the right padding."""
    room = n + 2 * padding - effective_kernel(kernel, dilation)
    down = room // stride + 1
    if isinstance(ceil_mode, int) and not ceil_mode:
        return down
    up = smaller(ceil_divide(room, stride) + 1, ceil_divide(n + padding, stride))
    return up if isinstance(ceil_mode, int) else down + ceil_mode * (up - down)


def transposed_size(
    n: Dim, kernel: Dim, stride: Dim, padding: Dim, dilation: Dim, output_padding: Dim
) -> Dim:
    """(n - 1) * s - 2p + d(k-1) + output_padding + 1."""
    return (n - 1) * stride - 2 * padding + effective_kernel(kernel, dilation) + output_padding


def kernel_fits(call: Call, n: Dim, padding: Dim, kernel: Dim, dilation: Dim) -> None:
    """Require the effective kernel to be at most the padded input."""
    reach = effective_kernel(kernel, dilation)
    padded = n + 2 * padding
    call.require(
        at_least(padded, reach), Code.KERNEL, "kernel fits the padded input", needs=reach, gets=padded
    )


def not_empty(call: Call, n: Dim, what: str = "input is not empty", silent: bool = False) -> None:
    """Require at least one element along an axis."""
    call.require(at_least(n, 1), Code.EMPTY, what, needs=1, gets=n, silent=silent)
