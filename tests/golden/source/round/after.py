import torch
from torch import nn


def pad_to_working_size(x, least, multiples, offsets):
    """Zero-pad `x` at the end of each axis to the next multiple * k + offset that is at least `least`."""
    pads = []
    for axis in range(-1, -3, -1):  # a padding starts with the last axis
        size = torch.sym_max(x.shape[axis], least[axis])
        more = (offsets[axis][0] - size) % multiples[axis]
        for offset in offsets[axis][1:]:
            more = torch.sym_min(more, (offset - size) % multiples[axis])
        pads += [0, size + more - x.shape[axis]]
    return torch.nn.functional.pad(x, pads)


def crop_back(output, like):
    """`output`, and every tensor in it, cropped at the end of each axis to the size of `like`."""
    if isinstance(output, dict):
        return {key: crop_back(value, like) for key, value in output.items()}
    if isinstance(output, (list, tuple)):
        make = getattr(type(output), "_make", type(output))  # a named tuple takes no iterable
        return make(crop_back(value, like) for value in output)
    return output[..., : like.shape[-2], : like.shape[-1]]


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.down = nn.Conv2d(1, 2, 4, 4)
        self.up = nn.ConvTranspose2d(2, 1, 4, 4)

    def forward(self, image, scale: float = 1.0):
        """Halve twice and come back."""
        given = image
        image = pad_to_working_size(image, least=(4, 8), multiples=(4, 4), offsets=((0,), (0, 2)))
        y = self.up(self.down(image))
        if scale != 1.0:
            return crop_back(y * scale, given)
        return crop_back((torch.cat([image, y], 1), y), given)
