from torch import nn


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        convs = [nn.Conv2d(1 if i == 0 else 4, 4, 3) for i in range(2)]
        self.body = nn.Sequential(*convs, nn.AvgPool2d(4), nn.Flatten(), nn.Linear(4, 2))

    def forward(self, x):
        return self.body(x)
