# -*- coding: latin-1 -*-
from torch import nn


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.names = {"größe": nn.Conv2d(1, 4, 3)}; self.a = self.names["größe"]  # Größe für später

    def forward(self, x):
        return self.a(x)
