import torch
from torch import cat, nn

__all__ = ["Net"]


def match_size(x, like):
    """Zero-pad or crop `x`, at the end of each axis, to the depth, height and width of `like`."""
    more_depth = like.shape[-3] - x.shape[-3]
    more_height = like.shape[-2] - x.shape[-2]
    more_width = like.shape[-1] - x.shape[-1]
    return torch.nn.functional.pad(x, (0, more_width, 0, more_height, 0, more_depth))  # a negative padding crops


# A small U-Net.
class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.down = nn.Conv3d(1, 2, 2, 2)
        self.up = nn.ConvTranspose3d(2, 1, 2, 2)

    def forward(self, x):
        y = self.up(self.down(x))
        return cat((x, match_size(y, x)), 1)  # skip
