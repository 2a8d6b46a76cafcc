"""What the user gets back from a repair: the Fix."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from torch import fx, nn

from autofix.change import Edit, Insert
from autofix.outcome import Report
from autofix.turns import one_at_a_time
from autofix.verify import Verdict

if TYPE_CHECKING:
    from autofix.branching import Around, Branch
    from autofix.source.patch import SourcePatch


@dataclass(frozen=True)
class Fix:
    """A repaired model, what was changed, and what is known of it.

    model:        same class, weights and state_dict keys
    graph:        the same computation as a torch.fx.GraphModule, or what makes it: ask for `graph_module`
    branches:     where forward changes, the graph of each of its paths, and which sizes take it
    optimal:      proved that no cheaper repair exists
    proved:       a certificate covers every size asked for
    before, report: of the model as it was, and repaired
    original:     the model as it was, which source is written from; None where it was changed in place
    reference, allow, frozen: as they were asked for
    """

    model: nn.Module = field(repr=False)
    graph: fx.GraphModule | Callable[[], fx.GraphModule] = field(repr=False)
    edits: tuple[Edit, ...]
    inserts: tuple[Insert, ...]
    strategy: str
    optimal: bool
    before: Report = field(repr=False)
    report: Report = field(repr=False)
    verdict: Verdict = field(repr=False)
    solve: str = ""
    original: nn.Module | None = field(default=None, repr=False)
    branches: tuple[Branch | Around, ...] = field(default=(), repr=False)
    reference: tuple[int, ...] = ()
    allow: tuple[str, ...] = ()
    frozen: tuple[str, ...] = ()

    @cached_property
    @one_at_a_time
    def graph_module(self) -> fx.GraphModule:
        """Traced when first asked for, where nothing changes between the layers."""
        return self.graph if isinstance(self.graph, fx.GraphModule) else self.graph()

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "graph": self.graph_module}

    @property
    def proved(self) -> bool:
        return bool(self.verdict.certificates) and self.report.ok

    @property
    def ran(self) -> str:
        """What was really run."""
        return self.verdict.ran

    @cached_property
    def source(self) -> SourcePatch | None:
        """The change as source, worked out when first asked for; None where it cannot be written so."""
        from autofix.save import source_of

        return source_of(self)

    @property
    def diff(self) -> str:
        """The change as text: of the source where there is source, else what to set on the model."""
        if self.source is not None:
            return self.source.diff
        return "\n".join(str(change) for change in (*self.edits, *self.inserts))

    def save(self, folder: str | Path = ".", *, in_place: bool = False) -> tuple[Path, ...]:
        """Write the change into a folder, once it is verified in a fresh process; what was written.

        Of net.py: net.autofix.py, net.autofix.patch and net.autofix.json. With `in_place` net.py itself is
        changed, if it is still the file that was read. Raises AutofixError where no source can be written.
        """
        from autofix.save import save_fix

        return save_fix(self, Path(folder), in_place)

    def __str__(self) -> str:
        from autofix.report.text import fix_text

        return fix_text(self)

    def to_dict(self) -> dict[str, Any]:
        """The repair as plain data, in the schema of autofix/report/schema.json."""
        from autofix.report.json import fix_dict

        return fix_dict(self)

    def to_dot(self, *sizes: int) -> str:
        """The repaired graph for Graphviz, changes highlighted; by default at the smallest size asked for."""
        from autofix.report.graph import dot, graph_of

        graph = graph_of(self.report, self.report.sizes_shown(sizes), self._changed)
        return dot(graph, self.report.model_name)

    def to_mermaid(self, *sizes: int) -> str:
        """The same for Mermaid, as in Markdown."""
        from autofix.report.graph import graph_of, mermaid

        return mermaid(graph_of(self.report, self.report.sizes_shown(sizes), self._changed))

    @property
    def _changed(self) -> list[str]:
        return [edit.site for edit in self.edits] + [insert.site for insert in self.inserts]

    def _repr_html_(self) -> str:
        from autofix.report.notebook import fix_html

        return fix_html(self)
