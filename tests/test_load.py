"""Every way in which a TARGET can be written, and every way in which it can fail: one row each."""

import contextlib
import sys
from pathlib import Path

import pytest
import torch
from torch import nn

from autofix.errors import AutofixError, LoadError, UsageError
from autofix.load import load
from autofix.target import parse_target

NET = "from torch import nn\nclass Net(nn.Module):\n    pass\n"
SIZED = (
    "from torch import nn\n"
    "class Net(nn.Module):\n"
    "    def __init__(self, in_channels, depth: int = 1):\n"
    "        super().__init__()\n"
    "        self.conv = nn.Conv2d(in_channels, 4 * depth, 3)\n"
)
NESTED = "from torch import nn\nclass Out:\n    class Net(nn.Module): pass\n"
PARSES = "import argparse\np = argparse.ArgumentParser()\np.add_argument('n')\np.parse_args()\n"
TWO = NET + "class Other(Net):\n    pass\n"


def write(folder: Path, files: dict[str, str]) -> None:
    for name, text in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(text.encode())


@pytest.mark.parametrize(
    ("files", "target", "qualname"),
    [
        ({"model.py": NET}, "model.py:Net", "Net"),
        ({"model.py": NET}, "model.py::Net", "Net"),
        ({"model.py": NET}, "./model.py:Net", "Net"),
        ({"model.py": NET}, "model.py:Net()", "Net"),
        ({"model.py": NET}, "model.py", "Net"),
        ({"model.py": NET}, "model:Net", "Net"),
        ({"model.py": SIZED}, "model.py:Net(in_channels=3)", "Net"),
        ({"model.py": SIZED}, "model.py:Net(3, depth=2)", "Net"),
        ({"model.py": NET + "def make_net():\n    return Net()\n"}, "model.py:make_net", "make_net"),
        ({"model.py": NET + "net = Net()\n"}, "model.py:net", "net"),
        ({"model.py": NESTED}, "model.py:Out.Net", "Out.Net"),
        ({"my-model (v2).py": NET}, "my-model (v2).py:Net", "Net"),
        ({"model.py": "\ufeff" + NET}, "model.py:Net", "Net"),
        ({"model.py": NET + "if __name__ == '__main__':\n    raise SystemExit(5)\n"}, "model.py:Net", "Net"),
        ({"helper.py": NET, "model.py": "from helper import Net\n"}, "model.py:Net", "Net"),
        ({"nets/__init__.py": "", "nets/blocks.py": NET, "nets/net.py": "from .blocks import Net\n"},
         "nets/net.py:Net", "Net"),
        ({"nets/__init__.py": "from .net import Net\n", "nets/net.py": NET}, "nets/net.py:Net", "Net"),
        ({"bare/blocks.py": NET, "bare/net.py": "from .blocks import Net\n"}, "bare/net.py:Net", "Net"),
        ({"nets/__init__.py": "", "nets/net.py": NET}, "nets.net:Net", "Net"),
        ({"nets/__init__.py": "import nowhere\n", "nets/net.py": "from blocks import Net\n",
          "nets/blocks.py": NET}, "nets/net.py:Net", "Net"),
        ({}, "autofix.examples.mri:BadCNN", "BadCNN"),
        ({}, "torch.nn:Conv2d(1, 2, kernel_size=(3, 1))", "Conv2d"),
    ],
)  # fmt: skip
def test_loads(folder, files, target, qualname):
    write(folder, files)
    loaded = load(target)
    assert isinstance(loaded.model, nn.Module)
    assert loaded.qualname == qualname
    assert loaded.user_source == bool(files)


