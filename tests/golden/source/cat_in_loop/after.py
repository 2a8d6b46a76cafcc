import torch
from torch import nn


def match_size(x, like):
    """Zero-pad or crop `x`, at the end of each axis, to the height and width of `like`."""
    more_height = like.shape[-2] - x.shape[-2]
    more_width = like.shape[-1] - x.shape[-1]
    return torch.nn.functional.pad(x, (0, more_width, 0, more_height))  # a negative padding crops


def match_sizes(tensors, operand, like):
    """`tensors`, with number `operand` padded or cropped to the size of number `like`."""
    tensors = list(tensors)
    tensors[operand] = match_size(tensors[operand], tensors[like])
    return tensors


class Net(nn.Module):
    def __init__(self, depth=3, width=4):
        super().__init__()
        self.stem = nn.Conv2d(1, width, 3, padding=1)
        self.downs = nn.ModuleList(nn.Conv2d(width, width, 3, 2, 1) for _ in range(depth))
        self.ups = nn.ModuleList(nn.ConvTranspose2d(width, width, 2, 2) for _ in range(depth))
        self.mixes = nn.ModuleList(nn.Conv2d(2 * width, width, 1) for _ in range(depth))

    def forward(self, x):
        x = self.stem(x)
        skips = []
        for down in self.downs:
            skips.append(x)
            x = down(x)
        for up, mix in zip(self.ups, self.mixes):
            x = mix(torch.cat(match_sizes([up(x), skips.pop()], operand=0, like=1), dim=1))
        return x
