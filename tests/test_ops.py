"""The whole operator table against torch: every sample of every row, over sizes that differ per axis.

A sample is an expression in x (and y), or one that makes a module, and a shape for each input, of numbers and
names of axes: "x.view(2, -1, y.shape[1]) @ 2,H,W ; 2,W". Compared are the output's shapes and whether torch
raises, in eval and in train mode, with the exact functions and with plain ints.
"""

from __future__ import annotations

import ast
import itertools
import math
import operator
import random
import warnings
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import fx, nn

from autofix.analyse import Analysis
from autofix.capture import capture_plain
from autofix.explore import analyse, everything, follow_program
from autofix.interpret import interpret
from autofix.meta import to_meta
from autofix.ops import TABLE
from autofix.ops.base import Tensor
from autofix.ops.split import Pieces
from autofix.program import InputShapes, Program
from autofix.size import BATCH, at

LARGEST = 12
POINTS = 48
SAMPLES = [(row.name, sample) for row in TABLE for sample in row.samples]

# Where torch raises nothing, but the result is wrong: samples, and at which sizes nothing is wrong with them.
SOUND = {
    "x.permute(0, 2, 3, 1).reshape(-1, 3) @ B,3,H,W": "True",
    "x.permute(0, 2, 3, 1).reshape(-1, 4) @ B,6,H,W": "False",
    "x.permute(0, 2, 3, 1).reshape(-1, 3) @ B,6,H,W": "True",
    "x.permute(0, 2, 3, 1).reshape(-1, 1) @ B,3,H,W": "True",
    "x.view(-1, 3) @ B,3,H,W": "H * W == 1",
    "x.view(-1, 12) @ B,3,H,W": "H * W == 4",
    "x.view(-1, 2, 6) @ B,3,H,W": "H * W == 4",
    "x.view(-1, 3, 12) @ B,3,H,W": "H * W == 12",
    "x.view(-1, x.shape[2] * x.shape[3]) @ B,3,H,W": "True",
    "x.view(-1, x.shape[3]) @ B,3,H,W": "True",
    "x.view(-1, x.shape[2], 3, x.shape[3]) @ B,3,H,W": "True",
    "x.view(-1, x.shape[2] % -1 - x.shape[2] // -1, x.shape[3]) @ B,3,H,W": "True",
    "(x + y).view(-1, max(x.shape[2], y.shape[2])) @ 2,3,H ; 2,3,W": "H == W",
    "x.view(-1, 2, x.shape[2], x.shape[3]) @ B,6,H,W": "True",
    "x.view(-1, x.shape[0] * 3) @ B,3": "True",
    "torch.cat([x, x], 2).view(-1, 2, x.shape[2]) @ B,3,H": "True",
    "x.view(-1, 4) @ H,W": "W == 4",
    "x.view(-1, 4) @ H": "True",
    "x.view(-1, x.shape[0] * 3, x.shape[2]) @ B,3,H": "True",
    "nn.AdaptiveAvgPool2d(1)(x[..., 3:]) @ 2,H,W": "W > 3",
    "x.flatten(2)[..., :-2].reshape(-1, max(x.shape[2] * x.shape[3] + -2, 0)) @ B,3,H,W": "H * W > 2",
    (
        "x.flatten(2)[..., : x.shape[2]]"
        ".reshape(-1, max(min(x.shape[2], x.shape[2] * x.shape[3]), 0)) @ B,3,H,W"
    ): "True",
}

# What the rules must not pretend to know: the result depends on values, or on more than is modelled.
UNMODELLED = (
    "x[torch.arange(-1, y.shape[0])] @ H ; W",
    "y[x.long() > 0] @ 3 ; 3,W",
    "y[x.long() * 0.5 == 0] @ 3 ; 3,W",
    "y[x.long().to(torch.bool)] @ 3 ; 3,W",
    "y[x.long().to(x.dtype)] @ 3 ; 3,W",
    "y[x.long().bool()] @ 3 ; 3,W",
    "F.one_hot(x.long()) @ 2,H",
    "x[..., ...] @ 2,3,H,W",
    "x.split(3, 1)[-1] @ 2,H",
    "torch.arange(0, x.shape[1], x.shape[1] - x.shape[1]) @ 2,H",
    "x * x.shape[1] ** -1 @ 2,H",
    "x * (x.shape[1] << -1) @ 2,H",
    "x * (x.shape[1] & 5) @ 2,H",
    "x * (x.shape[1] & -1) @ 2,H",
)


def recorded(function: Callable[..., Any]) -> Callable[..., Any]:
    """A builtin that a trace with known sizes records, where plain fx cannot call it on a proxy."""

    def call(*args: Any) -> Any:
        flat = [item for arg in args for item in (arg if isinstance(arg, tuple | list) else (arg,))]
        proxies = [item for item in flat if isinstance(item, fx.Proxy)]
        if not proxies:
            return function(*args)
        return proxies[0].tracer.create_proxy("call_function", function, args, {})

    return call


