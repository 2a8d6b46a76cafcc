"""The captured computation: what each call site is and where its arguments come from."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property, lru_cache
from operator import attrgetter
from types import CodeType
from typing import Any, Final, NamedTuple

from torch import fx, nn

from autofix.condition import Condition, equal
from autofix.contexts import is_switch
from autofix.fault import Location
from autofix.size import BATCH, Dim, variable

AXIS_NAMES = {1: ("L",), 2: ("H", "W"), 3: ("D", "H", "W")}


@dataclass(frozen=True, slots=True)
class Ref:
    """The value of an earlier site."""

    site: int


@dataclass(frozen=True)
class Place:
    """The call expression a site was recorded at: code object and instruction, read only when asked."""

    code: CodeType
    instruction: int

    def location(self) -> Location | None:
        """File, line and stripped source text."""
        import linecache

        line, end_line, _, end_column = self.positions
        if line is None:
            return None
        file = self.code.co_filename
        return Location(file, line, linecache.getline(file, line).strip(), end_line, end_column)

    @property
    def positions(self) -> tuple[int | None, int | None, int | None, int | None]:
        """Line, end line, column, end column of the call."""
        return _positions(self.code)[self.instruction // 2]


@lru_cache(maxsize=256)
def _positions(code: CodeType) -> tuple[tuple[int | None, int | None, int | None, int | None], ...]:
    return tuple(code.co_positions())


class Gaps(NamedTuple):
    """Positions of dimensions, at every size that was looked at or at some of them."""

    always: frozenset[int] = frozenset()
    sometimes: frozenset[int] = frozenset()


NO_GAPS: Final = Gaps()


@dataclass(frozen=True)
class Site:
    """One call in the graph.

    name:   the module's dotted path, or the graph's name of the call
    kind:   fx's: placeholder, get_attr, call_module, call_function, call_method, output
    args, kwargs: constants and `Ref`s, nested in tuples, lists, dicts and slices
    trains: whether the module here is in training mode when the model is
    apart:  of a view, the positions at which its input is not one stretch of memory with what is before
    under:  conditions, with the truth of each under which the model itself would make this call
    """

    index: int
    name: str
    kind: str
    target: Any
    args: tuple[Any, ...]
    kwargs: dict[str, Any]
    module: nn.Module | None = None
    trains: bool = True
    place: Place | None = field(default=None, compare=False)
    apart: Gaps = NO_GAPS
    under: tuple[tuple[Ref, bool], ...] = ()

    @property
    def op_name(self) -> str:
        """The class, function or method as a reader knows it."""
        if self.module is not None:
            return type(self.module).__name__
        return (
            self.target
            if isinstance(self.target, str)
            else getattr(self.target, "__name__", str(self.target))
        )

    @property
    def location(self) -> Location | None:
        return self.place.location() if self.place else None


@dataclass(frozen=True)
class InputShapes:
    """The shapes of the inputs: ints are fixed, names are axes, "B" is the batch; None is no tensor."""

    shapes: tuple[tuple[int | str, ...] | None, ...]
    integer: frozenset[int] = frozenset()  # which inputs hold integers

    @cached_property
    def axes(self) -> tuple[str, ...]:
        """The names of the spatial axes, in the order in which they first appear."""
        names = (d for shape in self.shapes if shape for d in shape if isinstance(d, str) and d != "B")
        return tuple(dict.fromkeys(names))

    def dims(self) -> tuple[tuple[Dim, ...] | None, ...]:
        """The shapes as dimensions: one variable for each axis and one for the batch."""
        known: dict[int | str, Dim] = {name: variable(index) for index, name in enumerate(self.axes)}
        known["B"] = variable(BATCH)
        return tuple(None if s is None else tuple(known.get(d, d) for d in s) for s in self.shapes)

    def concrete(self, sizes: tuple[int, ...], batch: int) -> tuple[tuple[int, ...] | None, ...]:
        """The shapes at one size per axis."""
        known: dict[int | str, Any] = {**dict(zip(self.axes, sizes, strict=True)), "B": batch}
        return tuple(None if s is None else tuple(known.get(d, d) for d in s) for s in self.shapes)


class Told(NamedTuple):
    """What the model's Python asked while it was traced: after so many calls, whether a site's value is true.

    within: on one side of an `if` of which both sides are recorded, where a path may not fork
    number: whether the value is this one, which Python was given
    """

    calls: int
    site: int
    truth: bool
    within: bool
    number: int | None = None

    def question(self, value: Any) -> Condition:
        """What was asked of the value."""
        if self.number is not None:
            return equal(value, self.number)
        return value if isinstance(value, Condition) else ~equal(value, 0)


@dataclass(frozen=True)
class Program:
    """One trace of a model: its sites in execution order, and the fx graph and root they were read from.

    asked: the model's own code took one of two ways, by a size that an edit may change
    chosen: where in the model's code a tensor is one of two -> the site of the condition
    told: all that Python asked of sizes; None where it was told more than that, or errors that it caught
    """

    sites: tuple[Site, ...]
    graph: fx.Graph
    root: nn.Module
    inputs: InputShapes
    rung: str = "torch.fx"
    asked: bool = False
    chosen: Mapping[str, int] = field(default_factory=dict)
    told: tuple[Told, ...] | None = ()

    def label(self, index: int) -> str:
        return self.sites[index].name


def read_graph(
    graph: fx.Graph, root: nn.Module, places: Mapping[str, Place], trains: Callable[[nn.Module], bool]
) -> tuple[Site, ...]:
    """The sites of an fx graph."""
    nodes = [node for node in graph.nodes if not is_switch(node)]
    index = {node: position for position, node in enumerate(nodes)}
    return tuple(site_of(node, index, root, places, trains) for node in nodes)


def site_of(
    node: fx.Node,
    index: Mapping[fx.Node, int],
    root: nn.Module,
    places: Mapping[str, Place],
    trains: Callable[[nn.Module], bool],
) -> Site:
    """One node, with references to earlier sites in the place of nodes."""
    module = root.get_submodule(str(node.target)) if node.op == "call_module" else None
    name = str(node.target) if module is not None else node.name
    args = _translate(node.args, index)
    kwargs = {key: _translate(value, index) for key, value in node.kwargs.items()}
    if node.op == "get_attr":
        kwargs = {"value": attrgetter(str(node.target))(root)}
    train = trains(module) if module is not None else True
    return Site(index[node], name, node.op, node.target, args, kwargs, module, train, places.get(node.name))


def _translate(value: Any, index: Mapping[fx.Node, int]) -> Any:
    if isinstance(value, fx.Node):
        return Ref(index[value])
    if isinstance(value, slice):
        return slice(*(_translate(item, index) for item in (value.start, value.stop, value.step)))
    if isinstance(value, tuple):
        items = [_translate(item, index) for item in value]
        return type(value)(*items) if hasattr(value, "_fields") else tuple(items)
    if isinstance(value, list):
        return [_translate(item, index) for item in value]
    if isinstance(value, dict):
        return {key: _translate(item, index) for key, item in value.items()}
    return value
