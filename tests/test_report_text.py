"""Every format of a report, a repair and a table of sizes, on samples written by hand."""

import json
from importlib import resources
from types import SimpleNamespace

import jsonschema
import pytest
import report_samples as samples

from autofix import report
from autofix.fault import Code, Location
from autofix.report import notebook, wording
from autofix.report.text import verdict

REPORT = """\
BadCNN: 1 fault for sizes >= 5

error[AF101]: kernel larger than its input
  --> /models/mri.py:17
   |
17 | self.conv2 = nn.Conv3d(16, 32, kernel_size=3)
   |
   = conv2 (Conv3d) needs 3, gets 1 along D, H, W, first at input size 5x5x5
   = sizes: 5 -> conv1 3 -> pool 1 -> conv2
   = rule: kernel fits the padded input
   = called: /models/mri.py:22: return torch.relu(self.conv2(x))
   = help: pad this layer, or lower a stride before it

works at  >= 8
minimum   8x8x8
known by  torch.fx, proved"""

FIX = """\
BadCNN: 1 edit and 1 insert make every size >= 5 work (proved; no edits alone suffice, each insert is needed)

edit: conv2 (Conv3d): padding 0 -> 1
  --> /models/mri.py:17
   |
17 | self.conv2 = nn.Conv3d(16, 32, kernel_size=3)
   |
   = why: kernel 3 needs 3, gets 1 at size 5
   = changes-outputs: outputs change on sizes that worked; the strategy preserve keeps them

insert: cat (cat): pad or crop operand 1 to the size of operand 2
  --> /models/mri.py:22
   |
22 | return torch.relu(self.conv2(x))
   |
   = why: sizes differ by 1
   = identical: outputs stay bit-identical on every size that worked

--- a/mri.py
+++ b/mri.py
@@ -17 @@
-old
+new

worked at  >= 8
works at   >= 4
minimum    4x4x4
search     fewest, CP-SAT, 2 rounds, 0.03 s
ran        sizes 5 to 8 on meta, eval and train; 5 on CPU, forward and backward"""

SHAPES = """\
layer  class   hyperparameters  in          out         size
conv1  Conv3d  kernel_size=3    1x1x5x5x5   1x16x3x3x3  n - 2
conv2  Conv3d  kernel_size=3    1x16x1x1x1  fails       n - 2
  needs 3, gets 1"""

UNEVEN = (
    samples.Step("conv1", "Conv3d", (5, 6, 7), (3, 4, 5)),
    samples.Step("pool", "MaxPool3d", (3, 4, 5), (1, 2, 2)),
)
WHERE = "/models/mri.py:17"
SAID = "kernel larger than its input: needs 3, gets 1 (along D, H, W, first at input size 5x5x5)"
BOTH = samples.fix(inserts=(samples.insert(),))


def plain(content):
    return content if isinstance(content, str) else content.plain


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (report.of_report(samples.report(), "full"), REPORT),
        (report.of_report(samples.report(), "concise"), f"{WHERE}: AF101 conv2: {SAID}"),
        (report.of_report(samples.good_report(), "concise"), "BadCNN: every size >= 5 works (proved)"),
        (report.of_report(samples.report(), "github"),
         f"::error file=/models/mri.py,line=17,title=AF101 conv2::{SAID}"),
        (report.of_report(samples.good_report(), "github"), ""),
        (report.of_fix(BOTH, "full"), FIX),
        (report.of_fix(samples.fix(), "concise"),
         "BadCNN: 1 edit makes every size >= 5 work (proved; no smaller repair exists)\n"
         f"{WHERE}: conv2: padding 0 -> 1 [changes-outputs]"),
        (report.of_fix(samples.fix(edits=(), diff=""), "concise"),
         "BadCNN: nothing to repair, every size >= 5 works"),
        (report.of_fix(samples.fix(), "github"),
         "::notice file=/models/mri.py,line=17,title=autofix conv2::padding 0 -> 1"),
        (report.of_shapes(samples.shapes(), "full", True), SHAPES),
    ],
)  # fmt: skip
def test_text(content, expected):
    assert plain(content) == expected


@pytest.mark.parametrize(
    ("changes", "line"),
    [
        ({"mode": "train"},
         "= conv2 (Conv3d) needs 3, gets 1 at input size 5x5x5, along D, in train mode only"),
        ({"axis": "", "chain": ()}, "= conv2 (Conv3d) needs 3, gets 1 at input size 5x5x5"),
        ({"axis": "H", "chain": UNEVEN}, "= sizes: 6 -> conv1 4 -> pool 2 -> conv2"),
        ({"axis": "D, H", "chain": UNEVEN}, "= sizes: 5 -> conv1 3 -> pool 1 -> conv2"),
        ({"axis": "", "chain": UNEVEN}, "= sizes: 5x6x7 -> conv1 3x4x5 -> pool 1x2x2 -> conv2"),
        ({"silent": True}, "= silent: torch raises nothing here; the result is wrong"),
        ({"needs": None, "gets": None, "axis": "", "size": ()}, "= conv2 (Conv3d) fails"),
        ({"code": Code.REFUSED, "message": "no such mode"}, "= torch: no such mode"),
        ({}, "= rule: kernel fits the padded input"),
        ({"made_at": None}, "22 | return torch.relu(self.conv2(x))"),
    ],
)  # fmt: skip
def test_a_fault_says(changes, line):
    text = plain(report.of_report(samples.report(faults=(samples.fault(**changes),)), "full"))
    assert line in [part.strip() for part in text.splitlines()]


