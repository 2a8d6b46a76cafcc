"""Does a model catch errors in its own code? Then what torch refuses is no end, but a path of its own."""

from __future__ import annotations

import dis
from collections.abc import Iterator
from itertools import pairwise
from types import CodeType, FunctionType

from torch import nn


def catches(model: nn.Module) -> bool:
    """Whether some method of the model's own layers has an `except` clause, constructors apart."""
    kinds = {base for layer in model.modules() for base in type(layer).__mro__}
    own = (kind for kind in kinds if not kind.__module__.startswith(("torch.", "builtins")))
    methods = (value for kind in own for name, value in vars(kind).items() if not name.startswith("__"))
    return any(_handles(code) for method in methods for code in _codes(method))


def _codes(method: object) -> Iterator[CodeType]:
    """The code of a function, and of what it defines inside."""
    queue = [method.__code__] if isinstance(method, FunctionType) else []
    while queue:
        code = queue.pop()
        yield code
        queue += [constant for constant in code.co_consts if isinstance(constant, CodeType)]


def _handles(code: CodeType) -> bool:
    """`except Kind:` asks for the kind; a bare `except:` drops the error that it is given."""
    if not code.co_exceptiontable:
        return False
    names = [instruction.opname for instruction in dis.get_instructions(code)]
    return "CHECK_EXC_MATCH" in names or ("PUSH_EXC_INFO", "POP_TOP") in pairwise(names)
