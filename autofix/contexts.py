"""What forward computes without gradients, or under autocast: torch.fx sees no `with`, so calls say it."""

from __future__ import annotations

from typing import Any, Final

import torch
from torch import fx
from torch.amp.autocast_mode import _enter_autocast, _exit_autocast

SWITCHES: Final = (torch.is_grad_enabled, torch._C._set_grad_enabled, _enter_autocast, _exit_autocast)
DEVICES: Final = ("cpu", "cuda")
Cast = tuple[bool, torch.dtype]


def is_switch(node: fx.Node) -> bool:
    """Whether a node is no call of the model's, but says in what the following ones are made."""
    return node.op == "call_function" and node.target in SWITCHES


class Contexts:
    """Follows both from call to call, and writes into the graph where one changes."""

    def __init__(self) -> None:
        self.grads = self.grads_before = torch.is_grad_enabled()
        self.casts = self.casts_before = _casts()
        self.given: fx.Node | None = None  # whether there are gradients where the graph is run
        self.entered: list[fx.Node] = []

    def follow(self, graph: fx.Graph) -> None:
        """To be called before each node."""
        self._follow_grads(graph, torch.is_grad_enabled())
        self._follow_casts(graph, _casts())

    def _follow_grads(self, graph: fx.Graph, now: bool) -> None:
        if now == self.grads:
            return
        if self.given is None:
            self.given = graph.call_function(torch.is_grad_enabled)
        wanted: Any = self.given if now == self.grads_before else now
        graph.call_function(torch._C._set_grad_enabled, (wanted,))
        self.grads = now

    def _follow_casts(self, graph: fx.Graph, now: dict[str, Cast]) -> None:
        if now == self.casts:
            return
        while self.entered:
            graph.call_function(_exit_autocast, (self.entered.pop(),))
        for device, (enabled, dtype) in now.items():
            if now[device] != self.casts_before[device]:
                self.entered.append(graph.call_function(_enter_autocast, (device, dtype, enabled, None)))
        self.casts = now


def _casts() -> dict[str, Cast]:
    return {
        device: (torch.is_autocast_enabled(device), torch.get_autocast_dtype(device)) for device in DEVICES
    }
