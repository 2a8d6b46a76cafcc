"""What the networks as written are known to accept, against the oracle: both were derived apart."""

from __future__ import annotations

import random

import oracle
import pytest
import torch
from nets_as_written import NETS


@pytest.mark.parametrize("name", NETS)
def test_known_sets(name: str) -> None:
    entry = NETS[name]
    assert entry.known is not None
    rank = len(oracle.axes(entry.template))
    chance = random.Random(name)
    points = [(size,) * rank for size in range(1, 41)]
    points += [tuple(chance.randrange(1, 41) for _ in range(rank)) for _ in range(40)]
    accepted = oracle.accepted(entry.make(), points, entry.template, dtypes=entry.dtypes)
    assert accepted == {point for point in points if entry.known(*point)}


@pytest.mark.parametrize("name", NETS)
def test_whether_plain_tracing_captures_it(name: str) -> None:
    try:
        torch.fx.symbolic_trace(NETS[name].make())
        plain = True
    except Exception:
        plain = False
    assert plain == NETS[name].plain
