import torch.nn as nn

class Net(nn.Module):
  def __init__(self):
    super().__init__()
    self.conv1 = nn.Conv2d(1, 4, 3)
    self.conv2 = nn.Conv2d(4, 8, 3)
    self.pool = nn.MaxPool2d(2)
  def forward(self, x):
    return self.pool(self.conv2(self.conv1(x)))
