"""Zoo() with changed spatial sizes; the weights and their names stay."""

from zoo import Zoo


def build():
    """Make the model and apply the changes."""
    model = Zoo()
    model.features[1].padding = (1, 1)
    model.norm.padding = (1, 2)
    # what 'reflect' padding reads: last axis first, before and after
    model.norm._reversed_padding_repeated_twice = (2, 2, 1, 1)
    return model