@pytest.mark.parametrize(
    ("files", "target", "line"),
    [
        ({}, "model.py:Net", "no file 'model.py'"),
        ({"model.py": NET}, "modle.py:Net", "no file 'modle.py'; did you mean 'model.py'?"),
        ({"model.py/x": ""}, "model.py:Net", "model.py is a folder; name the file in it, as model.py:Net"),
        ({"model.py": NET}, "model.py:net", "no 'net' in model.py; did you mean 'Net'?"),
        ({"model.py": TWO}, "model.py:Unknown",
         "no 'Unknown' in model.py; choose model.py:Net, model.py:Other"),
        ({"model.py": TWO}, "model.py", "model.py defines 2 models; choose model.py:Net, model.py:Other"),
        ({"model.py": "x = 1\n"}, "model.py", "model.py defines no nn.Module class; name the function that "
         "builds the model, as model.py:make_net"),
        ({"model.py": "x = 1\n"}, "model.py:x", "x in model.py is a int, no nn.Module and no function"),
        ({"model.py": "class Net: pass\n"}, "model.py:Net", "Net in model.py is a class, but no nn.Module"),
        ({"model.py": "def f(): return 3\n"}, "model.py:f", "f() in model.py returns a int, no nn.Module"),
        ({"model.py": NET + "net = Net()\n"}, "model.py:net(1)",
         "net in model.py is a model already; leave the arguments out"),
        ({"model.py": "def f(:\n"}, "model.py:Net", "model.py:1: invalid syntax"),
        ({"model.py": "x = '\0'\n"}, "model.py:Net",
         "model.py: source code string cannot contain null bytes"),
        ({"model.py": SIZED}, "model.py:Net",
         "Net needs the argument in_channels: write model.py:Net(in_channels=1)"),
        ({"model.py": SIZED}, "model.py:Net(depth=2)",
         "Net needs the argument in_channels: write model.py:Net(depth=2, in_channels=1)"),
        ({"model.py": SIZED}, "model.py:Net(3, dept=2)",
         "Net in model.py: got an unexpected keyword argument 'dept'; did you mean 'depth'?"),
        ({"model.py": SIZED}, "model.py:Net(1, 2, 3)",
         "Net in model.py: too many positional arguments; it takes in_channels, depth"),
        ({"model.py": SIZED}, "model.py:Net(in_channels=-1)",
         "model.py:5: Net() raises RuntimeError: Trying to create tensor with negative dimension -1: "
         "[4, -1, 3, 3]"),
        ({"model.py": "def f():\n    raise ValueError('two\\nlines')\n"}, "model.py:f",
         "model.py:2: f() raises ValueError: two"),
        ({"model.py": "import sys\nsys.argv[1]\n"}, "model.py:Net",
         "model.py:2: importing it raises IndexError: list index out of range"),
        ({"nets/__init__.py": "import nowhere\n", "nets/net.py": "from .blocks import Net\n"},
         "nets/net.py:Net",
         "nets/net.py: importing it raises ModuleNotFoundError: No module named 'nowhere'"),
        ({"model.py": "import nowhere\n"}, "model.py:Net",
         "model.py:1: importing it raises ModuleNotFoundError: No module named 'nowhere'"),
        ({"model.py": "print('hi')\nraise SystemExit\n"}, "model.py:Net",
         "model.py:2: importing it calls sys.exit() (hi); put such code under `if __name__ == '__main__':`"),
        ({"model.py": "import sys\nsys.exit(3)\n"}, "model.py:Net",
         "model.py:2: importing it calls sys.exit(3); put such code under `if __name__ == '__main__':`"),
        ({"model.py": PARSES}, "model.py:Net",
         "model.py:4: importing it calls sys.exit(2) "
         "(model.py: error: the following arguments are required: n); "
         "put such code under `if __name__ == '__main__':`"),
        ({"model.py": "input()\n"}, "model.py:Net", "model.py:1: importing it reads standard input, which is "
         "empty here; put such code under `if __name__ == '__main__':`"),
        ({"nets/__init__.py": "", "nets/net.py": NET}, "nets.nett:Net",
         "no module 'nets.nett'; did you mean 'nets.net'?"),
        ({}, "nowhere_at_all:Net", "no module 'nowhere_at_all'; is it installed, or in the current folder?"),
        ({"model.py": "def f(:\n"}, "model:Net", "model.py:1: invalid syntax"),
    ],
)  # fmt: skip
def test_says_what_is_wrong_in_one_line(folder, capfd, files, target, line):
    write(folder, files)
    with pytest.raises(LoadError) as caught:
        load(target)
    assert str(caught.value).replace(f"{folder}/", "") == line
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("", "'' names no model"),
        (":Net", "':Net' names no model"),
        ("a b:Net", "'a b' is neither a .py file nor a module"),
        ("model.py:3", "cannot read '3' in 'model.py:3'"),
        ("model.py:Net(", "cannot read 'Net('"),
        ("model.py:Net(depth=n)", "argument depth of 'Net(depth=n)' must be a literal such as 1"),
        ("model.py:Net(__import__('os'))", "argument 1 of"),
        ("model.py:Net(**options)", "no * or ** in"),
        ("model.py:Net(*options)", "no * or ** in"),
    ],
)
def test_refuses_text_that_is_no_target(text, line):
    with pytest.raises(UsageError) as caught:
        parse_target(text)
    assert str(caught.value).startswith(line)


