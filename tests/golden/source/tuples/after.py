from torch import nn


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv1 = nn.Conv2d(1, 4, (3, 5), padding=(1, 2))
        self.conv2 = nn.Conv2d(4, 8, (3, 5), stride=(1, 1), padding=(1, 1))
        self.conv3 = nn.Conv2d(8, 8, (3, 1), padding=[1, 0])
        self.conv4 = nn.Conv2d(8, 8, (3, 1), padding=(1, 0))

    def forward(self, x):
        return self.conv4(self.conv3(self.conv2(self.conv1(x))))
