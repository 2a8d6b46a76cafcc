"""Networks with norms, padding limits, unlike axes and the usual structure, as people write them."""

import torch
import torch.nn.functional as F
from torch import nn
from written import IMAGE, every, least, multiple, net


# Down to half twice (rounding up); only 1x1 at the bottom stops instance norm.
@net(known=lambda h, w: h > 4 or w > 4)
class InstanceNormBottom(nn.Module):
    def __init__(self):
        super().__init__()
        self.down = nn.Sequential(
            nn.Conv2d(3, 4, 3, 2, 1), nn.ReLU(), nn.Conv2d(4, 4, 3, 2, 1), nn.InstanceNorm2d(4)
        )

    def forward(self, x):
        return self.down(x)


# Reflection by 4 needs 5; after two halvings (rounding up) reflection by 1 needs 2, so 5 is enough.
@net(known=least(5))
class StyleTransfer(nn.Module):
    def __init__(self):
        super().__init__()
        self.stem = nn.Sequential(
            nn.ReflectionPad2d(4), nn.Conv2d(3, 4, 9), nn.InstanceNorm2d(4, affine=True)
        )
        self.down = nn.Sequential(nn.Conv2d(4, 8, 3, 2, 1), nn.ReLU(), nn.Conv2d(8, 8, 3, 2, 1))
        self.body = nn.Sequential(nn.ReflectionPad2d(1), nn.Conv2d(8, 8, 3))
        self.up = nn.Upsample(scale_factor=4)

    def forward(self, x):
        x = self.down(self.stem(x))
        return self.up(x + self.body(x))