def test_printing_goes_to_stderr(folder, capsys):
    write(folder, {"model.py": "import sys\nprint('out')\nprint('err', file=sys.stderr)\n" + NET})
    load("model.py:Net")
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err == "out\nerr\n"


def test_a_logger_of_the_model_keeps_working(folder, capsys):
    write(folder, {"model.py": "import sys\nout = sys.stdout\nsys.stdout.reconfigure()\n" + NET})
    load("model.py:Net")
    print("later", file=sys.modules["model"].out)
    assert capsys.readouterr() == ("", "later\n")


def test_the_process_is_left_as_it_was(folder):
    write(
        folder,
        {"sub/x": "", "model.py": "import os, sys\nos.chdir('sub')\nassert len(sys.argv) == 1\n" + NET},
    )
    before = sys.argv, sys.stdin, sys.stdout, Path.cwd()
    load("model.py:Net")
    assert before == (sys.argv, sys.stdin, sys.stdout, Path.cwd())


def test_an_edited_file_is_read_again(folder):
    write(folder, {"model.py": NET + "size = 0\n"})
    load("model.py:Net")
    write(folder, {"model.py": NET + "size = 1\n"})
    load("model.py:Net")
    assert sys.modules["model"].size == 1
    assert not (folder / "__pycache__").exists()


def test_the_recorder_sees_import_and_construction(folder):
    seen = []

    @contextlib.contextmanager
    def recorder():
        init = nn.Module.__init__
        nn.Module.__init__ = lambda self, *args, **kwargs: (seen.append(type(self).__name__), init(self))[1]
        yield seen
        nn.Module.__init__ = init

    write(folder, {"model.py": "from torch import nn\nact = nn.ReLU()\n" + NET})
    loaded = load("model.py:Net", recorder=recorder())
    assert seen == ["ReLU", "Net"]
    assert loaded.constructions is seen


def state(**changes: torch.Tensor) -> dict[str, torch.Tensor]:
    return {"weight": torch.ones(2, 1, 3, 3), "bias": torch.zeros(2), **changes}


CONV = "torch.nn:Conv2d(1, 2, 3)"


@pytest.mark.parametrize(
    "saved",
    [
        state(),
        {"state_dict": state(), "epoch": 3},
        {"model": state()},
        {f"module.{key}": value for key, value in state().items()},
        {"model": {f"_orig_mod.{key}": value for key, value in state().items()}},
    ],
)
def test_loads_weights(folder, saved):
    torch.save(saved, "w.pt")
    loaded = load(CONV, weights="w.pt")
    assert torch.equal(loaded.model.weight, torch.ones(2, 1, 3, 3))


@pytest.mark.parametrize(
    ("saved", "line"),
    [
        ({"weight": torch.ones(2, 1, 3, 3)}, "w.pt does not fit Conv2d: 1 missing (bias)"),
        (state(extra=torch.ones(1)), "w.pt does not fit Conv2d: 1 unexpected (extra)"),
        (state(bias=torch.ones(3)),
         "w.pt does not fit Conv2d: 1 of another shape (bias is (3,) in the file and (2,) in the model)"),
        ([1, 2], "w.pt holds no state_dict, but a list"),
        (Path, "cannot read w.pt as plain weights (UnpicklingError); save them with "
         "torch.save(model.state_dict(), 'w.pt')"),
        (None, "no weights file 'w.pt'"),
    ],
)  # fmt: skip
def test_says_why_weights_do_not_fit(folder, saved, line):
    if saved is not None:
        torch.save(saved, "w.pt")
    with pytest.raises(AutofixError) as caught:
        load(CONV, weights="w.pt")
    assert str(caught.value) == line
