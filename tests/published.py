"""Published networks, by name, with their input shapes and what is known of the sizes that they accept.

Each is built on the device asked for; on "meta" nothing is initialised, so that the largest costs little.
"""

from __future__ import annotations

import re
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from oracle import Template
from torch import nn
from torchvision_ops import ensure_torchvision

Known = Callable[[int], bool]


@dataclass(frozen=True)
class Entry:
    """A network of a zoo. `known` tells for a square size whether eval mode accepts it, where published."""

    name: str
    template: Template
    make: Callable[[], nn.Module]
    known: Known | None = None

    def build(self, device: str = "cpu") -> nn.Module:
        """A new instance."""
        with torch.device(device), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return self.make()


IMAGE: Template = (1, 3, "H", "W")
VIDEO: Template = (1, 3, "T", "H", "W")

TOO_LARGE = "regnet_y_128gf"  # 2.6 GB of weights, and regnets read values while they are built

FROM = {
    "squeezenet1_0": 21,
    "densenet121": 29,
    "alexnet": 63,
    "vgg11": 32,
    "inception_v3": 75,
    "convnext_tiny": 32,
    "resnet18": 1,
}

# One or two of each family: what the default run compares at every size.
FAST = (
    "alexnet",
    "squeezenet1_0",
    "vgg11",
    "resnet18",
    "mobilenet_v2",
    "mobilenet_v3_small",
    "mnasnet0_5",
    "shufflenet_v2_x0_5",
    "convnext_tiny",
    "densenet121",
    "inception_v3",
    "googlenet",
    "regnet_x_400mf",
    "efficientnet_b0",
    "resnext50_32x4d",
)


def torchvision_classifiers() -> dict[str, Entry]:
    """All of torchvision's classifiers; the transformers with position tables are refused by most sizes."""
    ensure_torchvision()
    from torchvision import models

    return {name: _torchvision(name) for name in models.list_models(module=models) if name != TOO_LARGE}


def torchvision_segmentation() -> dict[str, Entry]:
    """Torchvision's segmentation networks; their outputs are dicts."""
    ensure_torchvision()
    from torchvision import models

    return {
        name: _torchvision(name, weights_backbone=None)
        for name in models.list_models(module=models.segmentation)
    }


def torchvision_video() -> dict[str, Entry]:
    """Torchvision's video networks, (N, 3, T, H, W)."""
    ensure_torchvision()
    from torchvision import models

    names = models.list_models(module=models.video)
    return {name: _torchvision(name, template=VIDEO) for name in names}


def _torchvision(name: str, template: Template = IMAGE, **arguments: Any) -> Entry:
    from torchvision import models

    # Drawing the initial weights of these two takes seconds.
    slow = {"googlenet", "inception_v3"}
    extra: dict[str, Any] = {"init_weights": False} if name in slow or name.startswith("vgg") else {}
    least = FROM.get(name)
    known: Known | None = None if least is None else (lambda size: size >= least)

    def make() -> nn.Module:
        if name.startswith("regnet"):
            with torch.device("cpu"):
                return models.get_model(name, weights=None)
        return models.get_model(name, weights=None, **extra, **arguments)

    return Entry(name, template, make, known)


