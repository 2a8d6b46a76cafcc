"""The short ways on the meta device give what torch gives there: shape, order in memory, type, refusal."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
import torch.nn.functional as F

from autofix import cheap
from autofix.cheap import Cheap


def meta(*shape: int, dtype: torch.dtype = torch.float32) -> torch.Tensor:
    return torch.empty(shape, dtype=dtype, device="meta")


def moved(*shape: int) -> torch.Tensor:
    """With the channels last in its shape, first in memory."""
    return meta(*shape).movedim(1, -1)


CALLS: dict[str, Callable[[], Any]] = {
    "batch norm": lambda: F.batch_norm(meta(2, 3, 4, 5), meta(3), meta(3), meta(3), meta(3)),
    "batch norm, channels last": lambda: F.batch_norm(
        meta(2, 3, 4, 5).to(memory_format=torch.channels_last), meta(3), meta(3)
    ),
    "batch norm, other features": lambda: F.batch_norm(meta(2, 3, 4, 5), meta(4), meta(4)),
    "batch norm of one value": lambda: F.batch_norm(meta(1, 3, 1, 1), meta(3), meta(3), training=True),
    "batch norm of one value, by position": lambda: F.batch_norm(
        meta(1, 3, 1), meta(3), meta(3), None, None, True
    ),
    "batch norm of two values": lambda: F.batch_norm(meta(2, 3, 1, 1), None, None, training=True),
    "batch norm without statistics": lambda: F.batch_norm(meta(2, 3, 4), None, None),
    "instance norm": lambda: F.instance_norm(meta(2, 4, 5, 7)),
    "instance norm, all given": lambda: F.instance_norm(meta(2, 4, 5), meta(4), meta(4), meta(4), meta(4)),
    "instance norm of what was moved": lambda: F.instance_norm(moved(2, 3, 4, 5)),
    "instance norm of one value": lambda: F.instance_norm(meta(2, 4, 1, 1)),
    "instance norm of a row": lambda: F.instance_norm(meta(2, 4)),
    "instance norm of a vector": lambda: F.instance_norm(meta(4)),
    "instance norm of nothing": lambda: F.instance_norm(meta(2, 4, 0)),
    "instance norm, other features": lambda: F.instance_norm(meta(2, 4, 5), weight=meta(3)),
    "instance norm by statistics": lambda: F.instance_norm(
        meta(2, 4, 5), meta(4), meta(4), use_input_stats=False
    ),
    "instance norm by statistics that are not there": lambda: F.instance_norm(
        meta(2, 4, 5), use_input_stats=False
    ),
    "group norm": lambda: F.group_norm(meta(2, 4, 5, 7), 2, meta(4), meta(4)),
    "group norm, channels last": lambda: F.group_norm(
        meta(2, 4, 5, 7).to(memory_format=torch.channels_last), 2
    ),
    "group norm of what was moved": lambda: F.group_norm(moved(2, 3, 4, 5), 5),
    "group norm, other groups": lambda: F.group_norm(meta(2, 4, 5), 3),
    "group norm, no groups": lambda: F.group_norm(meta(2, 4, 5), 0),
    "group norm, other weights": lambda: F.group_norm(meta(2, 4, 5), 2, meta(2)),
    "group norm of one value": lambda: F.group_norm(meta(1, 2, 1), 2),
    "group norm of two values": lambda: F.group_norm(meta(1, 4, 1), 2),
    "group norm of a vector": lambda: F.group_norm(meta(4), 2),
    "group norm of integers": lambda: F.group_norm(meta(2, 4, dtype=torch.long), 2),
    "layer norm": lambda: F.layer_norm(meta(2, 3, 5, 4), [4], meta(4), meta(4)),
    "layer norm of two dimensions": lambda: F.layer_norm(meta(2, 3, 5, 4), (5, 4), meta(5, 4)),
    "layer norm of what was moved": lambda: F.layer_norm(moved(2, 3, 4, 5), (3,)),
    "layer norm, other features": lambda: F.layer_norm(meta(2, 3, 5, 4), (5,)),
    "layer norm, other weights": lambda: F.layer_norm(meta(2, 3, 5, 4), (4,), meta(3)),
    "layer norm of nothing": lambda: F.layer_norm(meta(2, 3), ()),
    "layer norm of integers": lambda: F.layer_norm(meta(2, 4, dtype=torch.long), (4,)),
    "layer norm, one integer": lambda: F.layer_norm(meta(2, 4), 4),
    "linear": lambda: F.linear(meta(2, 5, 4), meta(7, 4), meta(7)),
    "linear of one row": lambda: F.linear(meta(4), meta(7, 4)),
    "linear of what was moved": lambda: F.linear(moved(2, 3, 4, 5), meta(7, 3)),
    "linear, other features": lambda: F.linear(meta(2, 5), meta(7, 4)),
    "linear, other bias": lambda: F.linear(meta(2, 4), meta(7, 4), meta(6)),
    "linear with a bias of one": lambda: F.linear(meta(2, 4), meta(7, 4), meta(1)),
    "linear, another type": lambda: F.linear(meta(2, 4), meta(7, 4, dtype=torch.float64)),
    "linear with a vector": lambda: F.linear(meta(2, 4), meta(4)),
    "add": lambda: meta(2, 3, 5, 4) + meta(2, 3, 5, 4),
    "add, broadcast": lambda: torch.add(meta(2, 3, 5, 4), meta(3, 1, 1)),
    "add, broadcast both ways": lambda: meta(5, 1).add(meta(2, 1, 4)),
    "add, of shapes that do not meet": lambda: meta(2, 3, 5) + meta(2, 3, 4),
    "add, an empty one to one": lambda: meta(2, 0) + meta(2, 1),
    "add, another type": lambda: meta(2, 3) + meta(2, 3, dtype=torch.float64),
    "add a number": lambda: meta(2, 3) + 1,
    "add, scaled": lambda: torch.add(meta(2, 3), meta(2, 3), alpha=2),
    "add, three by position": lambda: torch.add(meta(2, 3), meta(2, 3), meta(2, 3)),
    "mul": lambda: meta(2, 3, 5, 4) * meta(2, 3, 1, 1),
    "mul of what was moved": lambda: moved(2, 3, 4, 5) * meta(3),
    "mul, both moved": lambda: torch.mul(moved(2, 3, 4, 5), moved(2, 3, 4, 5)),
    "average": lambda: F.adaptive_avg_pool2d(meta(2, 3, 7, 5), (1, 1)),
    "average to one number": lambda: F.adaptive_avg_pool2d(meta(2, 3, 7, 5), 4),
    "average, one side kept": lambda: F.adaptive_avg_pool2d(meta(2, 3, 7, 5), (None, 4)),
    "average of one image": lambda: F.adaptive_avg_pool2d(meta(3, 7, 5), (2, 3)),
    "average of nothing": lambda: F.adaptive_avg_pool2d(meta(2, 3, 0, 5), (1, 1)),
    "average of five dimensions": lambda: F.adaptive_avg_pool2d(meta(1, 2, 3, 7, 5), (1, 1)),
    "average to three sizes": lambda: F.adaptive_avg_pool2d(meta(2, 3, 7, 5), (1, 1, 1)),
    "cat": lambda: torch.cat([meta(2, 3, 4, 5), meta(2, 7, 4, 5)], 1),
    "cat from the end": lambda: torch.cat((meta(2, 3, 4), meta(2, 3, 1)), dim=-1),
    "cat along axis": lambda: torch.cat([meta(2, 3), meta(1, 3)], axis=0),
    "cat of shapes that do not meet": lambda: torch.cat([meta(2, 3, 4), meta(2, 3, 5)], 1),
    "cat of different ranks": lambda: torch.cat([meta(2, 3, 4), meta(2, 3)], 1),
    "cat with an empty one": lambda: torch.cat([meta(2, 3, 4), meta(0)], 1),
    "cat beyond": lambda: torch.cat([meta(2, 3), meta(2, 3)], 2),
    "cat before": lambda: torch.cat([meta(2, 3), meta(2, 3)], -3),
    "cat of numbers": lambda: torch.cat([meta(), meta()]),
    "cat of nothing": lambda: torch.cat([]),
    "cat, another type": lambda: torch.cat([meta(2, 3), meta(2, 3, dtype=torch.float64)]),
}


def outcome(call: Callable[[], Any]) -> Any:
    try:
        result = call()
    except Exception as error:
        return type(error)
    return tuple(result.shape), result.stride(), result.dtype, result.device


@pytest.mark.parametrize("name", CALLS)
def test_a_short_way_gives_what_torch_gives(name: str) -> None:
    expected = outcome(CALLS[name])
    with torch.device("meta"), torch.no_grad(), Cheap():
        assert outcome(CALLS[name]) == expected


@pytest.mark.parametrize(
    "name",
    [
        "batch norm",
        "instance norm",
        "group norm",
        "layer norm",
        "linear",
        "add",
        "add, broadcast both ways",
        "mul",
        "average",
        "cat",
    ],
)
def test_the_usual_calls_are_short(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    taken = []
    for function, short in cheap._SHORT.items():

        def noted(*args: Any, short: Any = short, **kwargs: Any) -> Any:
            taken.append(result := short(*args, **kwargs))
            return result

        monkeypatch.setitem(cheap._NAMES, noted, cheap._NAMES[short])
        monkeypatch.setitem(cheap._SHORT, function, noted)
    with torch.device("meta"), torch.no_grad(), Cheap():
        CALLS[name]()
    assert taken
    assert taken[0] is not NotImplemented
