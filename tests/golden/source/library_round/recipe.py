"""Zoo() with changed spatial sizes; the weights and their names stay."""

import torch

from zoo import Zoo


def pad_to_working_size(x, multiple, offset, least):
    """Zero-pad `x` at the end of each axis to the next multiple * k + offset that is at least `least`."""
    length = torch.sym_max(x.shape[-1], least[0])
    length += (offset[0] - length) % multiple[0]
    return torch.nn.functional.pad(x, (0, length - x.shape[-1]))


def crop_back(output, like):
    """`output`, and every tensor in it, cropped at the end of each axis to the size of `like`."""
    if isinstance(output, dict):
        return {key: crop_back(value, like) for key, value in output.items()}
    if isinstance(output, (list, tuple)):
        make = getattr(type(output), "_make", type(output))  # a named tuple takes no iterable
        return make(crop_back(value, like) for value in output)
    return output[..., : like.shape[-1]]


def accept_any_size(model, **sizes):
    """Have `model` pad its input to a size that works, and crop its outputs back."""
    inner = model.forward

    def forward(x, *args, **kwargs):
        return crop_back(inner(pad_to_working_size(x, **sizes), *args, **kwargs), x)

    model.forward = forward


def build():
    """Make the model and apply the changes."""
    model = Zoo()
    accept_any_size(model, multiple=(4,), offset=(0,), least=(1,))
    return model
