from torch import nn


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.single = nn.Conv2d(1, 4, 3, padding=0, padding_mode="reflect")
        modes = ("reflect", "circular", "zeros")
        self.many = nn.Sequential(*[nn.Conv2d(4, 4, 3, padding_mode=mode) for mode in modes])

    def forward(self, x):
        return self.many(self.single(x))
