"""Does a model catch errors in its own code? Then what torch refuses is no end, but a path of its own."""

from __future__ import annotations

import dis
from collections.abc import Iterator
from functools import lru_cache
from itertools import pairwise
from types import CodeType, FunctionType
from typing import Any

from torch import nn

from autofix.frames import users_frames


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


def protected() -> bool:
    """Whether an error raised here would reach an `except` clause of the model's own code."""
    return any(
        start <= frame.f_lasti < end
        for frame in users_frames()
        for start, end in _protected_parts(frame.f_code)
    )


@lru_cache(maxsize=256)
def _protected_parts(code: CodeType) -> tuple[tuple[int, int], ...]:
    """The instructions of code with an `except` clause that have some handler: other entries only tidy up."""
    if not _handles(code):
        return ()
    bytecode: Any = dis.Bytecode(code)
    handlers = {i.offset for i in bytecode if i.opname == "PUSH_EXC_INFO"}
    entries = bytecode.exception_entries
    return tuple((entry.start, entry.end) for entry in entries if entry.target in handlers)


@lru_cache(maxsize=256)
def _handles(code: CodeType) -> bool:
    """`except Kind:` asks for the kind; a bare `except:` drops the error that it is given."""
    if not code.co_exceptiontable:
        return False
    names = [instruction.opname for instruction in dis.get_instructions(code)]
    return "CHECK_EXC_MATCH" in names or ("PUSH_EXC_INFO", "POP_TOP") in pairwise(names)
