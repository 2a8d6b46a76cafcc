from torch import nn


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(1, 4, 3)
        self.pool = nn.AvgPool2d(6, stride=1)
        self.flatten = nn.Flatten()
        self.fc = nn.Linear(4, 10)

    def forward(self, x):
        return self.fc(self.flatten(self.pool(nn.functional.adaptive_avg_pool2d(self.conv(x), (6, 6)))))
