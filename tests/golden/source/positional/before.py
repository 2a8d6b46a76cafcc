from torch import nn


class Net(nn.Module):
    def __init__(self, width=4):
        super().__init__()
        self.conv1 = nn.Conv2d(1, width, 3, 1, 0)
        self.conv2 = nn.Conv2d(width, 2 * width, 3, 2, 0, 1)
        self.pool = nn.MaxPool2d(3, 2)

    def forward(self, x):
        return self.pool(self.conv2(self.conv1(x)))
