"""The smallest repair as a shortest path: nodes are (site, sizes in use), edges are values of its knobs.

Uniform-cost search (Dijkstra 1959) over the tiers of the objective, compared in order. It is exact and quick
where few tensors are in use at a time, as in chains and residual networks, however many knobs there are; with
many open branches it gives up after a fixed amount of work and leaves the question to the constraint solver.
"""

from __future__ import annotations

import heapq
import itertools
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from autofix.arguments import references, row_of
from autofix.changes import Changes, Key, Setting, program_keys
from autofix.condition import Condition
from autofix.fault import Code
from autofix.interpret import Interpreter
from autofix.ops.base import Stopped, Tensor
from autofix.program import Ref, Site
from autofix.size import at
from autofix.solve.knobs import Group, Sample, sees

MOST_OPTIONS: Final = 200  # settings of one group
MOST_READINGS: Final = 4000  # evaluations of a rule
MOST_EDGES: Final = 400  # for each site that can be edited

Cost = tuple[int, int, int]  # edited sites, kinds, total change
Node = tuple[int, tuple[int, ...]]  # position, what is in use there
FREE: Final[Cost] = (0, 0, 0)


class TooMany(Exception):
    """The search would take longer than the constraint solver."""


class Blocked(Stopped):
    """A requirement fails."""


@dataclass(frozen=True)
class Option:
    """One setting of one group."""

    knobs: Mapping[str, tuple[int, ...]]
    cost: Cost

    @property
    def key(self) -> tuple[Any, ...]:
        return tuple(self.knobs.items())


def shortest(
    groups: Sequence[Group], samples: Sequence[Sample], tied: bool, changes: Changes
) -> Iterator[Setting]:
    """The settings of least cost that work at the samples, all of them; none where nothing works.

    Raises TooMany.
    """
    programs = {id(sample.piece.program) for sample in samples}
    if len(programs) != 1:
        raise TooMany("samples on several paths")
    return _Walk(groups, samples, tied, changes).settings()


def options(group: Group, tied: bool) -> list[Option]:
    """Every setting of a group, the present one first. Raises TooMany."""
    per_knob = []
    for a in group.adjustable:
        domains = a.domains[:1] if tied else a.domains
        values = (v * len(a.domains) if tied else v for v in itertools.product(*domains))
        per_knob.append([(a, value) for value in itertools.islice(values, MOST_OPTIONS + 1)])
    found = [_option(chosen) for chosen in itertools.islice(itertools.product(*per_knob), MOST_OPTIONS + 1)]
    if len(found) > MOST_OPTIONS:
        raise TooMany(f"{group.site.name} has many settings")
    return found


def _option(chosen: Sequence[tuple[Any, tuple[int, ...]]]) -> Option:
    knobs = {a.knob.name: value for a, value in chosen if value != a.old}
    kinds = sum(max(k[v] for k, v in zip(a.kinds, value, strict=True)) for a, value in chosen)
    change = sum(abs(v - old) for a, value in chosen for v, old in zip(value, a.old, strict=True))
    return Option(knobs, (int(bool(knobs)), kinds, change))


class _Reading(Interpreter):
    """Single sites at one size, in numbers; a requirement that fails ends it."""

    def __init__(self, sample: Sample, changes: Changes, keys: Sequence[tuple[Key, Key]]) -> None:
        program = sample.piece.program
        dims = program.inputs.dims()
        inputs = [None if d is None else Tensor(tuple(at(x, sample.point) for x in d)) for d in dims]
        super().__init__(inputs, {}, sample.point, changes)
        self.training_now, self.sites = sample.training, list(program.sites)
        self.keys_of = lambda site: keys[site.index]
        self.original = sample.piece.meaning.values
        silent = [r for r in sample.piece.meaning.requirements if r.silent and r.code is Code.BROADCAST]
        self.joins = {r.site for r in silent} - sample.meant
        self.knobs: Mapping[str, Any] = {}

    def read(self, site: Site, values: Any, knobs: Mapping[str, tuple[int, ...]]) -> Any:
        """The value of a site, given those it uses. Raises Blocked."""
        before = sum(earlier.kind == "placeholder" for earlier in self.sites[: site.index])
        self.given, self.values = iter(self.inputs[before:]), values
        self.knobs = {k: bool(v[0]) if k == "ceil_mode" else v for k, v in knobs.items()}
        value = self.value_of(site)
        if site.index in self.joins:
            self._not_stretched(list(dict.fromkeys(references((site.args, site.kwargs)))))
        return value

    def _not_stretched(self, refs: Sequence[int]) -> None:
        """A size that varies may be 1 here by chance, which a rule does not see in a number."""
        tensors = [ref for ref in refs if isinstance(self.values[ref], Tensor)]
        for place in range(1, 1 + min((self.values[ref].ndim for ref in tensors), default=0)):
            varies = any(not isinstance(self.original[ref].shape[-place], int) for ref in tensors)
            if varies and len({self.values[ref].shape[-place] for ref in tensors}) > 1:
                raise Blocked("a side is stretched from size 1")

    def override(self, keys: tuple[Key, Key]) -> Mapping[str, Any]:
        return {**super().override(keys), **self.knobs}

    def state(self, condition: Condition, code: Code, what: str, **details: Any) -> None:
        if details["train"] and not self.training_now:
            return
        if not condition.at({}):
            raise Blocked(what)


