"""The certificate in words and tables that a person can check."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from autofix.analyse import Piece
from autofix.arguments import references
from autofix.certificate import Axis, Certificate, Span
from autofix.change import Insert
from autofix.fault import Code
from autofix.ops.base import Tensor
from autofix.program import Site
from autofix.repair import Fix
from autofix.report.page.sampled import first_tensor
from autofix.size import BATCH, Dim, Size, at

MOST_SIZES = 32  # columns of a join's table
_JOINS = (Code.JOIN, Code.BROADCAST)


@dataclass(frozen=True)
class Claim:
    """What one certificate says: mode, number of requirements, and the cases along each axis."""

    mode: str
    requirements: int
    cases: tuple[str, ...]


@dataclass(frozen=True)
class Rise:
    """A formula that grows by `rise` whenever the input grows by `period`. `layers` have this size."""

    formula: str
    period: int
    rise: int
    settled: int
    layers: tuple[str, ...]


@dataclass(frozen=True)
class Operand:
    """What enters a join: where from, and its size along one axis at each input size."""

    name: str
    formula: str
    period: int
    rise: int
    sizes: tuple[int, ...]


@dataclass(frozen=True)
class Join:
    """Joins at which the same sizes meet, over one period."""

    sites: tuple[str, ...]
    columns: tuple[int, ...]
    operands: tuple[Operand, ...]
    period: int
    insert: str
    cut: bool

    @property
    def verdict(self) -> str:
        """Why nothing more has to be looked at."""
        if self.insert:
            return f"the insert makes them meet: {self.insert}"
        if len({operand.formula for operand in self.operands}) == 1:
            return "the same function of the input size, so they meet at every size"
        if any(set(operand.sizes) == {1} for operand in self.operands):
            return "one side has size 1 at every input size and is broadcast on purpose"
        if len({operand.sizes for operand in self.operands}) == 1:
            return "equal over one whole period and equal rises, so equal for ever"
        return "the sizes may differ here: the operands are joined along this axis"


@dataclass(frozen=True)
class Proof:
    """`why` says at what the proof failed, where there are no claims."""

    claims: tuple[Claim, ...]
    why: str
    ran: str
    rises: tuple[Rise, ...]
    joins: tuple[Join, ...]


def proof(fix: Fix) -> Proof:
    """Read off the verdict and the sizes of the repaired model."""
    axes = fix.report.axes
    piece = fix.report.analysis.evaluating.pieces[0]
    lows = {axis: fix.report.box[axis][0] for axis in range(len(axes))}
    return Proof(
        tuple(_claim(certificate, axes) for certificate in fix.verdict.certificates),
        fix.verdict.why,
        fix.ran,
        tuple(_rises(piece)),
        tuple(_joins(piece, lows, fix.inserts)),
    )


def _claim(certificate: Certificate, axes: Sequence[str]) -> Claim:
    alike: dict[Axis | Span, list[str]] = {}
    for axis, cut in certificate.axes:
        if axis != BATCH:
            alike.setdefault(cut, []).append(axes[axis])
    cases = [f"{', '.join(names)}: {_cases(cut)}" for cut, names in alike.items()]
    batch = dict(certificate.axes)[BATCH]
    cases.append(f"batch: {_cases(batch)}")
    return Claim("train" if certificate.training else "eval", certificate.requirements, tuple(cases))


def _cases(cut: Axis | Span) -> str:
    if isinstance(cut, Span):
        return f"every n \u2265 {cut.first}" + (f" up to {cut.last}" if cut.last else "") + ", as an interval"
    parts = []
    if cut.head:
        last = cut.first + cut.head - 1
        parts.append(f"n = {cut.first}" if cut.head == 1 else f"each n from {cut.first} to {last} by itself")
    if cut.period:
        start = cut.first + cut.head
        listed = [str(n) for n in range(start, start + cut.period)]
        shown = listed if len(listed) < 4 else [*listed[:2], "\u2026", listed[-1]]
        residues = f"r = {', '.join(shown)}"
        parts.append(f"n = r + {cut.period}k for {residues} and every k \u2265 0")
    return ", then ".join(parts)


def _rises(piece: Piece) -> Iterator[Rise]:
    layers: dict[tuple[str, int, int, int], dict[str, None]] = {}
    for site, value in zip(piece.program.sites, piece.meaning.values, strict=True):
        tensor = first_tensor(value)
        if tensor is None or tensor.ndim < 3 or not site.kind.startswith("call"):
            continue
        for dim in tensor.shape[2:]:
            if isinstance(dim, Size):
                curve = dim.curve
                key = str(dim), curve.period, curve.rise, curve.settled
                layers.setdefault(key, {})[site.name] = None
    for (formula, period, rise, settled), names in layers.items():
        yield Rise(formula, period, rise, settled, tuple(names))


def _joins(piece: Piece, lows: dict[int, int], inserts: Sequence[Insert]) -> Iterator[Join]:
    required = {r.site for r in piece.meaning.requirements if r.code in _JOINS}
    texts = {insert.site: insert.text for insert in inserts if insert.kind == "align"}
    tables: dict[tuple[object, ...], tuple[list[str], list[tuple[str, Dim]]]] = {}
    for site in piece.program.sites:
        sources = _sources(site, piece)
        if len(sources) < 2 or (site.index not in required and not site.name.startswith(("cat", "add"))):
            continue
        for place in range(2, sources[0][1].ndim):
            operands = [(name, tensor.shape[place]) for name, tensor in sources]
            key = (*dict.fromkeys(_curve(dim) for _, dim in operands), texts.get(site.name, ""))
            names, _ = tables.setdefault(key, ([], operands))
            if site.name not in names:
                names.append(site.name)
    for names, operands in tables.values():
        yield _join(names, operands, lows, texts.get(names[0], ""))


def _curve(dim: Dim) -> object:
    return dim.curve if isinstance(dim, Size) else dim


def _sources(site: Site, piece: Piece) -> list[tuple[str, Tensor]]:
    if not site.kind.startswith("call"):
        return []
    found = []
    for ref in dict.fromkeys(references((site.args, site.kwargs))):
        value = piece.meaning.values[ref]
        if isinstance(value, Tensor) and value.ndim > 2 and piece.program.sites[ref].kind != "get_attr":
            found.append((piece.program.label(ref), value))
    return found if len({tensor.ndim for _, tensor in found}) == 1 else []


def _join(names: list[str], operands: list[tuple[str, Dim]], lows: dict[int, int], insert: str) -> Join:
    """The table over one period; operands that are the same function share a line."""
    axis = min((a for _, dim in operands if isinstance(dim, Size) for a in [dim.axis]), default=0)
    curves = [dim.curve for _, dim in operands if isinstance(dim, Size)]
    period = max((curve.period for curve in curves), default=1)
    start = max([lows.get(axis, 1), *(curve.settled + 1 for curve in curves)])
    columns = tuple(range(start, start + min(period, MOST_SIZES)))
    lines: dict[object, tuple[list[str], Dim]] = {}
    for name, dim in operands:
        lines.setdefault(_curve(dim), ([], dim))[0].append(name)
    shown = tuple(_operand(sources, dim, axis, columns) for sources, dim in lines.values())
    return Join(tuple(names), columns, shown, period, insert, period > MOST_SIZES)


def _operand(sources: list[str], dim: Dim, axis: int, columns: tuple[int, ...]) -> Operand:
    name = ", ".join(sources[:3]) + (f" and {len(sources) - 3} more" if len(sources) > 3 else "")
    if not isinstance(dim, Size):
        sizes = tuple(int(at(dim, dict.fromkeys(range(-1, 3), n))) for n in columns)
        return Operand(name, str(dim), 1, 0, sizes)
    return Operand(name, str(dim), dim.curve.period, dim.curve.rise, tuple(dim.curve(n) for n in columns))
