import torch.nn as nn

class Net(nn.Module):
  def __init__(self):
    super().__init__()
    self.conv1 = nn.Conv2d(1, 4, 3, padding=1)
    self.conv2 = nn.Conv2d(4, 8, 3, padding=(1, 0))
    self.pool = nn.MaxPool2d(2, ceil_mode=True)
  def forward(self, x):
    return self.pool(self.conv2(self.conv1(x)))
