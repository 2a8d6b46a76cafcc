"""Fixed heads: a layer takes one number of features, and it is given a number that grows with the input."""

from __future__ import annotations

from autofix.analyse import Analysis, Piece
from autofix.arguments import references
from autofix.condition import Box, Condition
from autofix.ops.base import Tensor
from autofix.size import BATCH, Dim, Joint, Size, axes


def fixed_head(analysis: Analysis, box: Box) -> str:
    """Why no edit lets every size through, however many axes have no largest size; "" where that is not seen.

    Strides, paddings and kernels are finite: what grows without bound along an axis does so after any edit,
    as long as no other number in the model is worked out from its size.
    """
    free = {axis for axis, (_, largest) in box.items() if largest is None and axis != BATCH}
    for mode in analysis.modes if analysis.one_path else ():
        for piece in mode.pieces:
            for requirement in (*mode.required(piece, False), *mode.required(piece, True)):
                one, other = _sides(requirement.condition)
                if one and _grows(other, free) and _tensors_alone(piece, requirement.site):
                    name = piece.program.sites[requirement.site].name
                    return f"{name} takes one number, {one}, and is given one that grows with the input"
    return ""


def _sides(condition: Condition) -> tuple[int, Dim]:
    """The number that a dimension has to equal, and the dimension; 0 where the condition is another."""
    left, right = condition.left, condition.right
    if condition.relation != "==":
        return 0, 0
    return (left, right) if isinstance(left, int) else (right, left) if isinstance(right, int) else (0, 0)


def _grows(dim: Dim, free: set[int]) -> bool:
    """Whether it exceeds every bound, or is 0, as the sizes along these axes grow."""
    if isinstance(dim, Size):
        return dim.axis in free and dim.curve.rise > 0
    if isinstance(dim, Joint) and dim.op == "*":
        return any(_grows(part, free) for part in (dim.left, dim.right))
    return False


def _tensors_alone(piece: Piece, site: int) -> bool:
    """Whether only tensors, constants and the batch lead to a site, no arithmetic on sizes and no choice."""
    queue, seen = [site], set[int]()
    while queue:
        index = queue.pop()
        call, value = piece.program.sites[index], piece.meaning.values[index]
        if index in seen or call.kind == "get_attr" or isinstance(value, int) or axes(value) == {BATCH}:
            continue
        seen.add(index)
        if call.under or not (isinstance(value, Tensor) or index == site):
            return False
        queue += references((call.args, call.kwargs))
    return True
