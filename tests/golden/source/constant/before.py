from torch import nn

KERNEL = 3
PAD = 0


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv1 = nn.Conv2d(1, 4, KERNEL, padding=PAD)
        self.conv2 = nn.Conv2d(4, 8, KERNEL, padding=PAD)
        self.conv3 = nn.Conv2d(8, 8, KERNEL, padding=KERNEL // 4)

    def forward(self, x):
        return self.conv3(self.conv2(self.conv1(x)))
