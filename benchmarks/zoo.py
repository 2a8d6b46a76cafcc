"""How much of a zoo is described exactly, repaired, and kept bit for bit? Any zoo: package:list_function.

python benchmarks/zoo.py timm:list_models --sample 60
python benchmarks/zoo.py torchvision.models:list_models
python benchmarks/zoo.py zoo:monai_networks

Runs resume where they ended: an architecture that has a result is not run again, unless --again names it.
"""

from __future__ import annotations

import argparse
import fnmatch
import importlib
import json
import select
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import common
from torchvision_ops import ensure_torchvision

WORKER = Path(__file__).with_name("zoo_worker.py")
REFUSED = "refused: its size is fixed"
PASSED, FAILED = "passed", "failed"


def main() -> None:
    """Run what is missing, then write the table."""
    run, started = _arguments(), time.perf_counter()
    everything = listed(run.zoo)
    file = run.out / "zoo.json"
    kept = load(file)
    results: dict[str, dict[str, Any]] = kept.setdefault("zoos", {}).setdefault(run.zoo, {})
    for name in [name for name in results if run.again and fnmatch.fnmatch(name, run.again)]:
        del results[name]
    names = [name for name in chosen(everything, run) if name not in results]
    print(f"{run.zoo}: {len(everything)} architectures, {len(results)} with results, {len(names)} to run")
    commit = common.about(run.quick)["commit"]
    for outcome in outcomes(run, names):
        outcome |= {"verdict": verdict(outcome), "commit": commit}
        results[outcome["name"]] = outcome
        print(f"{outcome['name']:40} {outcome['verdict']:28} {outcome['reason'][:120]}", flush=True)
        kept |= {
            "about": common.about(run.quick),
            "listed": {**kept.get("listed", {}), run.zoo: len(everything)},
        }
        save(file, kept)
    file.with_suffix(".md").write_text(page(kept), encoding="utf-8")
    print(f"wrote {file} after {time.perf_counter() - started:.0f} s")


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("zoo", nargs="?", default="timm:list_models", help="package:list_function")
    parser.add_argument("--sample", type=int, help="this many, evenly spread over the list")
    parser.add_argument("--limit", type=int, help="no more than this many")
    parser.add_argument("--only", default="*", help="names to run, as resnet*; several with commas")
    parser.add_argument("--again", default="", help="names to run although they have a result")
    parser.add_argument("--seconds", type=float, default=120, help="time limit of one architecture")
    parser.add_argument("--memory", type=float, default=24, help="address space of one architecture, GiB")
    parser.add_argument(
        "--budget", type=float, default=float("inf"), help="start no further one after so many seconds"
    )
    parser.add_argument("--quick", action="store_true", help="three architectures")
    parser.add_argument("--out", type=Path, default=common.RESULTS, help="folder of the results")
    return parser.parse_args()


def listed(zoo: str) -> list[str]:
    """The names of a zoo, as its list function gives them."""
    ensure_torchvision()
    package, function = zoo.split(":")
    return list(getattr(importlib.import_module(package), function)())


