"""The command line: arguments -> pipeline -> print -> exit code. Imports torch only inside a command."""

from __future__ import annotations

import os
import signal
import sys
import traceback
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from autofix import __version__, config
from autofix.bench_command import bench
from autofix.errors import AutofixError, InfeasibleError, UsageError
from autofix.guard import one_line, stdout_to_stderr
from autofix.options import SHAPES_FORMATS, STRATEGIES, Knobs, Shape, option, shared

if TYPE_CHECKING:
    from autofix.load import Loaded
    from autofix.outcome import Report
    from autofix.repair import Fix

_INTERRUPTED, _BROKEN_PIPE, _INTERNAL = 130, 141, 3  # as a shell reports SIGINT and SIGPIPE


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line; returns the exit code.

    0 fine, 1 faults or no repair, 2 bad usage or the model cannot load, 3 could not analyse.
    """
    arguments = list(sys.argv[1:] if argv is None else argv)
    try:
        with _second_interrupt_ends(), autofix.make_context("autofix", arguments.copy()) as context:
            return int(autofix.invoke(context) or 0)
    except click.exceptions.Exit as done:  # --help, --version
        return done.exit_code
    except KeyboardInterrupt:
        return _INTERRUPTED
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)  # what is still buffered must not raise again at exit
        return _BROKEN_PIPE
    except (Exception, SystemExit) as error:
        if "--debug" in arguments or os.environ.get("AUTOFIX_DEBUG"):
            traceback.print_exc()
        message, code = _explain(error)
        click.echo(f"autofix: error: {message}", err=True)
        return code


@click.group(
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    epilog="TARGET is model.py:Net, package.module:make_net or model.py:Net(in_channels=1). Defaults for the "
    "options come from [tool.autofix] in pyproject.toml and from AUTOFIX_* in the environment.",
)
@click.version_option(__version__, prog_name="autofix", message="%(prog)s %(version)s")
def autofix() -> None:
    """Check and repair the spatial sizes of PyTorch convolutional networks, exactly."""


autofix.add_command(bench)


@autofix.command()
@shared("min_input", "max_input", "reference", "input_shape", "format")
def check(target: str, format: str, weights: str | None, debug: bool, **asked: Any) -> int:
    """Say which input sizes TARGET accepts and what fails for the others."""
    _in_order(asked)
    with _working("checking", target):
        loaded = _load(target, weights)
        from autofix import pipeline, report

        result = pipeline.check_model(loaded.model, **_given(asked))
        content = report.of_report(result, format)
    report.show(content)
    return 1 if result.refuted else 0


@autofix.command()
@shared("min_input_needed", "max_input", "reference", "input_shape", "format")
@option(
    "--strategy",
    type=click.Choice(STRATEGIES),
    default="fewest",
    help="fewest edits (default), same padding everywhere, preserve the outputs, or the fastest here.",
)
@option("--device", help="Where --strategy fastest measures: cpu (default), cuda.")
@option("--allow", type=Knobs(), multiple=True, help="What may change: padding, stride, ceil_mode, ...")
@option("--frozen", multiple=True, metavar="PATTERN", help="Layers that may not change, as encoder.*")
@option("--time-limit", type=click.FloatRange(min=0, min_open=True), help="Seconds for the search.")
@option("--in-place", is_flag=True, help="Change the model's own source file.")
@option("--report", "report_file", type=click.Path(), metavar="HTML", help="Write a report page.")
@option("-o", "--output", type=click.Path(), metavar="DIR", help="Write here. Default: beside the model.")
def repair(
    target: str,
    format: str,
    weights: str | None,
    debug: bool,
    in_place: bool,
    report_file: str | None,
    output: str | None,
    **asked: Any,
) -> int:
    """Find the smallest change after which every size from --min-input on works, and write it out."""
    _in_order(asked)
    if in_place and output:
        raise UsageError("--in-place and --output exclude each other")
    asked["allow"] = tuple(knob for knobs in asked["allow"] for knob in knobs) or None
    with _working("repairing", target):
        loaded = _load(target, weights)
        folder = _folder(loaded, output, in_place)
        page = _writable(Path(report_file).parent) / Path(report_file).name if report_file else None
        from autofix import pipeline, report
        from autofix.report import html

        fix = pipeline.fix_model(loaded.model, **_given(asked))
        written, problem = [], None
        try:
            written = _save(fix, folder, in_place)
        except AutofixError as error:  # the repair is worth telling although its source cannot be written
            problem = error
        if page:
            written.append(_write(page, html.fix_page(fix)))
        content = report.of_fix(fix, format)
    report.show(content)
    if problem:
        raise problem
    return _tell(written)


@autofix.command()
@click.argument("manifest", type=click.Path(path_type=Path))
@shared()
@option("--in-place", is_flag=True, help="Change the model's own source file.")
@option("-o", "--output", type=click.Path(), metavar="DIR", help="Write here. Default: beside the model.")
def apply(
    manifest: Path, target: str, weights: str | None, debug: bool, in_place: bool, output: str | None
) -> int:
    """Write the repair stored in MANIFEST into the source of TARGET again, if neither has changed since."""
    if in_place and output:
        raise UsageError("--in-place and --output exclude each other")
    with _working("applying", str(manifest)):
        from autofix.apply import apply_again, check_readable

        check_readable(manifest)
        loaded = _load(target, weights)
        written = apply_again(manifest, loaded.model, _folder(loaded, output, in_place), in_place)
    return _tell(written)


@autofix.command()
@shared()
@click.option(
    "--input", "input_shape", type=Shape(symbolic=False), required=True, help="The input: 1,1,20,20,20."
)
@click.option("--formulas", is_flag=True, help="Each size as a formula of the input size.")
@click.option("--format", type=click.Choice(SHAPES_FORMATS), default="full", help="Default: full.")
def shapes(
    target: str, input_shape: tuple[int, ...], formulas: bool, format: str, weights: str | None, debug: bool
) -> int:
    """List the sizes layer by layer, on through a failing one."""
    with _working("reading", target):
        loaded = _load(target, weights)
        from autofix import pipeline, report

        table = pipeline.shapes(loaded.model, input_shape)
        content = report.of_shapes(table, format, formulas)
        if format in ("dot", "mermaid"):
            content = _drawn(pipeline.check_model(loaded.model), input_shape[2:], format)
    report.show(content)
    return 0


def _drawn(report: Report, sizes: tuple[int, ...], format: str) -> str:
    return report.to_dot(*sizes) if format == "dot" else report.to_mermaid(*sizes)


def _tell(written: Iterable[Path]) -> int:
    from autofix.report.wording import from_here

    for file in written:
        click.echo(f"wrote {from_here(str(file))}", err=True)
    return 0


def _load(target: str, weights: str | None) -> Loaded:
    """Build the model; the same random weights every time, so that runs repeat."""
    import torch

    from autofix.construct import record
    from autofix.load import load
    from autofix.made import made_from, remember

    torch.manual_seed(0)
    loaded = load(target, weights=weights, recorder=record())
    remember(loaded.model, made_from(loaded))
    return loaded


def _given(asked: dict[str, Any]) -> dict[str, Any]:
    """What was asked for; the pipeline has its own defaults for the rest."""
    return {name: value for name, value in asked.items() if value not in (None, ())}


def _in_order(asked: dict[str, Any]) -> None:
    """Refuse --min-input above --max-input before anything slow is done."""
    low, high = asked["min_input"], asked["max_input"]
    if low is None or high is None:
        return
    axes = max(len(size) if isinstance(size, tuple) else 1 for size in (low, high))
    lows, highs = (size if isinstance(size, tuple) else (size,) * axes for size in (low, high))
    if any(a > b for a, b in zip(lows, highs, strict=False)):
        shown = [",".join(map(str, size)) if isinstance(size, tuple) else size for size in (low, high)]
        raise UsageError(f"--min-input {shown[0]} is above --max-input {shown[1]}")


@contextmanager
def _working(doing: str, target: str) -> Iterator[None]:
    """Keep stdout for results; say on a terminal's stderr what is going on."""
    with stdout_to_stderr():
        if not sys.stderr.isatty():
            yield
            return
        from autofix.report.bar import bar

        with bar(f"{doing} {target}"):
            yield


