from torch import cat, nn

__all__ = ["Net"]


# A small U-Net.
class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.down = nn.Conv3d(1, 2, 2, 2)
        self.up = nn.ConvTranspose3d(2, 1, 2, 2)

    def forward(self, x):
        y = self.up(self.down(x))
        return cat((x, y), 1)  # skip
