"""What is asked of a repair, and what comes out of it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from typing import Any

from autofix.analyse import Analysis
from autofix.changes import Changes, Setting
from autofix.condition import Box
from autofix.program import Site


@dataclass(frozen=True)
class Request:
    """The model's sizes, and what the user asked of a repair.

    analyse:   changes -> the model's analysis with them, up to a size of the box that fails; of all paths
               where `within` is None
    original:  the analysis without any
    deadline:  in seconds of time.monotonic()
    excluded:  settings that the search leaves aside
    """

    analyse: Callable[..., Analysis]
    original: Analysis
    box: Box
    allow: tuple[str, ...]
    frozen: tuple[str, ...]
    reference: tuple[int, ...]
    deadline: float
    excluded: tuple[Setting, ...] = ()
    memo: dict[Any, Any] = field(default_factory=dict, repr=False, compare=False)

    def is_frozen(self, site: Site) -> bool:
        """Whether nothing may change at this site, or be inserted before it."""
        return any(fnmatchcase(site.name, pattern) for pattern in self.frozen)


@dataclass(frozen=True)
class Solution:
    """Changes after which every size asked for works.

    analysis: of the model with the changes
    optimal:  no cheaper changes exist (proved by the solver)
    notes:    what was established on the way, such as the proof that no edit can do it
    """

    changes: Changes
    analysis: Analysis
    optimal: bool
    notes: tuple[str, ...] = ()
