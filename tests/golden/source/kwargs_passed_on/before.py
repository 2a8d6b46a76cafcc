from torch import nn


class Conv(nn.Conv2d):
    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        nn.init.ones_(self.weight)


class Block(nn.Module):
    def __init__(self, cin, cout, **kw):
        super().__init__()
        self.conv = Conv(cin, cout, 3, **kw)

    def forward(self, x):
        return self.conv(x)


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.a = Block(1, 4)
        self.b = Conv(4, 4, 3, 1, 0)
        self.c = Block(4, 4, bias=False)

    def forward(self, x):
        return self.c(self.b(self.a(x)))
