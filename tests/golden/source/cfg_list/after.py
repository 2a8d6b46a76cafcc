from torch import nn

cfg = [4, "M", 8, 8, "M", 16]


def make_layers(cfg, in_channels=1):
    layers = []
    for v in cfg:
        if v == "M":
            layers += [nn.MaxPool2d(kernel_size=2, stride=2)]
        else:
            layers += [nn.Conv2d(in_channels, v, kernel_size=3), nn.ReLU(inplace=True)]
            in_channels = v
    return nn.Sequential(*layers)


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.features = make_layers(cfg)
        self.head = nn.Linear(16, 10)
        self.features[3].padding = (1, 1)
        self.features[8].padding = (1, 1)

    def forward(self, x):
        return self.head(self.features(x).mean((2, 3)))
