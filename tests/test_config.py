"""Flags over environment over [tool.autofix] of the nearest pyproject.toml."""

import pytest
import report_samples as samples

from autofix.cli import main

EXAMPLE = "autofix.examples.mri:BadCNN"

pytestmark = pytest.mark.usefixtures("command_line")


def ask(folder, pipeline, toml, *argv, command="repair"):
    (folder / "pyproject.toml").write_text(f"[tool.autofix]\n{toml}\n")
    pipeline.answer = samples.fix(edits=()) if command == "repair" else samples.good_report()
    assert main([command, EXAMPLE, *argv]) == 0
    return pipeline.asked


@pytest.mark.parametrize(
    ("toml", "asked"),
    [
        ("min-input = 7", {"min_input": 7}),
        ("min_input = [7, 8, 9]", {"min_input": (7, 8, 9)}),
        ("min-input = '7,8,9'", {"min_input": (7, 8, 9)}),
        ("min-input = 7\nallow = ['padding', 'stride']", {"allow": ("padding", "stride")}),
        ("min-input = 7\nallow = 'padding,stride'", {"allow": ("padding", "stride")}),
        ("min-input = 7\nfrozen = 'enc.*'", {"frozen": ("enc.*",)}),
        ("min-input = 7\nstrategy = 'same'\ntime-limit = 3", {"strategy": "same", "time_limit": 3.0}),
        ("min-input = 7\ninput-shape = [1, 3, 'H', 'W']", {"input_shape": (1, 3, "H", "W")}),
    ],
)
def test_values(folder, pipeline, toml, asked):
    assert asked.items() <= ask(folder, pipeline, toml).items()


def test_keys_of_other_commands_are_fine(folder, pipeline):
    assert ask(folder, pipeline, "strategy = 'same'\nmin-input = 3", command="check")["min_input"] == 3


def test_precedence(folder, pipeline, monkeypatch):
    assert ask(folder, pipeline, "min-input = 7")["min_input"] == 7
    monkeypatch.setenv("AUTOFIX_MIN_INPUT", "8")
    assert ask(folder, pipeline, "min-input = 7")["min_input"] == 8
    assert ask(folder, pipeline, "min-input = 7", "--min-input", "9")["min_input"] == 9


def test_environment_is_shared_by_commands(pipeline, monkeypatch):
    monkeypatch.setenv("AUTOFIX_MIN_INPUT", "6")
    monkeypatch.setenv("AUTOFIX_FORMAT", "json")
    assert main(["check", EXAMPLE]) == 0
    assert pipeline.asked["min_input"] == 6


def test_the_file_next_to_the_model_counts(folder, pipeline):
    (folder / "sub").mkdir()
    (folder / "sub/model.py").write_text((folder / "model.py").read_text())
    (folder / "sub/pyproject.toml").write_text("[tool.autofix]\nmin-input = 4\n")
    (folder / "pyproject.toml").write_text("[tool.autofix]\nmin-input = 5\n")
    assert main(["check", "sub/model.py"]) == 0
    assert pipeline.asked["min_input"] == 4


@pytest.mark.parametrize(
    ("toml", "line"),
    [
        ("[tool.autofix]\nmin-inptu = 3",
         "HERE/pyproject.toml: unknown key 'min-inptu' in [tool.autofix]; did you mean 'min-input'?"),
        ("[tool.autofix]\nmin-input = 'x'",
         "HERE/pyproject.toml: min-input: 'x' is no whole number; write 10 or 10,10,8"),
        ("[tool.autofix]\nmin-input = true",
         "HERE/pyproject.toml: min-input: 'True' is no whole number; write 10 or 10,10,8"),
        ("[tool]\nautofix = 3", "HERE/pyproject.toml: [tool.autofix] is no table"),
        ("[tool.autofix]\nmin-input = {}",
         "HERE/pyproject.toml: min-input in [tool.autofix] is a table, not a value"),
        ("[tool.autofix\n",
         "HERE/pyproject.toml: Expected ']' at the end of a table declaration (at line 1, column 14)"),
    ],
)  # fmt: skip
def test_mistakes(folder, pipeline, capfd, toml, line):
    (folder / "pyproject.toml").write_text(toml)
    assert main(["check", EXAMPLE]) == 2
    assert capfd.readouterr().err.replace(str(folder), "HERE") == f"autofix: error: {line}\n"


def test_a_mistake_in_the_environment_names_the_variable(pipeline, monkeypatch, capsys):
    monkeypatch.setenv("AUTOFIX_MIN_INPUT", "0")
    assert main(["check", EXAMPLE]) == 2
    assert capsys.readouterr().err == "autofix: error: AUTOFIX_MIN_INPUT: 0 is no size; the smallest is 1\n"
