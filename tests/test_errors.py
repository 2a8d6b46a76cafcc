"""What the analysis itself refuses, end to end: one line and the right exit code for each."""

import pytest

from autofix.cli import main

BAD = "autofix.examples.mri:BadCNN"


@pytest.mark.parametrize(
    ("argv", "code", "words"),
    [
        (f"check {BAD} --min-input 5,5", 2, ("2 sizes", "3 axes")),
        (f"check {BAD} --min-input 5 --max-input 9,9", 2, ("2 sizes", "3 axes")),
        (f"check {BAD} --input-shape 1,3,D,H,W", 2, ("channels",)),
        (f"check {BAD} --input-shape 1,1,H,W", 2, ("1,1,H,W",)),
        ("check torch.nn:ReLU", 3, ("ReLU", "no spatial sizes")),
        (f"shapes {BAD} --input 1,3,9,9,9", 2, ("1,3,9,9,9", "1,1,D,H,W")),
        (f"shapes {BAD} --input 1,3", 2, ("2 numbers",)),
        (f"repair {BAD} --min-input 5 --frozen nothing*", 2, ("'nothing*'", "conv1")),
        (f"repair {BAD} --min-input 5 --frozen *", 1, ("no change of padding", "no insert", "conv2")),
    ],
)
def test_each_refusal_is_one_line(folder, capfd, argv, code, words):
    assert main(argv.split()) == code
    out, err = capfd.readouterr()
    assert out == ""
    assert err.startswith("autofix: error: ")
    assert err.count("\n") == 1
    for word in words:
        assert word in err


@pytest.mark.parametrize(("network", "minimum"), [("BadCNN", 8), ("StridedCNN", 15), ("GoodCNN", 2)])
def test_the_examples_say_their_minimum_truly(folder, capfd, network, minimum):
    target = f"autofix.examples.mri:{network}"
    assert main(["check", target, "--min-input", str(minimum)]) == 0
    assert main(["check", target, "--min-input", str(minimum - 1)]) == 1
    assert f"minimum   {minimum}x{minimum}x{minimum}" in capfd.readouterr().out


def test_the_first_command_of_the_readme(folder, capfd):
    assert main(["repair", "autofix.examples.mri:BadCNN", "--min-input", "5"]) == 0
    out, err = capfd.readouterr()
    assert "conv2 (Conv3d): padding 0 -> 1" in out
    assert "(proved; no smaller repair exists)" in out
    assert all(line.startswith("wrote ") for line in err.splitlines())
    assert {path.parent for path in folder.iterdir()} == {folder}
    assert any(folder.iterdir())


@pytest.mark.parametrize(
    ("command", "code", "words"),
    [
        ("check model.py:Linear", 3, ("Linear", "no spatial sizes")),
        ("check model.py:Quoted --min-input 3", 0, ()),
        ("repair model.py:Quoted --min-input 3", 3, ("'a\"b'", "rename it")),
        ("check model.py:Padded --input-shape 1,2,H,W", 2, ("1,2,H,W", "channels", "1,3,H,W does")),
        ("check model.py:Padded --input-shape 1,3,H,W --min-input 9", 0, ()),
        ("check model.py:Padded --input-shape 1,3,L", 2, ("1,3,L", "1,3,H,W does")),
    ],
)
def test_each_refusal_of_a_written_model_is_one_line(folder, capfd, command, code, words):
    (folder / "model.py").write_text(MODELS)
    assert main(command.split()) == code
    _, err = capfd.readouterr()
    assert err.count("\n") == bool(words)
    for word in words:
        assert word in err


MODELS = """
from torch import nn


class Linear(nn.Linear):
    def __init__(self):
        super().__init__(3, 4)


class Quoted(nn.Module):
    def __init__(self):
        super().__init__()
        self.add_module('a"b', nn.Conv2d(3, 4, 3))

    def forward(self, x):
        return getattr(self, 'a"b')(x)


class Padded(nn.Module):
    def __init__(self):
        super().__init__()
        self.pad = nn.ReflectionPad2d(2)
        self.conv = nn.Conv2d(3, 4, 3)

    def forward(self, x):
        return self.conv(self.pad(x))
"""
