"""Operations that a repair inserts: what each does to sizes, and how it is written into a graph.

Sizes are changed in the same plain arithmetic as the operators' formulas, so that analysis, search and the
certificate's checker all read an insert the same way.
"""

from __future__ import annotations

import functools
import math
import operator
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any

import torch
import torch.nn.functional as F
from torch import fx

from autofix.ops.base import Tensor
from autofix.size import Dim, larger, smaller

Args = tuple[tuple[Any, ...], dict[str, Any]]


class _Insertion:
    """after: it changes what the call gives, and not what it is given."""

    after = False


class _Single(_Insertion):
    """One of its kind at a call: a second one takes the place of the first."""

    def replaces(self, other: object) -> bool:
        return type(other) is type(self)

    def merged(self, other: Any) -> Any:
        """What does the work of both."""
        return self


@dataclass(frozen=True)
class Fit(_Single):
    """Zero-pad the call's input at the end of each of its last axes up to `sizes`."""

    sizes: tuple[int, ...]

    def merged(self, other: Any) -> Fit:
        return Fit(tuple(max(a, b) for a, b in zip(self.sizes, other.sizes, strict=True)))

    def resize(self, args: Args) -> Args:
        return change_operand(
            args, 0, lambda x: _with_last(x, _each(larger, _last(x, len(self.sizes)), self.sizes))
        )

    def rewrite(self, graph: fx.Graph, node: fx.Node) -> None:
        x = operands((node.args, node.kwargs), fx.Node)[0]
        missing = [
            _call(graph, torch.sym_max, _call(graph, operator.sub, size, n), 0)
            for n, size in _sizes(graph, x, self.sizes)
        ]
        _replace(node, 0, _pad(graph, x, missing))


@dataclass(frozen=True)
class Widen(_Single):
    """Zero-pad the call's input at the end of its last axis where it has a single value along all of them."""

    rank: int

    def resize(self, args: Args) -> Args:
        return change_operand(args, 0, self._widened)

    def _widened(self, x: Tensor) -> Tensor:
        *others, last = _last(x, self.rank)
        least: Dim = self.rank + 1
        for dim in others:  # 2 is left where each has 1, and no more than 1 where one has 2
            least = least - dim
        return _with_last(x, [*others, larger(last, least)])

    def rewrite(self, graph: fx.Graph, node: fx.Node) -> None:
        x = operands((node.args, node.kwargs), fx.Node)[0]
        missing: Any = self.rank + 1
        for axis in range(-self.rank, 0):
            missing = _call(graph, operator.sub, missing, _call_size(graph, x, axis))
        _replace(node, 0, _pad(graph, x, [_call(graph, torch.sym_max, missing, 0)]))


@dataclass(frozen=True)
class Align(_Insertion):
    """Pad (zeros) or crop an operand of a join to another's size, at the end of each of its last `rank` axes.

    free: the axis along which the operands are joined, counted from the end, which stays; 0 for none
    """

    operand: int
    like: int
    rank: int
    free: int = 0

    def resize(self, args: Args) -> Args:
        found = operands(args, Tensor)
        if len(found) <= max(self.like, self.operand):  # an operand of which no size is known
            return args
        like = found[self.like]
        return change_operand(args, self.operand, lambda x: _with_last(x, self._sizes(x, like)))

    def replaces(self, other: object) -> bool:
        return isinstance(other, Align) and other.operand == self.operand

    def merged(self, other: Any) -> Any:
        return self

    def _sizes(self, x: Tensor, like: Tensor) -> list[Dim]:
        return [x.shape[-d] if d == self.free else like.shape[-d] for d in range(self.rank, 0, -1)]

    def rewrite(self, graph: fx.Graph, node: fx.Node) -> None:
        found = operands((node.args, node.kwargs), fx.Node)
        x, like = found[self.operand], found[self.like]
        amounts: list[Any] = []
        for d in range(self.rank, 0, -1):
            pair = (_call_size(graph, like, -d), _call_size(graph, x, -d))
            amounts.append(0 if d == self.free else _call(graph, operator.sub, *pair))
        _replace(node, self.operand, _pad(graph, x, amounts))


