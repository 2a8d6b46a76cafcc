"""Is a repaired network still a good network? Digits of 8 x 8 pixels, and small synthetic volumes.

python benchmarks/accuracy.py
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from statistics import mean, stdev
from typing import Any

import common
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from autofix import AutofixError, check_model, fix_model
from autofix.footprint import flops
from autofix.variants import Enlarged, next_working


@dataclass(frozen=True)
class Task:
    """Samples of one size, and a network that refuses that size."""

    name: str
    make: Callable[[], nn.Module]
    train: tuple[Tensor, Tensor]
    test: tuple[Tensor, Tensor]

    @property
    def size(self) -> tuple[int, ...]:
        return tuple(self.train[0].shape[2:])


def digits() -> Task:
    """scikit-learn's 1,797 digits; a network that was written for 28 x 28."""
    from sklearn.datasets import load_digits

    data = load_digits()
    x = torch.tensor(data.images, dtype=torch.float32)[:, None] / 16
    y = torch.tensor(data.target)
    order = torch.randperm(len(y), generator=torch.Generator().manual_seed(0))
    x, y = x[order], y[order]
    return Task("digits 8x8", lambda: network(2, 10), (x[:1300], y[:1300]), (x[1300:], y[1300:]))


def volumes(count: int) -> Task:
    """Noisy 8 x 8 x 8 volumes of four kinds: a blob, a shell, a rod, two blobs, anywhere inside."""
    generator = torch.Generator().manual_seed(0)
    x, y = zip(*(volume(int(i % 4), generator) for i in range(count)), strict=True)
    samples, kinds = torch.stack(x)[:, None], torch.tensor(y)
    cut = count * 3 // 4
    return Task(
        "volumes 8x8x8", lambda: network(3, 4), (samples[:cut], kinds[:cut]), (samples[cut:], kinds[cut:])
    )


def volume(kind: int, generator: torch.Generator) -> tuple[Tensor, int]:
    grid = torch.stack(torch.meshgrid(*[torch.arange(8.0)] * 3, indexing="ij"))
    center = 2.5 + 3 * torch.rand(3, generator=generator)
    distance = (grid - center[:, None, None, None]).norm(dim=0)
    if kind == 0:
        shape = torch.exp(-((distance / 1.5) ** 2))
    elif kind == 1:
        shape = torch.exp(-((distance - 2.5) ** 2))
    elif kind == 2:
        axis = int(torch.randint(0, 3, (1,), generator=generator))
        flat = grid - center[:, None, None, None]
        flat[axis] = 0
        shape = torch.exp(-((flat.norm(dim=0) / 1.2) ** 2))
    else:
        other = (grid - (7 - center)[:, None, None, None]).norm(dim=0)
        shape = torch.exp(-((distance / 1.1) ** 2)) + torch.exp(-((other / 1.1) ** 2))
    return shape + 0.25 * torch.randn(8, 8, 8, generator=generator), kind


def network(rank: int, classes: int) -> nn.Module:
    """Unpadded convolutions and pools, in the manner of LeNet; global pooling before the classifier."""
    conv = (nn.Conv2d, nn.Conv3d)[rank - 2]
    norm = (nn.BatchNorm2d, nn.BatchNorm3d)[rank - 2]
    pool = (nn.MaxPool2d, nn.MaxPool3d)[rank - 2]
    average = (nn.AdaptiveAvgPool2d, nn.AdaptiveAvgPool3d)[rank - 2]
    return nn.Sequential(
        conv(1, 16, 3), norm(16), nn.ReLU(), pool(2),
        conv(16, 32, 3), norm(32), nn.ReLU(), pool(2),
        conv(32, 32, 3), norm(32), nn.ReLU(),
        average(1), nn.Flatten(), nn.Linear(32, classes),
    )  # fmt: skip


def ways(task: Task) -> dict[str, nn.Module | str]:
    """The network made to take the task's size, each way; or why not."""
    model = task.make()
    report = check_model(model, min_input=task.size)
    shape = report.analysis.inputs.shapes[0]
    made: dict[str, nn.Module | str] = {}
    for strategy in ("fewest", "same", "preserve"):
        try:
            made[strategy] = fix_model(model, min_input=task.size, strategy=strategy, input_shape=shape).model
        except AutofixError as error:
            made[strategy] = str(error)
    for how in ("pad", "resize"):
        made[how] = Enlarged(model, how, lambda *key: next_working(report, *key))
    return made


