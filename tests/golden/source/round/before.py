import torch
from torch import nn


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.down = nn.Conv2d(1, 2, 4, 4)
        self.up = nn.ConvTranspose2d(2, 1, 4, 4)

    def forward(self, image, scale: float = 1.0):
        """Halve twice and come back."""
        y = self.up(self.down(image))
        if scale != 1.0:
            return y * scale
        return torch.cat([image, y], 1), y
