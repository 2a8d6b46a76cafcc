"""For users' own test suites: a network that must accept every size of a range."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from torch import nn


def assert_accepts(
    model: nn.Module,
    *,
    min_input: int | tuple[int, ...],
    max_input: int | tuple[int, ...] | None = None,
    input_shape: tuple[Any, ...] | None = None,
) -> None:
    """Raise AssertionError, one line a fault, unless every size of the range works.

    min_input, max_input: for all spatial axes or one for each; without max_input there is no upper limit
    input_shape: such as (1, 3, "H", "W"); inferred from the first convolution otherwise
    Eval and train mode (with a batch of two or more) have to work. Raises UsageError and CaptureError too.
    """
    __tracebackhide__ = True  # pytest shows the test's line, not this one
    from autofix.pipeline import check_model
    from autofix.report import of_report

    report = check_model(model, min_input=min_input, max_input=max_input, input_shape=input_shape)
    if not report.ok:
        lines = [str(of_report(report, "concise")), f"works at {report.working_sizes}"]
        lines += [f"no rule for {site}: nothing is proved" for site in report.unmodelled]
        raise AssertionError("\n".join(lines))
