"""The command line: arguments in; exit code, results and error lines out. The analysis is a stand-in."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import report_samples as samples

import autofix
from autofix.cli import main
from autofix.errors import CaptureError, InfeasibleError

EXAMPLE = "autofix.examples.mri:BadCNN"

pytestmark = pytest.mark.usefixtures("command_line")


@pytest.mark.parametrize(
    ("argv", "code", "line"),
    [
        ("check modle.py:Net", 2, "no file 'modle.py'; did you mean 'model.py'?"),
        ("check model.py:Ned", 2, "no 'Ned' in model.py; did you mean 'Net'?"),
        ("check bad.py:Net", 2, "bad.py:1: invalid syntax"),
        ("check exits.py:Net", 2, "exits.py:1: importing it calls sys.exit(0); put such code under "
         "`if __name__ == '__main__':`"),
        ("check :", 2, "':' names no model: write model.py:Net, package.module:make_net or "
         "model.py:Net(in_channels=1)"),
        ("check", 2, "Missing argument 'TARGET'. (see autofix check --help)"),
        ("chek model.py", 2, "No such command 'chek'. Did you mean 'check'? (see autofix --help)"),
        ("check model.py --min-inpt 3", 2,
         "No such option '--min-inpt'. (Did you mean one of: '--max-input', '--min-input'?) "
         "(see autofix check --help)"),
        ("check model.py --min-input 0", 2, "--min-input: 0 is no size; the smallest is 1"),
        ("check model.py --min-input -4", 2, "--min-input: -4 is no size; the smallest is 1"),
        ("check model.py --min-input ten", 2, "--min-input: 'ten' is no whole number; write 10 or 10,10,8"),
        ("check model.py --min-input 10,,8", 2, "--min-input: '' is no whole number; write 10 or 10,10,8"),
        ("check model.py --min-input 9 --max-input 8", 2, "--min-input 9 is above --max-input 8"),
        ("check model.py --min-input 9,9 --max-input 9,8", 2, "--min-input 9,9 is above --max-input 9,8"),
        ("check model.py --input-shape 1,3,H,-", 2, "--input-shape: '-' is no extent; write 1,3,H,W"),
        ("check model.py --format xml", 2,
         "--format: 'xml' is not one of 'full', 'concise', 'json', 'github', 'sarif'."),
        ("check model.py --weights none.pt", 2, "no weights file 'none.pt'"),
        ("repair model.py", 2, "Missing option '--min-input'. (see autofix repair --help)"),
        ("repair model.py --min-input 5 --allow padding,colour", 2,
         "--allow: 'colour' is no knob; choose among "
         "padding, stride, ceil_mode, output_padding, dilation, kernel_size"),
        ("repair model.py --min-input 5 --time-limit 0", 2, "--time-limit: 0.0 is not in the range x>0."),
        ("repair model.py --min-input 5 -o model.py", 2,
         "cannot write to model.py: HERE/model.py is no folder that may be written to"),
        ("repair model.py --min-input 5 -o model.py/sub", 2,
         "cannot write to model.py/sub: HERE/model.py is no folder that may be written to"),
        ("repair model.py --min-input 5 --report model.py/page.html", 2,
         "cannot write to model.py: HERE/model.py is no folder that may be written to"),
        ("repair model.py --min-input 5 --in-place -o out", 2, "--in-place and --output exclude each other"),
        (f"repair {EXAMPLE} --min-input 5 --in-place", 2,
         f"--in-place: {EXAMPLE} belongs to an installed package; use --output DIR"),
        ("shapes model.py", 2, "Missing option '--input'. (see autofix shapes --help)"),
        ("shapes model.py --input 1,1,H", 2, "--input: 'H' is no extent; write 1,3,224,224"),
        ("shapes model.py --input 1,1,0", 2, "--input: 0 is no extent; the smallest is 1"),
    ],
)  # fmt: skip
def test_each_mistake_is_one_line(folder, pipeline, capfd, argv, code, line):
    (folder / "bad.py").write_text("def f(:\n")
    (folder / "exits.py").write_text("raise SystemExit(0)\n")
    assert main(argv.split()) == code
    out, err = capfd.readouterr()
    assert out == ""
    assert err.replace(str(folder), "HERE") == f"autofix: error: {line}\n"


@pytest.mark.parametrize(
    ("error", "code", "line"),
    [
        (CaptureError("no graph"), 3, "no graph"),
        (InfeasibleError("no repair exists", ("cat: 3 != 4 at 5", "fc: 9")), 1,
         "no repair exists; cat: 3 != 4 at 5; fc: 9"),
        (ZeroDivisionError("oh"), 3, "internal error, ZeroDivisionError: oh; --debug shows the traceback"),
        (SystemExit(0), 3, "the model calls sys.exit(0) while it runs"),
    ],
)  # fmt: skip
def test_what_the_analysis_raises(pipeline, capsys, error, code, line):
    pipeline.answer = error
    assert main(["check", EXAMPLE]) == code
    out, err = capsys.readouterr()
    assert out == ""
    assert err.splitlines()[1:] == [f"autofix: error: {line}"]


def test_an_interrupt_is_quiet(pipeline, capsys):
    pipeline.answer = KeyboardInterrupt()
    assert main(["check", EXAMPLE]) == 130
    assert capsys.readouterr().err == "the model's forward prints\n"


def test_debug_shows_the_traceback(pipeline, capsys):
    pipeline.answer = ZeroDivisionError("oh")
    assert main(["check", EXAMPLE, "--debug"]) == 3
    assert "Traceback" in capsys.readouterr().err


UNDECIDED = samples.good_report(ok=False, proved=False)


@pytest.mark.parametrize(
    ("answer", "code"), [(samples.good_report(), 0), (samples.report(), 1), (UNDECIDED, 0)]
)
def test_check_exits_by_what_it_found(pipeline, capsys, answer, code):
    pipeline.answer = answer
    assert main(["check", EXAMPLE, "--min-input", "5"]) == code
    out, err = capsys.readouterr()
    assert out.startswith("BadCNN: ")
    assert err == "the model's forward prints\n"


@pytest.mark.parametrize(
    ("argv", "asked"),
    [
        ("", {}),
        ("--min-input 10", {"min_input": 10}),
        ("--min-input 10,10,8 --max-input 64", {"min_input": (10, 10, 8), "max_input": 64}),
        ("--reference 224", {"reference": 224}),
        ("--input-shape 1,3,H,W", {"input_shape": (1, 3, "H", "W")}),
    ],
)
def test_check_asks_the_pipeline(pipeline, argv, asked):
    assert main(["check", EXAMPLE, *argv.split()]) == 0
    assert asked.items() <= pipeline.asked.items()


@pytest.mark.parametrize(
    ("argv", "asked"),
    [
        ("", {"strategy": "fewest", "min_input": 5}),
        ("--strategy same --frozen enc.* --frozen head", {"strategy": "same", "frozen": ("enc.*", "head")}),
        ("--allow padding,stride --allow dilation", {"allow": ("padding", "stride", "dilation")}),
        ("--time-limit 2.5", {"time_limit": 2.5}),
    ],
)
def test_repair_asks_the_pipeline(pipeline, argv, asked):
    pipeline.answer = samples.fix(edits=())
    assert main(["repair", EXAMPLE, "--min-input", "5", *argv.split()]) == 0
    assert asked.items() <= pipeline.asked.items()


@pytest.mark.parametrize(
    ("target", "argv", "where"),
    [(EXAMPLE, "", "."), ("model.py", "", "."), (EXAMPLE, "-o out/here", "out/here")],
)
def test_repair_writes_and_says_where(folder, pipeline, capsys, monkeypatch, target, argv, where):
    def save(to):
        to.mkdir(parents=True, exist_ok=True)
        (to / "mri.autofix.py").write_text("x")
        return (to / "mri.autofix.py",)

    monkeypatch.setattr("autofix.report.html.fix_page", lambda fix: f"<!doctype html>{fix.strategy}")
    pipeline.answer = samples.fix(save=save)
    page = folder / "page.html"
    assert main(["repair", target, "--min-input", "5", "--report", str(page), *argv.split()]) == 0
    out, err = capsys.readouterr()
    assert out.startswith("BadCNN: 1 edit makes every size >= 5 work")
    assert [Path(line.removeprefix("wrote ")).resolve() for line in err.splitlines()[1:]] == [
        (folder / where / "mri.autofix.py").resolve(),
        page.resolve(),
    ]
    assert page.read_text() == "<!doctype html>fewest"


def test_shapes(pipeline, capsys):
    pipeline.answer = samples.shapes()
    assert main(["shapes", EXAMPLE, "--input", "1,1,5,5,5"]) == 0
    assert pipeline.asked == {"input_shape": (1, 1, 5, 5, 5)}
    assert capsys.readouterr().out.startswith("layer")


HERE = {**os.environ, "PYTHONPATH": str(Path(autofix.__file__).parents[1])}


def run(*argv):
    command = [sys.executable, "-m", "autofix", *argv]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=HERE)


def _seconds_of_children():
    """Computing time, which other work on the machine does not stretch as it does the clock on the wall."""
    return os.times().children_user + os.times().children_system


def test_version_is_quick_and_imports_no_torch():
    script = "import sys; from autofix.cli import main; main(sys.argv[1:]); sys.exit('torch' in sys.modules)"
    seconds = []
    for flag in ("--version", "--help", "--version", "--version"):
        start = _seconds_of_children()
        command = [sys.executable, "-c", script, flag]
        done = subprocess.run(command, capture_output=True, text=True, check=True, env=HERE)
        seconds.append(_seconds_of_children() - start)
        assert done.stdout.startswith((f"autofix {autofix.__version__}\n", "Usage: autofix"))
    assert min(seconds) < 0.2


def test_a_reader_that_has_gone_is_no_finding():
    process = run("--help")
    assert process.stdout
    process.stdout.close()
    assert process.wait() == 141
    assert process.stderr
    assert process.stderr.read() == ""


def test_the_second_interrupt_ends_a_model_that_catches_the_first(folder):
    (folder / "stubborn.py").write_text(
        "import pathlib, time\n"
        "while True:\n"
        "    try:\n"
        "        pathlib.Path('running').touch()\n"
        "        time.sleep(0.05)\n"
        "    except KeyboardInterrupt:\n"
        "        pathlib.Path('caught').touch()\n"
    )
    process = run("check", "stubborn.py:Net")
    for mark in ("running", "caught"):
        deadline = time.monotonic() + 30
        while not (folder / mark).exists() and time.monotonic() < deadline:
            time.sleep(0.02)
        process.send_signal(signal.SIGINT)
    assert process.wait(timeout=30) == 130
