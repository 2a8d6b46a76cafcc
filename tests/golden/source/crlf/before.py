from torch import nn


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.a = nn.Conv2d(
            1,
            4,
            3,
        )
        self.rest = nn.Sequential(*[nn.Conv2d(4, 4, 3) for _ in range(2)])

    def forward(self, x):
        return self.rest(self.a(x))
