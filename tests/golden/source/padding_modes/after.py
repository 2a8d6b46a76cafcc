from torch import nn


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.single = nn.Conv2d(1, 4, 3, padding=1, padding_mode="reflect")
        modes = ("reflect", "circular", "zeros")
        self.many = nn.Sequential(*[nn.Conv2d(4, 4, 3, padding_mode=mode) for mode in modes])
        self.many[0].padding = (1, 2)
        # what 'reflect' padding reads: last axis first, before and after
        self.many[0]._reversed_padding_repeated_twice = (2, 2, 1, 1)
        self.many[1].padding = (1, 1)
        # what 'circular' padding reads: last axis first, before and after
        self.many[1]._reversed_padding_repeated_twice = (1, 1, 1, 1)

    def forward(self, x):
        return self.many(self.single(x))