def monai_networks() -> dict[str, Entry]:
    """MONAI's networks, small channel counts, 2d and 3d: "UNet 2d", "VNet 3d"."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from monai.networks import nets
    entries: list[Entry] = []
    for rank in (2, 3):
        template: Template = (1, 1, *"DHW"[3 - rank :])
        for name, make in _monai(nets, rank).items():
            channels = 3 if re.match("EfficientNet", name) else 1
            shape = (1, channels, *template[2:])
            entries.append(Entry(f"{name} {rank}d", shape, make, MONAI_KNOWN.get(name)))
    return {entry.name: entry for entry in entries}


MONAI_KNOWN: dict[str, Known] = {
    "UNet": lambda n: n >= 15 and n % 8 in (0, 7),
    "BasicUNet": lambda n: n >= 32,
    "AttentionUnet": lambda n: n == 1 or n % 4 == 0,
}


def _monai(nets: Any, rank: int) -> dict[str, Callable[[], nn.Module]]:
    two = {"spatial_dims": rank, "in_channels": 1, "out_channels": 2}
    down = {"channels": (4, 8, 16), "strides": (2, 2)}
    made: dict[str, Callable[[], nn.Module]] = {
        "UNet": lambda: nets.UNet(**two, channels=(4, 8, 16, 32), strides=(2, 2, 2)),
        "UNet res": lambda: nets.UNet(**two, **down, num_res_units=2, norm="batch"),
        "UNet strides": lambda: nets.UNet(**two, channels=(4, 8, 8), strides=(3, (1, 2, 2)[3 - rank :])),
        "BasicUNet": lambda: nets.BasicUNet(**two, features=(4, 4, 8, 8, 16, 4)),
        "BasicUNet nontrainable": lambda: nets.BasicUNet(
            **two, features=(4, 4, 8, 8, 16, 4), upsample="nontrainable"
        ),
        "BasicUNetPlusPlus": lambda: nets.BasicUNetPlusPlus(**two, features=(4, 4, 8, 8, 16, 4)),
        "BasicUNetPlusPlus deep": lambda: nets.BasicUNetPlusPlus(
            **two, features=(4, 4, 8, 8, 16, 4), deep_supervision=True
        ),
        "AttentionUnet": lambda: nets.AttentionUnet(**two, **down),
        "VNet": lambda: nets.VNet(spatial_dims=rank, in_channels=1, out_channels=2, dropout_dim=rank),
        "SegResNet": lambda: nets.SegResNet(**two),
        "SegResNetDS": lambda: nets.SegResNetDS(**two, init_filters=4, dsdepth=2),
        "DynUNet": lambda: nets.DynUNet(
            **two, kernel_size=[3, 3, 3], strides=[1, 2, 2], upsample_kernel_size=[2, 2], filters=[4, 8, 8]
        ),
        "DynUNet deep": lambda: nets.DynUNet(
            **two,
            kernel_size=[3, 3, 3, 3],
            strides=[1, 2, 2, 2],
            upsample_kernel_size=[2, 2, 2],
            filters=[4, 8, 8, 8],
            deep_supervision=True,
            deep_supr_num=2,
            res_block=True,
        ),
        "DenseNet": lambda: nets.DenseNet(**two, init_features=8, growth_rate=4, block_config=(2, 2, 2)),
        "SENet": lambda: nets.SENet(
            rank, 1, "se_resnetxt_bottleneck", (1, 1, 1, 1), groups=4, reduction=4, inplanes=16, num_classes=2
        ),
        "EfficientNetBN": lambda: nets.EfficientNetBN(
            "efficientnet-b0", pretrained=False, spatial_dims=rank, num_classes=2
        ),
        "AHNet": lambda: nets.AHNet(layers=(1, 1, 1, 1), spatial_dims=rank, psp_block_num=3),
        "AHNet trilinear": lambda: nets.AHNet(
            layers=(1, 1, 1, 1),
            spatial_dims=rank,
            psp_block_num=0,
            upsample_mode="bilinear" if rank == 2 else "trilinear",
        ),
        "RegUNet": lambda: nets.RegUNet(rank, 1, 4, 2),
        "RegUNet concat": lambda: nets.RegUNet(rank, 1, 4, 2, pooling=False, concat_skip=True),
        "HighResNet": lambda: nets.HighResNet(**two),
        "AutoEncoder": lambda: nets.AutoEncoder(**two, channels=(4, 8, 8), strides=(2, 2, 2)),
        "Discriminator": lambda: nets.Discriminator((1, *(32,) * rank), (4, 8, 8), (2, 2, 2)),
    }
    decoder: dict[str, Any] = {"spatial_dims": rank, "decoder_channels": (32, 16, 8, 8, 4)}
    made["FlexibleUNet"] = lambda: nets.FlexibleUNet(1, 2, "efficientnet-b0", **decoder)
    made["FlexibleUNet unpadded"] = lambda: nets.FlexibleUNet(1, 2, "resnet18", is_pad=False, **decoder)
    return made
