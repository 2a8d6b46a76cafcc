"""Annotations for GitHub Actions: one workflow command a line."""

from __future__ import annotations

from typing import TYPE_CHECKING

from autofix.report import wording
from autofix.report.text import changes, place_of, summary

if TYPE_CHECKING:
    from autofix.fault import Location
    from autofix.outcome import Report
    from autofix.repair import Fix


def of_report(report: Report) -> str:
    """`::error file=model.py,line=9,title=AF101 conv2::...`, one line a fault; empty where all is well."""
    lines = []
    for fault in wording.merged(report.faults):
        message = f"{wording.sentence(fault)} ({wording.when(fault)})"
        place = fault.made_at or fault.called_at
        lines.append(_command("error", place, f"{fault.code.id} {fault.site}", message))
    return "\n".join(lines)


def of_fix(fix: Fix) -> str:
    """`::notice ...::padding 0 -> 1`, one line a change."""
    return "\n".join(
        _command("notice", place_of(change), f"autofix {change.site}", summary(change))
        for change in changes(fix)
    )


def _command(level: str, place: Location | None, title: str, message: str) -> str:
    settings = {"file": wording.from_here(place.file), "line": str(place.line)} if place else {}
    listed = ",".join(f"{name}={_property(value)}" for name, value in {**settings, "title": title}.items())
    return f"::{level} {listed}::{_data(message)}"


def _data(text: str) -> str:
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _property(text: str) -> str:
    return _data(text).replace(":", "%3A").replace(",", "%2C")
