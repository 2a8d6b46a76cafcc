"""SARIF 2.1.0, as code scanning services read it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from autofix.fault import Code
from autofix.report import wording
from autofix.report.text import changes, place_of, summary

if TYPE_CHECKING:
    from autofix.change import Edit, Insert
    from autofix.fault import Fault, Location
    from autofix.outcome import Report
    from autofix.repair import Fix

Json = dict[str, Any]

_SCHEMA = "https://json.schemastore.org/sarif-2.1.0.json"
_EDIT = {"id": "edit", "shortDescription": {"text": "a change that makes the sizes work"}}


def of_report(report: Report) -> Json:
    """Each fault as a result of level error, under a rule for each fault code."""
    rules = [
        {"id": code.id, "name": code.name, "shortDescription": {"text": code.title},
         "help": {"text": wording.ADVICE[code]}}
        for code in Code
    ]  # fmt: skip
    return _log(rules, [_fault(fault) for fault in wording.merged(report.faults)])


def of_fix(fix: Fix) -> Json:
    """Each change as a result of level note."""
    return _log([_EDIT], [_change(change) for change in changes(fix)])


def _log(rules: list[Json], results: list[Json]) -> Json:
    from autofix import __version__

    driver = {"name": "autofix", "version": __version__, "rules": rules}
    return {
        "$schema": _SCHEMA,
        "version": "2.1.0",
        "runs": [{"tool": {"driver": driver}, "results": results}],
    }


def _fault(fault: Fault) -> Json:
    text = f"{fault.site} ({fault.op}): {wording.sentence(fault)} ({wording.when(fault)})"
    result = _result(fault.code.id, "error", text, fault.made_at or fault.called_at)
    if fault.made_at and fault.called_at:
        related = {"id": 0, **_location(fault.called_at), "message": {"text": "called here"}}
        result["relatedLocations"] = [related]
    return result


def _change(change: Edit | Insert) -> Json:
    text = f"{change.site}: {summary(change)}; {change.why}"
    return _result("edit", "note", text, place_of(change))


def _result(rule: str, level: str, text: str, place: Location | None) -> Json:
    locations = [_location(place)] if place else []
    return {"ruleId": rule, "level": level, "message": {"text": text}, "locations": locations}


def _location(place: Location) -> Json:
    file = Path(wording.from_here(place.file))
    uri = file.as_uri() if file.is_absolute() else file.as_posix()
    return {
        "physicalLocation": {"artifactLocation": {"uri": uri}, "region": {"startLine": max(1, place.line)}}
    }
