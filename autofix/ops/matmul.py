"""Contractions: linear layers, matrix products and einsum."""

from __future__ import annotations

import operator
from typing import Any

import torch
import torch.nn.functional as F
from torch import nn

from autofix.fault import Code
from autofix.ops.base import (
    Call,
    Refused,
    Tensor,
    axis_of,
    listed,
    register,
    same_features,
    same_number,
    spread,
    weight_shape,
)
from autofix.ops.join import broadcast, broadcast_into
from autofix.size import Dim

_INNER = "inner sizes of the product are equal"


def _same(call: Call, left: Dim, right: Dim, what: str = _INNER) -> None:
    same_number(call, left, right, Code.JOIN, what)


def linear(call: Call, input: Tensor, weight: Tensor, bias: Any = None) -> Tensor:
    """torch.nn.functional.linear: acts on the last dimension."""
    if input.ndim == 0:
        raise Refused("a linear layer on a number")
    features = weight.shape[-1]
    if isinstance(features, int):
        same_features(call, input.shape[-1], features)
    else:
        _same(call, input.shape[-1], features)
    return Tensor((*input.shape[:-1], *weight.shape[:-1]))


def bilinear(call: Call, input1: Tensor, input2: Tensor, weight: Tensor, bias: Any = None) -> Tensor:
    """torch.nn.functional.bilinear."""
    if input1.ndim != input2.ndim:
        raise Refused(f"tensors with {input1.ndim} and {input2.ndim} dimensions")
    for left, right in zip(input2.shape[:-1], input1.shape[:-1], strict=True):
        _same(call, left, right, "both inputs have the same leading sizes")
    same_features(call, input1.shape[-1], weight.shape[1])
    same_features(call, input2.shape[-1], weight.shape[2])
    return Tensor((*input1.shape[:-1], weight.shape[0]))


def matmul(call: Call, input: Tensor, other: Tensor, *, out: Any = None) -> Tensor:
    """torch.matmul: vectors, matrices and batches of them."""
    if not (input.ndim and other.ndim):
        raise Refused("a matrix product with a number")
    *rows, width = input.shape[-2:]
    height, *columns = other.shape[-2:]
    _same(call, height, width)
    return Tensor((*broadcast(call, input.shape[:-2], other.shape[:-2]), *rows, *columns))


def strict_product(call: Call, input: Tensor, mat2: Tensor, *, rank: int, out: Any = None) -> Tensor:
    """torch.mm (rank 2), torch.bmm (rank 3), torch.mv (rank 2 by 1): no broadcasting."""
    if input.ndim != rank or mat2.ndim != rank:
        raise Refused(f"tensors with {input.ndim} and {mat2.ndim} dimensions where {rank} are needed")
    for left, right in zip(mat2.shape[:-2], input.shape[:-2], strict=True):
        _same(call, left, right, "batches of the product are equal")
    return matmul(call, input, mat2)


def added_product(
    call: Call, input: Any, left: Tensor, right: Tensor, *, rank: int, **options: Any
) -> Tensor:
    """torch.addmm and torch.baddbmm: input + left @ right."""
    product = strict_product(call, left, right, rank=rank)
    return Tensor(broadcast_into(call, product.shape, input.shape)) if isinstance(input, Tensor) else product


def matrix_vector(call: Call, input: Tensor, vec: Tensor) -> Tensor:
    """torch.mv."""
    if input.ndim != 2 or vec.ndim != 1:
        raise Refused(f"tensors with {input.ndim} and {vec.ndim} dimensions where 2 and 1 are needed")
    return matmul(call, input, vec)


def dot(call: Call, input: Tensor, other: Tensor) -> Tensor:
    """torch.dot."""
    if input.ndim != 1 or other.ndim != 1:
        raise Refused(f"tensors with {input.ndim} and {other.ndim} dimensions where 1 is needed")
    return matmul(call, input, other)


