"""Edits of a call in forward: of a function such as F.max_pool2d, or of one call of a module called often."""

from __future__ import annotations

import ast
from typing import TYPE_CHECKING

from autofix.fault import Location
from autofix.source.edit_call import Signature, change_call, find_argument, written
from autofix.source.locate import function_call, function_name, module_call
from autofix.source.text import SourceError, SourceFile, Splice
from autofix.source.wanted import Edit

if TYPE_CHECKING:
    from torch import nn

# torch does not let inspect see these signatures.
_MAX = ("input", "kernel_size", "stride", "padding", "dilation", "ceil_mode", "return_indices")
_AVG = ("input", "kernel_size", "stride", "padding", "ceil_mode", "count_include_pad", "divisor_override")
_LP = ("input", "norm_type", "kernel_size", "stride", "ceil_mode")
_CONV = ("input", "weight", "bias", "stride", "padding", "dilation", "groups")
_UP = ("input", "weight", "bias", "stride", "padding", "output_padding", "groups", "dilation")
_PARAMETERS = {"max_pool": _MAX, "avg_pool": _AVG, "lp_pool": _LP, "conv_transpose": _UP, "conv": _CONV}
_CLASSES = {
    "MaxPool": "max_pool",
    "AvgPool": "avg_pool",
    "LPPool": "lp_pool",
    "ConvTranspose": "conv_transpose",
    "Conv": "conv",
}
_NEUTRAL = {"padding": 0, "dilation": 1, "output_padding": 0, "groups": 1, "ceil_mode": False, "bias": None}


def edit_function(source: SourceFile, at: Location, edits: list[Edit]) -> Splice:
    """Change the arguments of one functional call; all `edits` are of this call."""
    call = function_call(source, at, edits[0].site)
    signature = Signature(_parameters(function_name(edits[0].site)))
    arguments: dict[str, str] = {}
    for edit in edits:
        arguments[edit.knob] = written(edit.new, edit.knob, find_argument(call, edit.knob, signature))
        if edit.knob == "kernel_size" and find_argument(call, "stride", signature) is None:
            arguments.setdefault("stride", written(edit.old, "stride", None))
    return change_call(source, call, arguments, signature)


def _parameters(name: str) -> tuple[str, ...]:
    for start, parameters in _PARAMETERS.items():
        if name.startswith(start):
            return parameters
    raise SourceError(f"{name}: not a function whose arguments are known")


def split_call(source: SourceFile, at: Location, module: nn.Module, edits: list[Edit]) -> list[Splice]:
    """Turn one `self.pool(x)` of several into F.max_pool2d with its own hyperparameters.

    A second module would add keys to the state_dict; a function of the first one's weights does not.
    """
    assert edits[0].module is not None
    call = module_call(source, at, edits[0].module)
    kind = type(module).__name__
    start = next((start for start in _CLASSES if kind.startswith(start)), None)
    if start is None or getattr(module, "padding_mode", "zeros") != "zeros" or len(call.args) != 1:
        raise SourceError(f"{source.path}:{at.line}: one call of {kind} cannot be told apart from the others")
    function = kind.lower().replace(start.lower(), _CLASSES[start])
    prefix, imports = functional(source)
    owner = source.segment(call.func)
    arguments = _arguments(module, owner, _PARAMETERS[_CLASSES[start]], {e.knob: e for e in edits})
    arguments = [source.segment(call.args[0]), *arguments]
    text = _laid_out(source, call, f"{prefix}{function}", arguments)
    return [*imports, Splice(source.start(call), source.end(call), text)]


def _laid_out(source: SourceFile, call: ast.Call, function: str, arguments: list[str]) -> str:
    """The call on one line, or on one line an argument where it would get too long."""
    text = f"{function}({', '.join(arguments)})"
    if call.col_offset + len(text) <= 100:
        return text
    indent = source.newline + source.indentation(call.lineno)
    return f"{function}({''.join(f'{indent}{source.indent}{one},' for one in arguments)}{indent})"


def _arguments(
    module: nn.Module, owner: str, parameters: tuple[str, ...], edits: dict[str, Edit]
) -> list[str]:
    arguments: list[str] = []
    for name in parameters[1:]:
        value = getattr(module, name, None)
        required = name in ("kernel_size", "weight", "norm_type")
        if name in edits:
            text = written(edits[name].new, name, None)
        elif not required and _is_neutral(name, value, module):
            continue
        else:
            text = f"{owner}.{name}"
        arguments.append(text if required else f"{name}={text}")
    return arguments


def _is_neutral(name: str, value: object, module: nn.Module) -> bool:
    """Whether leaving the argument out means the same; a pool's stride is never left to its kernel."""
    if name == "count_include_pad":
        return value is True
    if name in ("return_indices", "divisor_override"):
        return not value
    if name not in _NEUTRAL:
        return False
    return value == _NEUTRAL[name] or (isinstance(value, tuple) and set(value) == {_NEUTRAL[name]})


def functional(source: SourceFile) -> tuple[str, list[Splice]]:
    """What stands before `max_pool2d` in this file, `F.`, and the import it needs, if any."""
    from autofix.source.helpers import torch_import

    names: dict[str, str] = {}
    for node in source.tree.body:
        for alias in node.names if isinstance(node, ast.Import | ast.ImportFrom) else ():
            full = f"{node.module}.{alias.name}" if isinstance(node, ast.ImportFrom) else alias.name
            if alias.asname or isinstance(node, ast.ImportFrom):
                names[full] = alias.asname or alias.name
    if "torch.nn.functional" in names:
        return f"{names['torch.nn.functional']}.", []
    if "torch.nn" in names:
        return f"{names['torch.nn']}.functional.", []
    return "torch.nn.functional.", torch_import(source)
