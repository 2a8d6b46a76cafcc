"""What the model's code sees in the place of a tensor or a size, while the path of one size is followed."""

from __future__ import annotations

import math
import operator
from collections.abc import Callable, Iterator, Mapping, Sized
from typing import TYPE_CHECKING, Any, Final

import torch

from autofix.capture import Recorded
from autofix.condition import Condition, equal
from autofix.errors import CaptureError
from autofix.ops.base import Tensor, words
from autofix.ops.index import Integers
from autofix.ops.split import Pieces
from autofix.ratio import Ratio
from autofix.size import Joint, Size

if TYPE_CHECKING:
    from autofix.symbolic import SymbolicTracer


class Untraceable(CaptureError):
    """The model's Python needs something that sizes do not tell."""


TYPE_NAME: Final = str(b"torch.FloatTensor", "ascii")  # a string of its own, to be known by identity


# numpy's functions of numbers; math's are looked up before fx puts its own in their place
_OF_NUMPY: Final[Mapping[str, Callable[..., Any]]] = {
    "ceil": math.ceil,
    "floor": math.floor,
    "trunc": math.trunc,
    "rint": round,
    "sqrt": lambda a: math.sqrt(a),  # noqa: PLW0108 (as it is when it is called)
    "log": lambda a: math.log(a),  # noqa: PLW0108
    "log2": lambda a: math.log2(a),  # noqa: PLW0108
    "negative": operator.neg,
    "add": operator.add,
    "subtract": operator.sub,
    "multiply": operator.mul,
    "divide": operator.truediv,
    "floor_divide": operator.floordiv,
    "remainder": operator.mod,
    "maximum": lambda a, b: max(a, b),  # noqa: PLW0108 (as it is when it is called)
    "minimum": lambda a, b: min(a, b),  # noqa: PLW0108
    "less": operator.lt,
    "less_equal": operator.le,
    "greater": operator.gt,
    "greater_equal": operator.ge,
    "equal": operator.eq,
    "not_equal": operator.ne,
}


_TRAITS: Final = frozenset(
    words(
        """
        ndim device dtype layout requires_grad is_nested is_quantized is_sparse is_leaf
        is_cpu is_cuda is_xpu is_mps is_hpu is_ipu is_mtia is_xla is_vulkan
        """
    )
)
_NO_NUMBERS: Final = (list, tuple, dict, set, str, type(None))