class _Walk:
    """The graph of all settings, explored from the input on, cheapest first."""

    def __init__(
        self, groups: Sequence[Group], samples: Sequence[Sample], tied: bool, changes: Changes
    ) -> None:
        program = samples[0].piece.program
        keys = program_keys(program)
        self.sites, self.changes = program.sites, changes
        self.readings = [_Reading(sample, changes, keys) for sample in samples]
        owner = {group.key: number for number, group in enumerate(groups)}
        self.groups, self.options = groups, [options(group, tied) for group in groups]
        self.group_at: list[int | None] = [
            next((owner[k] for k in pair if k in owner), None) for pair in keys
        ]
        self.refs = [tuple(dict.fromkeys(references((s.args, s.kwargs, s.under)))) for s in self.sites]
        self.kinds = [self._kind(site, pair) for site, pair in zip(self.sites, keys, strict=True)]
        self.live = self._live()
        self.ids: dict[str, int] = {}
        self.values: list[tuple[Any, ...]] = []  # id -> the value at each sample
        self.read: dict[Any, int | None] = {}
        self.edges = MOST_EDGES * sum(number is not None for number in self.group_at)

    def _kind(self, site: Site, keys: tuple[Key, Key]) -> Any:
        """Equal for sites that do the same with the same arguments."""
        changed = self.changes.override(keys) or self.changes.inserts.get(keys[1])
        row = row_of(site) if site.kind.startswith("call") else None
        if row is None or changed or site.under:
            return site.index
        hyper = repr(row[0].hyper(site.module)) if site.module is not None else ""
        places = {ref: place for place, ref in enumerate(self.refs[site.index])}
        arguments = repr([places[a.site] if isinstance(a, Ref) else repr(a) for a in site.args])
        joins = tuple(site.index in reading.joins for reading in self.readings)
        return row[0].name, str(row[1]), hyper, arguments, repr(site.kwargs), site.trains, joins

    def _live(self) -> list[tuple[int, ...]]:
        """For each position, what later sites use: values of earlier sites, and settings as -1 - group."""
        last: dict[int, int] = {}
        first: dict[int, int] = {}
        for index, number in enumerate(self.group_at):
            used = [*self.refs[index], *([-1 - number] if number is not None else ())]
            last.update(dict.fromkeys(used, index))
            for name in (index, *used):
                first.setdefault(name, index)
        count = len(self.sites) + 1
        starts: list[list[int]] = [[] for _ in range(count + 1)]
        for name in last:
            starts[first[name] + 1].append(name)
        found, now = [], set[int]()
        for position in range(count):
            now = {name for name in now.union(starts[position]) if last[name] >= position}
            found.append(tuple(sorted(now)))
        return found

    def settings(self) -> Iterator[Setting]:
        """Every cheapest setting."""
        start = self._advance(0, {})
        if start is None:
            return
        best: dict[Node, Cost] = {start: FREE}
        into: dict[Node, list[tuple[Node, int, Option]]] = {start: []}
        queue = [(FREE, start)]
        while queue:
            cost, node = heapq.heappop(queue)
            if node[0] == len(self.sites):
                yield from self._back(node, into)
                return
            if cost > best[node]:
                continue
            number = self._number(node[0])
            for option, reached in self._edges(node):
                total = (cost[0] + option.cost[0], cost[1] + option.cost[1], cost[2] + option.cost[2])
                known = best.get(reached)
                if known is None or total < known:
                    best[reached], into[reached] = total, []
                    heapq.heappush(queue, (total, reached))
                if total == best[reached]:
                    into[reached].append((node, number, option))

    def _edges(self, node: Node) -> Iterator[tuple[Option, Node]]:
        """What can be chosen at a node, and where it leads."""
        position, state = node
        number = self._number(position)
        known = dict(zip(self.live[position], state, strict=True))
        decided = known.get(-1 - number)
        for choice, option in enumerate(self.options[number]):
            if decided is not None and choice != decided:
                continue
            self.edges -= 1
            if not self.edges:
                raise TooMany("sizes differ in many ways")
            value = self._value(position, known, option)
            if value is not None:
                after = self._advance(position + 1, {**known, position: value, -1 - number: choice})
                if after is not None:
                    yield (option if decided is None else Option({}, FREE)), after

    def _number(self, position: int) -> int:
        """The group that is edited at a node."""
        number = self.group_at[position]
        assert number is not None
        return number

    def _advance(self, position: int, known: dict[int, int]) -> Node | None:
        """On to the next site that can be edited, or the end; None where a requirement fails before."""
        while position < len(self.sites) and self.group_at[position] is None:
            value = self._value(position, known, None)
            if value is None:
                return None
            known[position] = value
            position += 1
        return position, tuple(known[name] for name in self.live[position])

    def _value(self, index: int, known: Mapping[int, int], option: Option | None) -> int | None:
        """The id of a site's value; None where a requirement fails."""
        key = self.kinds[index], option.key if option else (), *(known[ref] for ref in self.refs[index])
        if key not in self.read:
            if len(self.read) > MOST_READINGS:
                raise TooMany("there are many different sizes")
            self.read[key] = self._evaluate(index, known, option)
        return self.read[key]

    def _evaluate(self, index: int, known: Mapping[int, int], option: Option | None) -> int | None:
        knobs = option.knobs if option else {}
        found = []
        for number, reading in enumerate(self.readings):
            used = {ref: self.values[known[ref]][number] for ref in self.refs[index]}
            try:
                found.append(reading.read(self.sites[index], used, knobs))
            except Blocked:
                return None
            if "padding" in knobs and not self._sees(index, used, knobs["padding"]):
                return None
        return self._id(tuple(found))

    def _sees(self, index: int, used: Mapping[int, Any], padding: tuple[int, ...]) -> bool:
        """Whether no output of an edited dilated kernel sees only padding."""
        number = self.group_at[index]
        source = next((value for value in used.values() if isinstance(value, Tensor)), None)
        if number is None or source is None:
            return True
        group = self.groups[number]
        if any(a.knob.name in ("kernel_size", "dilation") for a in group.adjustable):
            return True  # the window itself may change; the constraint solver asks no more either
        old = next(a.old for a in group.adjustable if a.knob.name == "padding")
        sizes = source.shape[-len(group.dilation) :]
        rows = zip(sizes, group.shape, padding, old, group.dilation, strict=True)
        return all(p == was or d == 1 or n >= d or sees(n, *shape, p, d) for n, shape, p, was, d in rows)

    def _id(self, values: tuple[Any, ...]) -> int:
        key = repr(values)  # 1, 1.0 and True are equal, but not the same
        if key not in self.ids:
            self.ids[key] = len(self.values)
            self.values.append(values)
        return self.ids[key]

    def _back(self, end: Node, into: Mapping[Node, Sequence[tuple[Node, int, Option]]]) -> Iterator[Setting]:
        """The settings of all cheapest ways to a node; late edits, which cost least to run, come first."""
        ways: list[tuple[Node, dict[Key, Any]]] = [(end, {})]
        while ways:
            node, later = ways.pop()
            if not into[node]:
                yield dict(reversed(later.items()))
            for before, number, option in sorted(into[node], key=lambda way: bool(way[2].knobs)):
                chosen = {self.groups[number].key: option.knobs} if option.knobs else {}
                ways.append((before, {**later, **chosen}))
