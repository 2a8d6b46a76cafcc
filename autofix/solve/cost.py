"""What a repair costs to run: multiply-adds of convolutions and linear layers at one input size."""

from __future__ import annotations

from autofix.arguments import hyper_at, resolved, row_of
from autofix.interpret import Meaning
from autofix.ops.base import Tensor
from autofix.program import Program
from autofix.size import product


def multiply_adds(program: Program, meaning: Meaning) -> int:
    """The sum over convolutions (and transposed ones) of weight size x positions, per sample of the batch."""
    total = 0
    for site, value in zip(program.sites, meaning.values, strict=True):
        row = row_of(site) if site.kind.startswith("call") else None
        if row is None or "convolution" not in row[0].name or not isinstance(value, Tensor):
            continue
        args, kwargs = resolved(site, meaning.values)
        weight = hyper_at(site, args, kwargs)["weight"]
        source = args[0] if args else kwargs["input"]
        over = source if row[0].name.startswith("transposed") else value
        total += product(weight.shape) * product(over.shape[-(weight.ndim - 2) :])
    return total
