"""Networks with control flow, odd structure, or odd inputs and outputs, as people write them."""

import math
from collections import namedtuple
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from written import every, least, multiple, net


@net(known=every, plain=False)
class PadsOddSizes(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(12, 8, 3, padding=1)

    def forward(self, x):
        if x.shape[2] % 2 == 1:
            x = F.pad(x, (0, 0, 0, 1))
        if x.shape[3] % 2 == 1:
            x = F.pad(x, (0, 1))
        return self.conv(F.pixel_unshuffle(x, 2))


# Sizes below 16 are grown to 16 on both axes; only the height is asked. Three halvings of W need W >= 8.
@net(known=lambda h, w: h < 16 or w >= 8, plain=False)
class GrowsSmallInputs(nn.Module):
    def __init__(self):
        super().__init__()
        self.convs = nn.Sequential(nn.Conv2d(3, 4, 2, 2), nn.Conv2d(4, 4, 2, 2), nn.Conv2d(4, 4, 2, 2))

    def forward(self, x):
        if x.size(2) < 16:
            x = F.interpolate(x, size=(16, 16), mode="bilinear", align_corners=False)
        return self.convs(x)


def halved(h: int, w: int) -> bool:
    while h > 4:
        h, w = h // 2, w // 2
        if w == 0:
            return False
    return h >= 3 and w >= 3


@net(known=halved, plain=False)
class HalvesWhileLarge(nn.Module):
    def __init__(self):
        super().__init__()
        self.pool = nn.MaxPool2d(2)
        self.conv = nn.Conv2d(3, 4, 3)

    def forward(self, x):
        while x.shape[2] > 4:
            x = self.pool(x)
        return self.conv(x)


@net(known=multiple(4), plain=False)
class AssertsMultiples(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(3, 4, 4, 4)

    def forward(self, x):
        _, _, h, w = x.shape
        assert h % 4 == 0, f"height {h} is no multiple of 4"
        assert w % 4 == 0, f"width {w} is no multiple of 4"
        return self.conv(x)


@net(known=lambda h, w: h == w and h >= 3)
class AssertsSquare(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(3, 4, 3)

    def forward(self, x):
        torch._assert(x.shape[2] == x.shape[3], "square images only")
        return self.conv(x).transpose(2, 3)


@net(known=every, plain=False)
class RowByRow(nn.Module):
    def __init__(self):
        super().__init__()
        self.row = nn.Conv1d(3, 4, 3, padding=1)

    def forward(self, x):
        rows = [self.row(x[:, :, i]) for i in range(x.shape[2])]
        return torch.stack(rows, dim=2)


@net(known=lambda h, w: h >= 4 and w >= 4, plain=False)
class Strips(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(3, 4, 4)

    def forward(self, x):
        strips = []
        for top in range(0, x.shape[2] - 3, 4):
            strips += [self.conv(x[:, :, top : top + 4])]
        return torch.cat(strips, dim=2)


@net(known=lambda h, w: h >= 4 and w >= h // 4, plain=False)
class QuarterPool(nn.Module):
    def forward(self, x):
        k = int(x.shape[2] / 4)
        return F.avg_pool2d(x, k)


class SameConv(nn.Conv2d):
    """Padding as TensorFlow computes it."""

    def forward(self, x):
        ih, iw = x.size()[-2:]
        kh, kw = self.weight.size()[-2:]
        pad_h = max((math.ceil(ih / self.stride[0]) - 1) * self.stride[0] + kh - ih, 0)
        pad_w = max((math.ceil(iw / self.stride[1]) - 1) * self.stride[1] + kw - iw, 0)
        if pad_h > 0 or pad_w > 0:
            x = F.pad(x, [pad_w // 2, pad_w - pad_w // 2, pad_h // 2, pad_h - pad_h // 2])
        return F.conv2d(x, self.weight, self.bias, self.stride, self.padding, self.dilation, self.groups)


@net(known=every, plain=False)
class TensorFlowSame(nn.Module):
    def __init__(self):
        super().__init__()
        self.stem = SameConv(3, 8, 3, stride=2)
        self.body = nn.Sequential(SameConv(8, 8, 5, stride=2), nn.ReLU(), SameConv(8, 8, (1, 7), (3, 1)))

    def forward(self, x):
        return self.body(self.stem(x))


@net(known=lambda h, w: h >= 8 and w >= 8, plain=False)
class ChecksEverySide(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(3, 4, 3)

    def forward(self, x):
        for size in x.shape[2:]:
            if size < 8:
                raise ValueError(f"inputs must be at least 8 pixels, not {size}")
        return self.conv(x)


@net(known=least(3), plain=False)
class OptionalArguments(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(3, 4, 3)

    def forward(self, x, mask=None, return_features=False):
        y = self.conv(x)
        if mask is not None:
            y = y * F.interpolate(mask, size=y.shape[2:])
        return (y, x) if return_features else y


@net(known=every, plain=False)
class AsksTheDevice(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(5, 4, 3, padding=1)

    def forward(self, x):
        b, _, h, w = x.shape
        ys = torch.linspace(-1, 1, h, device=x.device).view(1, 1, h, 1).expand(b, 1, h, w)
        xs = torch.linspace(-1, 1, w).view(1, 1, 1, w).expand(b, 1, h, w)
        if x.is_cuda:
            xs = xs.cuda()
        return self.conv(torch.cat([x, ys, xs.to(x.device)], dim=1))


@net(known=least(5), plain=False)
class KeywordNames(nn.Module):
    def __init__(self):
        super().__init__()
        self.add_module("lambda", nn.Conv2d(3, 4, 3))
        self.add_module("class", nn.Conv2d(4, 4, 3))
        self.add_module("0", nn.ReLU())

    def forward(self, x):
        return getattr(self, "0")(getattr(self, "class")(getattr(self, "lambda")(x)))


@net(known=least(7), plain=False)
class PlainList(nn.Module):
    def __init__(self):
        super().__init__()
        self.layers = [nn.Conv2d(3, 4, 3), nn.Conv2d(4, 4, 3), nn.Conv2d(4, 4, 3)]

    def forward(self, x):
        for layer in self.layers:
            x = F.relu(layer(x))
        return x


@net(((1, 3, "H", "W"), (1, 3, "H", "W")), known=least(4))
class TwoImages(nn.Module):
    def __init__(self):
        super().__init__()
        self.features = nn.Sequential(nn.Conv2d(3, 4, 2, 2), nn.ReLU(), nn.Conv2d(4, 4, 2, 2))

    def forward(self, left, right):
        return (self.features(left) - self.features(right)).abs().mean(dim=(1, 2, 3))


# A guide of half the size: cat asks for equality.
@net(((1, 3, "W"), (1, 2, "G")), known=lambda w, g: g >= 1 and w // 2 == g)
class GuideOfHalfTheSize(nn.Module):
    def forward(self, x, guide):
        return torch.cat([F.max_pool1d(x, 2), guide], dim=1)


@net((1, "L"), known=least(5), dtypes=(torch.int64,))
class TextCNN(nn.Module):
    def __init__(self):
        super().__init__()
        self.embedding = nn.Embedding(100, 8)
        self.convs = nn.ModuleList([nn.Conv2d(1, 4, (k, 8)) for k in (3, 4, 5)])
        self.fc = nn.Linear(12, 2)

    def forward(self, tokens):
        x = self.embedding(tokens).unsqueeze(1)
        x = [F.relu(conv(x)).squeeze(3) for conv in self.convs]
        x = [F.max_pool1d(i, i.size(2)).squeeze(2) for i in x]
        return self.fc(torch.cat(x, 1))


@net((1, "H", "W", 3), known=least(3))
class ChannelsLast(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(3, 4, 3)

    def forward(self, x):
        x = x.permute(0, 3, 1, 2)
        return self.conv(x).permute(0, 2, 3, 1)


@net(known=least(4))
class DictOutput(nn.Module):
    def __init__(self):
        super().__init__()
        self.a, self.b = nn.Conv2d(3, 4, 2, 2), nn.Conv2d(4, 4, 2, 2)

    def forward(self, x):
        low = self.a(x)
        return {"low": low, "high": [self.b(low)]}


@dataclass
class Features:
    low: Tensor
    high: Tensor


@net(known=least(4))
class DataclassOutput(nn.Module):
    def __init__(self):
        super().__init__()
        self.a, self.b = nn.Conv2d(3, 4, 2, 2), nn.Conv2d(4, 4, 2, 2)

    def forward(self, x):
        low = self.a(x)
        return Features(low=low, high=self.b(low))


Pair = namedtuple("Pair", "low high")


@net(known=least(4))
class NamedTupleOutput(nn.Module):
    def __init__(self):
        super().__init__()
        self.a, self.b = nn.Conv2d(3, 4, 2, 2), nn.Conv2d(4, 4, 2, 2)

    def forward(self, x):
        low = self.a(x)
        return Pair(low, self.b(low))