def train(model: nn.Module, task: Task, epochs: int, seed: int) -> tuple[float, float]:
    """Test accuracy, and seconds of training. Weights start from the seed, the same for every way."""
    torch.manual_seed(seed)
    for module in model.modules():
        if hasattr(module, "reset_parameters"):
            module.reset_parameters()
    x, y = task.train
    optimizer = torch.optim.AdamW(model.parameters(), lr=3e-3)
    start = time.perf_counter()
    model.train()
    for _ in range(epochs):
        for chosen in torch.randperm(len(y))[: len(y) // 50 * 50].split(50):
            optimizer.zero_grad()
            look(model, x[chosen])
            F.cross_entropy(model(x[chosen]), y[chosen]).backward()
            optimizer.step()
    return accuracy(model, *task.test), time.perf_counter() - start


def look(model: nn.Module, x: Tensor) -> None:
    """An enlarged input's size is looked up once a batch size."""
    if isinstance(model, Enlarged):
        model.target(tuple(x.shape[2:]), model.training, len(x))


def accuracy(model: nn.Module, x: Tensor, y: Tensor) -> float:
    model.eval()
    look(model, x)
    with torch.no_grad():
        return float((model(x).argmax(1) == y).float().mean())


def from_scratch(task: Task, epochs: int, seeds: int) -> list[dict[str, Any]]:
    """Every way trained on the small samples, turn by turn, the order turned round every seed."""
    made = ways(task)
    scores: dict[str, list[tuple[float, float]]] = {name: [] for name in made}
    for seed in range(seeds):
        for name in made if seed % 2 == 0 else reversed(list(made)):
            model = made[name]
            if isinstance(model, nn.Module):
                scores[name].append(train(model, task, epochs, seed))
    rows = []
    base = mean(seconds for _, seconds in scores["resize"])
    for name, model in made.items():
        if isinstance(model, str):
            rows.append({"task": task.name, "way": name, "left out": model[:160]})
            continue
        right = [score for score, _ in scores[name]]
        rows.append(
            {
                "task": task.name,
                "way": name,
                "accuracy": mean(right),
                "spread": stdev(right) if len(right) > 1 else 0.0,
                "training time over resizing": mean(s for _, s in scores[name]) / base,
                "FLOPs": operations(model, task.test[0][:1]),
            }
        )
    return rows


def operations(model: nn.Module, x: Tensor) -> int | None:
    """FLOPs of one sample."""
    look(model.eval(), x)
    return flops(model, (x,))


def trained_before(task: Task, larger: int, epochs: int) -> list[dict[str, Any]]:
    """Trained at its own size, repaired, evaluated without further training, there and at smaller sizes."""
    scale = {2: "bilinear", 3: "trilinear"}[len(task.size)]

    def resized(x: Tensor, size: int) -> Tensor:
        return F.interpolate(x, (size,) * len(task.size), mode=scale, align_corners=False)

    own = Task(task.name, task.make, (resized(task.train[0], larger), task.train[1]), task.test)
    model = task.make()
    train(
        model, Task(own.name, own.make, own.train, (resized(task.test[0], larger), task.test[1])), epochs, 0
    )
    report = check_model(model)
    rows = []
    for size in sorted({*task.size, (task.size[0] + larger) // 2, larger}):
        x = resized(task.test[0], size)
        row: dict[str, Any] = {"task": task.name, "trained at": larger, "evaluated at": size}
        runs = report.accepts(*(size,) * len(task.size), batch=len(x))
        row["original"] = accuracy(model, x, task.test[1]) if runs else None
        for strategy in ("fewest", "same", "preserve"):
            try:
                fixed = fix_model(model, min_input=task.size, strategy=strategy).model
            except AutofixError as error:
                row[strategy] = str(error)[:80]
                continue
            row[strategy] = accuracy(fixed, x, task.test[1])
            if strategy == "preserve" and runs:
                with torch.no_grad():
                    row["preserve is bit-identical"] = torch.equal(fixed.eval()(x), model.eval()(x))
        row["pad"] = accuracy(
            Enlarged(model, "pad", lambda *key: next_working(report, *key)), x, task.test[1]
        )
        row["resize"] = accuracy(
            Enlarged(model, "resize", lambda *key: next_working(report, *key)), x, task.test[1]
        )
        rows.append(row)
    return rows


def main() -> None:
    """Measure, print, write."""
    run, started = common.arguments(__doc__ or ""), time.perf_counter()
    epochs, seeds = (1, 1) if run.quick else (15, 5)
    tasks = [digits(), volumes(80 if run.quick else 1200)]
    scratch = [row for task in tasks for row in from_scratch(task, epochs, seeds)]
    head = ("task", "way", "accuracy", "spread", "training time over resizing", "FLOPs")
    print(common.table(head, [tuple(row.get(name) for name in head) for row in scratch]), "\n")
    before = [row for task in tasks for row in trained_before(task, 24, epochs)]
    head = ("task", "trained at", "evaluated at", "original", "fewest", "same", "preserve", "pad", "resize")
    print(common.table(head, [tuple(row.get(name) for name in head) for row in before]))
    common.write(
        "accuracy",
        run,
        {"epochs": epochs, "seeds": seeds, "from scratch": scratch, "trained": before},
        started,
    )
    common.picture("accuracy", run, lambda figure: draw(figure, scratch), figsize=(8, 3))


def draw(figure: Any, rows: list[dict[str, Any]]) -> None:
    good = [row for row in rows if "accuracy" in row]
    axes = figure.subplots()
    labels = [f"{row['task']}: {row['way']}" for row in good]
    axes.barh(labels, [row["accuracy"] for row in good], xerr=[row["spread"] for row in good])
    axes.set(xlabel="test accuracy, trained from scratch at the small size")


if __name__ == "__main__":
    main()
