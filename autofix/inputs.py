"""What goes into the model: shapes given, read off examples, or inferred from the first convolution."""

from __future__ import annotations

import inspect
import operator
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import fx, nn

from autofix.condition import Box
from autofix.errors import CaptureError, UsageError
from autofix.program import AXIS_NAMES, InputShapes, Program
from autofix.size import BATCH

_CONVOLUTIONS: dict[type, int] = {
    nn.Conv1d: 1, nn.Conv2d: 2, nn.Conv3d: 3,
    nn.ConvTranspose1d: 1, nn.ConvTranspose2d: 2, nn.ConvTranspose3d: 3,
}  # fmt: skip
_NORMS: dict[type, int] = {nn.BatchNorm1d: 1, nn.BatchNorm2d: 2, nn.BatchNorm3d: 3}
_POOLS: dict[type, int] = {
    getattr(nn, f"{kind}Pool{rank}d"): rank
    for kind in ("Max", "Avg", "AdaptiveAvg", "AdaptiveMax")
    for rank in (1, 2, 3)
}


def input_shapes(model: nn.Module, input_shape: Any = None, example_inputs: Any = None) -> InputShapes:
    """The shapes of the model's inputs, with named axes.

    input_shape: one shape such as (1, 3, "H", "W"), or a tuple of shapes for several inputs; ints are fixed,
        names are spatial axes; a number in front is the batch where another one follows it
    Raises UsageError where a shape makes no sense and CaptureError where nothing can be inferred.
    """
    if input_shape is None and example_inputs is None:
        return _inferred(model)
    given = _given(input_shape) if input_shape is not None else _of_examples(example_inputs)
    names = _required(model)
    if len(given.shapes) < len(names):
        wanted = "((1, 3, 'H', 'W'), (1, 8))" if input_shape is not None else "(image, code)"
        raise UsageError(
            f"forward of {type(model).__name__} takes {', '.join(names)}: give a shape for each, as {wanted}"
        )
    return given


def _given(input_shape: Any) -> InputShapes:
    if not isinstance(input_shape, tuple | list) or not input_shape:
        raise UsageError(f"input_shape is a tuple such as (1, 3, 'H', 'W'), not {input_shape!r}")
    several = all(isinstance(item, tuple | list | None) for item in input_shape)
    shapes = input_shape if several else (input_shape,)
    result = InputShapes(tuple(None if shape is None else _checked(shape) for shape in shapes))
    if not result.axes:
        raise UsageError(
            f"input_shape {input_shape!r} names no axis: write the spatial sizes as names, (1, 3, 'H', 'W')"
        )
    return result


def _checked(shape: Sequence[Any]) -> tuple[int | str, ...]:
    for entry in shape:
        if isinstance(entry, bool) or not isinstance(entry, int | str):
            raise UsageError(f"input_shape holds ints and names of axes, not {entry!r}")
        if isinstance(entry, int) and entry < 1:
            raise UsageError(f"input_shape holds sizes of at least 1, not {entry}")
    lead = next((index for index, entry in enumerate(shape) if isinstance(entry, str)), len(shape))
    sequence = lead == 1 and any(isinstance(entry, int) for entry in shape[1:])  # (1, "T", 16)
    return ("B", *shape[1:]) if lead >= 2 or sequence else tuple(shape)


def _of_examples(examples: Any) -> InputShapes:
    tensors = examples if isinstance(examples, tuple | list) else (examples,)
    names: dict[tuple[int, int], str] = {}
    shapes: list[tuple[int | str, ...] | None] = []
    for tensor in tensors:
        if not isinstance(tensor, torch.Tensor):
            shapes.append(None)
            continue
        shapes.append(_named(tuple(tensor.shape), names))
    integer = frozenset(
        i for i, t in enumerate(tensors) if isinstance(t, torch.Tensor) and not t.is_floating_point()
    )
    result = InputShapes(tuple(shapes), integer)
    if not result.axes:
        raise UsageError(
            "example_inputs hold no tensor with spatial axes (3 to 5 dimensions): pass input_shape"
        )
    return result


def _named(shape: tuple[int, ...], names: dict[tuple[int, int], str]) -> tuple[int | str, ...]:
    """Spatial sizes that an earlier input has at the same place counted from the end are the same axis."""
    rank = len(shape) - 2
    if rank not in AXIS_NAMES:
        return ("B", *shape[1:]) if len(shape) >= 1 else shape
    axes = []
    for position, (size, name) in enumerate(zip(shape[2:], AXIS_NAMES[rank], strict=True)):
        place = position - rank, size
        axes.append(names.setdefault(place, name if name not in names.values() else f"{name}{len(names)}"))
    return ("B", shape[1], *axes)


def _inferred(model: nn.Module) -> InputShapes:
    shape = _first_shape(model)
    if shape is None:
        raise CaptureError(
            f"{type(model).__name__} has no convolution, norm or pool to infer an input from: "
            "it has no spatial sizes to repair, or pass input_shape=(1, 3, 'H', 'W')"
        )
    return InputShapes((shape,) * max(1, len(_required(model))))


def as_images(inputs: InputShapes) -> Iterator[InputShapes]:
    """Inputs with an image's channels, for models that rearrange pixels before their first convolution."""
    for channels in (3, 1):
        shapes = tuple(None if shape is None else (shape[0], channels, *shape[2:]) for shape in inputs.shapes)
        if shapes != inputs.shapes:
            yield InputShapes(shapes, inputs.integer)