def outer(call: Call, input: Tensor, vec2: Tensor, *, out: Any = None) -> Tensor:
    """torch.outer."""
    if input.ndim != 1 or vec2.ndim != 1:
        raise Refused(f"tensors with {input.ndim} and {vec2.ndim} dimensions where 1 is needed")
    return Tensor((*input.shape, *vec2.shape))


def einsum(call: Call, equation: str, *operands: Any) -> Tensor:
    """torch.einsum, with ellipses and repeated letters."""
    tensors = spread(operands)
    inputs, arrow, output = equation.replace(" ", "").partition("->")
    terms = inputs.split(",")
    if len(terms) != len(tensors):
        raise Refused(f"{len(terms)} terms for {len(tensors)} tensors")
    sizes: dict[str, Dim] = {}
    ellipsis: tuple[Dim, ...] = ()
    for term, tensor in zip(terms, tensors, strict=True):
        letters, middle = _split_term(term, tensor)
        ellipsis = broadcast(call, ellipsis, middle)
        for letter, size in _diagonal(call, letters).items():
            (sizes[letter],) = broadcast(call, (sizes[letter],), (size,)) if letter in sizes else (size,)
    if not arrow:
        output = _implicit_output(inputs)
    return Tensor(_einsum_shape(output, sizes, ellipsis))


def _diagonal(call: Call, letters: list[tuple[str, Dim]]) -> dict[str, Dim]:
    """One size for each letter of a term; a repeated one is a diagonal, and is never stretched from 1."""
    sizes: dict[str, Dim] = {}
    for letter, size in letters:
        _same(call, size, sizes.setdefault(letter, size), "sizes under a repeated letter are equal")
    return sizes


def _split_term(term: str, tensor: Tensor) -> tuple[list[tuple[str, Dim]], tuple[Dim, ...]]:
    """The letters with their sizes, and the sizes under the ellipsis."""
    before, dots, after = term.partition("...")
    middle = tensor.ndim - len(before) - len(after)
    if middle < 0 or (middle and not dots):
        raise Refused(f"term {term!r} for a tensor with {tensor.ndim} dimensions")
    end = len(before) + middle
    letters = [
        *zip(before, tensor.shape[: len(before)], strict=True),
        *zip(after, tensor.shape[end:], strict=True),
    ]
    return letters, tensor.shape[len(before) : end]


def _implicit_output(inputs: str) -> str:
    letters = [letter for letter in inputs if letter.isalpha()]
    once = sorted(letter for letter in set(letters) if letters.count(letter) == 1)
    return ("..." if "..." in inputs else "") + "".join(once)


def _einsum_shape(output: str, sizes: dict[str, Dim], ellipsis: tuple[Dim, ...]) -> tuple[Dim, ...]:
    before, dots, after = output.partition("...")
    if any(letter not in sizes for letter in before + after):
        raise Refused(f"output {output!r} names a letter that no input has")
    middle = ellipsis if dots else ()
    return (*(sizes[letter] for letter in before), *middle, *(sizes[letter] for letter in after))


def tensordot(call: Call, a: Tensor, b: Tensor, dims: Any = 2, out: Any = None) -> Tensor:
    """torch.tensordot."""
    if isinstance(dims, int):
        left, right = list(range(a.ndim - dims, a.ndim)), list(range(dims))
    else:
        left = [axis_of(d, a.ndim) for d in listed(dims[0])]
        right = [axis_of(d, b.ndim) for d in listed(dims[1])]
    for mine, theirs in zip(left, right, strict=True):
        broadcast(call, (a.shape[mine],), (b.shape[theirs],))
    rest = [n for d, n in enumerate(a.shape) if d not in left] + [
        n for d, n in enumerate(b.shape) if d not in right
    ]
    return Tensor(tuple(rest))


def _read_linear(module: Any) -> dict[str, Any]:
    return {"weight": weight_shape(module, (module.out_features, module.in_features))}


def _read_bilinear(module: Any) -> dict[str, Any]:
    return {"weight": weight_shape(module, (module.out_features, module.in1_features, module.in2_features))}


