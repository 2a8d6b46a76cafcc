"""The smallest repair by brute force: every edit of every module, cheapest first, judged by running torch.

A cost is compared tier by tier: edited modules; kind, summed over edits (an edit is one knob of one module);
total change, summed over edits and axes.
"""

from __future__ import annotations

import contextlib
import itertools
import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import oracle
import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

CONVS = (nn.Conv1d, nn.Conv2d, nn.Conv3d)
TRANSPOSED = (nn.ConvTranspose1d, nn.ConvTranspose2d, nn.ConvTranspose3d)
MAX_POOLS = (nn.MaxPool1d, nn.MaxPool2d, nn.MaxPool3d)
AVG_POOLS = (nn.AvgPool1d, nn.AvgPool2d, nn.AvgPool3d)
PADDING, CEIL, MORE_PADDING, STRIDE = 1, 2, 3, 4  # the ranks of the kinds


class TooLargeError(Exception):
    """More candidates than the limit: choose a smaller network."""


@dataclass(frozen=True)
class Edit:
    """One knob of one module; values hold one int per axis, ceil_mode a single one."""

    module: str
    knob: str
    old: tuple[int, ...]
    new: tuple[int, ...]
    rank: int

    @property
    def change(self) -> int:
        """The total change over the axes."""
        return sum(abs(n - o) for n, o in zip(self.new, self.old, strict=True))


class Watch(TorchFunctionMode):
    """Sees the operands of every addition of two tensors."""

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if func.__name__ in ("add", "__add__") and all(isinstance(a, Tensor) for a in args[:2]):
            args = (*self.added(*args[:2]), *args[2:])
        return func(*args, **(kwargs or {}))

    def added(self, left: Tensor, right: Tensor) -> tuple[Tensor, Tensor]:
        raise NotImplementedError


class EqualOperands(Watch):
    """Refuses to broadcast one branch over another."""

    def added(self, left: Tensor, right: Tensor) -> tuple[Tensor, Tensor]:
        if left.shape != right.shape:
            raise RuntimeError(f"{left.shape} and {right.shape} are added")
        return left, right


Repair = frozenset[Edit]
Cost = tuple[int, int, int]


@dataclass(frozen=True)
class Optimum:
    """All repairs of the smallest cost."""

    cost: Cost
    repairs: frozenset[Repair]
    tested: int


def cost(repair: Repair) -> Cost:
    """(edited modules, kind, total change)."""
    return len({e.module for e in repair}), sum(e.rank for e in repair), sum(e.change for e in repair)


def optimum(
    model: nn.Module,
    template: oracle.Template,
    min_input: int,
    *,
    max_modules: int = 4,
    window: int | None = None,
    limit: int = 3000,
    stay: frozenset[str] = frozenset(),
) -> Optimum | None:
    """The cheapest repairs after which every size from min_input on works; None where there is none.

    window: how many sizes are tried, two periods by default; at least one period is needed.
    stay: modules whose stride is not edited.
    Raises TooLargeError after `limit` candidates.
    """
    judge = _Judge(model, template, min_input, window)
    tested = 0
    for count in range(max_modules + 1):
        best: Cost | None = None
        found: set[Repair] = set()
        for repair in _candidates(model, len(template) - 2, count, limit, stay):
            if best is not None and cost(repair) > best:
                break
            tested += 1
            if tested > limit:
                raise TooLargeError(f"more than {limit} candidates")
            if judge.accepts(repair):
                best = cost(repair)
                found.add(repair)
        if best is not None:
            return Optimum(best, frozenset(found), tested)
    return None


def edits_of(name: str, module: nn.Module, rank: int, stay: frozenset[str] = frozenset()) -> list[Repair]:
    """Every way to edit one module, by itself and in combination."""
    knobs: list[list[Edit | None]] = []
    for knob, old, values in _knobs(module, rank):
        if knob == "stride" and name in stay:
            continue
        edits = (Edit(name, knob, old, new, rank_of(module, knob, old, new)) for new in values if new != old)
        knobs.append([None, *edits])
    chosen = (frozenset(e for e in choice if e is not None) for choice in itertools.product(*knobs))
    return [repair for repair in chosen if repair]


def _candidates(model: nn.Module, rank: int, count: int, limit: int, stay: frozenset[str]) -> list[Repair]:
    """Every repair that edits exactly `count` modules, cheapest first."""
    modules = dict(model.named_modules())
    editable = {name: edits for name in modules if (edits := edits_of(name, modules[name], rank, stay))}
    repairs: list[Repair] = []
    for names in itertools.combinations(editable, count):
        if math.prod(len(editable[name]) for name in names) > 100 * limit:
            raise TooLargeError(f"more than {100 * limit} ways to edit {names}")
        repairs += [frozenset().union(*parts) for parts in itertools.product(*(editable[n] for n in names))]
    return sorted(repairs, key=cost)