BUILTINS = {f.__name__: recorded(f) for f in (abs, bool, float, int, len, max, min, round, sum)}
BUILTINS |= {
    "not_": recorded(operator.not_),
    "setitem": recorded(operator.setitem),
    "getitem": recorded(operator.getitem),
    "tensor": recorded(torch.tensor),
    "cat": recorded(torch.cat),
    "stack": recorded(torch.stack),
}
NAMES = {"nn": nn, "F": F, "torch": torch, "math": math, "operator": operator, **BUILTINS}


class Layers(ast.NodeTransformer):
    """Takes the layers out of an expression, so that the model can hold them."""

    def __init__(self) -> None:
        self.found: list[nn.Module] = []

    def visit_Call(self, node: ast.Call) -> ast.AST:
        names = [part for part in ast.walk(node) if isinstance(part, ast.Name)]
        if all(name.id in NAMES for name in names):
            value = eval(ast.unparse(node), NAMES)
            if isinstance(value, nn.Module):
                self.found.append(value)
                return ast.parse(f"layers[{len(self.found) - 1}]", mode="eval").body
        return self.generic_visit(node)


class Of1(nn.Module):
    """The expression as a model of one input; an expression that is a layer is applied to it."""

    def __init__(self, expression: str) -> None:
        super().__init__()
        finder = Layers()
        tree = ast.fix_missing_locations(finder.visit(ast.parse(expression, mode="eval")))
        self.layers = nn.ModuleList(finder.found)
        self.expression, self.code = expression, compile(tree, expression, "eval")
        self.is_layer = isinstance(tree.body, ast.Subscript) and ast.unparse(tree) == "layers[0]"

    def run(self, **inputs: Any) -> Any:
        if self.is_layer:
            return self.layers[0](*inputs.values())
        return eval(self.code, {**NAMES, **inputs, "layers": self.layers})

    def forward(self, x):
        return self.run(x=x)


class Of2(Of1):
    def forward(self, x, y):
        return self.run(x=x, y=y)


def build(sample: str) -> tuple[Of1, InputShapes]:
    """The model that a sample stands for, and its input shapes."""
    expression, _, template = sample.rpartition(" @ ")
    shapes = tuple(
        tuple(int(entry) if entry.strip().isdigit() else entry.strip() for entry in one.split(","))
        for one in template.split(";")
    )
    return (Of1 if len(shapes) == 1 else Of2)(expression), InputShapes(shapes)


def points(inputs: InputShapes) -> list[dict[int, int]]:
    """Sizes 1 to 12 for each axis: the diagonals, and others drawn once and for all."""
    axes = list(range(len(inputs.axes)))
    if any("B" in shape for shape in inputs.shapes if shape):
        axes.append(BATCH)
    every = list(itertools.product(range(1, LARGEST + 1), repeat=len(axes)))
    if len(every) > POINTS:
        diagonal = [point for point in every if len(set(point)) == 1]
        every = diagonal + random.Random(1).sample(every, POINTS - len(diagonal))
    return [{BATCH: 2, **dict(zip(axes, point, strict=True))} for point in every]


def analysed(programs: tuple[Program, Program], inputs: InputShapes) -> Analysis:
    """What the rules say of a model, over all sizes."""
    box = everything(len(inputs.axes))
    return analyse(follow_program(programs, box), inputs, box, dict.fromkeys(box, 8))


def predicted(analysis: Analysis, training: bool, point: Mapping[int, int]) -> Any:
    """The output's shapes by the rules; None where they say that torch raises."""
    mode = analysis.modes[training]
    if not mode.accepts(point):
        return None
    piece = mode.piece_at(point)
    assert piece is not None
    return tuple(tuple(at(n, point) for n in shape) for shape in leaves(piece.meaning.values[-1], point))


def predicted_by_ints(program: Program, training: bool, point: Mapping[int, int]) -> Any:
    sizes = tuple(point[axis] for axis in range(len(program.inputs.axes)))
    tensors = [Tensor(shape) if shape else None for shape in program.inputs.concrete(sizes, point[BATCH])]
    meaning = interpret(program, tensors, {}, {})
    asked = [r for r in meaning.requirements if not r.silent and (training or not r.train)]
    return tuple(leaves(meaning.values[-1], {})) if all(r.condition.at({}) for r in asked) else None


def leaves(value: Any, point: Mapping[int, int]) -> Iterator[tuple[Any, ...]]:
    if isinstance(value, Tensor):
        yield value.shape
    elif isinstance(value, Pieces):
        yield from value.shapes(point)
    elif isinstance(value, tuple | list):
        for item in value:
            yield from leaves(item, point)


