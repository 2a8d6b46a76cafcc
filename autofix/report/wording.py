"""Phrases that every format shares: sizes, places, chains and the advice for each code."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from autofix.fault import Code, Fault, Location, Safety

if TYPE_CHECKING:
    from autofix.outcome import Report
    from autofix.repair import Fix

SAFETY = {
    Safety.IDENTICAL: "outputs stay bit-identical on every size that worked",
    Safety.CHANGES_OUTPUTS: "outputs change on sizes that worked; the strategy preserve keeps them",
}

_MISTAKE = re.compile(r"(Name|UnboundLocal|Attribute|Import|ModuleNotFound)Error\b")
ADVICE = {
    Code.KERNEL: "pad this layer, or lower a stride before it",
    Code.EMPTY: "pad this layer, or lower a stride before it",
    Code.JOIN: "pad or crop one branch to the size of the other",
    Code.BROADCAST: "pad or crop one branch to the size of the other, or reduce it on purpose",
    Code.HEAD: "pool to a fixed size first: nn.AdaptiveAvgPool is the identity at the size it was built for",
    Code.RESHAPE: "pool to a fixed size before the reshape, or compute its sizes from x.shape",
    Code.BATCH: "use flatten(1), which never moves pixels into the batch",
    Code.NORM: "keep more than one value per channel: pad earlier layers, or train with larger batches",
    Code.PADDING: "pad less, or in zeros mode",
    Code.LIMIT: "keep the hyperparameter within PyTorch's limit",
    Code.CHANNELS: "make the channels of the layer and of its input agree",
    Code.DIVISIBLE: "pad the input to a multiple, and crop the output",
    Code.LAYOUT: "use reshape instead of view, which never copies",
    Code.ASSERTION: "the model refuses these sizes itself: change the check, or pad the input",
    Code.INDEX: "compute the index from x.shape",
    Code.OUTPUT: "make the output follow the input, or ask for the sizes at which it does",
    Code.REFUSED: "see the message of torch above",
}


def advice(fault: Fault) -> str:
    """What helps against a fault."""
    if fault.code is Code.ASSERTION and _MISTAKE.search(fault.message):
        return "this is no matter of size: the model's own code fails here"
    return ADVICE[fault.code]


def count(number: int, noun: str) -> str:
    """`1 fault`, `2 faults`."""
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def finding(report: Report) -> str:
    """`2 faults`, or what is known where none was found and not every size is known to work."""
    number = len(merged(report.faults))
    return (
        count(number, "fault") if number else "not every size works" if report.refuted else "no fault found"
    )


def extent(sizes: Sequence[int | None]) -> str:
    """(5, 5, 8) -> `5x5x8`; `?` where there is none."""
    return "x".join("?" if size is None else str(size) for size in sizes)


def minimum(sizes: Sequence[int | None], complete: bool, modelled: bool = True) -> str:
    """The sizes from which on every size works, in words.

    complete: every path of the model was followed; modelled: every call has a rule
    """
    if all(size is None for size in sizes):
        if not modelled:
            return "not known: some call has no rule"
        if not complete:
            return "not known: not all of the model's paths were followed"
        return "none: some larger size always fails"
    return extent(sizes)


def from_here(file: str) -> str:
    """The path as seen from here, where that is shorter."""
    try:
        return str(Path(file).relative_to(Path.cwd()))
    except ValueError:
        return file


def place(location: Location | None, otherwise: str) -> str:
    """`model.py:9`, or what to say where no source line is known."""
    return f"{from_here(location.file)}:{location.line}" if location else otherwise


def numbers(fault: Fault) -> str:
    """`needs 3, gets 1`; empty where the fault has no such numbers."""
    parts = []
    if fault.needs is not None:
        parts.append(f"needs {fault.needs}")
    if fault.gets is not None:
        parts.append(f"gets {fault.gets}")
    return ", ".join(parts)


def merged(faults: Iterable[Fault]) -> list[Fault]:
    """The same failure along several axes told as one: the first of them, with `axis` as `D, H, W`."""
    together: dict[tuple[object, ...], Fault] = {}
    for fault in faults:
        key = fault.code, fault.site, fault.message, fault.mode, fault.made_at, fault.called_at
        first = together.setdefault(key, fault)
        if first is not fault and first.axis and fault.axis:
            together[key] = replace(first, axis=f"{first.axis}, {fault.axis}")
    return list(together.values())


def when(fault: Fault) -> str:
    """`at input size 5x5x5, along D, in train mode only`."""
    size = f"at input size {extent(fault.size)}" if fault.size else ""
    axis = f"along {fault.axis}" if fault.axis else ""
    mode = f"in {fault.mode} mode only" if fault.mode != "both" else ""
    several = ", " in fault.axis and size
    parts = (axis, f"first {size}", mode) if several else (size, axis, mode)
    return ", ".join(part for part in parts if part)


def chain(fault: Fault, axes: Sequence[str]) -> str:
    """`5 -> conv1 3 -> pool 1 -> conv2`: the sizes on the way, along the axis that fails.

    Layers that keep the size are left out, and the middle of a long chain.
    """
    if not fault.chain:
        return ""
    steps = [step for step in fault.chain if step.before != step.after and step.site != fault.site]
    sizes = [fault.chain[0].before, *(step.after for step in steps)]
    along = _along([_failing(size, fault.axis, axes) for size in sizes])
    links = [f"{step.site} {text}" for step, text in zip(steps, along[1:], strict=True)]
    if len(links) > 9:
        links = [*links[:3], "...", *links[-5:]]
    return " -> ".join([along[0], *links, fault.site])


def _failing(sizes: tuple[int, ...], failing: str, axes: Sequence[str]) -> tuple[int, ...]:
    """The size along the (first) failing axis, where the tensor still has the input's axes."""
    axis = failing.split(", ", maxsplit=1)[0]
    return (sizes[axes.index(axis)],) if axis in axes and len(sizes) == len(axes) else sizes


def _along(sizes: list[tuple[int, ...]]) -> list[str]:
    """One number each where the axes always agree, else `5x5x8`."""
    alike = all(len(set(size)) == 1 for size in sizes)
    return [str(size[0]) if alike else extent(size) for size in sizes]


def sentence(fault: Fault) -> str:
    """What is wrong, with its numbers: `kernel larger than its input: needs 3, gets 1`."""
    detail = rule(fault) if fault.code is Code.REFUSED else numbers(fault) or rule(fault)
    return f"{fault.code.title}: {detail}" if detail else fault.code.title


def rule(fault: Fault) -> str:
    """What must hold there: `kernel fits the padded input`; or torch's own message."""
    return fault.message.removesuffix(numbers(fault)).removesuffix(": ")


def optimality(fix: Fix) -> str:
    """What the search proved of the repair's size: other kinds of inserts are not compared."""
    if not fix.optimal:
        return "a smaller repair may exist"
    return "no edits alone suffice, each insert is needed" if fix.inserts else "no smaller repair exists"
