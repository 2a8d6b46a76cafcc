"""Networks that keep state beside their weights, and those that go through numpy or the names of types."""

import math

import numpy as np
import torch
import torch.nn as nn
import torch.nn.functional as F
from written import every, least, multiple, net


# A normalised image, as SwinIR and EDSR keep it: assigned in forward, read after an `if`.
@net(known=every, plain=False)
class MovesItsMean(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv, self.mean = nn.Conv2d(3, 4, 3, 1, 1), torch.zeros(1, 3, 1, 1)

    def forward(self, x):
        self.mean = self.mean.type_as(x)
        x = self.conv(x - self.mean)
        if x.shape[2] > 5:
            x = x * 2
        return x + self.mean[:, :1]


# The detection head of YOLOv5: grids are kept from call to call, in a list, in eval mode alone.
@net(known=every)
class KeepsGrids(nn.Module):
    def __init__(self):
        super().__init__()
        self.convs = nn.ModuleList([nn.Conv2d(3, 4, 3, 2, 1), nn.Conv2d(4, 4, 3, 2, 1)])
        self.grid = [torch.empty(0)] * 2

    def forward(self, x):
        found = []
        for i, conv in enumerate(self.convs):
            x = conv(x)
            b, _, ny, nx = x.shape
            y = x.view(b, 2, 2, ny, nx).permute(0, 1, 3, 4, 2).contiguous()
            if not self.training:
                if self.grid[i].shape[2:4] != y.shape[2:4]:
                    self.grid[i] = self.make_grid(nx, ny).to(x.device)
                y = y + self.grid[i]
            found.append(y.view(b, -1, 2))
        return torch.cat(found, 1)

    @staticmethod
    def make_grid(nx, ny):
        yv, xv = torch.meshgrid([torch.arange(ny), torch.arange(nx)], indexing="ij")
        return torch.stack((xv, yv), 2).view(1, 1, ny, nx, 2).float()


# PixelCNN: each convolution masks its own weights before it is used.
@net(known=least(4))
class MasksItsWeights(nn.Module):
    class Masked(nn.Conv2d):
        def __init__(self, *args, **kwargs):
            super().__init__(*args, **kwargs)
            self.register_buffer("mask", (torch.arange(3) < 2).float().expand_as(self.weight).clone())

        def forward(self, x):
            self.weight.data *= self.mask
            return super().forward(x)

    def __init__(self):
        super().__init__()
        self.layers = nn.Sequential(self.Masked(3, 4, 3, padding=1), nn.ReLU())
        self.pool = nn.MaxPool2d(4)

    def forward(self, x):
        return self.pool(self.layers(x))


# EEGNet: the norm of the weights is bounded before each call.
@net(known=lambda h, w: h >= 3 and w >= 3)
class BoundsItsWeights(nn.Module):
    class Bounded(nn.Conv2d):
        def forward(self, x):
            self.weight.data = torch.renorm(self.weight.data, p=2, dim=0, maxnorm=1)
            return super().forward(x)

    def __init__(self):
        super().__init__()
        self.conv = self.Bounded(3, 4, 3)

    def forward(self, x):
        return self.conv(x)


# 5 + 2 columns of padding ahead of a kernel of 5, every other row after one of 3.
@net(known=lambda h, w: h >= 5 and w >= 3)
class ResizesInHooks(nn.Module):
    def __init__(self):
        super().__init__()
        self.first, self.second, self.pool = nn.Conv2d(3, 4, 5), nn.Conv2d(4, 4, (3, 1)), nn.MaxPool2d((1, 1))
        self.first.register_forward_pre_hook(lambda module, args: (F.pad(args[0], (1, 1, 1, 1)),))
        self.second.register_forward_hook(lambda module, args, output: output[:, :, ::2])

    def forward(self, x):
        return self.pool(self.second(self.first(x)))


# Fastai's SaveFeatures, read again before the join.
@net(known=multiple(2), plain=False)
class KeepsFeatures(nn.Module):
    class Saved:
        features = None

        def __init__(self, module):
            module.register_forward_hook(self.keep)

        def keep(self, module, args, output):
            self.features = output

    def __init__(self):
        super().__init__()
        self.encoder = nn.Sequential(nn.Conv2d(3, 8, 3, 1, 1), nn.BatchNorm2d(8), nn.MaxPool2d(2))
        self.saved = [self.Saved(self.encoder[0]), self.Saved(self.encoder[1])]
        self.up = nn.ConvTranspose2d(8, 8, 2, 2)

    def forward(self, x):
        up = self.up(self.encoder(x))
        return torch.cat([up, *(one.features for one in self.saved)], 1)


# transformers: the hooks are registered by the first call, and collect in order.
@net(known=multiple(2), plain=False)
class HooksItselfWhenCalled(nn.Module):
    def __init__(self):
        super().__init__()
        self.layers = nn.Sequential(nn.Conv2d(3, 4, 3, 1, 1), nn.MaxPool2d(2))
        self.up, self.hooked = nn.Upsample(scale_factor=2), False

    def forward(self, x):
        if not self.hooked:
            self.states = []
            self.layers[0].register_forward_hook(lambda m, i, output: self.states.append(output))
            self.hooked = True
        self.states.clear()
        x = self.up(self.layers(x))
        (first,) = self.states
        return torch.cat([first, x], 1)


# FFDNet: padded to even sizes, worked out with numpy.
@net(known=lambda h, w: h >= 3 and w >= 3, plain=False)
class CeilsWithNumpy(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(3, 4, 4)

    def forward(self, x):
        h, w = x.size()[-2:]
        bottom, right = int(np.ceil(h / 2) * 2 - h), int(np.ceil(w / 2) * 2 - w)
        return self.conv(nn.ReplicationPad2d((0, right, 0, bottom))(x))


# I3D: 'same' padding with an early return, and a line that is never used.
@net((1, 3, "T", "H", "W"), known=every, plain=False)
class SamePadsEachAxis(nn.Module):
    class Unit(nn.Module):
        def __init__(self, inside, outside):
            super().__init__()
            self.kernel, self.stride = (3, 3, 3), (2, 2, 1)
            self.conv = nn.Conv3d(inside, outside, self.kernel, self.stride)

        def amount(self, axis, size):
            if size % self.stride[axis] == 0:
                return max(self.kernel[axis] - self.stride[axis], 0)
            return max(self.kernel[axis] - (size % self.stride[axis]), 0)

        def forward(self, x):
            _, _, t, h, w = x.size()
            np.ceil(float(t) / float(self.stride[0]))
            d, e, f = [self.amount(axis, size) for axis, size in enumerate((t, h, w))]
            return self.conv(F.pad(x, (f // 2, f - f // 2, e // 2, e - e // 2, d // 2, d - d // 2)))

    def __init__(self):
        super().__init__()
        self.units = nn.Sequential(self.Unit(3, 4), self.Unit(4, 4))

    def forward(self, x):
        return self.units(x)


# A property asks the parameters where they are, past nn.Module's own way of reading them; 1 is broadcast.
@net(known=lambda h, w: all(n == 1 or n % 2 == 0 for n in (h, w)))
class AsksItsParameters(nn.Module):
    def __init__(self):
        super().__init__()
        self.down, self.up = nn.Conv2d(3, 8, 3, 2, 1), nn.ConvTranspose2d(8, 3, 2, 2)

    @property
    def device(self):
        return next(self.parameters()).device

    def forward(self, x):
        x = x.to(self.device)
        return self.up(self.down(x)) + x + torch.ones(1, device=self.device) * math.pi
