"""What the user gets back from a repair: the Fix."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from torch import fx, nn

from autofix.change import Edit, Insert
from autofix.outcome import Report
from autofix.verify import Verdict


@dataclass(frozen=True)
class Fix:
    """A repaired model, what was changed, and what is known of it.

    model:        same class, weights and state_dict keys
    graph_module: the same computation as a torch.fx.GraphModule
    optimal:      proved that no cheaper repair exists
    proved:       a certificate covers every size asked for
    before, report: of the model as it was, and repaired
    """

    model: nn.Module = field(repr=False)
    graph_module: fx.GraphModule | None = field(repr=False)
    edits: tuple[Edit, ...]
    inserts: tuple[Insert, ...]
    strategy: str
    optimal: bool
    before: Report = field(repr=False)
    report: Report = field(repr=False)
    verdict: Verdict = field(repr=False)
    diff: str = field(default="", repr=False)
    solve: str = ""

    @property
    def proved(self) -> bool:
        return bool(self.verdict.certificates) and self.report.ok

    @property
    def ran(self) -> str:
        """What was really run."""
        return self.verdict.ran

    def save(self, folder: str | Path) -> tuple[Path, ...]:
        """Write the change into a folder: manifest, diff and, where there is source, the patched file."""
        from autofix.save import save_fix

        return save_fix(self, Path(folder))

    def __str__(self) -> str:
        from autofix.report.text import fix_text

        return fix_text(self)

    def to_dict(self) -> dict[str, Any]:
        """The repair as plain data, in the schema of autofix/report/schema.json."""
        from autofix.report.json import fix_dict

        return fix_dict(self)

    def _repr_html_(self) -> str:
        from autofix.report.notebook import fix_html

        return fix_html(self)
