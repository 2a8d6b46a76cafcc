"""The two rungs of capture: one trace for every size, or a trace for each path through the model's Python."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Final

from torch import fx, nn

from autofix.analyse import Analysis, Mode, Piece
from autofix.capture import Capture, Recording, kept_as_it_is, record_plain, watch_training
from autofix.changes import UNCHANGED, Changes
from autofix.choices import Choices
from autofix.condition import NEVER, Box, Condition
from autofix.errors import CaptureError
from autofix.explore import Follow, analyse, everything, follow_program
from autofix.fault import Code
from autofix.handlers import catches
from autofix.interpret import Interpreter, Meaning, Requirement, TorchRaises
from autofix.layout import Layouts, apart, matters, with_others
from autofix.meta import raised, undisturbed
from autofix.ops.base import Tensor
from autofix.program import Gaps, InputShapes, Program
from autofix.replay import replayed
from autofix.size import BATCH
from autofix.symbolic import SymbolicTracer, symbolic_program

START: Final = 64  # the size whose path is followed first
MOST_REPLAYED: Final = 4  # paths that are tried without the model's Python
NO_LAYOUTS: Final[Mapping[int, Gaps]] = {}


@dataclass(frozen=True)
class Plain:
    """The first rung: one trace for every size."""

    captured: Capture
    inputs: InputShapes

    @property
    def programs(self) -> tuple[Program, ...]:
        return self.captured.evaluating, self.captured.training

    def analyse(self, changes: Changes, within: Box | None = None) -> Analysis:
        """The model's sizes with hyperparameters changed and operations inserted."""
        box = everything(len(self.inputs.axes))
        return analyse(
            follow_program(self.programs, box, changes), self.inputs, box, start(self.inputs), changes
        )

    def record(
        self, model: nn.Module, changes: Changes, point: Mapping[int, int], training: bool = False
    ) -> Recording:
        """The trace of a real model that has the meta copy's structure."""
        return record_plain(model, self.inputs, training)


@dataclass
class Followed:
    """The second rung: a trace for each path through the model's own Python."""

    meta: nn.Module
    inputs: InputShapes
    trains: Mapping[int, bool]
    one_graph: bool = True  # the model's own code has not asked whether it trains
    raises: bool = False  # the model's own code catches errors
    choices: Choices = field(default_factory=Choices)
    recorded: tuple[Mode, ...] = ()  # of the model as it is

    @property
    def programs(self) -> tuple[Program, ...]:
        return tuple(piece.program for mode in self.recorded for piece in mode.pieces)

    def analyse(self, changes: Changes, within: Box | None = None) -> Analysis:
        """As above; the model is traced anew where its path depends on its sizes.

        within: sizes that are to work, the smallest first; where one of them does not, not all is traced
        """
        box = everything(len(self.inputs.axes))
        first = {axis: bounds[0] for axis, bounds in within.items()} | {BATCH: 2} if within else {}
        follow = self._follow(box, changes)
        begin = {**start(self.inputs), **first}
        analysis = analyse(follow, self.inputs, box, begin, changes, lambda: self.one_graph, within)
        self.recorded = self.recorded or analysis.modes
        return analysis

    def record(
        self, model: nn.Module, changes: Changes, point: Mapping[int, int], training: bool = False
    ) -> Recording:
        """The trace of a real model along one size's path."""
        box = everything(len(self.inputs.axes))
        with kept_as_it_is(model, training):
            program, tracer = self._traced(model, lambda: self._interpreter(box, point, changes, training))
        return Recording(program.graph, program.sites, model, tuple(tracer.facts), tuple(tracer.unasked))

    def _traced(
        self, model: nn.Module, interpreter: Callable[[], Interpreter]
    ) -> tuple[Program, SymbolicTracer]:
        return symbolic_program(model, self.inputs, interpreter, self.trains, self.choices)

    def _follow(self, box: Box, changes: Changes) -> Follow:
        def follow(training: bool, point: Mapping[int, int]) -> Piece:
            def interpreter() -> Interpreter:
                return self._interpreter(box, point, changes, training)

            known = self.recorded[training].pieces[:MOST_REPLAYED] if self.recorded else ()
            for piece in known:
                again = replayed(piece, interpreter(), point)
                if again is not None:
                    return again
            self.meta.train(training)
            return self._piece(interpreter, point)

        return follow

    def _interpreter(
        self, box: Box, point: Mapping[int, int], changes: Changes, training: bool
    ) -> Interpreter:
        tensors = [None if dims is None else Tensor(dims) for dims in self.inputs.dims()]
        interpreter = Interpreter(tensors, box, point, changes)
        interpreter.raises, interpreter.training_now = self.raises, training
        return interpreter

    def _piece(
        self,
        made: Callable[[], Interpreter],
        point: Mapping[int, int],
        layouts: Mapping[int, Gaps] = NO_LAYOUTS,
    ) -> Piece:
        tried: list[Interpreter] = []

        def interpreter() -> Interpreter:
            tried.append(made())
            tried[-1].layouts = layouts
            return tried[-1]

        try:
            with undisturbed(self.meta), watch_training() as reads:
                program, _ = self._traced(self.meta, interpreter)
                self.one_graph = self.one_graph and not reads.training
                asks = not layouts and matters(program)
                found = apart(program, point)[0] if asks else {}
                meaning = tried[-1].meaning()
                mixed = asks and not _laid_out_alike(program, meaning, point, found)
                gaps = with_others(program, found, meaning.conditions) if asks and not mixed else {}
        except CaptureError:
            raise
        except Exception as error:
            return self._refused(tried[-1], point, error)
        if mixed:
            self.choices.apart.update(program.chosen)
            return self._piece(made, point)
        if any(positions for one in gaps.values() for positions in one):
            return self._piece(made, point, gaps)
        return Piece(program, meaning, point)

    def _refused(self, interpreter: Interpreter, point: Mapping[int, int], error: Exception) -> Piece:
        """The path of a size at which the trace ended, where the model itself refuses it too.

        A changed model is not at hand: what ends its trace is taken for its refusal, which accepts nothing.
        """
        unchanged = interpreter.changes == UNCHANGED
        reason = raised(self.meta, self.inputs, point) if unchanged else error
        failing = next((r for r in interpreter.requirements if _fails(r, interpreter, point)), None)
        if failing is None and interpreter.unmodelled:
            site, why = next(iter(interpreter.unmodelled.items()))
            unknown = f"{interpreter.sites[site].name}: {why}, and what comes of it is asked for its shape"
            raise CaptureError(f"{type(self.meta).__name__} cannot be traced: {unknown}") from error
        same = type(reason) is type(error) or isinstance(error, TorchRaises)
        if reason is None or (failing is None and not same):
            raise CaptureError(
                f"{type(self.meta).__name__} cannot be traced: {type(error).__name__}: {error}"
            ) from error
        if failing is not None:  # what came after it says nothing of sizes at which it holds
            interpreter.conditions.append(~failing.condition)
            interpreter.asked.append(failing.site)
        return refused(interpreter, self.meta, self.inputs, f"{type(reason).__name__}: {reason}")


