"""Mutants of the operator table that no sample can notice, each with the reason."""

from __future__ import annotations

SEARCH = "only the search passes ceil_mode as an expression, and test_optimum.py compares what comes of it"
EXACT = "torch makes no layer whose channels the groups do not divide"
SUM = "the two sides are exchanged, and what reflect and circular pads require is the same for both"
EVEN = "the number of amounts is even"
HOLDS = "the requirement that this adds follows from those that stay"

EQUIVALENT: dict[str, str] = {
    "formula:window_size: down + ceil_mode * (up - down) -> down - ceil_mode * (up - down)": SEARCH,
    "formula:window_size: up - down -> up + down": SEARCH,
    "window:_padding: total // 2 -> -(-total // 2)": SUM,
    "window:_read_convolution: module.in_channels // module.groups"
    " -> -(-module.in_channels // module.groups)": EXACT,
    "window:_read_transposed: module.out_channels // module.groups"
    " -> -(-module.out_channels // module.groups)": EXACT,
    "pad:_grows: side >= 0 -> side > 0": HOLDS,
    "pad:_grows: 0 -> 1": HOLDS,
    "pad:_bounded: side > 0 -> side >= 0": HOLDS,
    "pad:_bounded: 0 -> -1": HOLDS,
    "unfold:fold: input.shape[-2] // area -> -(-input.shape[-2] // area)": HOLDS,
    "pad:padded: len(amounts) // 2 -> -(-len(amounts) // 2)": EVEN,
}
