"""Which hyperparameters of a program may change, and settings of them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from fnmatch import fnmatchcase
from typing import Any

from autofix.analyse import Piece
from autofix.arguments import UNKNOWN, hyper_at, resolved, row_of
from autofix.changes import Key, program_keys
from autofix.errors import UsageError
from autofix.ops.base import Knob, Tensor
from autofix.program import Program, Site

KNOBS = ("padding", "stride", "ceil_mode", "output_padding", "dilation", "kernel_size")
DEFAULT_ALLOW = KNOBS[:4]


@dataclass(frozen=True)
class Adjustable:
    """A knob of something that can be edited, with its present value and allowed values per axis."""

    knob: Knob
    old: tuple[int, ...]
    domains: tuple[tuple[int, ...], ...]
    kinds: tuple[Mapping[int, int], ...]


@dataclass(frozen=True)
class Group:
    """The sites that one edit changes together, and what can be changed there."""

    key: Key
    sites: tuple[int, ...]
    site: Site
    adjustable: tuple[Adjustable, ...]
    dilation: tuple[int, ...]
    shape: tuple[tuple[int, int], ...]  # kernel, stride per axis

    @property
    def convolves(self) -> bool:
        """Whether this is a plain convolution."""
        row = row_of(self.site)
        return row is not None and row[0].name == "convolution"

    @property
    def symmetric(self) -> bool:
        """Whether all axes are alike."""
        alike = all(len(set(a.domains)) == 1 and len(set(a.old)) == 1 for a in self.adjustable)
        return alike and len(set(self.shape)) == 1 and len(set(self.dilation)) == 1


@dataclass(frozen=True)
class Sample:
    """A size at which the repaired model must work, and the path that is taken there.

    meant: the sites of broadcasts that are no faults
    """

    piece: Piece
    training: bool
    point: Mapping[int, int]
    meant: frozenset[int] = frozenset()


def without_stride(group: Group) -> Group:
    """The group, with its stride as it is."""
    return replace(group, adjustable=tuple(a for a in group.adjustable if a.knob.name != "stride"))


def groups_of(piece: Piece, allow: Iterable[str], frozen: Iterable[str], shared: bool = True) -> list[Group]:
    """Everything a repair may change along one path, in execution order."""
    together: dict[Key, list[Site]] = {}
    for site, keys in zip(piece.program.sites, program_keys(piece.program), strict=True):
        if site.kind.startswith("call") and not any(fnmatchcase(site.name, pattern) for pattern in frozen):
            together.setdefault(keys[0 if shared else 1], []).append(site)
    found = [_group(piece, key, sites, set(allow)) for key, sites in together.items()]
    return [group for group in found if group is not None and group.adjustable]


def check_frozen(programs: Iterable[Program], frozen: Iterable[str]) -> None:
    """Raises UsageError for a pattern that matches no layer."""
    names = {site.name for program in programs for site in program.sites if site.kind.startswith("call")}
    for pattern in frozen:
        if not any(fnmatchcase(name, pattern) for name in names):
            raise UsageError(
                f"frozen pattern {pattern!r} matches no layer; layers are named like {_examples(names)}"
            )


def _examples(names: set[str]) -> str:
    return ", ".join(repr(name) for name in sorted(names)[:3])


def _group(piece: Piece, key: Key, sites: list[Site], allow: set[str]) -> Group | None:
    site = sites[0]
    row = row_of(site)
    if row is None or not row[0].knobs or piece.meaning.values[site.index] is UNKNOWN:
        return None
    hyper = hyper_of(piece, site)
    rank = int(hyper["nd"]) if "nd" in hyper else hyper["weight"].ndim - 2
    adjustable = [_adjustable(knob, hyper, rank) for knob in row[0].knobs if knob.name in allow]
    found = (_adjustable(knob, hyper, rank) for knob in row[0].knobs)
    old = {one.knob.name: one.old for one in found if one is not None}
    dilation, stride = (old.get(name, (1,) * rank) for name in ("dilation", "stride"))
    kernel = tuple(hyper["weight"].shape[2:]) if "weight" in hyper else old.get("kernel_size")
    if kernel is None:
        return None  # computed from sizes, and with it the domains of the other hyperparameters
    chosen = tuple(a for a in adjustable if a is not None and any(len(d) > 1 for d in a.domains))
    return Group(
        key, tuple(s.index for s in sites), site, chosen, dilation, tuple(zip(kernel, stride, strict=True))
    )


def hyper_of(piece: Piece, site: Site) -> dict[str, Any]:
    """The hyperparameters of a site, as the model has them."""
    hyper = hyper_at(site, *resolved(site, piece.meaning.values))
    return {name: value for name, value in hyper.items() if not isinstance(value, Tensor) or name == "weight"}


def _adjustable(knob: Knob, hyper: Mapping[str, Any], rank: int) -> Adjustable | None:
    axes = range(rank if knob.per_axis else 1)
    try:
        domains = tuple(tuple(knob.domain(hyper, axis)) for axis in axes)
    except (TypeError, ValueError, AttributeError):
        return None  # a hyperparameter that is computed from sizes
    if not all(domains):
        return None
    old = tuple(domain[0] for domain in domains)
    kinds = tuple(
        {v: knob.kind(hyper, axis, v) if v != old[axis] else 0 for v in domains[axis]} for axis in axes
    )
    return Adjustable(knob, old, domains, kinds)


def sees(n: int, kernel: int, stride: int, padding: int, dilation: int) -> bool:
    """Whether every output of a window over n elements sees at least one of them."""
    count = (n + 2 * padding - dilation * (kernel - 1) - 1) // stride + 1
    return all(
        any(0 <= start + tap * dilation < n for tap in range(kernel))
        for start in range(-padding, -padding + count * stride, stride)
    )