def _folder(loaded: Loaded, output: str | None, in_place: bool) -> Path:
    """Where to write: DIR, else beside the model, else here."""
    users = loaded.file is not None and loaded.user_source
    if in_place and not users:
        raise UsageError(
            f"--in-place: {loaded.target.text} belongs to an installed package; use --output DIR"
        )
    beside = loaded.file.parent if loaded.file is not None and users else Path.cwd()
    return _writable(Path(output) if output else beside)


def _writable(folder: Path) -> Path:
    """The folder, which may not exist yet, refused before the search and not after it."""
    existing = next(path for path in (folder.absolute(), *folder.absolute().parents) if path.exists())
    if not existing.is_dir() or not os.access(existing, os.W_OK):
        raise UsageError(f"cannot write to {folder}: {existing} is no folder that may be written to")
    return folder


def _save(fix: Fix, folder: Path, in_place: bool) -> list[Path]:
    if not fix.edits and not fix.inserts:
        return []
    try:
        return list(fix.save(folder, in_place=True) if in_place else fix.save(folder))
    except OSError as error:
        raise UsageError(f"cannot write to {folder}: {error.strerror or error}") from error


def _write(file: Path, text: str) -> Path:
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text, encoding="utf-8")
    except OSError as error:
        raise UsageError(f"cannot write {file}: {error.strerror or error}") from error
    return file


@contextmanager
def _second_interrupt_ends() -> Iterator[None]:
    """A model's code may catch KeyboardInterrupt and go on; the second Ctrl-C ends the process regardless."""
    if signal.getsignal(signal.SIGINT) is not signal.default_int_handler:
        yield
        return

    def once(signum: int, frame: Any) -> None:
        signal.signal(signal.SIGINT, lambda *_: os._exit(_INTERRUPTED))
        signal.default_int_handler(signum, frame)

    signal.signal(signal.SIGINT, once)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, signal.default_int_handler)


def _explain(error: Exception | SystemExit) -> tuple[str, int]:
    """The one line and the exit code."""
    if isinstance(error, SystemExit):
        return f"the model calls sys.exit({error.code!r}) while it runs", _INTERNAL
    if isinstance(error, InfeasibleError):
        return "; ".join([_line(str(error)), *map(_line, error.core)]), error.exit_code
    if isinstance(error, AutofixError):
        return _line(str(error)), error.exit_code
    if isinstance(error, click.BadParameter) and not isinstance(error, click.MissingParameter):
        return f"{config.origin(error)}: {_line(error.message)}", 2
    if isinstance(error, click.UsageError):
        command = error.ctx.command_path if error.ctx else "autofix"
        return f"{_line(error.format_message())} (see {command} --help)", 2
    if isinstance(error, click.ClickException):
        return _line(error.format_message()), 2
    return f"internal error, {one_line(error)}; --debug shows the traceback", _INTERNAL


def _line(text: str) -> str:
    return " ".join(text.split())
