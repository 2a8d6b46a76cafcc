"""Mutants of the operator table that no sample can notice, each with the reason."""

from __future__ import annotations

SEARCH = "only the search passes ceil_mode as an expression, and test_optimum.py compares what comes of it"
SEARCHED = "only the search asks this, of a bound of a slice that is an expression"
EXACT = "torch makes no layer whose channels the groups do not divide"
SUM = "the two sides are exchanged, and what reflect and circular pads require is the same for both"
EVEN = "the number of amounts is even"
HOLDS = "the requirement that this adds follows from those that stay"
NONZERO = "a divisor or a step of 0 is refused before"
MULTIPLE = "the number divided is a multiple, so that nothing is rounded"
LESS_SEEN = "the formula for either sign says the same at greater length"
ONE = "division by 1 leaves a size as it is"
BELOW = "1 and 0 are both below the 2 that is required"
SILENT = "torch raises nothing there; test_reshape.py says which views keep the batch"

EQUIVALENT: dict[str, str] = {
    "formula:window_size: down + ceil_mode * (up - down) -> down - ceil_mode * (up - down)": SEARCH,
    "formula:window_size: up - down -> up + down": SEARCH,
    "window:_padding: total // 2 -> -(-total // 2)": SUM,
    "window:_read_convolution: module.in_channels // module.groups"
    " -> -(-module.in_channels // module.groups)": EXACT,
    "window:_read_transposed: module.out_channels // module.groups"
    " -> -(-module.out_channels // module.groups)": EXACT,
    "pad:_grows: side >= 0 -> side > 0": HOLDS,
    "pad:_grows: side >= 0 -> side >= 1": HOLDS,
    "pad:_bounded: side > 0 -> side >= 0": HOLDS,
    "pad:_bounded: side > 0 -> side > -1": HOLDS,
    "slicing:from_start: at_least(-1, position) -> at_least(-1, position + 1)": LESS_SEEN,
    "slicing:from_start: at_least(-1, position) -> at_least(-2, position)": LESS_SEEN,
    "unfold:fold: input.shape[-2] // area -> -(-input.shape[-2] // area)": HOLDS,
    "arithmetic:_floor_divide: b < 0 -> b <= 0": NONZERO,
    "arithmetic:_floor_divide: b < 0 -> b < 1": NONZERO,
    "arithmetic:_remainder: b < 0 -> b <= 0": NONZERO,
    "arithmetic:_remainder: b < 0 -> b < 1": NONZERO,
    "factory:arange: step > 0 -> step >= 0": NONZERO,
    "factory:arange: step > 0 -> step > -1": NONZERO,
    "neutral:gated_linear_unit: size // 2 -> -(-size // 2)": MULTIPLE,
    "norm:group_norm: channels // num_groups -> -(-channels // num_groups)": MULTIPLE,
    "norm:several_values: [1] -> [0]": BELOW,
    "reshape:_keep_batch: 1: -> 0:": SILENT,
    "reshape:_keep_batch: [1] -> [2]": SILENT,
    "reshape:_keep_batch: [1] -> [0]": SILENT,
    "resize:pixel_shuffle: channels // area -> -(-channels // area)": MULTIPLE,
    "resize:pixel_unshuffle: height // downscale_factor -> -(-height // downscale_factor)": MULTIPLE,
    "resize:pixel_unshuffle: width // downscale_factor -> -(-width // downscale_factor)": MULTIPLE,
    "factor:cancel: common > 1 -> common >= 1": ONE,
    "factor:cancel: common > 1 -> common > 0": ONE,
    "factor:cancel: dim // common -> -(-dim // common)": MULTIPLE,
    "factor:cancel: constants // common -> -(-constants // common)": MULTIPLE,
    "reshape:fitted: identical(want, 1) -> identical(want, 0)": ONE,
    "reshape:fitted: have // want -> -(-have // want)": MULTIPLE,
    "slicing:from_start: n + position -> n - position": SEARCHED,
    "slicing:from_start: at_least(position, 0) -> at_least(position, 0 + 1)": SEARCHED,
    "slicing:from_start: at_least(position, 0) -> at_least(position, 0 - 1)": SEARCHED,
    "slicing:from_start: at_least(position, 0) -> at_least(position, 1)": SEARCHED,
    "slicing:from_start: at_least(position, 0) -> at_least(position, -1)": SEARCHED,
    "pad:padded: len(amounts) // 2 -> -(-len(amounts) // 2)": EVEN,
}
