from collections import OrderedDict

from torch.nn import Conv2d, Module, ReLU, Sequential


class Net(Module):
    def __init__(self):
        super().__init__()
        self.body = Sequential(OrderedDict([
            ("conv-in", Conv2d(1, 4, 3)),
            ("relu", ReLU()),
            ("conv-out", Conv2d(4, 8, 3)),
        ]))

    def forward(self, x):
        return self.body(x)
