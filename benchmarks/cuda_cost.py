"""What repairs cost to run: forward and training step of published networks, repaired, padded and resized.

    python benchmarks/cuda_cost.py                # on the GPU where there is one, else a small run on the CPU
    python benchmarks/cuda_cost.py --device cpu   # the CPU column

Results of both devices stay in results/cuda_cost.json side by side.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from statistics import median
from typing import Any

import common
import torch
from torch import nn

from autofix.bench import Bench, bench_model
from autofix.errors import AutofixError
from autofix.report.bench import table


@dataclass(frozen=True)
class Case:
    """A network, the smallest size asked of it, and the size it was built for."""

    name: str
    make: Callable[[], nn.Module]
    shape: tuple[Any, ...]
    asked: int | tuple[int, ...]
    reference: int | tuple[int, ...]
    small: int | tuple[int, ...]  # the reference of a quick run


def cases(quick: bool) -> Iterator[Case]:
    """Medical 3d, classification 2d, video, and 1d audio and EEG."""
    from published import torchvision_classifiers, torchvision_video

    image, video = torchvision_classifiers(), torchvision_video()
    yield Case("EEG 1d", eeg, (1, 22, "L"), 128, 1024, 400)
    yield Case("squeezenet1_0", image["squeezenet1_0"].build, (1, 3, "H", "W"), 16, 224, 24)
    yield from medical(wide=1 if quick else 8)
    if quick:
        return
    for name, asked in (("resnet50", 16), ("densenet121", 16), ("efficientnet_b0", 16)):
        yield Case(name, image[name].build, (1, 3, "H", "W"), asked, 224, 32)
    for name, asked in (("r3d_18", (4, 32, 32)), ("s3d", (8, 32, 32))):
        yield Case(name, video[name].build, (1, 3, "T", "H", "W"), asked, (16, 112, 112), (14, 64, 64))
    yield Case("audio 1d", audio, (1, 1, "L"), 4000, 32000, 8000)


def medical(wide: int) -> Iterator[Case]:
    """MONAI's networks; `wide` multiplies small channel counts."""
    from monai.networks import nets

    two = {"spatial_dims": 3, "in_channels": 1, "out_channels": 2}
    channels = tuple(4 * wide * 2**i for i in range(4))
    made: dict[str, Callable[[], nn.Module]] = {
        "MONAI UNet": lambda: nets.UNet(**two, channels=channels, strides=(2, 2, 2), num_res_units=2),
        "MONAI SegResNet": lambda: nets.SegResNet(**two, init_filters=max(8, 2 * wide)),
        "MONAI DynUNet": lambda: nets.DynUNet(
            **two,
            kernel_size=[3] * 4,
            strides=[1, 2, 2, 2],
            upsample_kernel_size=[2] * 3,
            filters=list(channels),
        ),
        "MONAI VNet": lambda: nets.VNet(spatial_dims=3, in_channels=1, out_channels=2, dropout_dim=3),
    }
    for name in ("MONAI UNet",) if wide == 1 else made:
        yield Case(name, made[name], (1, 1, "D", "H", "W"), 20, 96, 24)


def eeg() -> nn.Module:
    """A 1d network over 22 electrodes, in the manner of deep ConvNets for EEG."""
    layers: list[nn.Module] = []
    for before, after in ((22, 25), (25, 50), (50, 100), (100, 200)):
        layers += [nn.Conv1d(before, after, 10), nn.BatchNorm1d(after), nn.ELU(), nn.MaxPool1d(3)]
    return nn.Sequential(*layers, nn.AdaptiveAvgPool1d(1), nn.Flatten(), nn.Linear(200, 4))


def audio() -> nn.Module:
    """Raw waveform in, in the manner of M5."""
    layers: list[nn.Module] = [nn.Conv1d(1, 64, 80, stride=4), nn.BatchNorm1d(64), nn.ReLU(), nn.MaxPool1d(4)]
    for before, after in ((64, 64), (64, 128), (128, 256)):
        layers += [nn.Conv1d(before, after, 3), nn.BatchNorm1d(after), nn.ReLU(), nn.MaxPool1d(4)]
    return nn.Sequential(
        *layers, nn.Conv1d(256, 256, 3), nn.AdaptiveAvgPool1d(1), nn.Flatten(), nn.Linear(256, 10)
    )


def settings(device: str, quick: bool) -> Iterator[dict[str, Any]]:
    """Eager in fp32 everywhere; the rest where there is a GPU."""
    yield {"kind": "eager", "dtype": "fp32"}
    if device != "cuda":
        return
    yield {"kind": "eager", "dtype": "bf16"}
    yield {"kind": "graphs", "dtype": "bf16"}
    yield {"kind": "channels_last", "dtype": "bf16"}
    if not quick:
        yield {"kind": "compile", "dtype": "fp32"}
        yield {"kind": "compile", "dtype": "bf16"}


