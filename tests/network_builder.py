"""Whole networks as readable Python source, and the builder that the blocks write it with."""

from __future__ import annotations

import itertools
import linecache
import textwrap
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
import torch.nn.functional as F
from torch import nn

_numbers = itertools.count()


@dataclass(frozen=True, repr=False)
class Network:
    """A network as source: statements of the constructor and of forward. Prints as a class to paste."""

    rank: int
    channels: int
    init: tuple[str, ...]
    forward: tuple[str, ...]

    @property
    def template(self) -> tuple[int | str, ...]:
        """The input's shape, such as (1, 3, "H", "W")."""
        return (1, self.channels, *"DHW"[3 - self.rank :])

    @property
    def source(self) -> str:
        """The class as Python code; needs torch, nn and F."""
        init = textwrap.indent("\n".join(("super().__init__()", *self.init)), " " * 8)
        body = textwrap.indent("\n".join(self.forward), " " * 8)
        return (
            f"class Net(nn.Module):  # input {self.template}\n    def __init__(self):\n{init}\n\n"
            f"    def forward(self, x):\n{body}\n"
        )

    def build(self) -> nn.Module:
        """An instance; its source can be found by inspect."""
        name = f"<network {next(_numbers)}>"
        linecache.cache[name] = (len(self.source), None, self.source.splitlines(keepends=True), name)
        names: dict[str, Any] = {"torch": torch, "nn": nn, "F": F, "__name__": "random_network"}
        exec(compile(self.source, name, "exec"), names)
        model = names["Net"]()
        assert isinstance(model, nn.Module)
        return model

    def __repr__(self) -> str:
        return "\n" + self.source


@dataclass
class Builder:
    """Statements so far. The tensor in hand is always named `x`, (N, channels, *spatial) until a head."""

    choose: Callable[[int], int]  # a number below the argument; 0 is the simplest choice
    rank: int
    channels: int
    init: list[str] = field(default_factory=list)
    forward: list[str] = field(default_factory=list)
    down: float = 1.0  # how much smaller than the input the map is, roughly
    count: int = 0

    def pick(self, options: Sequence[Any]) -> Any:
        """One of the options; the first is the simplest."""
        return options[self.choose(len(options))]

    def chance(self, percent: int) -> bool:
        """True in about so many cases of a hundred."""
        return self.choose(100) >= 100 - percent

    def per_axis(self, options: Sequence[int]) -> tuple[int, ...]:
        """One value for every axis, or a value each."""
        if self.rank == 1 or self.chance(60):
            return (self.pick(options),) * self.rank
        return tuple(self.pick(options) for _ in range(self.rank))

    def name(self, prefix: str) -> str:
        """A name not used so far."""
        self.count += 1
        return f"{prefix}{self.count}"

    def module(self, code: str, prefix: str = "m") -> str:
        """Register a module, parameter or value; returns how forward refers to it."""
        name = self.name(prefix)
        self.init.append(f"self.{name} = {code}")
        return f"self.{name}"

    def apply(self, code: str, prefix: str = "m") -> None:
        """Register a module and put `x` through it."""
        self.emit(f"x = {self.module(code, prefix)}(x)")

    def let(self, code: str, prefix: str = "y") -> str:
        """Name an intermediate result."""
        name = self.name(prefix)
        self.forward.append(f"{name} = {code}")
        return name

    def emit(self, code: str) -> None:
        """A statement of forward."""
        self.forward.append(code)

    def strides(self) -> tuple[int, ...]:
        """Strides per axis, 1 once the map is small."""
        options = [1] if self.down >= 12 else [1, 2, 2, 3] if self.down < 4 else [1, 2]
        strides = self.per_axis(options)
        self.down *= max(strides)
        return strides

    def finish(self, result: str = "x") -> Network:
        """The network that returns `result`."""
        return Network(self.rank, self.start, tuple(self.init), (*self.forward, f"return {result}"))

    def __post_init__(self) -> None:
        self.start = self.channels


def code(values: Sequence[int]) -> str:
    """(2, 2) as "2", (2, 3) as "(2, 3)": what a person would write."""
    return str(values[0]) if len(set(values)) == 1 else str(tuple(values))