def _laid_out_alike(program: Program, meaning: Meaning, point: Mapping[int, int], found: Layouts) -> bool:
    """Whether views are given the same, whichever of two tensors is chosen before them."""
    sides = {_sides(program, meaning, point)}
    for size in range(1, 300):
        other = {**point, **{axis: size + axis % 2 for axis in range(len(program.inputs.axes))}}
        side = _sides(program, meaning, other)
        if side not in sides:
            sides.add(side)
            seen, _ = apart(program, other)
            if any(seen[site] != found.get(site) for site in seen):
                return False
    taken = zip(*sides, strict=True)
    return all(len(set(of_one)) == 2 for of_one in taken)


def _sides(program: Program, meaning: Meaning, point: Mapping[int, int]) -> tuple[bool, ...]:
    conditions = (meaning.values[site] for site in program.chosen.values())
    return tuple(bool(truth.at(point) if isinstance(truth, Condition) else truth) for truth in conditions)


def _fails(requirement: Requirement, interpreter: Interpreter, point: Mapping[int, int]) -> bool:
    asked = not requirement.silent and (interpreter.training_now or not requirement.train)
    return asked and not bool(requirement.condition.at(point))


def refused(interpreter: Interpreter, meta: nn.Module, inputs: InputShapes, reason: str) -> Piece:
    """A path on which the model's own Python raises."""
    rung = "sizes followed through the model's Python"
    program = Program(tuple(interpreter.sites), fx.Graph(), meta, inputs, rung, told=None)
    never = Requirement(
        NEVER, Code.ASSERTION, f"the model raises {reason}", max(0, len(interpreter.values) - 1)
    )
    known = interpreter.meaning()
    return Piece(program, replace(known, requirements=(*known.requirements, never)))


def start(inputs: InputShapes) -> dict[int, int]:
    """The point whose path is followed first."""
    return {BATCH: 2, **dict.fromkeys(range(len(inputs.axes)), START)}


def followed(meta: nn.Module, inputs: InputShapes, choices: Choices) -> Followed:
    """The second rung, with nothing traced yet."""
    meta.train()
    trains = {id(module): module.training for module in meta.modules()}
    raises = catches(meta)
    return Followed(meta, inputs, trains, one_graph=not raises, raises=raises, choices=choices)
