"""Every insert to its place: a line of forward where there is one, else a statement after construction."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from autofix.source.forward import Rounding, insert_line, insert_round
from autofix.source.forward_file import ForwardFile
from autofix.source.helpers import (
    Helper,
    after_helper,
    average_helper,
    fit_helper,
    hook_helper,
    round_helper,
    widen_helper,
    wrap_forward_helper,
)
from autofix.source.locate import function_name
from autofix.source.modules import Layers
from autofix.source.text import SourceError, SourceFile
from autofix.source.wanted import Insert, Place, access, ints_of, module_of, place_key

if TYPE_CHECKING:
    from torch import nn

    from autofix.fault import Location


@dataclass(frozen=True)
class Statement:
    """A line to run once the model is built: `template` with the model's variable for {model}."""

    template: str
    helpers: tuple[Helper, ...] = ()

    def line(self, variable: str) -> str:
        return self.template.replace("{model}", variable)


@dataclass
class InsertPlan:
    """Files whose forward changes, statements for the model's `__init__`, and what could not be placed."""

    files: dict[str, ForwardFile] = field(default_factory=dict)
    statements: list[Statement] = field(default_factory=list)
    failures: list[str] = field(default_factory=list)

    def file(self, source: SourceFile) -> ForwardFile:
        return self.files.setdefault(source.path, ForwardFile(source))


def plan_inserts(
    layers: Layers,
    inserts: Iterable[Insert],
    calls: Iterable[Location] = (),
    cropped: tuple[bool, ...] | None = None,
) -> InsertPlan:
    """Where each insert is written. `calls`: where every site of the graph stands."""
    plan = InsertPlan()
    inserts = list(inserts)
    shared = _Shared(layers.model, inserts, Counter(place_key(at) for at in calls))
    rounds = [insert for insert in inserts if insert.kind == "round"]
    for insert in inserts:
        try:
            if insert.kind != "round":
                _place(plan, layers, insert, in_line=shared.in_line(insert))
            elif insert is rounds[0]:
                _round(plan, layers, Rounding(rounds, cropped))
        except SourceError as error:
            plan.failures.append(f"{insert.kind} at {insert.site}: {error}")
    return plan


def _place(plan: InsertPlan, layers: Layers, insert: Insert, *, in_line: bool) -> None:
    path = module_of(insert, layers.model)
    at = insert.called_at
    if in_line and at is not None and layers.tracer.is_user(at.file):
        try:
            file = plan.file(layers.tracer.read(at.file))
            insert_line(file, insert, at, path, _axes(layers.model, insert))
        except SourceError:
            if path is None:
                raise
            plan.statements.append(_hook(layers.model, insert, path))
    elif path is not None:
        plan.statements.append(_hook(layers.model, insert, path))
    else:
        raise SourceError(f"{at or insert.site} is no code of this project, or serves several calls")


@dataclass(frozen=True)
class _Shared:
    """Which expressions of forward several sites run, as in a loop or in the forward of a block."""

    model: nn.Module
    inserts: list[Insert]
    calls: Counter[Place]

    def in_line(self, insert: Insert) -> bool:
        """Whether an insert may be written into the expression: all that runs it is to have the insert.

        A function's kernel is written in the call, so padding it is right for all that run it, as is aligning
        what is joined; the size of an average is one call's own.
        """
        if insert.called_at is None:
            return True
        place, path = place_key(insert.called_at), module_of(insert, self.model)
        alike = [one for one in self.inserts if self._kind(one) == self._kind(insert)]
        group = [one for one in alike if one.called_at and place_key(one.called_at) == place]
        sites = {one.site: {_what(at) for at in group if at.site == one.site} for one in group}
        same = all(what == sites[insert.site] for what in sites.values())
        if path is None:
            return same and (insert.kind != "adaptive" or self.calls[place] in (0, len(sites)))
        if not self.calls and not _is_element(path):
            return True  # without columns, several calls may stand on one line
        return same and self.calls[place] in (0, len(sites))

    def _kind(self, insert: Insert) -> tuple[str, str | None]:
        """Inserts of one kind at calls of one function, or of any layers."""
        function = function_name(insert.site) if module_of(insert, self.model) is None else None
        return insert.kind, function


def _what(insert: Insert) -> tuple[object, ...]:
    names = ("operand", "like", "passes", "after")
    return ints_of(insert, "sizes"), *(getattr(insert, name, 0) for name in names)


def _is_element(path: str | None) -> bool:
    """Whether the module has no attribute name of its own: an element of a list, as in a loop."""
    return path is not None and path.rsplit(".", 1)[-1].isdecimal()


def _axes(model: nn.Module, insert: Insert) -> int:
    """The number of spatial axes, by the insert's sizes or else the model's first layer that has them."""
    sizes = ints_of(insert, "sizes")
    if sizes:
        return len(sizes)
    for module in model.modules():
        name = type(module).__name__
        if name[-2:] in ("1d", "2d", "3d") and not name.startswith("Dropout"):
            return int(name[-2])
    return 2


def _hook(model: nn.Module, insert: Insert, path: str) -> Statement:
    sizes = ints_of(insert, "sizes")
    hook = after_helper() if getattr(insert, "after", False) else hook_helper()
    layer = access(model, path, "{model}")
    numbers = ", ".join(map(str, sizes))
    if insert.kind == "widen":
        widen = widen_helper(_axes(model, insert))
        return Statement(f"{hook.name}({layer}, {widen.name})", (widen, hook))
    if insert.kind == "fit":
        fit = fit_helper(len(sizes))
        return Statement(f"{hook.name}({layer}, lambda x: {fit.name}(x, {numbers}))", (fit, hook))
    if insert.kind == "adaptive" and getattr(insert, "passes", False):
        average = average_helper(len(sizes))
        return Statement(f"{hook.name}({layer}, lambda x: {average.name}(x, {numbers}))", (average, hook))
    if insert.kind == "adaptive":
        pool = f"torch.nn.functional.adaptive_avg_pool{len(sizes)}d(x, {sizes})"
        return Statement(f"{hook.name}({layer}, lambda x: {pool})", (hook,))
    raise SourceError("a join stands in no line of this project")


def _round(plan: InsertPlan, layers: Layers, rounding: Rounding) -> None:
    if not rounding.axes:
        raise SourceError("of which multiple is not known")
    code = type(layers.model).forward.__code__
    inner = (type(layer) for layer in layers.model.modules() if layer is not layers.model)
    if any(getattr(kind.forward, "__code__", None) is code for kind in inner):
        name = type(layers.model).__name__
        raise SourceError(f"{name} holds layers of its own class, which would pad their inputs as well")
    if layers.tracer.is_user(code.co_filename):
        insert_round(plan.file(layers.tracer.read(code.co_filename)), rounding, code)
        return
    if len(rounding.inserts) > 1:
        raise SourceError(f"{code.co_filename} is no code of this project")
    crop = rounding.crop_helper(rounding.axes, "crop_back")
    wrap = wrap_forward_helper(rounding.crop("crop_back", "output", "x"))
    helpers = (round_helper(rounding.axes), crop, wrap)
    call = f"accept_any_size({{model}}, {rounding.settings(rounding.inserts[0])})"
    plan.statements.append(Statement(call, helpers))


def statement_helpers(statements: Iterable[Statement]) -> list[Helper]:
    """The helpers of all statements, each once, in the order they are needed."""
    return list(dict.fromkeys(helper for statement in statements for helper in statement.helpers))