def measure(case: Case, device: str, kind: str, dtype: str, quick: bool) -> dict[str, Any]:
    """One network in one way of running it."""
    torch.manual_seed(0)
    model = case.make()
    fast = {"rounds": 3, "seconds": 0.001} if quick else {"rounds": 9, "seconds": 0.1}
    extra: dict[str, Any] = {"wrap": WRAPPERS[kind]} if kind in WRAPPERS else {}
    started = time.perf_counter()
    try:
        result = bench_model(
            model,
            min_input=case.asked,
            reference=case.small if quick else case.reference,
            input_shape=case.shape,
            device=device,
            dtype=dtype,
            compile=kind == "compile",
            batch=1,
            **fast,
            **extra,
        )
    except (AutofixError, RuntimeError) as error:
        return {"network": case.name, "kind": kind, "dtype": dtype, "error": str(error).splitlines()[0][:200]}
    print(table(result).plain, "\n", flush=True)
    seconds = round(time.perf_counter() - started, 1)
    found = {"network": case.name, "kind": kind, "dtype": dtype, "seconds": seconds, **goals(result)}
    return {**found, "bench": {k: v for k, v in asdict(result).items() if k != "machine"}}


def channels_last(model: nn.Module, tensors: tuple[Any, ...]) -> tuple[Callable[..., Any], tuple[Any, ...]]:
    """Weights and inputs with their channels last."""
    formats = {4: torch.channels_last, 5: torch.channels_last_3d}
    layout = formats.get(tensors[0].dim())
    if layout is None:
        return model, tensors
    return model.to(memory_format=layout), tuple(x.contiguous(memory_format=layout) for x in tensors)


def graphs(model: nn.Module, tensors: tuple[Any, ...]) -> tuple[Callable[..., Any], tuple[Any, ...]]:
    """The forward pass as one CUDA graph; training steps stay eager."""
    if model.training:
        return model, tensors
    stream = torch.cuda.Stream()
    stream.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(stream), torch.no_grad():
        for _ in range(3):
            model(*tensors)
    torch.cuda.current_stream().wait_stream(stream)
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph), torch.no_grad():
        model(*tensors)
    return lambda *_: graph.replay(), tensors


WRAPPERS = {"channels_last": channels_last, "graphs": graphs}


def goals(result: Bench) -> dict[str, Any]:
    """`fewest` over the original where both run, and padding over `fewest` at the smallest size."""
    over, gain = [], None
    for row in result.rows:
        original, pad = result.at("original", row.sizes), result.at("pad", row.sizes)
        if row.variant != "fewest" or row.forward is None:
            continue
        if original is not None and original.forward is not None:
            over.append(row.forward.median / original.forward.median)
        elif gain is None and pad is not None and pad.forward is not None:
            gain = pad.forward.median / row.forward.median
    return {"fewest over original": median(over) if over else None, "pad over fewest at the minimum": gain}


def main() -> None:
    """Measure, print, write; the other device's column is kept."""
    run = common.arguments(__doc__ or "", device={"default": "cuda" if torch.cuda.is_available() else "cpu"})
    started = time.perf_counter()
    if not torch.cuda.is_available():
        print("no GPU here: the CPU column, with small references; run this where there is one")
    quick = run.quick
    small = quick or run.device == "cpu"
    rows = [
        measure(case, run.device, setting["kind"], setting["dtype"], small)
        for case in cases(quick)
        for setting in settings(run.device, quick)
    ]
    head = ("network", "kind", "dtype", "fewest over original", "pad over fewest at the minimum")
    print(common.table(head, [tuple(row.get(name) for name in head) for row in rows]))
    kept = {}
    file = run.out / f"cuda_cost{'-quick' if quick else ''}.json"
    if file.exists():
        kept = json.loads(file.read_text(encoding="utf-8")).get("results", {})
    results = {**kept, run.device: {"on": common.about(quick), "rows": rows}}
    common.write("cuda_cost", run, results, started)
    common.picture("cuda_cost", run, lambda figure: draw(figure, rows, run.device), figsize=(10, 4))


def draw(figure: Any, rows: list[dict[str, Any]], device: str) -> None:
    good = [row for row in rows if row.get("pad over fewest at the minimum")]
    axes = figure.subplots()
    labels = [f"{row['network']} {row['kind']} {row['dtype']}" for row in good]
    axes.barh(labels, [row["pad over fewest at the minimum"] for row in good])
    axes.axvline(3, color="grey", linewidth=0.8)
    axes.set(xlabel=f"forward at the smallest size: padding the input over the repair, {device}")


if __name__ == "__main__":
    main()
