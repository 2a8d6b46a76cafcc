"""Zoo() with changed spatial sizes; the weights and their names stay."""

import torch

from zoo import Zoo


def pad_to_working_size(x, least, multiples, offsets):
    """Zero-pad `x` at the end of each axis to the next multiple * k + offset that is at least `least`."""
    pads = []
    for axis in range(-1, -2, -1):  # a padding starts with the last axis
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
    return output[..., : like.shape[-1]]


def accept_any_size(model, **sizes):
    """Have `model` pad its input to a size that works, and crop its outputs back."""
    inner = model.forward

    def forward(x, *args, **kwargs):
        output = inner(pad_to_working_size(x, **sizes), *args, **kwargs)
        return crop_back(output, x)

    model.forward = forward


def build():
    """Make the model and apply the changes."""
    model = Zoo()
    accept_any_size(model, least=(1,), multiples=(4,), offsets=((0,),))
    return model