def _knobs(module: nn.Module, rank: int) -> Iterator[tuple[str, tuple[int, ...], Iterator[tuple[int, ...]]]]:
    """(knob, value now, its domain) of a module."""
    if isinstance(module, TRANSPOSED):
        old = per_axis(module.output_padding, rank)
        limits = [max(s, d) for s, d in zip(module.stride, module.dilation, strict=True)]
        yield "output_padding", old, itertools.product(*(range(limit) for limit in limits))
    if isinstance(module, CONVS + MAX_POOLS + AVG_POOLS):
        kernel, dilation = _window(module, rank)
        top = [d * (k - 1) for k, d in zip(kernel, dilation, strict=True)]
        if not isinstance(module, CONVS):
            top = [k // 2 for k in kernel]
        yield "padding", per_axis(module.padding, rank), itertools.product(*(range(t + 1) for t in top))
        strides = per_axis(module.stride, rank)
        yield "stride", strides, itertools.product(*(range(1, s + 1) for s in strides))
    if isinstance(module, MAX_POOLS + AVG_POOLS):
        yield "ceil_mode", (int(module.ceil_mode),), iter([(0,), (1,)])


def rank_of(module: nn.Module, knob: str, old: tuple[int, ...], new: tuple[int, ...]) -> int:
    """The kind of an edit, that of its worst axis; an axis that stays as it is counts for nothing."""
    if knob != "padding":
        return {"stride": STRIDE, "ceil_mode": CEIL, "output_padding": MORE_PADDING}[knob]
    kernel, dilation = _window(module, len(new))
    each = zip(old, new, kernel, dilation, strict=True)
    same = all(p <= d * (k - 1) // 2 for o, p, k, d in each if p != o)
    return PADDING if same else MORE_PADDING


def _window(module: Any, rank: int) -> tuple[tuple[int, ...], tuple[int, ...]]:
    return per_axis(module.kernel_size, rank), per_axis(getattr(module, "dilation", 1), rank)


def per_axis(value: int | tuple[int, ...], rank: int) -> tuple[int, ...]:
    """One value for each axis."""
    return (value,) * rank if isinstance(value, int) else tuple(value)


class _Judge:
    """Runs torch over the window, with the edits set on a meta copy."""

    def __init__(self, model: nn.Module, template: oracle.Template, low: int, window: int | None) -> None:
        self.model, self.template = oracle.to_meta(model), template
        self.rank = len(template) - 2
        strides = [max(per_axis(m.stride, self.rank)) for m in model.modules() if hasattr(m, "stride")]
        self.sizes = range(low, low + (2 * math.prod(strides) + 1 if window is None else window))

    def accepts(self, repair: Repair) -> bool:
        """Every size runs in both modes, nothing is broadcast, and no edited window sees only padding."""
        with self._edited(repair):
            shapes = [oracle.fill(self.template, (size,) * self.rank, 2) for size in self.sizes]
            for training in (False, True):
                with EqualOperands():
                    if not all(oracle.runs(self.model, shape, training) for shape in shapes):
                        return False
            return all(self._sees_data(name, shapes) for name in {edit.module for edit in repair})

    @contextlib.contextmanager
    def _edited(self, repair: Repair) -> Iterator[None]:
        kept = [(self.model.get_submodule(e.module), e.knob) for e in repair]
        before = [(module, knob, getattr(module, knob)) for module, knob in kept]
        for edit in repair:
            value: Any = bool(edit.new[0]) if edit.knob == "ceil_mode" else edit.new
            setattr(self.model.get_submodule(edit.module), edit.knob, value)
        try:
            yield
        finally:
            for module, knob, value in before:
                setattr(module, knob, value)

    def _sees_data(self, name: str, shapes: list[Any]) -> bool:
        """On a map of ones with a kernel of ones, no output is what padding alone gives."""
        module, seen = self.model.get_submodule(name), set()
        hook = module.register_forward_pre_hook(lambda _, inputs: seen.add(tuple(inputs[0].shape[2:])))
        for shape in shapes:
            oracle.outputs(self.model, shape)
        hook.remove()
        return all(bool((_on_ones(module, plane) > 0).all()) for plane in seen)


def _on_ones(module: Any, plane: tuple[int, ...]) -> Tensor:
    ones = torch.ones(1, 1, *plane)
    if isinstance(module, CONVS + TRANSPOSED):
        call = getattr(nn.functional, f"conv{len(plane)}d")
        if isinstance(module, TRANSPOSED):
            return ones
        kernel = torch.ones(1, 1, *module.kernel_size)
        return call(ones, kernel, None, module.stride, module.padding, module.dilation)
    output = module(ones)
    assert isinstance(output, Tensor)
    return output