@pytest.mark.parametrize(
    ("changes", "line"),
    [
        ({"unmodelled": ("roi_align",), "proved": False}, "no rule   roi_align"),
        ({"proved": False}, "known by  torch.fx, not proved"),
        ({"notes": ("checked up to 512",)}, "note      checked up to 512"),
        ({"minimum_input_batch1": (9, 9, 9)}, "          9x9x9 to train with a batch of 1"),
        ({"minimum_input": (None,) * 3}, "minimum   none: some larger size always fails"),
        (
            {"minimum_input": (None,) * 3, "analysis": SimpleNamespace(complete=False)},
            "minimum   not known: not all of the model's paths were followed",
        ),
        (
            {"minimum_input": (None,) * 3, "unmodelled": ("roi_align",)},
            "minimum   not known: some call has no rule",
        ),
        ({"minimum_input": (8, None, 8)}, "minimum   8x?x8"),
    ],
)
def test_a_report_says(changes, line):
    assert line in plain(report.of_report(samples.report(**changes), "full")).splitlines()


def test_nothing_unproved_is_called_proved():
    for content in (report.of_report(samples.good_report(proved=False), "full"),
                    report.of_fix(samples.fix(proved=False), "concise")):  # fmt: skip
        assert "(not proved" in plain(content)
    assert "a smaller repair may exist" in plain(report.of_fix(samples.fix(optimal=False), "full"))


def test_a_long_chain_is_shortened():
    steps = tuple(samples.Step(f"c{i}", "Conv3d", (99 - i,) * 3, (98 - i,) * 3) for i in range(20))
    chain = wording.chain(samples.fault(chain=steps), ("D", "H", "W"))
    assert chain == (
        "99 -> c0 98 -> c1 97 -> c2 96 -> ... -> c15 83 -> c16 82 -> c17 81 -> c18 80 -> c19 79 -> conv2"
    )


def test_every_code_has_advice():
    assert set(wording.ADVICE) == set(Code)


@pytest.mark.parametrize(
    "text",
    [
        report.of_report(samples.report(), "json"),
        report.of_report(samples.good_report(minimum_input_batch1=(9, 9, None)), "json"),
        report.of_report(samples.report(faults=(samples.fault(made_at=None, chain=(), needs=None),)), "json"),
        report.of_fix(BOTH, "json"),
        report.of_shapes(samples.shapes(), "json", False),
    ],
)
def test_json_follows_its_schema(text):
    schema = json.loads(resources.files("autofix.report").joinpath("schema.json").read_text())
    jsonschema.Draft202012Validator.check_schema(schema)
    jsonschema.validate(json.loads(text), schema, cls=jsonschema.Draft202012Validator)


def test_the_schema_refuses_what_is_not_in_it():
    schema = json.loads(resources.files("autofix.report").joinpath("schema.json").read_text())
    document = json.loads(report.of_report(samples.report(), "json"))
    for broken in ({**document, "kind": "repair"}, {**document, "faults": [{}]}, {**document, "schema": "x"}):
        with pytest.raises(jsonschema.ValidationError):
            jsonschema.validate(broken, schema)


def test_sarif_points_at_the_line():
    log = json.loads(report.of_report(samples.report(), "sarif"))
    (run,) = log["runs"]
    (result,) = run["results"]
    assert log["version"] == "2.1.0"
    assert result["ruleId"] in {rule["id"] for rule in run["tool"]["driver"]["rules"]}
    place = result["locations"][0]["physicalLocation"]
    assert place == {"artifactLocation": {"uri": "file:///models/mri.py"}, "region": {"startLine": 17}}
    assert result["relatedLocations"][0]["physicalLocation"]["region"] == {"startLine": 22}
    fixed = json.loads(report.of_fix(samples.fix(), "sarif"))["runs"][0]["results"]
    assert [result["level"] for result in fixed] == ["note"]


def test_github_escapes_what_ends_a_command():
    fault = samples.fault(
        site="a:b,c", code=Code.REFUSED, message="50%\nof it", made_at=Location("m,1.py", 3)
    )
    line = report.of_report(samples.report(faults=(fault,)), "github")
    assert line.startswith(
        "::error file=m%2C1.py,line=3,title=AF901 a%3Ab%2Cc::torch refuses this call: 50%25%0Aof it (at"
    )


def test_html_escapes_the_source():
    place = Location("m.py", 3, "x = '<script>'")
    page = notebook.fix_html(samples.fix(edits=(samples.edit(made_at=place),)))
    assert "&lt;script&gt;" in page
    assert "<script>" not in page
    assert "AF101" in notebook.report_html(samples.report())


def test_text_is_plain_in_a_pipe_and_never_wrapped(capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "20")
    report.show(report.of_report(samples.report(), "full"))
    assert capsys.readouterr().out == f"{REPORT}\n"


@pytest.mark.parametrize(("no_color", "coloured"), [("", True), ("1", False)])
def test_colour_on_a_terminal_unless_refused(capsys, monkeypatch, no_color, coloured):
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("NO_COLOR", no_color)
    report.show(report.of_report(samples.report(), "full"))
    assert ("\x1b[1;31m" in capsys.readouterr().out) == coloured


def test_what_is_neither_proved_nor_refuted_is_no_fault():
    undecided = samples.good_report(ok=False, proved=False)
    text = plain(verdict(undecided))
    assert text == "BadCNN: no fault found for sizes >= 5 (not proved)"
    assert plain(verdict(samples.good_report(ok=False, refuted=True))).startswith(
        "BadCNN: not every size works"
    )
