"""What the user gets back from a check: the Report."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from autofix.accepted import Accepted
from autofix.analyse import Analysis, Mode, bounds
from autofix.condition import Box
from autofix.errors import UsageError
from autofix.fault import Fault
from autofix.meta import raised
from autofix.size import BATCH


@dataclass(frozen=True)
class Report:
    """Which input sizes a model accepts, and what fails where.

    faults:     what fails within the sizes asked for, in execution order
    unmodelled: sites without a rule; while there are any, nothing is called proved
    certified:  a certificate covers every size asked for
    """

    model_name: str
    analysis: Analysis = field(repr=False)
    box: Box = field(repr=False)
    faults: tuple[Fault, ...]
    notes: tuple[str, ...] = ()
    certified: bool = False

    @property
    def axes(self) -> tuple[str, ...]:
        """The names of the spatial axes."""
        return self.analysis.inputs.axes

    @property
    def unmodelled(self) -> tuple[str, ...]:
        return self.analysis.unmodelled

    @property
    def capture(self) -> str:
        """How the model's computation was recorded."""
        return self.analysis.evaluating.pieces[0].program.rung

    @cached_property
    def proved(self) -> bool:
        """Whether the verdict rests on formulas alone, for every size asked for."""
        if self.unmodelled:
            return False
        known = self.analysis.complete and (
            bool(self.faults) or all(self._covered(mode) for mode in self.analysis.modes)
        )
        return self.certified or known

    @cached_property
    def ok(self) -> bool:
        """Every size asked for works, in both modes (train mode with a batch of 2 or more)."""
        return not self.faults and self.proved

    @cached_property
    def refuted(self) -> bool:
        """Some size asked for fails for certain; where this is False and `ok` too, nothing is proved."""
        modes = self.analysis.modes if self.analysis.complete else ()
        regions = [(mode, region) for mode in modes for region in (mode.accepted, mode.sound)]
        return bool(self.faults) or any(
            region.covers(bounds(self.box, mode.training)).holds is False for mode, region in regions
        )

    def _covered(self, mode: Mode) -> bool:
        box = bounds(self.box, mode.training)
        return bool(mode.accepted.covers(box).holds) and bool(mode.sound.covers(box).holds)

    @property
    def asked(self) -> str:
        """The sizes asked for, in words."""
        ranges = [self.box[axis] for axis in range(len(self.axes))]
        texts = [f">= {low}" if high is None else f"{low} to {high}" for low, high in ranges]
        return texts[0] if len(set(texts)) == 1 else " x ".join(texts)

    def accepts(self, *sizes: int, training: bool = False, batch: int = 2) -> bool:
        """Whether the model runs on an input of this size, exactly.

        sizes: one int for each spatial axis
        Raises UsageError for a wrong number of them. A size that no rule describes is run on the meta device.
        """
        if len(sizes) == 1 and isinstance(sizes[0], tuple | list):
            sizes = tuple(sizes[0])
        if len(sizes) != len(self.axes):
            raise UsageError(
                f"accepts takes {len(self.axes)} sizes ({', '.join(self.axes)}), not {len(sizes)}"
            )
        if min((*sizes, batch)) < 1:
            return False
        point = {BATCH: batch, **dict(enumerate(sizes))}
        mode = self.analysis.modes[training]
        piece = mode.piece_at(point)
        if piece is None:
            return self._runs(point, training)
        # What a rule refuses stays refused beside a site without one: a meta run sees no values of indices.
        if not bool(mode.accepts(point)):
            return False
        return not piece.meaning.unmodelled or self._runs(point, training)

    def _runs(self, point: dict[int, int], training: bool) -> bool:
        program = self.analysis.evaluating.pieces[0].program
        program.root.train(training)
        return raised(program.root, program.inputs, point) is None

    @property
    def _accepted(self) -> Accepted:
        return Accepted(self.analysis)

    @cached_property
    def minimum_input(self) -> tuple[int | None, ...]:
        """Per axis, the smallest N from which every size is accepted in eval mode; None if there is none."""
        return self._accepted.minimum(self.analysis.evaluating, 1)

    @cached_property
    def minimum_input_train(self) -> tuple[int | None, ...] | None:
        """The same in train mode, with a batch of 2 or more; None where that makes no difference."""
        trained = self._accepted.minimum(self.analysis.training, 2)
        return None if trained == self.minimum_input else trained

    @cached_property
    def minimum_input_batch1(self) -> tuple[int | None, ...] | None:
        """The same in train mode with a batch of 1; None where that makes no further difference."""
        single = self._accepted.minimum(self.analysis.training, 1)
        return None if single == (self.minimum_input_train or self.minimum_input) else single

    @cached_property
    def working_sizes(self) -> str:
        """The accepted sizes in words, for all axes alike or one by one; train mode apart if it differs."""
        words = self._accepted.in_words()
        return f"{words} (at most: some call has no rule)" if self.unmodelled else words

    @property
    def sound_sizes(self) -> str:
        """The accepted sizes at which nothing goes wrong silently either, in words."""
        return Accepted(self.analysis.strict).in_words()

    def __str__(self) -> str:
        from autofix.report.text import report_text

        return report_text(self)

    def to_dict(self) -> dict[str, Any]:
        """The report as plain data, in the schema of autofix/report/schema.json."""
        from autofix.report.json import report_dict

        return report_dict(self)

    def to_dot(self, *sizes: int) -> str:
        """The graph for Graphviz, with all sizes at one input, by default the smallest asked for."""
        from autofix.report.graph import dot, graph_of

        return dot(graph_of(self, self.sizes_shown(sizes)), self.model_name)

    def to_mermaid(self, *sizes: int) -> str:
        """The graph for Mermaid, as in Markdown, with every size at one input."""
        from autofix.report.graph import graph_of, mermaid

        return mermaid(graph_of(self, self.sizes_shown(sizes)))

    def sizes_shown(self, sizes: tuple[int, ...]) -> tuple[int, ...]:
        """The sizes that a drawing shows: those given, else the smallest asked for."""
        if sizes and len(sizes) != len(self.axes):
            raise UsageError(f"{len(sizes)} sizes given for {len(self.axes)} axes ({', '.join(self.axes)})")
        return sizes or tuple(self.box[axis][0] for axis in range(len(self.axes)))

    def _repr_html_(self) -> str:
        from autofix.report.notebook import report_html

        return report_html(self)
