"""Where `accepts` and the oracle disagree, over sizes chosen to find that out."""

from __future__ import annotations

import os
import random
from collections.abc import Iterator, Sequence
from typing import Protocol

import oracle
import torch
from torch import nn

FULL = bool(os.environ.get("AUTOFIX_FULL"))  # every size instead of the telling ones: takes half an hour
MODES = ((False, 2), (True, 1), (True, 2))  # (training, batch)
LARGEST = 80

Question = tuple[tuple[int, ...], bool, int]  # size, training, batch


class Accepts(Protocol):
    """The part of a Report that is asked."""

    def accepts(self, *sizes: int, training: bool = False, batch: int = 2) -> bool: ...


def disagreements(
    model: nn.Module,
    template: oracle.Template | tuple[oracle.Template, ...],
    report: Accepts,
    questions: Sequence[Question],
    dtypes: Sequence[torch.dtype] = (),
) -> list[str]:
    """One line for each question that torch and the report answer differently, none where all is well."""
    meta = oracle.to_meta(model)
    found = []
    for size, training, batch in questions:
        shape = oracle.fill(template, size, batch)
        says = report.accepts(*size, training=training, batch=batch)
        if oracle.runs(meta, shape, training, dtypes) != says:
            why = oracle.refusal(meta, shape, training, dtypes) or "runs"
            mode = "train" if training else "eval"
            found.append(f"{mode}, batch {batch}, size {size}: autofix {says}, torch {why[:200]}")
    return found


def every_question(rank: int, seed: int, largest: int = LARGEST) -> list[Question]:
    """Every square size and 200 others, in all modes."""
    points = [(size,) * rank for size in range(1, largest + 1)]
    points += _others(random.Random(seed), rank, 200, largest) if rank > 1 else []
    return [(point, *mode) for point in points for mode in MODES]


def telling_questions(
    report: Accepts, rank: int, seed: int, count: int, largest: int = LARGEST
) -> list[Question]:
    """Sizes on both sides of where the answer changes, and `count` others; all of them when FULL."""
    if FULL:
        return every_question(rank, seed, largest)
    chance = random.Random(seed)
    questions = set(_changes(report, rank, largest))
    questions = set(chance.sample(sorted(questions), min(len(questions), count)))
    squares = [(size,) * rank for size in chance.sample(range(1, largest + 1), count // 2)]
    others = _others(chance, rank, count // 2, largest)
    questions |= {(point, *chance.choice(MODES)) for point in squares + others}
    return sorted(questions)


def _changes(report: Accepts, rank: int, largest: int) -> Iterator[Question]:
    for training, batch in MODES:
        before = False
        for size in range(1, largest + 1):
            says = report.accepts(*(size,) * rank, training=training, batch=batch)
            if says != before:
                yield from (((s,) * rank, training, batch) for s in (size - 1, size) if s > 0)
            before = says


def _others(chance: random.Random, rank: int, count: int, largest: int) -> list[tuple[int, ...]]:
    """Half of them small, where most of what can go wrong does."""
    tops = [chance.choice((largest, largest // 4)) for _ in range(count)]
    return [tuple(chance.randint(1, top) for _ in range(rank)) for top in tops]
