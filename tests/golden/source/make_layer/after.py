from torch import nn


class Block(nn.Module):
    def __init__(self, cin, cout, stride=1):
        super().__init__()
        self.conv1 = nn.Conv2d(cin, cout, 3, stride=stride)
        self.conv2 = nn.Conv2d(cout, cout, 3, padding=1)

    def forward(self, x):
        return self.conv2(self.conv1(x).relu())


class Net(nn.Module):
    def __init__(self, blocks=(2, 2)):
        super().__init__()
        self.width = 4
        self.stem = nn.Conv2d(1, 4, 3, padding=1)
        self.stage1 = self._make_layer(4, blocks[0])
        self.stage2 = self._make_layer(8, blocks[1], stride=2)
        self.stage2[0].conv1.stride = (1, 1)
        self.stage2[1].conv1.padding = (1, 1)

    def _make_layer(self, width, count, stride=1):
        layers = []
        for i in range(count):
            layers.append(Block(self.width, width, stride if i == 0 else 1))
            self.width = width
        return nn.Sequential(*layers)

    def forward(self, x):
        return self.stage2(self.stage1(self.stem(x)))
