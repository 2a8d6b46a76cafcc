import torch
from torch import nn


def match_size(x, like):
    """Zero-pad or crop `x`, at the end of each axis, to the height and width of `like`."""
    more_height = like.shape[-2] - x.shape[-2]
    more_width = like.shape[-1] - x.shape[-1]
    return torch.nn.functional.pad(x, (0, more_width, 0, more_height))  # a negative padding crops


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.a = nn.Conv2d(1, 1, 3)
        self.b = nn.Conv2d(1, 1, 5, padding=1)
        self.c = nn.Conv2d(1, 1, 3, 2, 1)

    def forward(self, x):
        y = x + match_size(self.a(x), x)
        z = (reference := self.b(y)) + match_size(self.a(y), reference)
        z = match_size(z, y)
        z += y
        w = torch.mul(match_size(self.c(z), z), z)
        return w
