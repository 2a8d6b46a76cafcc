import torch
from torch import nn


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.a = nn.Conv2d(1, 1, 3)
        self.b = nn.Conv2d(1, 1, 5, padding=1)
        self.c = nn.Conv2d(1, 1, 3, 2, 1)

    def forward(self, x):
        y = x + self.a(x)
        z = self.b(y) + self.a(y)
        z += y
        w = torch.mul(self.c(z), z)
        return w
