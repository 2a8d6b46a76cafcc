"""`autofix bench`: what each way to run small inputs costs."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from autofix.options import option, shared

DTYPES = ("fp32", "bf16", "fp16")


@click.command()
@shared("min_input_needed", "max_input", "reference", "input_shape")
@option("--device", default="cpu", help="Where to run: cpu (default), cuda, cuda:1.")
@option("--dtype", type=click.Choice(DTYPES), default="fp32", help="Of weights and inputs. Default: fp32.")
@option("--compile", is_flag=True, help="Run through torch.compile.")
@option("--batch", type=click.IntRange(min=1), default=1, help="Samples in a batch. Default: 1.")
@option("--rounds", type=click.IntRange(min=2), default=7, help="How often each is timed. Default: 7.")
@click.option("--json", "json_file", type=click.Path(), metavar="FILE", help="Write everything as JSON.")
@click.option("--csv", "csv_file", type=click.Path(), metavar="FILE", help="Write the table as CSV.")
@click.option("--plot", "plot_file", type=click.Path(), metavar="PNG", help="Draw time against input size.")
def bench(
    target: str,
    weights: str | None,
    debug: bool,
    json_file: str | None,
    csv_file: str | None,
    plot_file: str | None,
    **asked: Any,
) -> int:
    """Time TARGET, its repairs, and the input padded or resized, from --min-input to the reference."""
    from autofix import cli

    cli._in_order(asked)
    files = [_writable(file) for file in (json_file, csv_file, plot_file)]
    with cli._working("timing", target):
        loaded = cli._load(target, weights)
        from autofix import report
        from autofix.bench import bench_model
        from autofix.report import bench as forms
        from autofix.report.json import dumps

        result = bench_model(loaded.model, **cli._given(asked))
        if files[0]:
            cli._write(files[0], dumps(forms.bench_dict(result)) + "\n")
        if files[1]:
            cli._write(files[1], forms.bench_csv(result))
        if files[2]:
            forms.plot(result, files[2])
    report.show(forms.table(result))
    for file in filter(None, files):
        click.echo(f"wrote {file}", err=True)
    return 0


def _writable(file: str | None) -> Path | None:
    """Refuse a file that cannot be written before anything slow is done."""
    from autofix import cli

    return cli._writable(Path(file).parent) / Path(file).name if file else None
