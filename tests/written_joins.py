"""Networks with skips, heads that are fixed, norms and padding that ask for a size, as people write them."""

import torch
import torch.nn.functional as F
from torch import nn
from written import every, least, multiple, net


def double_conv(inp, out):
    return nn.Sequential(
        nn.Conv2d(inp, out, 3, padding=1),
        nn.BatchNorm2d(out),
        nn.ReLU(inplace=True),
        nn.Conv2d(out, out, 3, padding=1),
        nn.BatchNorm2d(out),
        nn.ReLU(inplace=True),
    )


@net(known=multiple(4))
class PlainUNet(nn.Module):
    def __init__(self):
        super().__init__()
        self.down1, self.down2, self.bottom = double_conv(3, 4), double_conv(4, 8), double_conv(8, 8)
        self.pool = nn.MaxPool2d(2)
        self.up = nn.Upsample(scale_factor=2, mode="bilinear", align_corners=True)
        self.up2, self.up1 = double_conv(16, 4), double_conv(8, 4)

    def forward(self, x):
        x1 = self.down1(x)
        x2 = self.down2(self.pool(x1))
        x = self.bottom(self.pool(x2))
        x = self.up2(torch.cat([self.up(x), x2], dim=1))
        return self.up1(torch.cat([self.up(x), x1], dim=1))


