"""Networks with heads that ask for a size, as people write them."""

import math

import torch
import torch.nn.functional as F
from torch import nn
from written import every, least, net


@net((1, 1, "H", "W"), known=lambda h, w: lenet(h) * lenet(w) == 16 and min(lenet(h), lenet(w)) > 0)
class LeNet(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv1, self.conv2 = nn.Conv2d(1, 6, 5), nn.Conv2d(6, 16, 5)
        self.fc = nn.Linear(16 * 4 * 4, 10)

    def forward(self, x):
        x = F.max_pool2d(F.relu(self.conv1(x)), 2)
        x = F.max_pool2d(F.relu(self.conv2(x)), 2)
        return self.fc(torch.flatten(x, 1))


def lenet(n: int) -> int:
    return ((n - 4) // 2 - 4) // 2


# The pool takes 7x7 pieces and view puts all of them into the batch, so every size from 7 * 4 on runs.
@net(known=least(28))
class AveragesSeven(nn.Module):
    def __init__(self):
        super().__init__()
        self.features = nn.Sequential(nn.Conv2d(3, 4, 2, 2), nn.ReLU(), nn.Conv2d(4, 8, 2, 2))
        self.avgpool = nn.AvgPool2d(7)
        self.fc = nn.Linear(8, 10)

    def forward(self, x):
        x = self.avgpool(self.features(x))
        return self.fc(x.view(-1, 8))


@net(known=lambda h, w: (h // 28) * (w // 28) == 1)
class AveragesSevenFlat(nn.Module):
    def __init__(self):
        super().__init__()
        self.features = nn.Sequential(nn.Conv2d(3, 4, 2, 2), nn.ReLU(), nn.Conv2d(4, 8, 2, 2))
        self.avgpool = nn.AvgPool2d(7)
        self.fc = nn.Linear(8, 10)

    def forward(self, x):
        x = self.avgpool(self.features(x))
        return self.fc(x.view(x.size(0), -1))


@net((1, 1, "H", "W"), known=lambda h, w: 8 <= h < 16 and w >= 2, plain=False)
class TextRecognizer(nn.Module):
    def __init__(self):
        super().__init__()
        self.cnn = nn.Sequential(
            nn.Conv2d(1, 4, 3, 1, 1), nn.MaxPool2d(2), nn.Conv2d(4, 8, 3, 1, 1), nn.MaxPool2d((4, 1))
        )
        self.fc = nn.Linear(8, 5)

    def forward(self, x):
        conv = self.cnn(x)
        _, _, h, _ = conv.size()
        assert h == 1, "the height of conv must be 1"
        return self.fc(conv.squeeze(2).permute(2, 0, 1))


@net(known=lambda h, w: h >= 32 and w >= 32)
class PatchDiscriminator(nn.Module):
    def __init__(self):
        super().__init__()
        self.main = nn.Sequential(
            nn.Conv2d(3, 4, 4, 2, 1),
            nn.LeakyReLU(0.2, inplace=True),
            nn.Conv2d(4, 8, 4, 2, 1),
            nn.BatchNorm2d(8),
            nn.Conv2d(8, 1, 8),
        )

    def forward(self, x):
        return torch.sigmoid(self.main(x)).view(-1, 1).squeeze(1)


# 32 -> 30 -> 15 -> 13 -> 6; the linear layer only asks for the product of the axes.
@net(known=lambda h, w: probed(h) * probed(w) == 36 and min(probed(h), probed(w)) > 0)
class ProbesItself(nn.Module):
    def __init__(self):
        super().__init__()
        self.features = nn.Sequential(
            nn.Conv2d(3, 4, 3), nn.MaxPool2d(2), nn.Conv2d(4, 8, 3), nn.MaxPool2d(2)
        )
        with torch.no_grad():
            features = self.features(torch.zeros(1, 3, 32, 32)).flatten(1).shape[1]
        self.fc = nn.Linear(features, 10)

    def forward(self, x):
        return self.fc(self.features(x).flatten(1))


def probed(n: int) -> int:
    return ((n - 2) // 2 - 2) // 2


@net(known=lambda h, w: (h // 8) * (w // 8) in (1, 16))
class PositionTable(nn.Module):
    """Tokens plus a learned table of 16 positions; a single token broadcasts."""

    def __init__(self):
        super().__init__()
        self.patch = nn.Conv2d(3, 8, 8, 8)
        self.position = nn.Parameter(torch.zeros(1, 16, 8))
        self.norm = nn.LayerNorm(8)

    def forward(self, x):
        x = self.patch(x).flatten(2).transpose(1, 2)
        return self.norm(x + self.position).mean(dim=1)


@net(known=every)
class GlobalKernel(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv, self.fc = nn.Conv2d(3, 4, 3, padding=1), nn.Linear(4, 2)

    def forward(self, x):
        x = self.conv(x)
        return self.fc(F.avg_pool2d(x, kernel_size=x.size()[2:]).view(x.size(0), 4))


# At size 1 the second level pads a kernel of 1 by 1, which torch refuses.
@net(known=least(2))
class SpatialPyramid(nn.Module):
    """Pools whose kernels are computed from the size, so that 4 + 1 cells come out."""

    def __init__(self):
        super().__init__()
        self.fc = nn.Linear(15, 4)

    def forward(self, x):
        b, _, h, w = x.size()
        cells = []
        for level in (1, 2):
            kh, kw = math.ceil(h / level), math.ceil(w / level)
            ph, pw = math.floor((kh * level - h + 1) / 2), math.floor((kw * level - w + 1) / 2)
            cells.append(F.max_pool2d(x, (kh, kw), stride=(kh, kw), padding=(ph, pw)).view(b, -1))
        return self.fc(torch.cat(cells, dim=1))


@net(known=least(2))
class AuxiliaryHead(nn.Module):
    """The head for training asks for more than the network does."""

    def __init__(self):
        super().__init__()
        self.stem, self.head = nn.Conv2d(3, 4, 2, 2), nn.Conv2d(4, 2, 1)
        self.aux = nn.Sequential(nn.AvgPool2d(5, 3), nn.Conv2d(4, 2, 2))

    def forward(self, x):
        x = self.stem(x)
        if self.training:
            return self.head(x), self.aux(x)
        return self.head(x)


@net(known=every)
class PooledBatchNorm(nn.Module):
    """ASPP: batch norm over one value a channel, so training with batch 1 never works."""

    def __init__(self):
        super().__init__()
        self.convs = nn.ModuleList([nn.Conv2d(3, 4, 3, padding=d, dilation=d) for d in (1, 6, 12)])
        self.pool = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Conv2d(3, 4, 1, bias=False), nn.BatchNorm2d(4))

    def forward(self, x):
        res = [conv(x) for conv in self.convs]
        res.append(F.interpolate(self.pool(x), size=x.shape[-2:], mode="bilinear", align_corners=False))
        return torch.cat(res, dim=1)


@net(known=lambda h, w: min(h, w) >= 3 and (h - 2) * (w - 2) == 12)
class ElementsOfEach(nn.Module):
    """All elements divided by the batch."""

    def __init__(self):
        super().__init__()
        self.conv, self.head = nn.Conv2d(3, 4, 3), nn.Linear(48, 2)

    def forward(self, x):
        x = self.conv(x)
        return self.head(x.view(x.size(0), x.numel() // x.size(0)))
