"""Model -> Program: record what a model computes, without disturbing it."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import fx, nn

from autofix.errors import CaptureError
from autofix.meta import undisturbed
from autofix.program import InputShapes, Place, Program, read_graph

_TORCH = str(Path(torch.__file__).parent)
_OURS = str(Path(__file__).parent)
_EXAMPLES = str(Path(__file__).parent / "examples")


class Tracer(fx.Tracer):
    """fx's tracer, which also remembers where in the user's code each call stands."""

    def __init__(self) -> None:
        super().__init__()
        self.places: dict[str, Place] = {}

    def create_node(self, *args: Any, **kwargs: Any) -> fx.Node:
        node = super().create_node(*args, **kwargs)
        if node.op.startswith("call"):
            self.places[node.name] = caller()
        return node


def caller() -> Place:
    """The innermost frame that is neither torch's nor ours."""
    frame = sys._getframe(1)
    while frame.f_back is not None:
        if _is_users(frame.f_code.co_filename):
            break
        frame = frame.f_back
    return Place(frame.f_code, frame.f_lasti)


def _is_users(file: str) -> bool:
    return file.startswith(_EXAMPLES) or not file.startswith((_TORCH, _OURS, "<eval_with_key>"))


@dataclass
class Reads:
    """Whether code outside torch's own layers looked at `training`."""

    training: bool = False


@contextmanager
def watch_training() -> Iterator[Reads]:
    """Notice reads of `module.training`: a model that looks at it may compute something else in train mode."""
    reads = Reads()

    def get(module: nn.Module) -> bool:
        reads.training = True
        return bool(module.__dict__["training"])

    def put(module: nn.Module, value: bool) -> None:
        module.__dict__["training"] = value

    nn.Module.training = property(get, put)  # type: ignore[assignment]
    try:
        yield reads
    finally:
        del nn.Module.training


@dataclass(frozen=True)
class Capture:
    """The programs of both modes; the same object where the mode makes no difference to the graph."""

    evaluating: Program
    training: Program


def capture_plain(meta: nn.Module, inputs: InputShapes) -> Capture:
    """The first rung: torch.fx's symbolic trace of a model on the meta device.

    Raises CaptureError with fx's own reason where the model's control flow depends on its data.
    """
    meta.train()
    trains = {id(module): module.training for module in meta.modules()}
    with watch_training() as reads:
        evaluating = _trace(meta.eval(), inputs, trains)
    training = _trace(meta.train(), inputs, trains) if reads.training else evaluating
    return Capture(evaluating, training)


def trace_graph(model: nn.Module, program: Program) -> tuple[fx.Graph, nn.Module]:
    """Trace a real model the way the program was: the same nodes, over its own layers and constants."""
    tracer, training = fx.Tracer(), model.training
    model.eval()
    try:
        with torch.random.fork_rng(devices=[]):
            graph = tracer.trace(model)
    finally:
        model.train(training)
    return graph, tracer.root


def _trace(meta: nn.Module, inputs: InputShapes, trains: dict[int, bool]) -> Program:
    tracer = Tracer()
    try:
        with undisturbed():
            graph = tracer.trace(meta)
    except Exception as error:
        raise CaptureError(f"torch.fx cannot trace {type(meta).__name__}: {error}") from error
    return Program(read_graph(graph, meta, tracer.places, lambda m: trains[id(m)]), graph, meta, inputs)
