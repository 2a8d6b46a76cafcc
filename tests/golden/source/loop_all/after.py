from torch import nn


class Net(nn.Module):
    def __init__(self, depth=3):
        super().__init__()
        self.layers = nn.ModuleList()
        for i in range(depth):
            self.layers.append(nn.Conv2d(1 if i == 0 else 4, 4, 3, padding=1))

    def forward(self, x):
        for layer in self.layers:
            x = layer(x).relu()
        return x