class Symbol(Recorded):
    """A proxy that answers what its value tells: Python's questions about sizes, not about data."""

    tracer: SymbolicTracer
    _is_param = False  # torch.nn.Parameter's isinstance check asks for it

    @property
    def value(self) -> Any:
        return self.tracer.values[self.node]

    @property
    def stands_for(self) -> type:
        """What `isinstance` is told; told by `__class__`, C code would look for a tensor's memory."""
        value = self.tracer.values.get(self.node)
        return (
            torch.Tensor if isinstance(value, Tensor) else int if isinstance(value, Size | Joint) else Symbol
        )

    def __bool__(self) -> bool:
        value = self.value
        if isinstance(value, Condition | Size | Joint):
            truth = value if isinstance(value, Condition) else ~equal(value, 0)
            return self.tracer.decide(truth, self.node)
        raise Untraceable(f"{self.node.name}: the model branches on the data of a tensor, not on its size")

    def __index__(self) -> int:
        if isinstance(self.value, Condition):
            return int(self.tracer.decide(self.value, self.node))
        return self.tracer.pinned(self.value, self.node)

    __int__ = __index__

    def __float__(self) -> float:
        value = self.value
        if isinstance(value, Ratio):
            return self.tracer.pinned(value.numerator, self.node, value.denominator) / value.denominator
        return float(self.__index__())

    def __len__(self) -> int:
        value = self.value
        if isinstance(value, Tensor):
            return self.tracer.pinned(value.shape[0], self.node, read=len) if value.shape else 0
        if isinstance(value, Pieces):
            return self.tracer.pinned(value.count, self.node, read=len)
        if not isinstance(value, Sized):
            raise Untraceable(f"{self.node.name}: the model asks for the length of what no rule describes")
        return len(value)

    def __iter__(self) -> Iterator[Any]:
        whole: Any = self
        return iter([whole[index] for index in range(len(self))])

    def __hash__(self) -> int:
        return id(self)

    def __eq__(self, other: object) -> Any:
        return NotImplemented if self._incomparable(other) else super().__eq__(other)

    def __ne__(self, other: object) -> Any:
        return NotImplemented if self._incomparable(other) else super().__ne__(other)

    def _incomparable(self, other: object) -> bool:
        """Whether torch leaves a comparison to Python, to which a tensor is no list, no string, no None."""
        return isinstance(self.value, Tensor) and isinstance(other, _NO_NUMBERS)

    def __array_ufunc__(self, ufunc: Any, method: str, *inputs: Any, **kwargs: Any) -> Any:
        """numpy's functions of sizes, as Python's."""
        known = _OF_NUMPY.get(ufunc.__name__)
        return NotImplemented if known is None or method != "__call__" or kwargs else known(*inputs)

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__array_"):
            raise AttributeError(name)  # to numpy it is an object
        value = self.value
        if isinstance(value, Tensor):
            if name == "shape":
                return self.tracer.shape_of(self)
            if name in _TRAITS:
                self.tracer.placed = self if name == "device" else self.tracer.placed
                return self.tracer.trait(value, name)
        fields: tuple[str, ...] = getattr(value, "_fields", ())
        if isinstance(value, tuple) and name in fields:
            whole: Any = self
            return whole[fields.index(name)]
        return super().__getattr__(name)

    def size(self, dim: int | None = None) -> Any:
        shape = self.tracer.shape_of(self)
        return shape if dim is None else shape[dim]

    def dim(self) -> int:
        return len(self.value.shape)

    def type(self, dtype: Any = None, *args: Any, **kwargs: Any) -> Any:
        if dtype is None:
            self.tracer.typed = self
            return TYPE_NAME
        return self.tracer.create_proxy("call_method", "type", (self, dtype, *args), kwargs)

    def new(self, *sizes: Any, **options: Any) -> Any:
        """Of a shape, by its sizes one by one: the graph would give it a tuple, which is data."""
        given = sizes[0] if len(sizes) == 1 and isinstance(sizes[0], Shape | torch.Size) else sizes
        return self.tracer.create_proxy("call_method", "new", (self, *given), options)

    def is_floating_point(self) -> bool:
        return not isinstance(self.value, Integers)

    def is_complex(self) -> bool:
        return False

    def is_contiguous(self, *args: Any, **kwargs: Any) -> bool:
        return True  # where the model's own run differs, and it matters, its calls will too

    def get_device(self) -> int:
        self.tracer.placed = self
        return torch.empty(0, device=self.tracer.device).get_device()

    ndimension = dim

    def __divmod__(self, other: Any) -> tuple[Any, Any]:
        return self // other, self % other

    def __rdivmod__(self, other: Any) -> tuple[Any, Any]:
        return other // self, other % self

    def __setitem__(self, index: Any, value: Any) -> None:
        self.tracer.create_proxy("call_function", operator.setitem, (self, index, value), {})

    def __ceil__(self) -> Any:
        return self.tracer.create_proxy("call_function", _OF_NUMPY["ceil"], (self,), {})

    def __floor__(self) -> Any:
        return self.tracer.create_proxy("call_function", _OF_NUMPY["floor"], (self,), {})

    def __trunc__(self) -> Any:
        return self.tracer.create_proxy("call_function", int, (self,), {})

    def __round__(self, digits: int | None = None) -> Any:
        return self.tracer.create_proxy(
            "call_function", round, (self,) if digits is None else (self, digits), {}
        )


class Shape(tuple[Any, ...]):
    """A torch.Size whose entries may be symbols."""

    __slots__ = ()

    def numel(self) -> Any:
        return math.prod(self)

    def __eq__(self, other: object) -> Any:
        if not isinstance(other, tuple | list) or len(self) != len(other):
            return False
        same: Any = True
        for one in (a == b for a, b in zip(self, other, strict=True)):
            if one is False:
                return False
            same = one if same is True else same if one is True else same & one
        return same

    def __ne__(self, other: object) -> Any:
        same = self == other
        if isinstance(same, bool):
            return not same
        return same.tracer.create_proxy("call_function", operator.not_, (same,), {})

    __hash__ = tuple.__hash__

    def __getitem__(self, index: Any) -> Any:
        item = super().__getitem__(index)
        return Shape(item) if isinstance(index, slice) else item
