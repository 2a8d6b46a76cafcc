from torch import nn


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.a = nn.Conv2d(
            1,  # grey
            4,
            kernel_size=3,  # small
        )
        self.b = (nn
                  .Conv2d(4, 4,
                          3,
                          bias=False))
        self.c = nn.Conv2d(
            4, 4, 3
        )
        self.d = nn.Conv2d(4, 4, 3, )

    def forward(self, x):
        return self.d(self.c(self.b(self.a(x))))
