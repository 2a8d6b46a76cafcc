"""The strategies: which groups the search may use, in which order, and what the answer is called."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from autofix.analyse import Analysis, Mode, Piece
from autofix.change import Edit
from autofix.condition import Box
from autofix.errors import InfeasibleError
from autofix.fault import Fault
from autofix.interpret import interpret
from autofix.ops.base import Tensor
from autofix.size import BATCH, Size, at
from autofix.solve.cost import multiply_adds
from autofix.solve.knobs import Group, Key, Setting, groups_of, overrides_of
from autofix.solve.search import Found, NotFound, Question, search


@dataclass(frozen=True)
class Request:
    """What the user asked of a repair."""

    box: Box
    allow: tuple[str, ...]
    frozen: tuple[str, ...]
    reference: tuple[int, ...]
    deadline: float


def fewest(original: Analysis, request: Request, analyse: Callable[[Setting], Analysis]) -> Found | NotFound:
    """The fewest edited sites."""
    groups = all_groups(original, request)
    tied = all(group.symmetric for group in groups) and _alike(original, request.box)
    question = Question(groups, request.box, analyse, _cost(original, request), tied, deadline=request.deadline)
    return search(question, original)


def all_groups(original: Analysis, request: Request) -> list[Group]:
    """What may be edited on any path, in execution order."""
    found: dict[Key, Group] = {}
    for mode in original.modes:
        for piece in mode.pieces:
            for group in groups_of(piece, request.allow, request.frozen):
                found.setdefault(group.key, group)
    return list(found.values())


def _alike(analysis: Analysis, box: Box) -> bool:
    """Whether the axes are programs of the same shape: then one search serves them all."""
    axes = [axis for axis in box if axis != BATCH]
    if len({box[axis] for axis in axes}) > 1:
        return False
    return all(_symmetric(value, len(axes)) for mode in analysis.modes for p in mode.pieces for value in p.meaning.values)


def _symmetric(value: object, count: int) -> bool:
    if not isinstance(value, Tensor):
        return True
    curves: dict[int, list[object]] = {}
    for dim in value.shape:
        if isinstance(dim, Size) and dim.axis != BATCH:
            curves.setdefault(dim.axis, []).append(dim.curve)
        elif not isinstance(dim, int | Size):
            return False
    return not curves or (len(curves) == count and len({tuple(map(id, c)) for c in _same(curves)}) == 1)


def _same(curves: dict[int, list[object]]) -> list[list[object]]:
    """The curves of each axis, equal ones as one object."""
    first: dict[object, object] = {}
    return [[first.setdefault(curve, curve) for curve in row] for row in curves.values()]


def _cost(original: Analysis, request: Request) -> Callable[[Setting], int]:
    piece = original.evaluating.pieces[0]
    point = {BATCH: 1, **dict(enumerate(request.reference))}

    def cost(setting: Setting) -> int:
        dims = [None if d is None else Tensor(tuple(at(x, point) for x in d)) for d in piece.program.inputs.dims()]
        meaning = interpret(piece.program, dims, {}, point, overrides_of(piece.program, setting))
        return multiply_adds(piece.program, meaning)

    return cost


def same(original: Analysis, request: Request, analyse: Callable[[Setting], Analysis]) -> Found | NotFound:
    """'Same' padding on every convolution that needs or neighbours a repair."""
    found = fewest(original, replace_allow(request), analyse)
    if isinstance(found, NotFound) or not found.setting:
        return found
    groups = {g.key: g for g in all_groups(original, replace_allow(request)) if _same_padding(g)}
    needed = [key for key in found.setting if key in groups]
    near = neighbours(original.evaluating.pieces[0], needed, groups)
    for keys in ([*needed, *near], list(groups), needed):
        setting = {**found.setting, **{key: {"padding": _same_padding(groups[key])} for key in keys}}
        analysis = analyse(setting)
        if all(mode.accepted.covers(_bounds(request.box, mode)).holds for mode in analysis.modes):
            return replace(found, setting=setting, analysis=analysis, optimal=False)
    return found


def replace_allow(request: Request) -> Request:
    """Padding alone, where it may change at all."""
    return replace(request, allow=tuple(k for k in request.allow if k == "padding") or request.allow)


def _bounds(box: Box, mode: Mode) -> Box:
    return {**box, BATCH: (2, None)} if mode.training else box


def _same_padding(group: Group) -> tuple[int, ...]:
    """d * (k - 1) // 2 for each axis of a convolution; () for anything else or where it is so already."""
    if "weight" not in str(group.key) and group.site.op_name not in _CONVOLUTIONS:
        return ()
    wanted = tuple(d * (k - 1) // 2 for d, (k, _) in zip(group.dilation, group.shape, strict=True))
    present = next((a.old for a in group.adjustable if a.knob.name == "padding"), wanted)
    return wanted if present != wanted else ()


_CONVOLUTIONS = ("Conv1d", "Conv2d", "Conv3d", "conv1d", "conv2d", "conv3d")


def neighbours(piece: Piece, keys: Sequence[Key], groups: dict[Key, Group]) -> list[Key]:
    """The convolutions next to the given ones, other operators apart."""
    from autofix.findings import references

    users: dict[int, list[int]] = {}
    for site in piece.program.sites:
        for ref in references((site.args, site.kwargs)):
            users.setdefault(ref, []).append(site.index)
    owner = {index: group.key for group in groups.values() for index in group.sites}
    result: dict[Key, None] = {}
    for start in [index for key in keys for index in groups[key].sites]:
        before = _reach(start, lambda i: list(references((piece.program.sites[i].args, piece.program.sites[i].kwargs))), owner)
        after = _reach(start, lambda i: users.get(i, []), owner)
        result.update(dict.fromkeys(owner[index] for index in (*before, *after)))
    return [key for key in result if key not in keys]


def _reach(start: int, step: Callable[[int], list[int]], owner: dict[int, Key]) -> list[int]:
    """The first convolutions met on the way from a site."""
    queue, seen, found = step(start), set[int](), []
    while queue:
        index = queue.pop()
        if index in seen:
            continue
        seen.add(index)
        if index in owner:
            found.append(index)
        else:
            queue += step(index)
    return found


def edits_of(original: Analysis, setting: Setting, request: Request, faults: Sequence[Fault]) -> tuple[Edit, ...]:
    """A setting as edits, in execution order."""
    groups = {group.key: group for group in all_groups(original, request)}
    axes = original.inputs.axes
    edits = []
    for key, group in groups.items():
        for knob, new in setting.get(key, {}).items():
            old = next(a.old for a in group.adjustable if a.knob.name == knob)
            edits.append(
                Edit(
                    site=group.site.name,
                    op=group.site.op_name,
                    module=group.site.name if group.site.module is not None else None,
                    knob=knob,
                    old=old,
                    new=new,
                    axes=axes[-len(new) :] if len(new) <= len(axes) else axes,
                    why=_why(group, faults),
                    called_at=group.site.location,
                )
            )
    return tuple(edits)


def _why(group: Group, faults: Sequence[Fault]) -> str:
    """The fault that the edit is made for: the one at its own site, else the first."""
    fault = next((f for f in faults if f.site == group.site.name), faults[0] if faults else None)
    if fault is None:
        return "so that every size works"
    size = " x ".join(map(str, fault.size))
    numbers = f" needs {fault.needs}, gets {fault.gets}" if fault.needs is not None else f": {fault.message}"
    return f"at {size}, {fault.site}{numbers}"


def infeasible(answer: NotFound, faults: Sequence[Fault], request: Request) -> InfeasibleError:
    """The refusal, in words."""
    core = tuple(_why_not(fault) for fault in faults)
    sizes = ", ".join(" x ".join(str(s.point[a]) for a in sorted(s.point) if a >= 0) for s in answer.samples[:3])
    verb = "can" if answer.certain else "could"
    text = f"no repair {verb} be found by changing {', '.join(request.allow)}: {answer.why} (looked at {sizes})"
    return InfeasibleError("; ".join((text, *core[:2])), core)


def _why_not(fault: Fault) -> str:
    size = " x ".join(map(str, fault.size))
    return f"{fault.site} ({fault.op}): {fault.message}, at size {size}"


def deadline(time_limit: float | None) -> float:
    """When the search has to stop."""
    return time.monotonic() + (60.0 if time_limit is None else time_limit)
