"""The small functions a patched file gets for its inserts: torch only, and without branches for torch.fx."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import dataclass

from autofix.source.text import SourceFile, Splice

_AXES = {1: ("length",), 2: ("height", "width"), 3: ("depth", "height", "width")}


@dataclass(frozen=True)
class Helper:
    """A function to define: its name in the file and its source."""

    name: str
    text: str


def fit_helper(axes: int, name: str = "pad_to_fit") -> Helper:
    words = _AXES[axes]
    return Helper(
        name,
        f'''def {name}(x, {", ".join(words)}):
    """Zero-pad `x` at the end of each axis to at least the given size; larger inputs pass unchanged."""
    # torch.sym_max is the max that torch.fx and torch.export can follow
{_extra(words, "torch.sym_max(0, {word} - x.shape[{axis}])")}
    return torch.nn.functional.pad(x, ({_pads(words)}))
''',
    )


def widen_helper(axes: int, name: str = "widen") -> Helper:
    sizes = " - ".join(f"x.shape[{axis}]" for _, axis, _ in _counted(_AXES[axes]))
    return Helper(
        name,
        f'''def {name}(x):
    """Zero-pad a single value to two, for norms that need more than one; larger inputs pass unchanged."""
    return torch.nn.functional.pad(x, (0, torch.sym_max(0, {axes + 1} - {sizes})))
''',
    )


def average_helper(axes: int, name: str = "average_to") -> Helper:
    words = _AXES[axes]
    own = " * ".join(f"x.shape[{axis}]" for _, axis, _ in _counted(words))
    sizes = ", ".join(f"{word} + same * (x.shape[{axis}] - {word})" for _, axis, word in _counted(words))
    return Helper(
        name,
        f'''def {name}(x, {", ".join(words)}):
    """Average `x` to the given {_listed(words)}; a map with as many values passes unchanged."""
    apart = {own} - {" * ".join(words)}
    same = torch.sym_max(0, 1 - torch.sym_max(apart, -apart))  # 1 for such a map, else 0, without a branch
    sizes = ({sizes})
    return torch.nn.functional.adaptive_avg_pool{axes}d(x, sizes)
''',
    )


def match_helper(axes: int, name: str = "match_size") -> Helper:
    words = _AXES[axes]
    return Helper(
        name,
        f'''def {name}(x, like):
    """Zero-pad or crop `x`, at the end of each axis, to the {_listed(words)} of `like`."""
{_extra(words, "like.shape[{axis}] - x.shape[{axis}]")}
    return torch.nn.functional.pad(x, ({_pads(words)}))  # a negative padding crops
''',
    )


def match_all_helper(match: Helper, name: str = "match_sizes") -> Helper:
    return Helper(
        name,
        f'''def {name}(tensors, operand, like):
    """`tensors`, with number `operand` padded or cropped to the size of number `like`."""
    tensors = list(tensors)
    tensors[operand] = {match.name}(tensors[operand], tensors[like])
    return tensors
''',
    )


def round_helper(axes: int, name: str = "pad_to_working_size") -> Helper:
    return Helper(
        name,
        f'''def {name}(x, least, multiples, offsets):
    """Zero-pad `x` at the end of each axis to the next multiple * k + offset that is at least `least`."""
    pads = []
    for axis in range(-1, -{axes + 1}, -1):  # a padding starts with the last axis
        size = torch.sym_max(x.shape[axis], least[axis])
        more = (offsets[axis][0] - size) % multiples[axis]
        for offset in offsets[axis][1:]:
            more = torch.sym_min(more, (offset - size) % multiples[axis])
        pads += [0, size + more - x.shape[axis]]
    return torch.nn.functional.pad(x, pads)
''',
    )


def crop_helper(axes: int, name: str = "crop_back") -> Helper:
    return Helper(
        name,
        f'''def {name}(output, like):
    """`output`, and every tensor in it, cropped at the end of each axis to the size of `like`."""
    if isinstance(output, dict):
        return {{key: {name}(value, like) for key, value in output.items()}}
    if isinstance(output, (list, tuple)):
        make = getattr(type(output), "_make", type(output))  # a named tuple takes no iterable
        return make({name}(value, like) for value in output)
    return output[..., {_crops(axes)}]
''',
    )


def crop_some_helper(axes: int, name: str = "crop_back") -> Helper:
    return Helper(
        name,
        f'''def {name}(output, like, which):
    """`output`, with those of its tensors whose number is in `which` cropped to the size of `like`."""
    found = []

    def visit(value):
        if isinstance(value, dict):
            return {{key: visit(item) for key, item in value.items()}}
        if isinstance(value, (list, tuple)):
            make = getattr(type(value), "_make", type(value))  # a named tuple takes no iterable
            return make([visit(item) for item in value])
        if not hasattr(value, "shape"):
            return value
        found.append(value)
        return value[..., {_crops(axes)}] if len(found) - 1 in which else value

    return visit(output)
''',
    )


def _crops(axes: int) -> str:
    return ", ".join(f": like.shape[{axis - axes}]" for axis in range(axes))


def hook_helper(name: str = "before_call") -> Helper:
    return Helper(
        name,
        f'''def {name}(module, change):
    """Have `module` called with `change(x)` instead of `x`, for layers that a container calls."""
    module.register_forward_pre_hook(lambda module, inputs: (change(inputs[0]), *inputs[1:]))
''',
    )


def after_helper(name: str = "after_call") -> Helper:
    return Helper(
        name,
        f'''def {name}(module, change):
    """Have `change(output)` be what `module` gives, for layers that a container calls."""
    module.register_forward_hook(lambda module, inputs, output: change(output))
''',
    )


def wrap_forward_helper(crop: str, name: str = "accept_any_size") -> Helper:
    """`crop`: the expression that crops `output` back to the size of `x`."""
    return Helper(
        name,
        f'''def {name}(model, **sizes):
    """Have `model` pad its input to a size that works, and crop its outputs back."""
    inner = model.forward

    def forward(x, *args, **kwargs):
        output = inner(pad_to_working_size(x, **sizes), *args, **kwargs)
        return {crop}

    model.forward = forward
''',
    )


def _listed(words: tuple[str, ...]) -> str:
    return " and ".join(filter(None, (", ".join(words[:-1]), words[-1])))


def _counted(words: tuple[str, ...]) -> Iterator[tuple[int, int, str]]:
    """(index, the same from the end, name) of each axis."""
    yield from ((index, index - len(words), word) for index, word in enumerate(words))


def _extra(words: tuple[str, ...], formula: str) -> str:
    lines = [
        f"    more_{word} = " + formula.format(word=word, axis=axis) for _, axis, word in _counted(words)
    ]
    return "\n".join(lines)


def _pads(words: tuple[str, ...]) -> str:
    return ", ".join(f"0, more_{word}" for word in reversed(words))


def free_name(source: SourceFile, name: str) -> str:
    """`name`, with underscores until nothing in the file is called so."""
    used = {node.id for node in ast.walk(source.tree) if isinstance(node, ast.Name)}
    used |= {node.name for node in ast.walk(source.tree) if isinstance(node, ast.FunctionDef | ast.ClassDef)}
    while name in used:
        name += "_"
    return name


def definition_splices(source: SourceFile, helpers: list[Helper], before: ast.AST) -> list[Splice]:
    """Define `helpers` above the top-level statement around `before`; import torch where it is missing."""
    top = [before, *source.outwards(before)][-2]
    assert isinstance(top, ast.stmt)
    decorators = top.decorator_list if isinstance(top, ast.FunctionDef | ast.ClassDef) else []
    line = min([top.lineno, *(decorator.lineno for decorator in decorators)])
    at = source.line_start(_above_comments(source, line))
    texts = (helper.text.replace("    ", source.indent) + "\n\n" for helper in helpers)
    text = "".join(texts).replace("\n", source.newline)
    return [*torch_import(source), Splice(at, at, text, rank=1)]


def _above_comments(source: SourceFile, line: int) -> int:
    """The first line of the comment block that stands right above `line`."""
    while line > 1 and source.text[source.line_start(line - 1) :].startswith("#"):
        line -= 1
    return line


def torch_import(source: SourceFile) -> list[Splice]:
    imports = [node for node in source.tree.body if isinstance(node, ast.Import | ast.ImportFrom)]
    for node in imports:
        for alias in node.names if isinstance(node, ast.Import) else ():
            if alias.asname is None and alias.name.split(".")[0] == "torch":
                return []
    future = [n for n in imports if isinstance(n, ast.ImportFrom) and n.module == "__future__"]
    ordinary = [node for node in imports if node not in future]
    text = f"import torch{source.newline}"
    if ordinary:
        at = source.line_start(ordinary[0].lineno)
    elif imports:
        at = source.line_end(imports[-1].end_lineno or imports[-1].lineno)
    else:
        body = source.tree.body
        docstring = body and isinstance(body[0], ast.Expr) and isinstance(body[0].value, ast.Constant)
        at = source.line_end(body[0].end_lineno or 1) if docstring else source.line_start(body[0].lineno)
    return [Splice(at, at, text)]
