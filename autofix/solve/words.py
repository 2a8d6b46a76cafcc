"""What the search found, in words: edits and inserts with their reasons, proofs and refusals."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any, Final

from autofix.analyse import Analysis
from autofix.arguments import references
from autofix.change import Edit, Insert
from autofix.changes import Changes, program_keys
from autofix.errors import InfeasibleError
from autofix.fault import Fault, Safety
from autofix.findings import find_faults
from autofix.insertion import Adaptive, Align, Fit, Insertion, RoundUp, Widen
from autofix.program import Program, Site
from autofix.size import BATCH
from autofix.solve.edits import all_groups
from autofix.solve.identity import keeps
from autofix.solve.request import Request, Solution
from autofix.solve.search import NotFound


def edits_of(request: Request, solution: Solution, faults: Sequence[Fault]) -> tuple[Edit, ...]:
    """The edits, in execution order."""
    return tuple(_edits(request, solution.changes, faults)) if solution.changes.edits else ()


def _edits(request: Request, changes: Changes, faults: Sequence[Fault]) -> Iterator[Edit]:
    groups = {group.key: group for group in all_groups(request)}
    if not changes.edits.keys() <= groups.keys():  # single calls of a layer that is called repeatedly
        groups |= {group.key: group for group in all_groups(request, shared=False)}
    order = sorted((key for key in changes.edits if key in groups), key=lambda key: groups[key].site.index)
    for key in order:
        group = groups[key]
        for knob, new in changes.edits[key].items():
            yield Edit(
                site=group.site.name,
                op=group.site.op_name,
                module=group.site.name if group.site.module is not None else None,
                knob=knob,
                old=next(a.old for a in group.adjustable if a.knob.name == knob),
                new=new,
                axes=request.original.inputs.axes[-len(new) :],
                why=_why(group.site, faults, _program_of(group.site, request.original)),
                called_at=group.site.location,
                split=group.site.module is not None and key[0] == "call",
            )


def inserts_of(request: Request, solution: Solution, faults: Sequence[Fault]) -> tuple[Insert, ...]:
    """The inserts, in execution order; a rounding of the input and its crop are one."""
    found: dict[tuple[Any, ...], tuple[int, Insert]] = {}
    for mode in request.original.modes:
        for piece in mode.pieces:
            for site, keys in zip(piece.program.sites, program_keys(piece.program), strict=True):
                for insertion in solution.changes.inserts.get(keys[1], ()):
                    same = keeps(request, keys[1], insertion)
                    safety = Safety.IDENTICAL if same else Safety.CHANGES_OUTPUTS
                    insert = _insert(site, insertion, _why(site, faults, piece.program), safety)
                    if insert is not None:
                        found.setdefault(_told_apart(insert), (site.index, insert))
    return tuple(insert for _, insert in sorted(found.values(), key=lambda item: item[0]))


def _told_apart(insert: Insert) -> tuple[Any, ...]:
    """The same on another path is one; calls on one line are two, on the two sides of an `if` expression."""
    at = insert.called_at
    return replace(insert, why=""), *((at.end_line, at.end_column) if at is not None else ())


def _insert(site: Site, insertion: Insertion, why: str, safety: Safety) -> Insert | None:
    module = site.name if site.module is not None else None
    place = site.location
    match insertion:
        case Fit(sizes):
            return Insert("fit", site.name, site.op_name, why, safety, module, sizes, called_at=place)
        case Widen():
            return Insert("widen", site.name, site.op_name, why, safety, module, called_at=place)
        case Align(operand, like):
            return Insert(
                "align",
                site.name,
                site.op_name,
                why,
                safety,
                module,
                operand=operand,
                like=like,
                called_at=place,
            )
        case Adaptive(sizes, passes, after):
            return Insert(
                "adaptive",
                site.name,
                site.op_name,
                why,
                safety,
                module,
                sizes,
                passes=passes,
                after=after,
                called_at=place,
            )
        case RoundUp(least, multiples, offsets):
            return Insert(
                "round",
                site.name,
                "input",
                why,
                safety,
                None,
                least,
                multiples=multiples,
                offsets=offsets,
            )
    return None


def _program_of(site: Site, analysis: Analysis) -> Program:
    """The path that a site was recorded on."""
    programs = [piece.program for mode in analysis.modes for piece in mode.pieces]
    return next((one for one in programs if any(own is site for own in one.sites)), programs[0])


def _why(site: Site, faults: Sequence[Fault], program: Program) -> str:
    """The fault that a change is made for: the one at its own site, else the first that it leads to."""
    led = {site.index}
    for later in program.sites:
        if led.intersection(references((later.args, later.kwargs))):
            led.add(later.index)
    named = {program.sites[index].name for index in led}
    own, reached = ([f for f in faults if f.site in names] for names in ({site.name}, named))
    fault = next(iter((*own, *reached, *faults)), None)
    if fault is None:
        return "so that every size works"
    size = " x ".join(map(str, fault.size))
    numbers = f" needs {fault.needs}, gets {fault.gets}" if fault.needs is not None else f": {fault.message}"
    return f"at {size}, {fault.site}{numbers}"


def static_proof(found: NotFound) -> str:
    """What the solver showed of edits alone."""
    sizes = _sizes(found)
    if not sizes:
        can = "makes" if found.certain else "was found that makes"
        return f"no edit of any hyperparameter {can} every size work: {found.why}"
    if found.certain:
        return f"no edit of any hyperparameter makes all of the sizes {sizes} work (proved by the solver)"
    return f"no edit was found that makes all of the sizes {sizes} work ({found.why})"


def refusal(found: NotFound | None, request: Request) -> InfeasibleError:
    """Why there is no repair: the requirements that cannot hold together, each with a counterexample."""
    faults = find_faults(request.original, request.box)
    core = tuple(f"{f.site} ({f.op}): {f.message}, at size {' x '.join(map(str, f.size))}" for f in faults)
    if found is None:
        text = "no insert was found that keeps every output and mends this"
    elif found.certain:
        allowed = ", ".join(request.allow)
        sizes = f"all of the sizes {_sizes(found)}" if found.samples else "every size"
        text = f"no change of {allowed} and no insert makes {sizes} work"
    else:
        text = f"no repair was found: {found.why}"
    tables = "; ".join(fixed_tables(request.original))
    return InfeasibleError("; ".join((text, *((tables,) if tables else ()), *core[:2])), core)


_TABLES: Final = (
    ("position embeddings", r"pos(ition)?_?emb|\bpos(ition)?s?\b|rope"),
    ("a position bias", r"rel_pos|relative_position|pos(ition)?_bias|attention_bias"),
)


def fixed_tables(analysis: Analysis) -> Iterator[str]:
    """What ties the model to one size: tables of positions that its calls use, and attention windows."""
    sites = [site for mode in analysis.modes for piece in mode.pieces for site in piece.program.sites]
    constants = list(dict.fromkeys(str(site.target) for site in sites if site.kind == "get_attr"))
    for cause, pattern in _TABLES:
        name = next((name for name in constants if re.search(pattern, name, re.IGNORECASE)), None)
        if name is not None:
            yield f"its sizes are tied to {cause} ({name})"
    layers = analysis.evaluating.pieces[0].program.root.named_modules()
    kinds = ((name, type(layer).__name__) for name, layer in layers)
    window = next((f"{name}: {kind}" for name, kind in kinds if "window" in kind.lower()), None)
    if window is not None:
        yield f"its sizes are tied to attention windows ({window})"


def _sizes(found: NotFound) -> str:
    points = dict.fromkeys(
        tuple(s.point[axis] for axis in sorted(s.point) if axis != BATCH) for s in found.samples
    )
    return ", ".join(" x ".join(map(str, point)) for point in list(points)[:4])
