"""A Report, a Fix or a table of shapes as JSON; schema.json beside this file describes it."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from autofix.change import Edit, Insert
    from autofix.fault import Fault, Location
    from autofix.outcome import Report
    from autofix.repair import Fix
    from autofix.shapes import ShapesTable

SCHEMA = "autofix/report/1"

Json = dict[str, Any]


def dumps(document: Json) -> str:
    """Indented, in the order of the schema."""
    return json.dumps(document, indent=2, ensure_ascii=False)


def report_dict(report: Report) -> Json:
    """The document of `autofix check`."""
    from autofix import __version__

    return {"schema": SCHEMA, "kind": "check", "autofix": __version__, **_report(report)}


def fix_dict(fix: Fix) -> Json:
    """The document of `autofix repair`."""
    from autofix import __version__

    return {
        "schema": SCHEMA,
        "kind": "repair",
        "autofix": __version__,
        "strategy": fix.strategy,
        "proved": fix.proved,
        "optimal": fix.optimal,
        "edits": [_edit(edit) for edit in fix.edits],
        "inserts": [_insert(insert) for insert in fix.inserts],
        "before": _report(fix.before),
        "after": _report(fix.report),
        "ran": fix.ran,
        "solve": fix.solve,
        "diff": fix.diff,
    }


def shapes_dict(table: ShapesTable) -> Json:
    """The document of `autofix shapes`."""
    from autofix import __version__

    rows = [
        {
            "site": row.name,
            "op": row.cls,
            "hyperparameters": row.hyper,
            "before": list(row.before),
            "after": None if row.after is None else list(row.after),
            "formula": row.formula,
            "error": row.error,
        }
        for row in table
    ]
    return {"schema": SCHEMA, "kind": "shapes", "autofix": __version__, "rows": rows}


def _report(report: Report) -> Json:
    batch_one = report.minimum_input_batch1
    return {
        "model": report.model_name,
        "ok": report.ok,
        "proved": report.proved,
        "asked": report.asked,
        "axes": list(report.axes),
        "minimum_input": list(report.minimum_input),
        "minimum_input_batch1": None if batch_one is None else list(batch_one),
        "working_sizes": report.working_sizes,
        "capture": report.capture,
        "faults": [_fault(fault) for fault in report.faults],
        "unmodelled": list(report.unmodelled),
        "notes": list(report.notes),
    }


def _fault(fault: Fault) -> Json:
    return {
        "code": fault.code.id,
        "title": fault.code.title,
        "site": fault.site,
        "op": fault.op,
        "message": fault.message,
        "axis": fault.axis,
        "size": list(fault.size),
        "needs": fault.needs,
        "gets": fault.gets,
        "mode": fault.mode,
        "silent": fault.silent,
        "made_at": _location(fault.made_at),
        "called_at": _location(fault.called_at),
        "chain": [
            {"site": step.site, "op": step.op, "before": list(step.before), "after": list(step.after)}
            for step in fault.chain
        ],
    }


def _edit(edit: Edit) -> Json:
    return {
        "site": edit.site,
        "op": edit.op,
        "knob": edit.knob,
        "old": list(edit.old),
        "new": list(edit.new),
        "axes": list(edit.axes),
        "why": edit.why,
        "safety": edit.safety.value,
        "made_at": _location(edit.made_at),
        "called_at": _location(edit.called_at),
    }


def _insert(insert: Insert) -> Json:
    return {
        "site": insert.site,
        "op": insert.op,
        "kind": insert.kind,
        "text": insert.text,
        "why": insert.why,
        "safety": insert.safety.value,
        "called_at": _location(insert.called_at),
    }


def _location(location: Location | None) -> Json | None:
    if location is None:
        return None
    return {"file": location.file, "line": location.line, "text": location.text}
