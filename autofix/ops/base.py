"""The operator table: what a row is, how rules speak, and the lookup by class, function and method.

A rule is a plain function with the parameters of torch's own function (so Python binds the arguments), plus
the `Call` through which it states requirements. Its tensors are `Tensor`s whose dimensions are ints, `Size`s
or expressions of the search: a rule writes its formula once and never asks which. To add an operator, write
the rule, and put one row beside it: targets, module reader, knobs, samples. Nothing else changes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from inspect import Signature, signature
from typing import Any, Final, NamedTuple, Protocol

import numpy as np
from torch import nn
from torch.nn.modules.lazy import LazyModuleMixin
from torch.nn.utils.parametrize import is_parametrized

from autofix.condition import Condition, equal
from autofix.fault import Code
from autofix.program import Gaps
from autofix.size import Dim, identical, product


@dataclass(frozen=True, slots=True)
class Tensor:
    """A tensor of which only the shape is known. `values` are kept for small integer tensors of sizes."""

    shape: tuple[Dim, ...]

    @property
    def ndim(self) -> int:
        return len(self.shape)


NO_SIZE: Final = "a size that is a float: divide with // where a size is meant"


class Call(Protocol):
    """What a rule may ask of the interpreter that runs it."""

    def require(
        self,
        condition: Condition,
        code: Code,
        what: str,
        *,
        needs: Dim | None = None,
        gets: Dim | None = None,
        silent: bool = False,
        train: bool = False,
    ) -> None:
        """State that the condition must hold here.

        what:   the requirement in words, without numbers ("kernel 3 fits the padded input")
        needs, gets: the two numbers a reader wants to compare
        silent: torch raises nothing where it fails, but the result is wrong
        train:  only needed where this site is in training mode
        """

    def decide(self, condition: Condition) -> bool:
        """The truth of a condition that shapes the graph (rank, branch); recorded as a path condition."""

    def training(self) -> bool:
        """Whether the module at this site is ever in training mode."""

    def apart(self) -> Gaps:
        """Where the input of this view is not one stretch of memory: see `autofix.layout`."""

    def choose(self, condition: Condition, then: Dim, otherwise: Dim) -> Dim:
        """`then` where the condition holds, `otherwise` where it does not."""

    def always(self, condition: Condition) -> bool:
        """Whether it holds at every size on the path that is followed, as far as that is easily seen."""

    def times(self, dim: Dim, factor: Dim) -> int | None:
        """The integer k with dim == k * factor at every size at which nothing required so far fails."""

    def quotient(self, dim: Dim, divisor: Dim) -> Dim | None:
        """dim / divisor, where that is a whole number at every such size."""


class Refused(Exception):
    """A rule's verdict that torch refuses this call at every size; the message says why."""


class Unmodelled(Exception):
    """A rule's admission that it does not describe this use of the operator; the message says which."""


class Stopped(Exception):
    """An interpreter's own decision to read no further, which passes through every rule."""


@dataclass(frozen=True)
class Knob:
    """A hyperparameter that a repair may change, one value per spatial axis (flags: one value in all).

    domain(hyper, axis): the allowed values, the present one first. kind(hyper, axis, value): the rank of one:
    1 padding up to 'same', 2 ceil_mode, 3 more padding or output padding, 4 stride, dilation or kernel.
    """

    name: str
    domain: Callable[[Mapping[str, Any], int], tuple[int, ...]]
    kind: Callable[[Mapping[str, Any], int, int], int]
    per_axis: bool = True


@dataclass(frozen=True)
class Op:
    """One row of the table.

    targets: module classes, functions and "method names", each with the keyword arguments it presets
    reads:   attributes of a module that become keyword arguments of the rule
    samples: expressions in nn, F, torch, x and the shape of x ("nn.ReLU() @ 2,3,H,W"), from which the
             differential test builds the call and compares it with torch over ranges of sizes
    """

    name: str
    rule: Callable[..., Any]
    targets: Mapping[Any, Mapping[str, Any]]
    reads: Callable[[nn.Module], dict[str, Any]] | tuple[str, ...] = ()
    knobs: tuple[Knob, ...] = ()
    samples: tuple[str, ...] = field(default=())

    @cached_property
    def signature(self) -> Signature:
        return signature(self.rule)

    def hyper(self, module: nn.Module) -> dict[str, Any]:
        """The rule's keyword arguments as a module holds them."""
        if isinstance(module, LazyModuleMixin) and module.has_uninitialized_params():
            raise Unmodelled(f"{type(module).__name__} has no shape before its first call")
        read = self.reads(module) if callable(self.reads) else {n: getattr(module, n) for n in self.reads}
        return {name: _plain(value) for name, value in read.items()}


def _plain(value: Any) -> Any:
    """A hyperparameter with Python's numbers in the place of numpy's."""
    if isinstance(value, np.generic):
        return value.item()
    if isinstance(value, tuple | list) and any(isinstance(item, np.generic) for item in value):
        return type(value)([_plain(item) for item in value])
    return value


_BY_TARGET: dict[Any, tuple[Op, Mapping[str, Any]]] = {}
TABLE: list[Op] = []


