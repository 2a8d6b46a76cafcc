"""A path that is replayed with other hyperparameters says what tracing the changed model anew says."""

from __future__ import annotations

import random
from collections.abc import Iterator
from typing import Any

import pytest
import torch.nn.functional as F
from nets_as_written import NETS
from torch import nn

from autofix import CaptureError, rungs
from autofix.changes import Changes, Setting
from autofix.inputs import input_shapes
from autofix.ladder import climb
from autofix.replay import replayed
from autofix.rungs import Followed
from autofix.size import BATCH
from autofix.solve.knobs import groups_of

PLAIN = [name for name, net in NETS.items() if not net.plain]


def followed_nets() -> Iterator[tuple[str, Followed]]:
    """The networks as written of which the second rung is used."""
    for name in PLAIN:
        net = NETS[name]
        try:
            captured, _ = climb(net.make(), input_shapes(net.make(), net.template), False)
        except CaptureError:
            continue
        if isinstance(captured, Followed) and captured.recorded:
            yield name, captured


def edits_of(captured: Followed, chance: random.Random) -> Setting:
    """Other values for one or two layers."""
    groups = groups_of(captured.recorded[False].pieces[0], ("padding", "stride", "ceil_mode", "dilation"), ())
    setting: dict[Any, Any] = {}
    for group in chance.sample(groups, min(len(groups), chance.randint(1, 2))):
        one = chance.choice(group.adjustable)
        setting[group.key] = {one.knob.name: tuple(chance.choice(domain) for domain in one.domains)}
    return setting


def answers(captured: Followed, changes: Changes) -> Any:
    """What is accepted near, and whether that is all; None where the changed model is refused."""
    try:
        analysis = captured.analyse(changes)
    except CaptureError:
        return None
    axes = range(len(captured.inputs.axes))
    chance = random.Random(0)
    points = [{BATCH: 2, **dict.fromkeys(axes, n)} for n in range(1, 70)]
    points += [{BATCH: 1 + n % 2, **{axis: chance.randint(1, 90) for axis in axes}} for n in range(60)]
    given = [(mode.accepts(point), mode.sound.at(point)) for mode in analysis.modes for point in points]
    return analysis.complete, bool(analysis.unmodelled), [tuple(map(bool, one)) for one in given]


def test_replays_agree_with_traces(monkeypatch: pytest.MonkeyPatch) -> None:
    chance, taken = random.Random(1), 0

    def counted(*args: Any) -> Any:
        nonlocal taken
        found = replayed(*args)
        taken += found is not None
        return found

    monkeypatch.setattr(rungs, "replayed", counted)
    for name, captured in followed_nets():
        changes = Changes(edits_of(captured, chance))
        quick = answers(captured, changes)
        with monkeypatch.context() as patch:
            patch.setattr(rungs, "MOST_REPLAYED", 0)
            assert answers(captured, changes) == quick, (name, changes)
    assert taken > 10


class Asks(nn.Module):
    """What is asked of the size is true at every size until the second layer is padded."""

    def __init__(self) -> None:
        super().__init__()
        self.a = nn.Conv2d(1, 1, 3)
        self.b = nn.Conv2d(1, 1, 3)

    def forward(self, x: Any) -> Any:
        y = self.b(self.a(x))
        if x.shape[2] == y.shape[2]:
            self.same = True
            return F.max_pool2d(y, 2)
        return y


class Fixed(nn.Module):
    """A number that Python sees changes with the padding."""

    def __init__(self) -> None:
        super().__init__()
        self.pool = nn.AdaptiveAvgPool2d(7)
        self.a = nn.Conv2d(1, 1, 3)

    def forward(self, x: Any) -> Any:
        x = self.a(self.pool(x))
        for _ in range(int(x.shape[2]) - 5):
            x = F.max_pool2d(x, 2)
        return x


@pytest.mark.parametrize(
    ("kind", "changes", "again"),
    [
        (Asks, {"b": (1, 1)}, True),
        (Asks, {"a": (1, 1), "b": (1, 1)}, False),
        (Fixed, {"a": (1, 1)}, False),
    ],
)
def test_a_path_that_python_would_not_take_is_not_replayed(
    kind: type[nn.Module], changes: dict[str, tuple[int, int]], again: bool
) -> None:
    captured = rungs.followed(kind(), input_shapes(kind(), (1, 1, "H", "W")), rungs.Choices())
    (piece,) = captured.analyse(Changes()).evaluating.pieces
    setting = Changes({("module", name): {"padding": value} for name, value in changes.items()})
    point = {BATCH: 2, 0: 20, 1: 20}
    interpreter = captured._interpreter({0: (1, None), 1: (1, None), BATCH: (1, None)}, point, setting, False)
    assert (replayed(piece, interpreter, point) is not None) is again
