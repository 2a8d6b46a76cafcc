"""A Report or a Fix as text, verdict first: in full, or concise with one line a fault or change."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.text import Text

from autofix.change import Edit, Insert, short
from autofix.fault import Code
from autofix.report import wording

if TYPE_CHECKING:
    from collections.abc import Iterable

    from autofix.fault import Fault, Location
    from autofix.outcome import Report
    from autofix.repair import Fix

BAD, GOOD, QUIET, STRONG = "bold red", "bold green", "dim", "bold"


def report_text(report: Report) -> str:
    """The full report without colour."""
    return report_full(report).plain


def fix_text(fix: Fix) -> str:
    """The full repair without colour."""
    return fix_full(fix).plain


def report_full(report: Report) -> Text:
    """Verdict, each fault with its source line, and what is known about the model."""
    parts = [verdict(report)]
    parts += [_fault(fault, report) for fault in wording.merged(report.faults)]
    parts.append(facts(report))
    return Text("\n\n").join(parts)


def report_concise(report: Report) -> Text:
    """`file:line: AF101 conv2: ...`, one line a fault; nothing where all is well but a verdict."""
    if not report.faults:
        return verdict(report)
    lines = []
    for fault in wording.merged(report.faults):
        line = Text(wording.place(fault.made_at or fault.called_at, report.model_name), style=STRONG)
        line.append(f": {fault.code.id} ", style=BAD)
        line.append(f"{fault.site}: {wording.sentence(fault)}", style="not bold")
        line.append(f" ({wording.when(fault)})", style="not bold")
        lines.append(line)
    return Text("\n").join(lines)


def verdict(report: Report) -> Text:
    """`BadCNN: 1 fault for sizes >= 5`, or that every size works, and whether that is proved."""
    text = Text(f"{report.model_name}: ", style=STRONG)
    asked = f"every size {report.asked}".strip() if report.asked else "every size"
    if report.ok:
        text.append(f"{asked} works", style=GOOD)
        text.append(" (proved)" if report.proved else " (not proved)", style="not bold")
        return text
    text.append(wording.finding(report), style=BAD if report.refuted else GOOD)
    text.append(f" for sizes {report.asked}" if report.asked else "", style="not bold")
    text.append("" if report.refuted else " (not proved)", style="not bold")
    return text


def snippet(location: Location | None) -> Text:
    """The source line under its place, as a compiler shows it; empty where no source is known."""
    if location is None:
        return Text()
    gutter = len(str(location.line))
    text = Text(f"{' ' * gutter}--> {wording.place(location, '')}\n", style=QUIET)
    if location.text:
        text.append(f"{' ' * gutter} |\n{location.line} | ")
        text.append(location.text, style="default not dim")
        text.append(f"\n{' ' * gutter} |\n")
    return text


def remark(label: str, content: str, location: Location | None) -> Text:
    """`   = help: ...`, in line with the gutter of the snippet above it."""
    indent = " " * (len(str(location.line)) if location else 1)
    return Text.assemble((f"{indent} = ", QUIET), (f"{label}: " if label else "", STRONG), content)


def _fault(fault: Fault, report: Report) -> Text:
    made = fault.made_at or fault.called_at
    text = Text.assemble((f"error[{fault.code.id}]", BAD), (f": {fault.code.title}\n", STRONG))
    text.append(snippet(made))
    failing = wording.numbers(fault) or "fails"
    text.append(remark("", f"{fault.site} ({fault.op}) {failing} {wording.when(fault)}".rstrip(), made))
    for label, content in _remarks(fault, report):
        text.append("\n")
        text.append(remark(label, content, made))
    return text


def _remarks(fault: Fault, report: Report) -> list[tuple[str, str]]:
    called = wording.place(fault.called_at, "") if fault.made_at else ""
    remarks = [
        ("sizes", wording.chain(fault, report.axes)),
        ("torch" if fault.code is Code.REFUSED else "rule", wording.rule(fault)),
        ("called", f"{called}: {fault.called_at.text}".rstrip(": ") if called and fault.called_at else ""),
        ("silent", "torch raises nothing here; the result is wrong" if fault.silent else ""),
        ("help", wording.advice(fault)),
    ]
    return [(label, content) for label, content in remarks if content]


def facts(report: Report) -> Text:
    """What holds for the model as a whole: the sizes it takes, how that is known, what is not."""
    rows = [
        ("works at", report.working_sizes),
        (
            "minimum",
            wording.minimum(report.minimum_input, report.analysis.complete, not report.unmodelled),
        ),
        ("", _batch_one(report)),
        ("known by", f"{report.capture}, {'proved' if report.proved else 'not proved'}"),
        *(("no rule", site) for site in report.unmodelled),
        *(("note", note) for note in report.notes),
    ]
    return table((label, content) for label, content in rows if content)


def _batch_one(report: Report) -> str:
    sizes = report.minimum_input_batch1
    return f"{wording.extent(sizes)} to train with a batch of 1" if sizes else ""


def table(rows: Iterable[tuple[str, str]]) -> Text:
    """Labels in a column of their own, dimmed."""
    listed = list(rows)
    width = max((len(label) for label, _ in listed), default=0)
    return Text("\n").join(
        Text.assemble((f"{label:<{width}}  ", QUIET), content) for label, content in listed
    )


def fix_full(fix: Fix) -> Text:
    """Verdict, each change with its source line and reason, the diff, and what was proved and run."""
    parts = [_fix_verdict(fix)]
    parts += [_change(change) for change in changes(fix)]
    if fix.diff and parts[1:]:
        parts.append(_diff(fix.diff))
    parts.append(_fix_facts(fix))
    return Text("\n\n").join(parts)


def fix_concise(fix: Fix) -> Text:
    """`file:line: conv2: padding 0 -> 1`, one line a change."""
    lines = [_fix_verdict(fix)]
    for change in changes(fix):
        line = Text(wording.place(place_of(change), fix.report.model_name), style=STRONG)
        line.append(f": {change.site}: {summary(change)} [{change.safety.value}]", style="not bold")
        lines.append(line)
    return Text("\n").join(lines)


def changes(fix: Fix) -> tuple[Edit | Insert, ...]:
    """Edits, then inserts."""
    return (*fix.edits, *fix.inserts)


def summary(change: Edit | Insert) -> str:
    """`padding 0 -> 1`, or the insert's own text."""
    if isinstance(change, Insert):
        return change.text
    return f"{change.knob} {short(change.old, change.knob)} -> {short(change.new, change.knob)}"


