"""Does a model catch errors in its own code? Then what torch refuses is no end, but a path of its own."""

from __future__ import annotations

import dis
from collections.abc import Iterator
from itertools import pairwise
from types import CodeType, FunctionType

from torch import nn


def catches(model: nn.Module) -> bool:
    """Whether the forward of some layer, or what it calls by name, has an `except` clause."""
    kinds = {type(layer) for layer in model.modules()}
    return any(_handles(code) for kind in kinds for code in _reached(kind))


def _reached(kind: type) -> Iterator[CodeType]:
    """The code of forward, of the methods and functions that it names, and so on."""
    queue, seen = [getattr(kind, "forward", None)], set[CodeType]()
    while queue:
        function = queue.pop()
        if not isinstance(function, FunctionType) or (function.__module__ or "").startswith("torch."):
            continue
        for code in _nested(function.__code__):
            if code not in seen:
                seen.add(code)
                yield code
                queue += [getattr(kind, name, None) for name in code.co_names]
                queue += [function.__globals__.get(name) for name in code.co_names]


def _nested(code: CodeType) -> Iterator[CodeType]:
    yield code
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            yield from _nested(constant)


def _handles(code: CodeType) -> bool:
    """`except Kind:` asks for the kind; a bare `except:` drops the error that it is given."""
    if not code.co_exceptiontable:
        return False
    names = [instruction.opname for instruction in dis.get_instructions(code)]
    return "CHECK_EXC_MATCH" in names or ("PUSH_EXC_INFO", "POP_TOP") in pairwise(names)
