from torch import nn


class Head(nn.Module):
    def __init__(self, depth):
        super().__init__()
        self.layers = nn.ModuleList(nn.Conv2d(1, 1, 3) for _ in range(depth))
        if depth < 3:
            return
        self.extra = nn.Conv2d(1, 1, 1)

    def forward(self, x):
        for layer in self.layers:
            x = layer(x)
        return x


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.head = Head(2)

    def forward(self, x):
        return self.head(x)
