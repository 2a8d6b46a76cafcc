"""autofix bench and strategy="fastest": what is measured, on which sizes, and in which form it comes out."""

import json

import pytest
import torch
from torch import nn

from autofix import UsageError, fix_model
from autofix.bench import bench_model
from autofix.cli import main
from autofix.examples.mri import BadCNN, GoodCNN
from autofix.footprint import flops, peak_memory
from autofix.timing import Timing, compare

QUICK = {"rounds": 2, "seconds": 1e-4}


@pytest.fixture(scope="module")
def result():
    return bench_model(BadCNN(), min_input=5, reference=9, **QUICK)


def test_rows_are_what_runs(result):
    """The original only where it works; padding computes the next size that works; all else as asked."""
    assert (5, 5, 5) in {row.sizes for row in result.rows}
    assert max(row.sizes for row in result.rows) == (9, 9, 9)
    assert min(row.sizes for row in result.rows if row.variant == "original") == (8, 8, 8)
    for how in ("pad", "resize"):
        assert result.at(how, (5, 5, 5)).computed == (8, 8, 8)
    assert result.at("fewest", (5, 5, 5)).computed == (5, 5, 5)
    assert {"original", "fewest", "same", "pad", "resize"} <= set(result.changes)


def test_costs_are_exact(result):
    """FLOPs are those of the convolutions: two for each weight at each output element."""
    fewest = result.at("fewest", (5, 5, 5))
    first, second = 16 * 27 * 3**3, 32 * 16 * 27 * 1**3
    assert fewest.flops == 2 * (first + second)
    assert fewest.memory[1] > fewest.memory[0] > 0
    assert fewest.forward.median > 0


def test_a_model_that_works_is_timed_alone():
    result = bench_model(GoodCNN(), min_input=5, reference=6, **QUICK)
    assert {row.variant for row in result.rows} == {"original"}
    assert "works already" in result.skipped["fewest"]


def test_training_that_needs_more_values_is_left_out():
    """Batch norm refuses to train on one value a channel."""
    model = nn.Sequential(nn.Conv2d(1, 2, 3), nn.BatchNorm2d(2))
    row = bench_model(model, min_input=2, reference=3, **QUICK).at("original", (3, 3))
    assert row.forward is not None
    assert row.training is None


def test_the_model_is_left_alone():
    model = BadCNN().train()
    before = [p.detach().clone() for p in model.parameters()]
    bench_model(model, min_input=6, reference=6, **QUICK)
    assert model.training
    assert all(torch.equal(a, b) for a, b in zip(before, model.parameters(), strict=True))


@pytest.mark.parametrize(
    ("asked", "words"), [({"dtype": "int8"}, "fp32, bf16, fp16"), ({"device": "abacus"}, "abacus")]
)
def test_refuses(asked, words):
    with pytest.raises(UsageError, match=words):
        bench_model(BadCNN(), min_input=5, **asked)


def test_compare_turns_the_order_round():
    order: list[str] = []
    calls = {name: (lambda name=name: order.append(name)) for name in "ab"}
    times = compare(calls, rounds=4, seconds=1e-9)
    assert "".join(order[-8:]) == "abbaabba"
    assert all(isinstance(timing, Timing) and timing.calls == 4 for timing in times.values())


def test_peak_memory_counts_what_lives_at_once():
    def call() -> None:
        x = torch.ones(1000)
        x = x + 1
        x = x + 1

    assert peak_memory(call) == 2 * 4000


def test_flops_of_what_does_not_run():
    assert flops(nn.Conv2d(1, 1, 3), (torch.ones(1, 1, 2, 2),)) is None


def test_command_line(tmp_path, capsys):
    """The table, and the same numbers as JSON, CSV and a picture."""
    files = {name: tmp_path / f"out.{name}" for name in ("json", "csv", "png")}
    code = main(
        [
            "bench", "autofix.examples.mri:BadCNN", "--min-input", "7", "--reference", "8", "--rounds=2",
            "--json", str(files["json"]), "--csv", str(files["csv"]), "--plot", str(files["png"]),
        ]
    )  # fmt: skip
    assert code == 0
    shown = capsys.readouterr().out
    document = json.loads(files["json"].read_text())
    assert document["schema"] == "autofix/bench/1"
    assert {row["variant"] for row in document["rows"]} >= {"original", "fewest", "pad", "resize"}
    assert len(files["csv"].read_text().splitlines()) == len(document["rows"]) + 1
    assert files["png"].read_bytes().startswith(b"\x89PNG")
    assert "7x7x7" in shown
    assert "BadCNN: sizes >= 7; by itself it works at >= 8" in shown


def test_command_line_without_the_device(capsys):
    missing = "cuda" if not torch.cuda.is_available() else "cuda:99"
    assert main(["bench", "autofix.examples.mri:BadCNN", "--min-input", "7", "--device", missing]) == 2
    assert "is not there" in capsys.readouterr().err


def test_fastest_names_all_that_was_measured(monkeypatch):
    """With the clock made up, the one that it favours; each candidate is a different working repair."""
    from autofix import fastest

    def clock(calls, device):
        return {name: Timing(1.0 + (i != 1), 0.0, 1) for i, name in enumerate(calls)}

    monkeypatch.setattr(fastest, "compare", clock)
    model = BadCNN()
    fix = fix_model(model, min_input=5, strategy="fastest")
    cheapest = fix_model(model, min_input=5)
    assert fix.strategy == "fastest"
    assert fix.proved
    assert [str(e) for e in fix.edits] != [str(e) for e in cheapest.edits]
    labels = [note for note in fix.solve.split("; ") if note[0].isdigit()]
    assert len(set(labels)) == len(labels) >= fastest.BEST
    assert [note for note in labels if "(chosen)" in note] == [labels[1]]
    assert fix.model(torch.randn(1, 1, 5, 5, 5)).shape[1] == 32
