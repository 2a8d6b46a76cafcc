import torch
from torch import nn


def before_call(module, change):
    """Have `module` called with `change(x)` instead of `x`, for layers that a container calls."""
    module.register_forward_pre_hook(lambda module, inputs: (change(inputs[0]), *inputs[1:]))


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        convs = [nn.Conv2d(1 if i == 0 else 4, 4, 3) for i in range(2)]
        self.body = nn.Sequential(*convs, nn.AvgPool2d(4), nn.Flatten(), nn.Linear(4, 2))
        self.body[0].padding = (1, 1)
        before_call(self.body[2], lambda x: torch.nn.functional.adaptive_avg_pool2d(x, (4, 4)))

    def forward(self, x):
        return self.body(x)