def register(
    name: str,
    rule: Callable[..., Any],
    targets: Iterable[Any] | Mapping[Any, Mapping[str, Any]],
    *,
    reads: Callable[[nn.Module], dict[str, Any]] | tuple[str, ...] = (),
    knobs: tuple[Knob, ...] = (),
    samples: tuple[str, ...] = (),
) -> Op:
    """Add a row. Targets that this torch does not have are given as None and passed over."""
    presets = dict(targets) if isinstance(targets, Mapping) else {target: {} for target in targets}
    presets.pop(None, None)
    op = Op(name, rule, presets, reads, knobs, samples)
    TABLE.append(op)
    for target, preset in presets.items():
        if target in _BY_TARGET:
            raise ValueError(f"{target} has two rows: {_BY_TARGET[target][0].name} and {name}")
        _BY_TARGET[target] = (op, preset)
    return op


def lookup(target: Any) -> tuple[Op, Mapping[str, Any]] | None:
    """The row of a function or a method name."""
    if isinstance(target, type) and issubclass(target, tuple) and hasattr(target, "_fields"):
        return _BY_TARGET[NamedTuple][0], {"kind": target}
    try:
        return _BY_TARGET.get(target) or _BY_TARGET.get(_dotted(target))
    except TypeError:  # an unhashable callable
        return None


def lookup_module(module: nn.Module) -> tuple[Op, Mapping[str, Any]] | None:
    """The row of a module's class, or of a base class whose forward it keeps."""
    kind: Any = type(module)
    if "forward" in vars(module):  # replaced on the instance
        return None
    for base in kind.__mro__:
        row = _BY_TARGET.get(base) or _BY_TARGET.get(_dotted(base))
        if row is not None:
            return row if kind.forward is base.forward else None
    return None


def _dotted(target: Any) -> str | None:
    """The full name under which a library's function or class is registered without importing the library."""
    module = getattr(target, "__module__", None)
    return f"{module}.{target.__qualname__}" if module and hasattr(target, "__qualname__") else None


def ranks(*names: str, owner: Any = nn, **presets: Any) -> dict[Any, dict[str, Any]]:
    """The 1d, 2d and 3d forms of a target, each presetting its rank."""
    return {getattr(owner, n.format(d), None): {"nd": d, **presets} for n in names for d in (1, 2, 3)}


def words(text: str) -> tuple[str, ...]:
    """A long list of names, written as they are read."""
    return tuple(text.split())


def per_axis(value: Any, rank: int) -> tuple[Any, ...]:
    """A hyperparameter as one value per spatial axis: 2 -> (2, 2); [3, 5] -> (3, 5); (3,) -> (3, 3)."""
    if isinstance(value, tuple | list):
        values = tuple(value)
        if len(values) == 1:
            return values * rank
        if len(values) != rank:
            raise Refused(f"{len(values)} values {values} where {rank} are needed")
        return values
    return (value,) * rank


def spread(values: Sequence[Any]) -> Sequence[Any]:
    """The values of `f(2, 3)` and of `f((2, 3))` alike."""
    match values:
        case [tuple() | list() as only]:
            return only
    return values


def listed(value: Any) -> Sequence[Any]:
    """One value or several, as several."""
    return value if isinstance(value, tuple | list) else (value,)


def axis_of(dim: int, rank: int) -> int:
    """A possibly negative dimension as an index below the rank; `Refused` where torch would refuse it."""
    if not -max(rank, 1) <= dim < max(rank, 1):
        raise Refused(f"dimension {dim} of a tensor with {rank} dimensions")
    return dim % rank if rank else 0


def numel(shape: Iterable[Dim]) -> Dim:
    """The number of elements."""
    return product(shape)


def spatial(tensor: Tensor, rank: int, channels: bool = True) -> tuple[tuple[Dim, ...], tuple[Dim, ...]]:
    """The leading dimensions (batch, channels) and the last `rank` ones; a batch may be missing."""
    lead = tensor.ndim - rank
    if lead not in ((1, 2) if channels else (0, 1, 2)):
        raise Refused(f"a tensor with {tensor.ndim} dimensions where {rank + 1} or {rank + 2} are needed")
    return tensor.shape[:lead], tensor.shape[lead:]


def same_number(call: Call, left: Dim, right: Dim, code: Code, what: str) -> None:
    """Require two numbers to be equal, saying both."""
    if not identical(left, right):
        call.require(equal(left, right), code, what, needs=right, gets=left)


def same_features(call: Call, number: Dim, features: int) -> None:
    """Require a layer's number of features; where that depends on the input size, it is a fixed head."""
    if isinstance(number, int):
        call.require(
            equal(number, features), Code.CHANNELS, "channels match the layer's", needs=features, gets=number
        )
    else:
        call.require(
            equal(number, features), Code.HEAD, "features match the layer's", needs=features, gets=number
        )


def weight_shape(module: Any, otherwise: tuple[int, ...]) -> Tensor:
    """The shape of a module's weight; a parametrized one is not computed, for that may update its buffers."""
    parametrized = is_parametrized(module, "weight")
    return Tensor(otherwise if parametrized else tuple(module.weight.shape))