def place_of(change: Edit | Insert) -> Location | None:
    """Where the layer is made, else where it is called; an insert is about the call."""
    return change.called_at if isinstance(change, Insert) else change.made_at or change.called_at


def _fix_verdict(fix: Fix) -> Text:
    counts = [
        wording.count(len(changes), noun)
        for changes, noun in ((fix.edits, "edit"), (fix.inserts, "insert"))
        if changes
    ]
    head = Text(f"{fix.report.model_name}: ", style=STRONG)
    asked = f"every size {fix.report.asked}".strip()
    if not counts and not (fix.proved or fix.report.ok):
        return head.append(f"no fault found for sizes {fix.report.asked}, nothing is changed (not proved)")
    if not counts:
        return head.append(f"nothing to repair, {asked} works", style=GOOD)
    verb = "makes" if len(fix.edits) + len(fix.inserts) == 1 else "make"
    head.append(f"{' and '.join(counts)} {verb} {asked} work", style=GOOD)
    return head.append(f" ({_claims(fix)})", style="not bold")


def _claims(fix: Fix) -> str:
    optimal = wording.optimality(fix)
    return f"{'proved' if fix.proved else 'not proved'}; {optimal}"


def _change(change: Edit | Insert) -> Text:
    made = place_of(change)
    kind = "insert" if isinstance(change, Insert) else "edit"
    content = Text.assemble((kind, GOOD), (f": {change.site} ({change.op}): {summary(change)}\n", STRONG))
    content.append(snippet(made))
    content.append(remark("why", change.why, made))
    content.append("\n")
    content.append(remark(change.safety.value, wording.SAFETY[change.safety], made))
    return content


def _diff(diff: str) -> Text:
    colours = {"+": "green", "-": "red", "@": "cyan"}
    return Text("\n").join(
        Text(line, style=colours.get(line[:1], "")) for line in diff.rstrip("\n").split("\n")
    )


def _fix_facts(fix: Fix) -> Text:
    rows = [
        ("worked at", fix.before.sound_sizes),
        ("works at", fix.report.working_sizes),
        (
            "minimum",
            wording.minimum(
                fix.report.minimum_input, fix.report.analysis.complete and not fix.report.unmodelled
            ),
        ),
        ("search", f"{fix.strategy}, {fix.solve}" if fix.solve else fix.strategy),
        ("no proof", "" if fix.proved else fix.verdict.why),
        ("ran", fix.ran),
        *(("no rule", site) for site in fix.report.unmodelled),
        *(("note", note) for note in fix.report.notes),
    ]
    return table((label, content) for label, content in rows if content)