@dataclass(frozen=True)
class Adaptive(_Single):
    """Average the call's input to fixed sizes; None leaves an axis as it is.

    passes: a map with as many elements as the sizes have together stays, for what flattens it works on it too
    after:  it is the call's result that is averaged
    """

    sizes: tuple[int | None, ...]
    passes: bool = False
    after: bool = False

    def replaces(self, other: object) -> bool:
        return isinstance(other, Adaptive) and other.after == self.after

    def merged(self, other: Any) -> Adaptive:
        if len(self.sizes) != len(other.sizes):
            return self
        sizes = (new if new is not None else old for new, old in zip(self.sizes, other.sizes, strict=True))
        return replace(self, sizes=tuple(sizes))

    def resize(self, args: Args) -> Args:
        return args if self.after else change_operand(args, 0, self.resize_value)

    def resize_value(self, x: Tensor) -> Tensor:
        return _with_last(x, self._sizes(x))

    def _sizes(self, x: Tensor) -> list[Dim]:
        own = _last(x, len(self.sizes))
        return [dim if size is None else size for dim, size in zip(own, self.sizes, strict=True)]

    def rewrite(self, graph: fx.Graph, node: fx.Node) -> None:
        _replace(node, 0, self.rewrite_value(graph, operands((node.args, node.kwargs), fx.Node)[0]))

    def rewrite_value(self, graph: fx.Graph, x: fx.Node) -> fx.Node:
        pool = getattr(F, f"adaptive_avg_pool{len(self.sizes)}d")
        return graph.call_function(pool, (x, self._passing(graph, x) if self.passes else self.sizes))

    def _passing(self, graph: fx.Graph, x: fx.Node) -> tuple[Any, ...]:
        """The sizes, or the map's own where `same` is 1 and not 0: without a branch, for what exports."""
        pairs = _sizes(graph, x, tuple(size or 0 for size in self.sizes))
        count = functools.reduce(lambda a, b: _call(graph, operator.mul, a, b), [n for n, _ in pairs])
        apart = _call(graph, operator.sub, count, math.prod(size for _, size in pairs))
        distance = _call(graph, torch.sym_max, apart, _call(graph, operator.neg, apart))
        same = _call(graph, torch.sym_max, 0, _call(graph, operator.sub, 1, distance))
        moves = [_call(graph, operator.mul, same, _call(graph, operator.sub, n, size)) for n, size in pairs]
        return tuple(_call(graph, operator.add, size, m) for (_, size), m in zip(pairs, moves, strict=True))


@dataclass(frozen=True)
class RoundUp(_Single):
    """Zero-pad an input at the end of each axis up to the next size that works."""

    after = True
    least: tuple[int, ...]
    multiples: tuple[int, ...]
    offsets: tuple[tuple[int, ...], ...]

    def next(self, n: Dim, axis: int) -> Dim:
        """The smallest size >= n, at least `least`, that leaves one of the offsets."""
        n, multiple = larger(n, self.least[axis]), self.multiples[axis]
        missing: Dim = None
        for offset in self.offsets[axis]:
            one = (offset + multiple - n % multiple) % multiple
            missing = one if missing is None else smaller(missing, one)
        return n + missing

    def resize_value(self, x: Tensor) -> Tensor:
        rank = len(self.least)
        return _with_last(x, [self.next(n, axis) for axis, n in enumerate(_last(x, rank))])

    def rewrite_value(self, graph: fx.Graph, x: fx.Node) -> fx.Node:
        missing = []
        for axis, (n, least) in enumerate(_sizes(graph, x, self.least)):
            at_least = _call(graph, torch.sym_max, n, least)
            best: Any = None
            for offset in self.offsets[axis]:
                multiple = self.multiples[axis]
                rest = _call(graph, operator.mod, at_least, multiple)
                one = _call(
                    graph, operator.mod, _call(graph, operator.sub, offset + multiple, rest), multiple
                )
                best = one if best is None else _call(graph, torch.sym_min, best, one)
            missing.append(_call(graph, operator.sub, _call(graph, operator.add, at_least, best), n))
        return _pad(graph, x, missing)


