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
    "pad:padded: len(amounts) // 2 -> -(-len(amounts) // 2)": EVEN,
}

# Real changes that no sample notices so far.
UNNOTICED: frozenset[str] = frozenset(
    {
        "formula:kernel_fits: 2 -> 3",
        "formula:kernel_fits: 2 -> 1",
        "pool:last_covered: (windows - 1) * stride - padding -> (windows - 1) * stride + padding",
        "pad:pad_size: call.require(at_least(result, 0), Code.EMPTY, what, needs=0, gets=result) -> pass",
        "pad:pad_size: at_least(result, 0) -> at_least(result, 0 - 1)",
        "pad:pad_size: 0 -> -1",
        "pad:_grows: 0 -> -1",
        "pad:_bounded: not_empty(call, n) -> pass",
        "pool:_pooled: call.require(at_least(number, 1), Code.LIMIT, f'{name} is at least 1', needs=1,"
        " gets=number) -> pass",
        "pool:_pooled: at_least(number, 1) -> at_least(number, 1 - 1)",
        "pool:_pooled: 1 -> 0",
    }
)
