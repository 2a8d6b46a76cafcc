"""Every insert to its place: a line of forward where there is one, else a statement after construction."""

from __future__ import annotations

import ast
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from autofix.source.forward import insert_line, insert_round
from autofix.source.forward_file import ForwardFile
from autofix.source.helpers import (
    Helper,
    crop_helper,
    fit_helper,
    hook_helper,
    round_helper,
    wrap_forward_helper,
)
from autofix.source.modules import Layers
from autofix.source.text import SourceError, SourceFile, Splice
from autofix.source.wanted import Insert, access, ints_of, module_of

if TYPE_CHECKING:
    from torch import nn


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
    splices: dict[str, list[Splice]] = field(default_factory=lambda: defaultdict(list))
    statements: list[Statement] = field(default_factory=list)
    failures: list[str] = field(default_factory=list)

    def file(self, source: SourceFile) -> ForwardFile:
        return self.files.setdefault(source.path, ForwardFile(source))


def plan_inserts(layers: Layers, inserts: Iterable[Insert]) -> InsertPlan:
    """Where each insert is written."""
    plan = InsertPlan()
    inserts = list(inserts)
    unlike = _unlike_in_one_place(layers.model, inserts)
    for insert in inserts:
        try:
            _place(plan, layers, insert, in_line=id(insert) not in unlike)
        except SourceError as error:
            plan.failures.append(f"{insert.kind} at {insert.site}: {error}")
    return plan


def _place(plan: InsertPlan, layers: Layers, insert: Insert, *, in_line: bool) -> None:
    path = module_of(insert, layers.model)
    module = layers.model.get_submodule(path) if path is not None else None
    at = insert.called_at
    if insert.kind == "round":
        _round(plan, layers, insert)
    elif insert.kind == "adaptive" and module is not None and path is not None and _is_pool(module):
        _replace_pool(plan, layers, insert, path, module)
    elif in_line and at is not None and layers.tracer.is_user(at.file):
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
        raise SourceError(f"{at or insert.site} is no code of this project")


def _unlike_in_one_place(model: nn.Module, inserts: list[Insert]) -> set[int]:
    """Layers called by one line of a loop, each with sizes of its own: the line cannot serve them all."""
    by_line: dict[tuple[str, int, str], list[Insert]] = defaultdict(list)
    for insert in inserts:
        path = module_of(insert, model)
        if insert.called_at is not None and insert.kind in ("fit", "adaptive") and _is_element(path):
            by_line[insert.called_at.file, insert.called_at.line, insert.kind].append(insert)
    unlike = (group for group in by_line.values() if len({ints_of(one, "sizes") for one in group}) > 1)
    return {id(insert) for group in unlike for insert in group}


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


def _is_pool(module: nn.Module) -> bool:
    return type(module).__name__.startswith(("AvgPool", "MaxPool"))


def _hook(model: nn.Module, insert: Insert, path: str) -> Statement:
    sizes = ints_of(insert, "sizes")
    hook = hook_helper()
    layer = access(model, path, "{model}")
    numbers = ", ".join(map(str, sizes))
    if insert.kind == "fit":
        fit = fit_helper(len(sizes))
        return Statement(f"{hook.name}({layer}, lambda x: {fit.name}(x, {numbers}))", (fit, hook))
    if insert.kind == "adaptive":
        pool = f"torch.nn.functional.adaptive_avg_pool{len(sizes)}d(x, {sizes})"
        return Statement(f"{hook.name}({layer}, lambda x: {pool})", (hook,))
    raise SourceError("a join stands in no line of this project")


def _round(plan: InsertPlan, layers: Layers, insert: Insert) -> None:
    if not ints_of(insert, "multiple"):
        raise SourceError("of which multiple is not known")
    code = type(layers.model).forward.__code__
    if layers.tracer.is_user(code.co_filename):
        insert_round(plan.file(layers.tracer.read(code.co_filename)), insert, code)
        return
    multiple = ints_of(insert, "multiple")
    axes = len(multiple)
    offset = ints_of(insert, "offset") or (0,) * axes
    least = ints_of(insert, "sizes") or (1,) * axes
    helpers = (round_helper(axes), crop_helper(axes), wrap_forward_helper())
    call = f"accept_any_size({{model}}, multiple={multiple}, offset={offset}, least={least})"
    plan.statements.append(Statement(call, helpers))


def _replace_pool(plan: InsertPlan, layers: Layers, insert: Insert, path: str, module: nn.Module) -> None:
    """`nn.AvgPool2d(7)` -> `nn.AdaptiveAvgPool2d((1, 1))` where that call builds this pool only."""
    sizes = ints_of(insert, "sizes")
    found = layers.arguments(module, "kernel_size")
    group = layers.built_by(found[0], "kernel_size") if found else []
    call = found[0].call if found else None
    if group == [module] and call is not None and isinstance(call.func, ast.Attribute):
        source = found[0].source
        name = f"{source.segment(call.func.value)}.Adaptive{type(module).__name__}"
        splice = Splice(source.start(call), source.end(call), f"{name}({sizes})")
        plan.splices[source.path].append(splice)
        return
    layer = access(layers.model, path, "{model}")
    plan.statements.append(Statement(f"{layer} = torch.nn.Adaptive{type(module).__name__}({sizes})"))


def statement_helpers(statements: Iterable[Statement]) -> list[Helper]:
    """The helpers of all statements, each once, in the order they are needed."""
    return list(dict.fromkeys(helper for statement in statements for helper in statement.helpers))


