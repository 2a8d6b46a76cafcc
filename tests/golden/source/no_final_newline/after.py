from torch import nn


class Net(nn.Module):
    def forward(self, x):
        return self.layers(x)

    def __init__(self):
        super().__init__()
        self.layers = nn.Sequential(*[nn.Conv2d(1, 1, 3) for _ in range(2)])
        self.layers[1].padding = (1, 1)