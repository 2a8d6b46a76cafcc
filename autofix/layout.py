"""How tensors lie in memory, as far as `view` asks: which neighbouring dimensions are not one stretch.

A permute, a slice, or a layer that follows the memory order of its input leaves neighbours apart, and `view`,
which never copies, cannot merge them. The order is a fact of the program and hardly ever of the size, so one
run on the meta device shows it; what it means for the sizes is for the rule of `view` to say.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import replace
from itertools import pairwise
from typing import Any, Final

import torch
from torch import fx

from autofix.arguments import references
from autofix.condition import Condition
from autofix.meta import meta_inputs, undisturbed
from autofix.ops.base import words
from autofix.program import Gaps, Program, Site
from autofix.size import BATCH

VIEWS: Final = frozenset(("view", "view_as"))
MOVES: Final = frozenset(
    words(
        "permute transpose swapaxes swapdims movedim moveaxis t T mT expand expand_as getitem narrow select"
        " chunk split tensor_split unbind unfold rot90 as_strided diagonal to unsafe_chunk hsplit vsplit"
    )
)
LOOKED_AT: Final = (224, 64, 33, 299, 12)  # sizes at which a model is likely to work
DIM: Final = {"getitem": 0, "narrow": 1, "split": 2, "chunk": 2, "tensor_split": 2, "unfold": 1}
CUT_AT: Final = (64, 95, 32, 225)  # other sizes, odd and even, along which slices may cut or not
COPIES: Final = frozenset(("contiguous", "Linear", "linear", "matmul", "bmm", "empty", "zeros", "ones"))

Layouts = dict[int, frozenset[int]]  # of views in one run, by site: positions at which their input is apart


def matters(program: Program) -> bool:
    """Whether some view may be given a tensor that something before it has rearranged."""
    return _reaches_a_view(program, lambda site: site.op_name in MOVES)


def _reaches_a_view(program: Program, moves: Callable[[Site], bool]) -> bool:
    moved: set[int] = set()
    for site in program.sites:
        sources = [ref for ref in references((site.args, site.kwargs)) if ref in moved]
        if site.kind == "call_method" and site.target in VIEWS and sources:
            return True
        if moves(site) or (sources and site.op_name not in COPIES):
            moved.add(site.index)
    return False


def _cuts(site: Site) -> bool:
    """Whether a call may cut something off along a spatial axis."""
    if site.op_name == "getitem":
        index = site.args[1] if isinstance(site.args[1], tuple) else ()
        return any(isinstance(part, slice) for part in (index if ... in index else index[2:]))
    along = site.kwargs.get("dim", site.args[DIM[site.op_name]] if len(site.args) > DIM[site.op_name] else 0)
    return along not in (0, 1)


def laid_out(program: Program) -> Program:
    """The program of any size, with what its views are given; itself where nothing is rearranged."""
    if not matters(program):
        return program
    found: Layouts = {}
    for size in LOOKED_AT:
        seen, whole = apart(program, dict.fromkeys(range(len(program.inputs.axes)), size) | {BATCH: 2})
        found = seen | found
        if whole:
            break
    gaps = with_others(program, found)
    sites = tuple(replace(site, apart=gaps.get(site.index, site.apart)) for site in program.sites)
    return replace(program, sites=sites)


def with_others(program: Program, found: Layouts, conditions: Iterable[Condition] = ()) -> dict[int, Gaps]:
    """What views are given at further sizes too, at which a slice before them may cut off more, or nothing.

    conditions: of the path that the program records
    """
    always, ever = dict(found), dict(found)
    cut = _reaches_a_view(program, lambda site: site.op_name in DIM and _cuts(site))
    for size in CUT_AT if cut else ():
        point = {axis: size + 5 * axis for axis in range(len(program.inputs.axes))} | {BATCH: 2}
        if all(bool(condition.at(point)) for condition in conditions):
            for site, gaps in apart(program, point, single=False)[0].items():
                always[site] = always.get(site, gaps) & gaps
                ever[site] = ever.get(site, gaps) | gaps
    return {site: Gaps(always[site], ever[site] - always[site]) for site in ever}


def apart(program: Program, point: Mapping[int, int], single: bool = True) -> tuple[Layouts, bool]:
    """What views are given in a run at one size, and whether the run ended well.

    single: tensors with a dimension of one element too, which may lie anywhere
    """
    sizes = tuple(point[axis] for axis in range(len(program.inputs.axes)))
    inputs = meta_inputs(program.root, program.inputs.concrete(sizes, point[BATCH]), program.inputs.integer)
    run = _Run(program, single)
    try:
        with undisturbed(program.root):
            run.run(*inputs)
    except Exception:  # a size that is refused: what was seen until then is what there is to know
        return run.found, False
    return run.found, True


class _Run(fx.Interpreter):
    """Runs a graph and looks at what views are given."""

    def __init__(self, program: Program, single: bool) -> None:
        super().__init__(program.root, graph=program.graph)
        self.single = single
        self.index = {node: index for index, node in enumerate(program.graph.nodes)}
        self.found: Layouts = {}

    def run_node(self, n: fx.Node) -> Any:
        if n.op == "call_method" and n.target in VIEWS:
            (tensor, *_), _ = self.fetch_args_kwargs_from_env(n)
            if self.single or 1 not in tensor.shape:
                self.found[self.index[n]] = frozenset(_gaps(tensor))
        return super().run_node(n)


def _gaps(tensor: torch.Tensor) -> Iterator[int]:
    """The positions i at which dimension i does not continue the one before; single elements lie anywhere."""
    wide = [position for position, size in enumerate(tensor.shape) if size != 1]
    for before, after in pairwise(wide):
        if tensor.stride(before) != tensor.stride(after) * tensor.shape[after]:
            yield after