def chosen(names: list[str], run: argparse.Namespace) -> list[str]:
    """The same names every time: those that match, thinned evenly."""
    names = [n for n in names if any(fnmatch.fnmatch(n, pattern) for pattern in run.only.split(","))]
    sample = 3 if run.quick else run.sample
    if sample and sample < len(names):
        names = [names[i * len(names) // sample] for i in range(sample)]
    return names[: run.limit]


def outcomes(run: argparse.Namespace, names: list[str]) -> Iterator[dict[str, Any]]:
    """What comes of each; a worker that takes too long, or dies, is replaced."""
    worker, until = None, time.monotonic() + run.budget
    for name in names:
        if time.monotonic() > until:
            break
        worker = worker or start(run)
        assert worker.stdin is not None
        assert worker.stdout is not None
        try:
            worker.stdin.write(json.dumps({"zoo": run.zoo, "name": name}) + "\n")
            worker.stdin.flush()
            ready, _, _ = select.select([worker.stdout], [], [], run.seconds)
            line = worker.stdout.readline() if ready else ""
        except BrokenPipeError:
            ready, line = [worker.stdout], ""
        if line:
            yield json.loads(line)
            continue
        worker.kill()
        worker.wait()
        worker = None
        reason = "the worker died" if ready else f"the limit of {run.seconds:g} s was reached"
        yield {"name": name, "stage": "time", "reason": reason, "facts": {}, "seconds": {}}
    if worker is not None:
        worker.kill()
        worker.wait()


def start(run: argparse.Namespace) -> subprocess.Popen[str]:
    """A worker; what it says beside its answers goes nowhere."""
    command = [sys.executable, str(WORKER), str(run.memory)]
    return subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    )


def verdict(outcome: dict[str, Any]) -> str:
    """Passed, refused by the name of a cause that fixes its size, or failed."""
    facts = outcome["facts"]
    if outcome["stage"] == "done" and not outcome["reason"]:
        return PASSED
    clear = any(words in outcome["reason"] for words in ("its sizes are tied to", "the model asserts"))
    named = facts.get("cause") and clear
    return REFUSED if named and not facts.get("disagreements") and not facts.get("crash") else FAILED


def load(file: Path) -> dict[str, Any]:
    """Earlier results, if there are any."""
    return json.loads(file.read_text(encoding="utf-8")) if file.exists() else {"benchmark": "zoo"}


def save(file: Path, kept: dict[str, Any]) -> None:
    """Write at once, so that a run that is ended loses nothing."""
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(json.dumps(kept, indent=1, sort_keys=True) + "\n", encoding="utf-8")


def page(kept: dict[str, Any]) -> str:
    """The table as Markdown: counts, then each failure with its reason."""
    about = kept.get("about", {})
    machine = about.get("machine", {})
    host = f"{machine.get('processor')}, Python {machine.get('python')}"
    versions = ", ".join(f"{name} {number}" for name, number in about.get("versions", {}).items())
    lines = [
        "# Architectures of public zoos",
        "",
        f"{host}. {versions}. Commit {about.get('commit')}, {about.get('date')}.",
        "",
    ]
    for zoo, results in kept.get("zoos", {}).items():
        lines += _counts(zoo, kept["listed"].get(zoo), list(results.values()))
        for kind in (FAILED, REFUSED):
            rows = sorted((r for r in results.values() if r["verdict"] == kind), key=lambda r: str(r["name"]))
            lines += _reasons(kind, rows)
    return "\n".join(lines) + "\n"


def _counts(zoo: str, total: Any, rows: list[dict[str, Any]]) -> list[str]:
    free = [row for row in rows if not row["facts"].get("cause")]
    passed = [row for row in free if row["verdict"] == PASSED]
    equal = Counter(str(row["facts"]["equal"]) for row in rows if "equal" in row["facts"])
    proved = [row["facts"]["fewest"]["proved"] for row in rows if "fewest" in row["facts"]]
    share = f" ({100 * len(passed) / len(free):.1f} %)" if free else ""
    compared = sum(row["facts"].get("compared", 0) for row in rows)
    wrong = sum(len(row["facts"].get("disagreements", ())) for row in rows)
    fixed = Counter(row["verdict"] for row in rows if row["facts"].get("cause"))
    said = f"{len(passed)} described exactly, repaired and run{share}"
    rest = f"{fixed[PASSED]} repaired all the same, {fixed[REFUSED]} refused by the name of the cause"
    points = (
        f"{len(rows)} of {total} architectures run",
        f"{len(free)} without attention windows or position embeddings: {said}",
        f"{sum(fixed.values())} with them: {rest}, {fixed[FAILED]} failed",
        f"`accepts` compared with torch {compared} times: {wrong} differences",
        f"{sum(proved)} of {len(proved)} `fewest` repairs proved for every size",
        f"`preserve` gave equal outputs for {equal['True']}, different ones for {equal['False']}",
    )
    return [f"## {zoo}", "", *(f"- {point}" for point in points), ""]


def _reasons(kind: str, rows: list[dict[str, Any]]) -> list[str]:
    if not rows:
        return []
    head = [f"### {kind[0].upper()}{kind[1:]}", "", "| architecture | stage | reason |", "|---|---|---|"]
    cells = (
        (row["name"], row["stage"], row["reason"].replace("|", "/").replace("\n", " ")[:240]) for row in rows
    )
    return [*head, *(f"| {' | '.join(cell)} |" for cell in cells), ""]


if __name__ == "__main__":
    main()
