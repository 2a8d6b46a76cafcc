from dataclasses import dataclass

from torch import nn


@dataclass(eq=False)
class Net(nn.Module):
    width: int = 4

    def __post_init__(self):
        super().__init__()
        self.layers = nn.Sequential(*(nn.Conv2d(1 if i == 0 else self.width, self.width, 3) for i in range(3)))

    def forward(self, x):
        return self.layers(x)
