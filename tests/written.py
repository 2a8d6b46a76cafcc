"""What an entry of `nets_as_written` is, and the registry that the files of networks fill."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from oracle import Template
from torch import nn

IMAGE: Template = (1, 3, "H", "W")


@dataclass(frozen=True)
class Written:
    """A network as people write them.

    known: for one int per axis, whether eval mode with batch 2 accepts it, derived by reasoning
    plain: torch.fx.symbolic_trace captures it as it is
    """

    name: str
    make: Callable[[], nn.Module]
    template: Template | tuple[Template, ...]
    known: Callable[..., bool] | None
    dtypes: tuple[torch.dtype, ...]
    plain: bool


NETS: dict[str, Written] = {}


def net(
    template: Template | tuple[Template, ...] = IMAGE,
    known: Callable[..., bool] | None = None,
    dtypes: tuple[torch.dtype, ...] = (),
    plain: bool = True,
) -> Callable[[type[nn.Module]], type[nn.Module]]:
    """Register a class that is built without arguments."""

    def register(cls: type[nn.Module]) -> type[nn.Module]:
        NETS[cls.__name__] = Written(cls.__name__, cls, template, known, dtypes, plain)
        return cls

    return register


def every(*sizes: int) -> bool:
    """Accepts every size."""
    return all(size >= 1 for size in sizes)


def least(low: int) -> Callable[..., bool]:
    """Accepts from `low` on, on every axis."""
    return lambda *sizes: all(size >= low for size in sizes)


def multiple(of: int) -> Callable[..., bool]:
    """Accepts multiples, on every axis."""
    return lambda *sizes: all(size % of == 0 for size in sizes)
