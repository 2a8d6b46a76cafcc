"""Runs from an early point on."""

from __future__ import annotations

import torch
from torch import nn


def init(module):
    return module


def pad_to_fit(x, height, width):
    """Zero-pad `x` at the end of each axis to at least the given size; larger inputs pass unchanged."""
    # torch.sym_max is the max that torch.fx and torch.export can follow
    more_height = torch.sym_max(0, height - x.shape[-2])
    more_width = torch.sym_max(0, width - x.shape[-1])
    return torch.nn.functional.pad(x, (0, more_width, 0, more_height))


def before_call(module, change):
    """Have `module` called with `change(x)` instead of `x`, for layers that a container calls."""
    module.register_forward_pre_hook(lambda module, inputs: (change(inputs[0]), *inputs[1:]))


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.features = nn.Sequential(nn.Conv2d(1, 4, 3), nn.ReLU(), nn.Conv2d(4, 4, 5))
        self.tail = nn.ModuleList([nn.Conv2d(4, 4, k) for k in (3, 5)])
        self.out = nn.Conv2d(4, 1, 3)
        before_call(self.features[2], lambda x: pad_to_fit(x, 5, 5))
        before_call(self.tail[0], lambda x: pad_to_fit(x, 3, 3))
        before_call(self.tail[1], lambda x: pad_to_fit(x, 5, 5))

    def forward(self, x):
        x = self.features(x)
        for layer in self.tail:
            x = layer(x)
        return self.out(pad_to_fit(x, 3, 3)).relu()
