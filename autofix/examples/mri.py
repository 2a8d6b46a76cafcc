"""Networks for small MRI patches: one channel in, three spatial axes (D, H, W)."""

from __future__ import annotations

import torch
from torch import Tensor, nn


class BadCNN(nn.Module):
    """No padding: (N, 1, D, H, W) with D, H, W >= 8 works, anything smaller leaves conv2 nothing to see."""

    def __init__(self) -> None:
        super().__init__()
        self.conv1 = nn.Conv3d(1, 16, kernel_size=3)
        self.pool = nn.MaxPool3d(kernel_size=2, stride=2)
        self.conv2 = nn.Conv3d(16, 32, kernel_size=3)

    def forward(self, x: Tensor) -> Tensor:
        x = torch.relu(self.conv1(x))
        x = self.pool(x)
        return torch.relu(self.conv2(x))


class StridedCNN(nn.Module):
    """Three strided convolutions without padding: (N, 1, D, H, W) with D, H, W >= 15 works."""

    def __init__(self) -> None:
        super().__init__()
        self.conv1 = nn.Conv3d(1, 16, kernel_size=3, stride=2)
        self.conv2 = nn.Conv3d(16, 32, kernel_size=3, stride=2)
        self.conv3 = nn.Conv3d(32, 64, kernel_size=3, stride=2)

    def forward(self, x: Tensor) -> Tensor:
        x = torch.relu(self.conv1(x))
        x = torch.relu(self.conv2(x))
        return torch.relu(self.conv3(x))


class GoodCNN(nn.Module):
    """BadCNN with padding 1 on both convolutions: (N, 1, D, H, W) with D, H, W >= 2 works."""

    def __init__(self) -> None:
        super().__init__()
        self.conv1 = nn.Conv3d(1, 16, kernel_size=3, padding=1)
        self.pool = nn.MaxPool3d(kernel_size=2, stride=2)
        self.conv2 = nn.Conv3d(16, 32, kernel_size=3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        x = torch.relu(self.conv1(x))
        x = self.pool(x)
        return torch.relu(self.conv2(x))


class UNet(nn.Module):
    """Two levels with skip connections: (N, 1, D, H, W) works where D, H and W are multiples of 4."""

    def __init__(self, in_channels: int = 1, out_channels: int = 2, width: int = 8) -> None:
        super().__init__()
        self.enc1 = nn.Conv3d(in_channels, width, kernel_size=3, padding=1)
        self.enc2 = nn.Conv3d(width, 2 * width, kernel_size=3, padding=1)
        self.middle = nn.Conv3d(2 * width, 4 * width, kernel_size=3, padding=1)
        self.pool = nn.MaxPool3d(kernel_size=2, stride=2)
        self.up2 = nn.ConvTranspose3d(4 * width, 2 * width, kernel_size=2, stride=2)
        self.dec2 = nn.Conv3d(4 * width, 2 * width, kernel_size=3, padding=1)
        self.up1 = nn.ConvTranspose3d(2 * width, width, kernel_size=2, stride=2)
        self.dec1 = nn.Conv3d(2 * width, width, kernel_size=3, padding=1)
        self.head = nn.Conv3d(width, out_channels, kernel_size=1)

    def forward(self, x: Tensor) -> Tensor:
        skip1 = torch.relu(self.enc1(x))
        skip2 = torch.relu(self.enc2(self.pool(skip1)))
        x = torch.relu(self.middle(self.pool(skip2)))
        x = torch.relu(self.dec2(torch.cat([self.up2(x), skip2], dim=1)))
        x = torch.relu(self.dec1(torch.cat([self.up1(x), skip1], dim=1)))
        out: Tensor = self.head(x)
        return out