def _first_shape(model: nn.Module) -> tuple[int | str, ...] | None:
    for table, attribute in ((_CONVOLUTIONS, "in_channels"), (_NORMS, "num_features"), (_POOLS, "")):
        for module in model.modules():
            rank = next((table[base] for base in type(module).__mro__ if base in table), None)
            if rank is not None:
                channels = getattr(module, attribute) if attribute else 3
                return ("B", channels, *AXIS_NAMES[rank])
    return None


def _required(model: nn.Module) -> list[str]:
    """The inputs that forward needs."""
    kinds = inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD
    parameters = inspect.signature(model.forward).parameters.values()
    return [p.name for p in parameters if p.kind in kinds and p.default is p.empty]


def sizes_of(name: str, value: Any, axes: tuple[str, ...]) -> tuple[int, ...]:
    """`min_input` and its like as one size per axis. Raises UsageError."""
    values = tuple(value) if isinstance(value, tuple | list) else (value,) * len(axes)
    if len(values) != len(axes):
        raise UsageError(
            f"{name} has {len(values)} sizes, but the input has {len(axes)} axes ({', '.join(axes)})"
        )
    values = tuple(size.item() if isinstance(size, np.integer) else size for size in values)
    for size in values:
        if isinstance(size, bool) or not isinstance(size, int):
            raise UsageError(f"{name} is a whole number of pixels for each axis, not {size!r}")
        if size < 1:
            raise UsageError(f"{name} must be at least 1, not {size}")
    return values


def box_of(axes: tuple[str, ...], min_input: Any, max_input: Any) -> Box:
    """The sizes asked for. Raises UsageError where the minimum is above the maximum."""
    lowest = sizes_of("min_input", min_input, axes)
    highest = (None,) * len(axes) if max_input is None else sizes_of("max_input", max_input, axes)
    for axis, low, high in zip(axes, lowest, highest, strict=True):
        if high is not None and low > high:
            raise UsageError(f"min_input {low} is above max_input {high} along {axis}")
    bounds = dict(enumerate(zip(lowest, highest, strict=True)))
    return {BATCH: (1, None), **bounds}


def refined(program: Program, inputs: InputShapes) -> InputShapes:
    """The inferred shapes, read back from what each input of a trace first meets."""
    placeholders = [node for node in program.graph.nodes if node.op == "placeholder"]
    shapes, integer = list(inputs.shapes), set(inputs.integer)
    for index, node in enumerate(placeholders[: len(shapes)]):
        found = _met_first(node, program.root)
        if found is not None:
            shapes[index] = found[0]
            integer |= {index} if found[1] else set()
    result = InputShapes(tuple(shapes), frozenset(integer))
    return result if result.axes else inputs


def with_integers(program: Program, inputs: InputShapes) -> InputShapes:
    """The inputs, with those taken as integers that a table is looked up with."""
    placeholders = [node for node in program.graph.nodes if node.op == "placeholder"]
    met = (_met_first(node, program.root) for node in placeholders[: len(inputs.shapes)])
    looked_up = {index for index, found in enumerate(met) if found is not None and found[1]}
    return InputShapes(inputs.shapes, inputs.integer | looked_up)


def _met_first(node: fx.Node, root: nn.Module) -> tuple[tuple[int | str, ...], bool] | None:
    """The shape that makes the first layer on an input's path fit, and whether it holds integers."""
    undo: list[Callable[[tuple[Any, ...]], tuple[Any, ...]]] = []
    seen: set[fx.Node] = set()
    while node not in seen:
        seen.add(node)
        user = next((u for u in node.users if not _asks_size(u)), None)
        if user is None:
            return None
        module = root.get_submodule(str(user.target)) if user.op == "call_module" else None
        if isinstance(module, nn.Embedding):
            return ("B", "L"), True
        shape = _shape_for(module) if module is not None else None
        if shape is not None:
            for step in reversed(undo):
                shape = step(shape)
            return shape, False
        step_back = _undone(user)
        if step_back is not None:
            undo.append(step_back)
        elif user.op != "call_module" and user.target not in _NEUTRAL:
            return None
        node = user
    return None


_NEUTRAL = {"float", "contiguous", "to", "clone", torch.relu, F.relu, F.pad, operator.truediv, operator.sub}


def _asks_size(node: fx.Node) -> bool:
    return node.target in ("size", "dim", getattr)


def _shape_for(module: nn.Module) -> tuple[int | str, ...] | None:
    for table, attribute in ((_CONVOLUTIONS, "in_channels"), (_NORMS, "num_features")):
        rank = next((table[base] for base in type(module).__mro__ if base in table), None)
        if rank is not None:
            return ("B", getattr(module, attribute), *AXIS_NAMES[rank])
    return None


def _undone(node: fx.Node) -> Callable[[tuple[Any, ...]], tuple[Any, ...]] | None:
    """The shape before a permute, transpose or unsqueeze, from the shape after."""
    name = node.target if isinstance(node.target, str) else getattr(node.target, "__name__", "")
    given = [a for arg in node.args[1:] for a in (arg if isinstance(arg, tuple | list) else (arg,))]
    numbers = [number for number in given if isinstance(number, int)]
    if len(numbers) < len(given):
        return None
    if name == "permute":
        return lambda shape: tuple(shape[numbers.index(i)] for i in range(len(shape)))
    if name == "transpose":
        return lambda shape: _swapped(shape, numbers[0], numbers[1])
    if name == "unsqueeze":
        return lambda shape: tuple(d for i, d in enumerate(shape) if i != numbers[0] % len(shape))
    return None


def _swapped(shape: tuple[Any, ...], first: int, second: int) -> tuple[Any, ...]:
    dims = list(shape)
    dims[first], dims[second] = dims[second], dims[first]
    return tuple(dims)