@dataclass(frozen=True)
class CropBack(_Single):
    """Crop the outputs that have the input's resolution to the size the input came with."""

    rank: int
    which: tuple[int, ...]  # positions among the tensors of the output

    def resize(self, args: Args, source: Tensor) -> Args:
        for position in self.which:
            args = change_operand(args, position, lambda x: _with_last(x, list(_last(source, self.rank))))
        return args

    def rewrite(self, graph: fx.Graph, node: fx.Node, source: fx.Node) -> None:
        for position in self.which:
            y = operands((node.args, node.kwargs), fx.Node)[position]
            ends = [_call_size(graph, source, -d) for d in range(self.rank, 0, -1)]
            index = (..., *(slice(None, end) for end in ends))
            _replace(node, position, _call(graph, operator.getitem, y, index))


Insertion = Fit | Widen | Align | Adaptive | RoundUp | CropBack


def operands(value: Any, kind: type) -> list[Any]:
    """The tensors (or nodes) among arguments, in order."""
    return list(_walk(value, kind))


def _walk(value: Any, kind: type) -> Iterator[Any]:
    if isinstance(value, kind):
        yield value
    elif isinstance(value, dict):
        for item in value.values():
            yield from _walk(item, kind)
    elif isinstance(value, tuple | list):
        for item in value:
            yield from _walk(item, kind)


def change_operand(args: Args, position: int, change: Callable[[Any], Any], kind: type = Tensor) -> Args:
    """The arguments with one tensor changed."""
    count = -1

    def visit(value: Any) -> Any:
        nonlocal count
        if isinstance(value, kind):
            count += 1
            return change(value) if count == position else value
        if isinstance(value, dict):
            return {key: visit(item) for key, item in value.items()}
        if isinstance(value, tuple) and hasattr(value, "_fields"):
            return type(value)(*(visit(item) for item in value))
        if isinstance(value, tuple | list):
            return type(value)(visit(item) for item in value)
        return value

    return tuple(visit(item) for item in args[0]), {key: visit(item) for key, item in args[1].items()}


def _last(x: Tensor, rank: int) -> tuple[Dim, ...]:
    return x.shape[x.ndim - rank :]


def _with_last(x: Tensor, sizes: list[Dim]) -> Tensor:
    return Tensor((*x.shape[: x.ndim - len(sizes)], *sizes))


def _each(function: Callable[[Dim, Dim], Dim], left: Any, right: Any) -> list[Dim]:
    return [function(a, b) for a, b in zip(left, right, strict=True)]


def _call(graph: fx.Graph, function: Any, *args: Any) -> Any:
    return graph.call_function(function, args)


def _call_size(graph: fx.Graph, x: fx.Node, dim: int) -> fx.Node:
    return graph.call_method("size", (x, dim))


def _sizes(graph: fx.Graph, x: fx.Node, wanted: tuple[int, ...]) -> list[tuple[fx.Node, int]]:
    rank = len(wanted)
    return [(_call_size(graph, x, axis - rank), size) for axis, size in enumerate(wanted)]


def _pad(graph: fx.Graph, x: fx.Node, amounts: list[Any]) -> fx.Node:
    """F.pad at the end of each axis; its list starts from the last one."""
    pairs = [item for amount in reversed(amounts) for item in (0, amount)]
    return graph.call_function(F.pad, (x, pairs))


def _replace(node: fx.Node, position: int, new: fx.Node) -> None:
    """Put a node in the place of one of the tensors another node takes."""
    node.args, node.kwargs = change_operand((node.args, dict(node.kwargs)), position, lambda _: new, fx.Node)
