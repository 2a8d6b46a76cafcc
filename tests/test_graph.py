"""DOT and Mermaid text of a model: sizes, skips, faults and changes, and names that are only text."""

from __future__ import annotations

import torch
from torch import nn

import autofix
from autofix.cli import main
from autofix.examples.mri import BadCNN

EVIL = '<script>alert("1")</script>\\'


class Evil(nn.Module):
    def __init__(self):
        super().__init__()
        self.add_module(EVIL, nn.Conv2d(1, 1, 3))

    def forward(self, x):
        return getattr(self, EVIL)(x) + torch.ones(1)


class Skip(nn.Module):
    def __init__(self):
        super().__init__()
        self.a = nn.Conv2d(1, 1, 3, padding=1)
        self.b = nn.Conv2d(1, 1, 3, padding=1)

    def forward(self, x):
        y = self.a(x)
        return y + self.b(y)


def test_mermaid_of_a_check_marks_what_fails():
    assert autofix.check_model(BadCNN()).to_mermaid(5, 5, 5).splitlines() == [
        "flowchart TD",
        '  n0["x<br/>input<br/>5x5x5"]',
        '  n1["conv1<br/>Conv3d<br/>3x3x3"]',
        '  n2["relu<br/>3x3x3"]',
        '  n3["pool<br/>MaxPool3d<br/>1x1x1"]',
        '  n4["conv2<br/>Conv3d<br/>fails"]',
        '  n5["relu_1<br/>relu<br/>fails"]',
        '  n6["output<br/>fails"]',
        *(f"  n{i} --> n{i + 1}" for i in range(6)),
        "  classDef fails stroke:#c0392b,color:#c0392b",
        "  classDef edited fill:#ffe08a,color:#000",
        "  class n4 fails",
    ]


def test_a_repair_marks_what_changed_and_skips_are_dashed():
    fix = autofix.fix_model(BadCNN(), min_input=5)
    assert 'label="conv2\\nConv3d\\n1x1x1", style=filled' in fix.to_dot()
    assert "class n4 edited" in fix.to_mermaid(6, 6, 6)
    drawn = autofix.check_model(Skip())
    assert "n1 -> n3 [style=dashed];" in drawn.to_dot(7, 7)
    assert "n2 -> n3;" in drawn.to_dot(7, 7)
    assert "n1 -.-> n3" in drawn.to_mermaid(7, 7)


def test_names_are_text():
    drawn = autofix.check_model(Evil())
    assert 'label="<script>alert(\\"1\\")</script>\\\\\\nConv2d\\n3x3"' in drawn.to_dot(5, 5)
    assert "<script" not in drawn.to_mermaid(5, 5)
    assert "#60;script#62;alert#40;#34;1#34;#41;" in drawn.to_mermaid(5, 5)


def test_on_the_command_line(folder, capsys):
    for name, start in (("dot", 'digraph "BadCNN" {'), ("mermaid", "flowchart TD")):
        argv = ["shapes", "autofix.examples.mri:BadCNN", "--input", "1,1,9,9,9", "--format", name]
        assert main(argv) == 0
        assert capsys.readouterr().out.startswith(start)
