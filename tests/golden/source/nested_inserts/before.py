import torch
import torch.nn.functional as F
from torch import nn


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.pool = nn.MaxPool2d(3, 2)
        self.conv = nn.Conv2d(2, 1, 3)

    def forward(self, x):
        return self.conv(torch.cat([F.max_pool2d(x, 5, 2), self.pool(x)], 1)).flatten(2)
