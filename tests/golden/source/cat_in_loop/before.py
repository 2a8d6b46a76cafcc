import torch
from torch import nn


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
            x = mix(torch.cat([up(x), skips.pop()], dim=1))
        return x
