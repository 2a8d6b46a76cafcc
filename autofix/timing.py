"""How long calls take, compared fairly: warm-up, alternating order, medians with their spread."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from statistics import median
from typing import Any, Final

import torch
from torch.utils.benchmark import Measurement, TaskSpec

ROUNDS: Final = 7
SECONDS: Final = 0.05  # what the timed calls of one round take at least
_LAUNCHING: Final = 0.9  # share of the time from which on the launches are what is timed

Call = Callable[[], object]


@dataclass(frozen=True)
class Timing:
    """Seconds a call takes.

    spread:  interquartile range over the rounds
    calls:   how many calls were timed in all
    launch:  the device waited for its launches: the time says little about the computation
    """

    median: float
    spread: float
    calls: int
    launch: bool = False

    @property
    def text(self) -> str:
        """`1.23 ms ±4%`"""
        units = (("s", 1.0), ("ms", 1e3), ("us", 1e6))
        unit, scale = next((pair for pair in units if self.median * pair[1] >= 1), units[-1])
        noise = self.spread / self.median if self.median else 0.0
        return f"{self.median * scale:.3g} {unit} ±{noise:.0%}{' launch-bound' if self.launch else ''}"


def compare(
    calls: Mapping[str, Call], device: str = "cpu", *, rounds: int = ROUNDS, seconds: float = SECONDS
) -> dict[str, Timing]:
    """Time several calls against each other: each once a round, the order turned round every time."""
    numbers = {name: _number(call, device, seconds) for name, call in calls.items()}
    times: dict[str, list[float]] = {name: [] for name in calls}
    launched: dict[str, list[float]] = {name: [] for name in calls}
    for turn in range(rounds):
        for name in list(calls) if turn % 2 == 0 else reversed(list(calls)):
            total, launching = _block(calls[name], numbers[name], device)
            times[name].append(total)
            launched[name].append(launching)
    return {name: _timing(name, numbers[name], times[name], launched[name]) for name in calls}


def _timing(name: str, number: int, times: list[float], launched: list[float]) -> Timing:
    measured = _measurement(name, number, times)
    launching = median(launched) / number
    bound = launching >= _LAUNCHING * measured.median
    return Timing(measured.median, measured.iqr, number * len(times), bound)


def _measurement(name: str, number: int, times: list[float]) -> Measurement:
    task = TaskSpec(stmt=name, setup="", num_threads=torch.get_num_threads())
    return Measurement(number_per_run=number, raw_times=times, task_spec=task)


def _number(call: Call, device: str, seconds: float) -> int:
    """Warm up, then how many calls fill a round."""
    _block(call, 2, device)
    single, _ = _block(call, 1, device)
    if single > seconds:
        return 1
    estimate, _ = _block(call, 3, device)
    return max(1, min(10_000, round(seconds / max(estimate / 3, 1e-7))))


def _block(call: Call, number: int, device: str) -> tuple[float, float]:
    """Seconds for a number of calls, and how many of them went into launching (none on the CPU)."""
    if torch.device(device).type != "cuda":
        start = time.perf_counter()
        for _ in range(number):
            call()
        return time.perf_counter() - start, 0.0
    before, after = _event(), _event()
    torch.cuda.synchronize()
    start = time.perf_counter()
    before.record()
    for _ in range(number):
        call()
    after.record()
    launching = time.perf_counter() - start
    torch.cuda.synchronize()
    return float(before.elapsed_time(after)) / 1e3, launching


def _event() -> Any:
    return torch.cuda.Event(enable_timing=True)  # type: ignore[no-untyped-call]
