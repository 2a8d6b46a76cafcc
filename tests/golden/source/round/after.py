import torch
from torch import nn


def pad_to_working_size(x, multiple, offset, least):
    """Zero-pad `x` at the end of each axis to the next multiple * k + offset that is at least `least`."""
    height = torch.sym_max(x.shape[-2], least[0])
    width = torch.sym_max(x.shape[-1], least[1])
    height += (offset[0] - height) % multiple[0]
    width += (offset[1] - width) % multiple[1]
    return torch.nn.functional.pad(x, (0, width - x.shape[-1], 0, height - x.shape[-2]))


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
        image = pad_to_working_size(image, multiple=(4, 4), offset=(0, 0), least=(4, 8))
        y = self.up(self.down(image))
        if scale != 1.0:
            return crop_back(y * scale, given)
        return crop_back((torch.cat([image, y], 1), y), given)