register(
    "linear",
    linear,
    (F.linear, nn.Linear),
    reads=_read_linear,
    samples=(
        "nn.Linear(5, 3) @ 2,H",
        "nn.Linear(4, 3) @ 2,H,W",
        "F.linear(x, torch.ones(2, 6)) @ H,W",
        "F.linear(x, torch.ones(6)) @ H,W",
        "F.linear(x, y) @ 2,H ; 3,W",
        "F.linear(x.sum(), torch.ones(2, 6)) @ H",
        "torch.nn.utils.parametrizations.weight_norm(nn.Linear(5, 3)) @ 2,H",
    ),
)
register(
    "bilinear",
    bilinear,
    (F.bilinear, nn.Bilinear),
    reads=_read_bilinear,
    samples=(
        "F.bilinear(x, y, torch.ones(3, 5, 4)) @ N,5 ; 2,W",
        "F.bilinear(x, y, torch.ones(3, 5, 4)) @ 2,H ; 2,4",
    ),
)
register(
    "matmul",
    matmul,
    (torch.matmul, "matmul", operator.matmul, operator.imatmul, "__matmul__"),
    samples=(
        "x @ torch.ones(5, 3) @ 2,H,W",
        "torch.ones(4, 5) @ x @ 2,H,W",
        "torch.matmul(x, torch.ones(3, 1, 5, 2)) @ 2,H,W",
        "torch.matmul(torch.ones(4), x) @ 2,H,W",
        "x.matmul(torch.ones(5)) @ 2,H,W",
        "x @ x.transpose(-2, -1) @ 2,H,W",
        "x @ y @ H ; W",
    ),
)
register(
    "matrix product",
    strict_product,
    {torch.mm: {"rank": 2}, "mm": {"rank": 2}, torch.bmm: {"rank": 3}, "bmm": {"rank": 3}},
    samples=("torch.bmm(x, torch.ones(2, 4, 3)) @ N,H,4", "torch.mm(x, torch.ones(4, 3)) @ H,W"),
)
register(
    "matrix product",
    added_product,
    {torch.addmm: {"rank": 2}, "addmm": {"rank": 2}, torch.baddbmm: {"rank": 3}, "baddbmm": {"rank": 3}},
    samples=(
        "torch.addmm(torch.ones(3), x, torch.ones(4, 3)) @ H,W",
        "torch.baddbmm(torch.ones(2, 5, 3), x, torch.ones(2, 4, 3)) @ N,H,W",
    ),
)
register("matrix product", matrix_vector, (torch.mv, "mv"), samples=("torch.mv(x, torch.ones(4)) @ H,W",))
register("matrix product", dot, (torch.dot, "dot"), samples=("torch.dot(x, torch.ones(4)) @ H",))
register("outer", outer, (torch.outer, torch.ger, "outer"), samples=("torch.outer(x, torch.ones(4)) @ H",))
register(
    "einsum",
    einsum,
    (torch.einsum,),
    samples=(
        "torch.einsum('nchw,cd->ndhw', x, torch.ones(3, 4)) @ 2,C,H,W",
        "torch.einsum('bhi,bij', x, torch.ones(2, 4, 5)) @ N,H,W",
        "torch.einsum('...i,ij->...j', x, torch.ones(4, 5)) @ 2,H,W",
        "torch.einsum('ii->i', x) @ H,W",
        "torch.einsum('b...ij->b', x) @ H,W",
        "torch.einsum('hw,wk', [x, torch.ones(4, 3)]) @ H,W",
        "torch.einsum('nchw,nkhw->nck', x, torch.ones(2, 3, 5, 4)) @ 2,C,H,W",
    ),
)
register(
    "tensordot",
    tensordot,
    (torch.tensordot,),
    samples=(
        "torch.tensordot(x, torch.ones(5, 4, 2)) @ 2,H,W",
        "torch.tensordot(x, torch.ones(5, 4, 2), dims=([2, 1], [1, 0])) @ 2,H,W",
    ),
)