def rising(shape: tuple[int, ...]) -> torch.Tensor:
    """Values whose maxima have the largest indices that a window can give."""
    return torch.arange(math.prod(shape), dtype=torch.float32).reshape(shape)


def happens(model: Of1, inputs: InputShapes, training: bool, point: Mapping[int, int]) -> Any:
    """What torch really does : the output's shapes, or None where it raises."""
    sizes = tuple(point[axis] for axis in range(len(inputs.axes)))
    make = rising if "unpool" in model.expression.lower() else torch.zeros
    tensors = [make(shape) for shape in inputs.concrete(sizes, point[BATCH]) if shape is not None]
    try:
        with torch.no_grad(), warnings.catch_warnings(action="ignore"):
            result = model.train(training)(*tensors)
    except (RuntimeError, IndexError, ValueError, TypeError, AssertionError, ZeroDivisionError):
        return None
    return tuple(shapes_of(result))


def shapes_of(value: Any) -> Iterator[tuple[int, ...]]:
    if isinstance(value, torch.Tensor):
        yield tuple(value.shape)
    elif isinstance(value, tuple | list):
        for item in value:
            yield from shapes_of(item)


@pytest.fixture(autouse=True, scope="module")
def one_thread() -> Iterator[None]:
    """Tensors this small are slower on several threads."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.mark.parametrize(("row", "sample"), SAMPLES, ids=[f"{row}: {sample}" for row, sample in SAMPLES])
def test_a_sample_does_what_torch_does(row: str, sample: str) -> None:
    model, inputs = build(sample)
    capture = capture_plain(to_meta(model), inputs)
    programs = capture.evaluating, capture.training
    analysis = analysed(programs, inputs)
    assert not analysis.unmodelled
    for training in (False, True) if len(model.layers) else (False,):
        for point in points(inputs):
            real = happens(model, inputs, training, point)
            where = f"at {point}, {'train' if training else 'eval'}"
            assert predicted(analysis, training, point) == real, where
            assert predicted_by_ints(programs[training], training, point) == real, f"{where}, with ints"


@pytest.mark.parametrize(("row", "sample"), SAMPLES, ids=[f"{row}: {sample}" for row, sample in SAMPLES])
def test_a_layer_takes_the_ranks_that_torch_takes(row: str, sample: str) -> None:
    """A layer's sample with fewer dimensions and with more, at two sizes."""
    expression, _, template = sample.rpartition(" @ ")
    dims = template.split(",")
    if ";" in template or not Of1(expression).is_layer:
        return
    for rank in {1, 2, 3, 4, 5, 6} - {len(dims)}:
        model, inputs = build(f"{expression} @ {','.join([*dims, 'P', 'Q', 'R', 'S', 'T'][:rank])}")
        program = capture_plain(to_meta(model), inputs).evaluating
        for size in (6, 9) if inputs.axes else (1,):
            point = {BATCH: 2, **{axis: size + axis for axis in range(len(inputs.axes))}}
            says, does = predicted_by_ints(program, False, point), happens(model, inputs, False, point)
            if does is None and says and 0 in itertools.chain(*says):
                continue  # a result without elements, which the CPU refuses for one sample only
            assert says == does, (rank, point)


@pytest.mark.parametrize(("sample", "sound"), SOUND.items(), ids=SOUND)
def test_a_silent_fault_is_known(sample: str, sound: str) -> None:
    model, inputs = build(sample)
    capture = capture_plain(to_meta(model), inputs)
    analysis = analysed((capture.evaluating, capture.training), inputs)
    assert any(happens(model, inputs, False, point) for point in points(inputs))
    for point in points(inputs):
        if happens(model, inputs, False, point):
            assert bool(analysis.evaluating.sound.at(point)) == is_sound(inputs, sound, point), f"at {point}"


def is_sound(inputs: InputShapes, sound: str, point: Mapping[int, int]) -> bool:
    """What a sample says of one size."""
    return bool(eval(sound, {"B": point[BATCH]} | {name: point[i] for i, name in enumerate(inputs.axes)}))


@pytest.mark.parametrize("sample", UNMODELLED)
def test_what_is_not_modelled_is_admitted(sample: str) -> None:
    model, inputs = build(sample)
    capture = capture_plain(to_meta(model), inputs)
    assert analysed((capture.evaluating, capture.training), inputs).unmodelled


def test_every_row_has_samples_with_different_axes() -> None:
    assert {row.name for row in TABLE} == {name for name, _ in SAMPLES}


def test_samples_accept_some_sizes() -> None:
    """A sample that is refused everywhere is there for its refusal; a row needs one that is not."""
    accepted = {row for row, sample in SAMPLES if accepts_something(sample)}
    assert accepted == {row for row, _ in SAMPLES}


def accepts_something(sample: str) -> bool:
    model, inputs = build(sample)
    return any(happens(model, inputs, False, point) is not None for point in reversed(points(inputs)))
