"""Where `accepts` and the oracle disagree, over sizes chosen to find that out."""

from __future__ import annotations

import contextlib
import os
import random
import signal
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

    @property
    def unmodelled(self) -> tuple[str, ...]: ...

    @property
    def working_sizes(self) -> str: ...

    @property
    def minimum_input(self) -> tuple[int | None, ...]: ...

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


def false_minimum(
    model: nn.Module,
    template: oracle.Template | tuple[oracle.Template, ...],
    report: Accepts,
    seed: int,
    dtypes: Sequence[torch.dtype] = (),
) -> str:
    """What is wrong with `minimum_input`, "" where torch finds nothing.

    In eval mode, sizes from it on run; where there is none, some large size fails, or not all were followed.
    """
    meta, minimum, chance = oracle.to_meta(model), report.minimum_input, random.Random(seed)
    rank = len(minimum)

    def works(size: tuple[int, ...]) -> bool:
        return oracle.runs(meta, oracle.fill(template, size, 2), dtypes=dtypes)

    least = [m for m in minimum if m is not None]
    if len(least) == rank:
        sizes = [tuple(m + chance.choice((0, 1, 2, 3, 7, 50)) for m in least) for _ in range(6)]
        return next((f"{size} fails, minimum {minimum}" for size in sizes if not works(size)), "")
    if least or "not all followed" in report.working_sizes or report.unmodelled:
        return ""
    # The set need not be a box, and an unknown number of sizes in a row may work.
    square = [(n,) * rank for n in range(260, 340)]
    others = [tuple(chance.randint(100, 339) for _ in range(rank)) for _ in range(80)]
    return f"{minimum}, but all sizes tried work" if all(map(works, square + others)) else ""


@contextlib.contextmanager
def within(seconds: int) -> Iterator[None]:
    """Raise TimeoutError after so many seconds, where the system can: a search without end must not hang."""

    def stop(*_: object) -> None:
        raise TimeoutError(f"took more than {seconds} s")

    if not hasattr(signal, "SIGALRM"):
        yield
        return
    before = signal.signal(signal.SIGALRM, stop)
    signal.alarm(seconds)
    try:
        yield
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)


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
    # With a site that has no rule an answer may be a run, too dear to look for changes.
    questions = set() if report.unmodelled else set(_changes(report, rank, largest))
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