def pad_to(x, skip):
    dy, dx = skip.size(2) - x.size(2), skip.size(3) - x.size(3)
    return F.pad(x, [dx // 2, dx - dx // 2, dy // 2, dy - dy // 2])


@net(known=least(4))
class PaddingUNet(nn.Module):
    def __init__(self):
        super().__init__()
        self.inc, self.mid, self.low = double_conv(3, 4), double_conv(4, 8), double_conv(8, 8)
        self.up2, self.up1 = nn.ConvTranspose2d(8, 8, 2, 2), nn.ConvTranspose2d(16, 4, 2, 2)

    def forward(self, x):
        x1 = self.inc(x)
        x2 = self.mid(F.max_pool2d(x1, 2))
        x3 = self.low(F.max_pool2d(x2, 2))
        x = torch.cat([x2, pad_to(self.up2(x3), x2)], dim=1)
        return torch.cat([x1, pad_to(self.up1(x), x1)], dim=1)


def center_crop(x, target):
    top, left = (x.size(2) - target.size(2)) // 2, (x.size(3) - target.size(3)) // 2
    return x[:, :, top : top + target.size(2), left : left + target.size(3)]


# 8 -> 6 -> pool 3 -> 1 -> up 2; any size: the crop always fits, so only the convolutions ask.
@net(known=least(8))
class ValidUNet(nn.Module):
    def __init__(self):
        super().__init__()
        self.enc, self.mid = nn.Conv2d(3, 4, 3), nn.Conv2d(4, 8, 3)
        self.up, self.dec = nn.ConvTranspose2d(8, 4, 2, 2), nn.Conv2d(8, 4, 1)

    def forward(self, x):
        skip = F.relu(self.enc(x))
        x = self.up(F.relu(self.mid(F.max_pool2d(skip, 2))))
        return self.dec(torch.cat([center_crop(skip, x), x], dim=1))


def pyramid(n: int) -> bool:
    """Adding broadcasts where one side is 1."""
    p1 = (n + 1) // 2
    p2 = (p1 + 1) // 2
    up = 2 * p2
    if up != p1 and p1 != 1:
        return False
    return 2 * up == n or n == 1


@net(known=lambda h, w: pyramid(h) and pyramid(w))
class FeaturePyramid(nn.Module):
    def __init__(self):
        super().__init__()
        self.c1, self.c2 = nn.Conv2d(3, 4, 3, 2, 1), nn.Conv2d(4, 4, 3, 2, 1)
        self.lateral = nn.Conv2d(3, 4, 1)

    def forward(self, x):
        c1 = self.c1(x)
        c2 = self.c2(c1)
        p1 = c1 + F.interpolate(c2, scale_factor=2)
        return self.lateral(x) + F.interpolate(p1, scale_factor=2)


@net(known=every)
class PyramidBySize(nn.Module):
    def __init__(self):
        super().__init__()
        self.stages = nn.ModuleList([nn.Conv2d(c, 4, 3, stride=2, padding=1) for c in (3, 4, 4)])

    def forward(self, x):
        features = []
        for stage in self.stages:
            x = stage(x)
            features.append(x)
        for skip in features[-2::-1]:
            x = skip + F.interpolate(x, size=skip.shape[-2:], mode="nearest")
        return x


class Hourglass(nn.Module):
    def __init__(self, depth):
        super().__init__()
        self.conv = nn.Conv2d(4, 4, 3, padding=1)
        self.inner = Hourglass(depth - 1) if depth > 1 else nn.Conv2d(4, 4, 3, padding=1)

    def forward(self, x):
        low = self.inner(F.max_pool2d(self.conv(x), 2, 2))
        x = self.conv(x)
        x += F.interpolate(low, scale_factor=2)
        return x


@net(known=multiple(8))
class StackedHourglass(nn.Module):
    def __init__(self):
        super().__init__()
        self.stem = nn.Conv2d(3, 4, 1)
        self.stacks = nn.Sequential(Hourglass(3), Hourglass(3))

    def forward(self, x):
        return self.stacks(self.stem(x))


@net(known=multiple(2))
class FactorizedReduce(nn.Module):
    def __init__(self):
        super().__init__()
        self.even, self.odd = nn.Conv2d(3, 4, 1, 2, bias=False), nn.Conv2d(3, 4, 1, 2, bias=False)

    def forward(self, x):
        return torch.cat([self.even(x), self.odd(x[:, :, 1:, 1:])], dim=1)


@net(known=multiple(2))
class Focus(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(12, 8, 3, padding=1)

    def forward(self, x):
        top, bottom = x[..., ::2, :], x[..., 1::2, :]
        return self.conv(torch.cat((top[..., ::2], bottom[..., ::2], top[..., 1::2], bottom[..., 1::2]), 1))


@net(known=every)
class SlicedShortcut(nn.Module):
    """The parameter-free shortcut of CIFAR ResNets."""

    def __init__(self):
        super().__init__()
        self.conv1, self.conv2 = nn.Conv2d(3, 8, 3, 2, 1), nn.Conv2d(8, 8, 3, 1, 1)

    def forward(self, x):
        return F.relu(self.conv2(F.relu(self.conv1(x))) + F.pad(x[:, :, ::2, ::2], (0, 0, 0, 0, 2, 3)))


@net(known=every, plain=True)
class PadsToMultiples(nn.Module):
    """Pads the input to what its U needs, and crops the output back."""

    def __init__(self):
        super().__init__()
        self.down, self.up = nn.Conv2d(3, 4, 4, 4), nn.ConvTranspose2d(4, 3, 4, 4)

    def forward(self, x):
        h, w = x.shape[-2:]
        y = F.pad(x, (0, -w % 4, 0, -h % 4))
        y = y + self.up(self.down(y))
        return y[..., :h, :w]


@net(known=multiple(4))
class ResidualAutoencoder(nn.Module):
    def __init__(self):
        super().__init__()
        self.encoder = nn.Sequential(nn.Conv2d(3, 4, 2, 2), nn.ReLU(), nn.Conv2d(4, 8, 2, 2))
        self.decoder = nn.Sequential(
            nn.ConvTranspose2d(8, 4, 2, 2), nn.ReLU(), nn.ConvTranspose2d(4, 3, 2, 2)
        )

    def forward(self, x):
        return torch.stack([x, self.decoder(self.encoder(x))], dim=1)


@net(known=every)
class SuperResolution(nn.Module):
    def __init__(self):
        super().__init__()
        self.body = nn.Sequential(nn.Conv2d(3, 8, 5, padding=2), nn.Tanh(), nn.Conv2d(8, 27, 3, padding=1))
        self.shuffle = nn.PixelShuffle(3)

    def forward(self, x):
        base = F.interpolate(x, scale_factor=3, mode="bicubic", align_corners=False)
        return self.shuffle(self.body(x)) + base


@net(known=every, plain=False)
class NonLocal(nn.Module):
    def __init__(self):
        super().__init__()
        self.theta, self.phi, self.out = nn.Conv2d(3, 4, 1), nn.Conv2d(3, 4, 1), nn.Conv2d(4, 3, 1)

    def forward(self, x):
        b = x.size(0)
        theta = self.theta(x).view(b, 4, -1).permute(0, 2, 1)
        phi = self.phi(x).view(b, 4, -1)
        attention = F.softmax(torch.matmul(theta, phi), dim=-1)
        y = torch.matmul(attention, theta).permute(0, 2, 1).contiguous().view(b, 4, *x.size()[2:])
        return x + self.out(y)


@net(known=every)
class ChannelShuffle(nn.Module):
    def __init__(self):
        super().__init__()
        self.stem, self.branch = nn.Conv2d(3, 8, 3, 2, 1), nn.Conv2d(4, 4, 3, padding=1)

    def forward(self, x):
        x1, x2 = self.stem(x).chunk(2, dim=1)
        x = torch.cat((x1, self.branch(x2)), dim=1)
        b, c, h, w = x.size()
        return x.view(b, 2, c // 2, h, w).transpose(1, 2).contiguous().view(b, -1, h, w)


@net(known=multiple(4))
class WindowPartition(nn.Module):
    def __init__(self):
        super().__init__()
        self.mix = nn.Linear(3, 3)

    def forward(self, x):
        b, c, h, w = x.shape
        x = x.view(b, c, h // 4, 4, w // 4, 4).permute(0, 2, 4, 3, 5, 1).reshape(-1, 16, c)
        return self.mix(x)
