"""Reports and a repair of BadCNN, written by hand: what the formats are tested on."""

from types import SimpleNamespace
from typing import Any

from autofix.change import Edit, Insert
from autofix.fault import Code, Fault, Location, Safety, Step

MADE = Location("/models/mri.py", 17, "self.conv2 = nn.Conv3d(16, 32, kernel_size=3)")
CALLED = Location("/models/mri.py", 22, "return torch.relu(self.conv2(x))")
CHAIN = (
    Step("conv1", "Conv3d", (5, 5, 5), (3, 3, 3)),
    Step("relu", "relu", (3, 3, 3), (3, 3, 3)),
    Step("pool", "MaxPool3d", (3, 3, 3), (1, 1, 1)),
)


def fault(**changes: Any) -> Fault:
    fields = {
        "code": Code.KERNEL, "site": "conv2", "op": "Conv3d",
        "message": "kernel fits the padded input: needs 3, gets 1",
        "axis": "D", "size": (5, 5, 5), "needs": 3, "gets": 1, "made_at": MADE, "called_at": CALLED,
        "chain": CHAIN,
    }  # fmt: skip
    return Fault(**{**fields, **changes})


def report(**changes: Any) -> Any:
    fields = {
        "ok": False, "refuted": True, "faults": tuple(fault(axis=axis) for axis in "DHW"), "unmodelled": (),
        "minimum_input": (8, 8, 8), "minimum_input_batch1": None, "working_sizes": ">= 8",
        "axes": ("D", "H", "W"), "model_name": "BadCNN", "capture": "torch.fx", "asked": ">= 5",
        "proved": True, "notes": (), "analysis": SimpleNamespace(complete=True),
    }  # fmt: skip
    made = {**fields, **changes}
    return SimpleNamespace(sound_sizes=made["working_sizes"], **made)


def good_report(**changes: Any) -> Any:
    return report(
        **{
            "ok": True,
            "refuted": False,
            "faults": (),
            "minimum_input": (4, 4, 4),
            "working_sizes": ">= 4",
            **changes,
        }
    )


def edit(**changes: Any) -> Edit:
    fields = {
        "site": "conv2", "op": "Conv3d", "module": "conv2", "knob": "padding",
        "old": (0, 0, 0), "new": (1, 1, 1), "axes": ("D", "H", "W"),
        "why": "kernel 3 needs 3, gets 1 at size 5",
        "safety": Safety.CHANGES_OUTPUTS, "made_at": MADE, "called_at": CALLED,
    }  # fmt: skip
    return Edit(**{**fields, **changes})


def insert(**changes: Any) -> Insert:
    fields = {
        "kind": "align", "site": "cat", "op": "cat", "why": "sizes differ by 1", "safety": Safety.IDENTICAL,
        "operand": 0, "like": 1, "called_at": CALLED,
    }  # fmt: skip
    return Insert(**{**fields, **changes})


def fix(**changes: Any) -> Any:
    fields = {
        "edits": (edit(),), "inserts": (), "optimal": True, "proved": True, "strategy": "fewest",
        "report": good_report(), "before": report(),
        "diff": "--- a/mri.py\n+++ b/mri.py\n@@ -17 @@\n-old\n+new\n",
        "ran": "sizes 5 to 8 on meta, eval and train; 5 on CPU, forward and backward",
        "solve": "CP-SAT, 2 rounds, 0.03 s",
    }  # fmt: skip
    return SimpleNamespace(**{**fields, **changes})


def shapes() -> Any:
    row = {"cls": "Conv3d", "hyper": "kernel_size=3", "formula": "n - 2", "error": None}
    return (
        SimpleNamespace(name="conv1", before=(1, 1, 5, 5, 5), after=(1, 16, 3, 3, 3), **row),
        SimpleNamespace(
            name="conv2", before=(1, 16, 1, 1, 1), after=None, **{**row, "error": "needs 3, gets 1"}
        ),
    )
