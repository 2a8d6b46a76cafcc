"""Fixed heads: a layer, or the model's own check, takes one size, and is given one that grows."""

from __future__ import annotations

from dataclasses import dataclass

from autofix.analyse import Analysis, Piece
from autofix.arguments import references
from autofix.condition import NEVER, Box, Condition
from autofix.ops.base import Tensor
from autofix.size import BATCH, Dim, Joint, Size, axes
from autofix.solve.search import NotFound


def fixed_head(analysis: Analysis, box: Box) -> NotFound | None:
    """What takes one size of those that grow with the input, however many axes have no largest size.

    Strides, paddings and kernels are finite: what grows without bound along an axis does so after any edit,
    as long as no other number in the model is worked out from its size. What the model itself refuses, it was
    seen to refuse on one path.
    """
    free = {axis for axis, (_, largest) in box.items() if largest is None and axis != BATCH}
    for piece in (piece for mode in analysis.modes for piece in mode.pieces):
        check = last_check(piece)
        one = _one_of_many(piece, ~check.condition, check.tensor, free) if check is not None else 0
        if one:
            return NotFound(
                (), False, f"the model itself asks for one size, {one}, of what grows with the input"
            )
    for mode in analysis.modes if analysis.one_path else ():
        for piece in mode.pieces:
            for requirement in (*mode.required(piece, False), *mode.required(piece, True)):
                one = _one_of_many(piece, requirement.condition, requirement.site, free)
                if one:
                    name = piece.program.sites[requirement.site].name
                    why = f"{name} takes one number, {one}, and is given one that grows with the input"
                    return NotFound((), True, why)
    return None


def _one_of_many(piece: Piece, condition: Condition, site: int, free: set[int]) -> int:
    """The one number that a dimension has to equal, which grows on the way to a site; 0 if it need not."""
    one, other = _sides(condition)
    return one if one and _grows(other, free) and _tensors_alone(piece, site) else 0


@dataclass(frozen=True)
class Check:
    """A condition on sizes after which the model goes no further, and the tensor that it asks of.

    after: it asks of what the call gives, not of what it is given
    """

    condition: Condition
    tensor: int
    after: bool


def last_check(piece: Piece) -> Check | None:
    """None where the model goes on."""
    meaning = piece.meaning
    if not meaning.asked or all(requirement.condition != NEVER for requirement in meaning.requirements):
        return None
    asked = meaning.asked[-1]
    tensor = tensor_asked(piece, asked)
    return None if tensor is None else Check(meaning.conditions[-1], tensor, tensor != asked)


def tensor_asked(piece: Piece, site: int) -> int | None:
    """The call that made the tensor of whose sizes a number or a condition is worked out."""
    queue = [site]
    for index in queue:
        if isinstance(piece.meaning.values[index], Tensor):
            return index
        call = piece.program.sites[index]
        queue += references((call.args, call.kwargs))
    return None


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