# Circular padding may be as large as the size; the height is padded by 1, the width by 3.
@net(known=lambda h, w: h >= 1 and w >= 3)
class Panorama(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(3, 4, (3, 7), padding=(1, 3), padding_mode="circular")

    def forward(self, x):
        return self.conv(x)


@net((1, 3, "T", "H", "W"), known=lambda t, h, w: t >= 4 and h >= 3 and w >= 3)
class Video(nn.Module):
    def __init__(self):
        super().__init__()
        self.space, self.time = nn.Conv3d(3, 4, (1, 3, 3), (1, 2, 2), (0, 1, 1)), nn.Conv3d(4, 4, (3, 1, 1))
        self.pool = nn.MaxPool3d((2, 2, 2))
        self.fc = nn.Linear(4, 2)

    def forward(self, x):
        x = self.pool(F.relu(self.time(self.space(x))))
        return self.fc(x.mean([-1, -2, -3]))


@net((1, 1, "D", "H", "W"), known=lambda d, h, w: d >= 1 and h >= 6 and w >= 6)
class ThickSlices(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv1, self.conv2 = nn.Conv3d(1, 4, (1, 3, 3)), nn.Conv3d(4, 4, (3, 3, 3), padding=(1, 1, 1))
        self.pool = nn.AvgPool3d((1, 2, 2), stride=(1, 2, 2))

    def forward(self, x):
        x = self.pool(self.conv1(x))
        return self.pool(self.conv2(x))


@net((1, 1, "L"), known=least(32))
class WaveNet(nn.Module):
    def __init__(self):
        super().__init__()
        self.stem = nn.Conv1d(1, 4, 2)
        self.layers = nn.ModuleList([nn.Conv1d(4, 4, 3, dilation=2**i) for i in range(4)])

    def forward(self, x):
        x = self.stem(x)
        skips = 0
        for layer in self.layers:
            y = torch.tanh(layer(x))
            x = x[:, :, -y.size(2) :] + y
            skips = y.mean(dim=2) + skips
        return skips


def make_layers(cfg):
    layers, channels = [], 3
    for v in cfg:
        if v == "M":
            layers += [nn.MaxPool2d(kernel_size=2, stride=2)]
        else:
            layers += [nn.Conv2d(channels, v, kernel_size=3, padding=1), nn.ReLU(inplace=True)]
            channels = v
    return nn.Sequential(*layers)


@net(known=least(8))
class ConfiguredVGG(nn.Module):
    def __init__(self):
        super().__init__()
        self.features = make_layers([4, "M", 8, "M", 8, 8, "M"])
        self.avgpool = nn.AdaptiveAvgPool2d((7, 7))
        self.classifier = nn.Sequential(
            nn.Linear(8 * 7 * 7, 16), nn.ReLU(True), nn.Dropout(), nn.Linear(16, 10)
        )

    def forward(self, x):
        return self.classifier(torch.flatten(self.avgpool(self.features(x)), 1))


@net(known=least(22))
class ReusedPool(nn.Module):
    """22 -> 20 -> 10 -> 8 -> 4 -> 2 -> 1."""

    def __init__(self):
        super().__init__()
        self.conv1, self.conv2, self.conv3 = nn.Conv2d(3, 4, 3), nn.Conv2d(4, 4, 3), nn.Conv2d(4, 4, 3)
        self.pool = nn.MaxPool2d(2, 2)

    def forward(self, x):
        x = self.pool(F.relu(self.conv1(x)))
        x = self.pool(F.relu(self.conv2(x)))
        return self.pool(F.relu(self.conv3(x)))


@net(IMAGE, known=least(3))
class OwnParameters(nn.Module):
    def __init__(self):
        super().__init__()
        self.weight, self.bias = nn.Parameter(torch.zeros(4, 3, 3, 3)), nn.Parameter(torch.zeros(4))
        self.register_buffer("mean", torch.zeros(1, 3, 1, 1))

    def forward(self, x):
        x = F.conv2d(x - self.mean, self.weight, self.bias)
        return F.batch_norm(x, torch.zeros(4, device=x.device), torch.ones(4, device=x.device))


@net(known=every)
class SqueezeExcite(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(3, 8, 3, padding=1)
        self.fc = nn.Sequential(nn.Linear(8, 2), nn.ReLU(), nn.Linear(2, 8), nn.Sigmoid())

    def forward(self, x):
        x = self.conv(x)
        b, c, _, _ = x.size()
        return x * self.fc(F.adaptive_avg_pool2d(x, 1).view(b, c)).view(b, c, 1, 1).expand_as(x)


class Bottleneck(nn.Module):
    def __init__(self, inp, out, stride):
        super().__init__()
        self.conv1, self.conv2 = nn.Conv2d(inp, out, 3, stride, 1), nn.Conv2d(out, out, 3, 1, 1)
        self.norm = nn.GroupNorm(2, out)
        self.downsample = nn.Conv2d(inp, out, 1, stride) if stride != 1 or inp != out else None

    def forward(self, x):
        identity = x if self.downsample is None else self.downsample(x)
        return F.relu(self.norm(self.conv2(F.relu(self.conv1(x)))) + identity)


@net(known=every)
class MadeInLoops(nn.Module):
    def __init__(self):
        super().__init__()
        self.inplanes = 3
        self.layer1, self.layer2 = self._make_layer(4, 2, 1), self._make_layer(8, 2, 2)

    def _make_layer(self, planes, blocks, stride):
        layers = [Bottleneck(self.inplanes, planes, stride)]
        self.inplanes = planes
        layers += [Bottleneck(planes, planes, 1) for _ in range(1, blocks)]
        return nn.Sequential(*layers)

    def forward(self, x):
        return self.layer2(self.layer1(x)).mean((2, 3))


@net(known=lambda h, w: h >= 4 and w >= 5, plain=False)
class LayersMadeInForward(nn.Module):
    """Each made and called at once, as in `nn.ReLU()(x)`."""

    def __init__(self):
        super().__init__()
        self.conv, self.head = nn.Conv2d(3, 4, 3), nn.Linear(4, 2)

    def forward(self, x):
        x = nn.MaxPool2d((2, 3))(nn.ReLU()(self.conv(x)))
        return self.head(nn.Flatten()(nn.AdaptiveAvgPool2d(1)(x)))


@net(known=least(3), plain=False)
class ZerosOfSizes(nn.Module):
    """ResNet's parameterless shortcut: every second pixel, and zeros for the new channels."""

    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(3, 4, 3, stride=2, padding=1)
        self.last = nn.Conv2d(4, 4, 2)

    def forward(self, x):
        short = nn.AvgPool2d(1, stride=2)(x)
        zeros = torch.zeros(short.size(0), 1, *short.shape[2:], dtype=short.dtype, device=short.device)
        return self.last(self.conv(x) + torch.cat([short.data, zeros], 1))


@net(known=multiple(4))
class ChannelShuffleOfASlice(nn.Module):
    """view of a slice of channels, which lies together in each sample only."""

    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(3, 6, (1, 3), padding=(0, 1))

    def forward(self, x):
        b, _, h, w = x.shape
        x = self.conv(x)[:, 2:]
        return x.view(b, 2, 2, h // 4, 4, w // 4, 4).transpose(1, 2).contiguous().view(b, 4, h, w)


@net(known=lambda h, w: h >= 3 and w >= 5, plain=False)
class KernelsOfEachImage(nn.Module):
    """A convolution whose kernel the image chooses: each image is a group of channels."""

    def __init__(self):
        super().__init__()
        self.route = nn.Linear(3, 2)
        self.weight = nn.Parameter(torch.randn(2, 4 * 3 * 3 * 5))

    def forward(self, x):
        b, c, h, w = x.shape
        if h * w > 0:
            weight = (torch.sigmoid(self.route(x.mean((2, 3)))) @ self.weight).view(b * 4, c, 3, 5)
        out = F.conv2d(x.reshape(1, b * c, h, w), weight, groups=b)
        return out.view(b, 4, out.shape[-2], out.shape[-1])


def windows(x, size):
    b, h, w, c = x.shape
    x = x.view(b, h // size, size, w // size, size, c)
    return x.permute(0, 1, 3, 2, 4, 5).contiguous().view(-1, size, size, c)


def whole(cut, size, h, w):
    b = int(cut.shape[0] / (h * w / size / size))
    x = cut.view(b, h // size, w // size, size, size, -1)
    return x.permute(0, 1, 3, 2, 4, 5).contiguous().view(b, h, w, -1)


@net(known=lambda h, w: all(n >= 6 and n // 2 % 3 == 0 for n in (h, w)), plain=False)
class Windows(nn.Module):
    """Swin's attention without its attention: cut into windows, and put together again."""

    def __init__(self):
        super().__init__()
        self.conv, self.mix = nn.Conv2d(3, 4, 2, 2), nn.Linear(9 * 4, 9 * 4)

    def forward(self, x):
        x = self.conv(x).permute(0, 2, 3, 1)
        _, h, w, c = x.shape
        cut = windows(x, 3)
        return whole(self.mix(cut.view(-1, 9 * c)).view(-1, 3, 3, c), 3, h, w).permute(0, 3, 1, 2)


@net(known=least(2), plain=False)
class PaddedWindows(nn.Module):
    """Windows over a map that is padded to whole ones, and cropped again where it was."""

    def __init__(self):
        super().__init__()
        self.conv, self.mix = nn.Conv2d(3, 4, 2, 2), nn.Linear(4, 4)

    def forward(self, x):
        x = self.conv(x).permute(0, 2, 3, 1)
        _, h, w, _ = x.shape
        down, right = (5 - h % 5) % 5, (5 - w % 5) % 5
        x = F.pad(x, (0, 0, 0, right, 0, down))
        x = whole(self.mix(windows(x, 5)), 5, h + down, w + right)
        if down > 0 or right > 0:
            x = x[:, :h, :w, :].contiguous()
        return x.permute(0, 3, 1, 2)


@net((1, 1, "T"), known=lambda t: t >= 20, plain=False)
class OverlapAdd(nn.Module):
    """A decoder of audio: frames that overlap by half are added up, as Conv-TasNet does."""

    def __init__(self):
        super().__init__()
        self.encoder, self.basis = nn.Conv1d(1, 16, 20, 10), nn.Linear(16, 20)

    def forward(self, x):
        frames = self.basis(self.encoder(x).transpose(1, 2))
        outer, (count, length) = frames.size()[:-2], frames.size()[-2:]
        pieces = (10 * (count - 1) + length) // 10
        places = torch.arange(0, pieces).unfold(0, 2, 1)
        places = frames.new_tensor(places).long().contiguous().view(-1)
        result = frames.new_zeros(*outer, pieces, 10)
        result.index_add_(-2, places, frames.view(*outer, -1, 10))
        return result.view(*outer, -1)
