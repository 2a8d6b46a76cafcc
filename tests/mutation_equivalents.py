"""Mutants of the operator table that no sample can notice, each with the reason."""

from __future__ import annotations

SEARCH = "only the search passes ceil_mode as an expression, and test_optimum.py compares what comes of it"
EXACT = "torch makes no layer whose channels the groups do not divide"
SUM = "the two sides are exchanged, and what reflect and circular pads require is the same for both"

EQUIVALENT: dict[str, str] = {
    "formula:window_size: down + ceil_mode * (up - down) -> down - ceil_mode * (up - down)": SEARCH,
    "formula:window_size: up - down -> up + down": SEARCH,
    "window:_padding: total // 2 -> -(-total // 2)": SUM,
    "window:_read_convolution: module.in_channels // module.groups"
    " -> -(-module.in_channels // module.groups)": EXACT,
    "window:_read_transposed: module.out_channels // module.groups"
    " -> -(-module.out_channels // module.groups)": EXACT,
}
