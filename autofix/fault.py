"""The vocabulary of findings: where, what, how bad, in which words."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum


class Safety(Enum):
    """What a change does to a network that is already trained."""

    IDENTICAL = "identical"  # bit-identical on every size that worked
    CHANGES_OUTPUTS = "changes-outputs"


class Code(Enum):
    """The fault codes: a stable name for the machine and a title for the reader."""

    KERNEL = ("AF101", "kernel larger than its input")
    EMPTY = ("AF102", "output size is not positive")
    JOIN = ("AF201", "sizes do not match at a join")
    BROADCAST = ("AF202", "a size-1 branch silently broadcasts")
    HEAD = ("AF301", "fixed head accepts one size only")
    RESHAPE = ("AF302", "reshape does not fit the number of elements")
    BATCH = ("AF303", "pixels silently move into the batch")
    NORM = ("AF401", "normalisation over a single value")
    PADDING = ("AF501", "padding is too large for its input")
    LIMIT = ("AF502", "a hyperparameter breaks PyTorch's own limit")
    CHANNELS = ("AF601", "channels do not match")
    DIVISIBLE = ("AF602", "size is not divisible")
    LAYOUT = ("AF603", "view of a tensor that lies otherwise in memory")
    ASSERTION = ("AF701", "the model's own check fails")
    INDEX = ("AF702", "index or slice out of range")
    OUTPUT = ("AF801", "output silently differs in batch or resolution")
    REFUSED = ("AF901", "torch refuses this call")

    def __init__(self, id: str, title: str) -> None:
        self.id, self.title = id, title


@dataclass(frozen=True)
class Location:
    """A place in the user's source.

    line: 1-based; `text` is the stripped source line
    end_line, end_column: where the expression ends, as ast counts; None where it is not known
    """

    file: str
    line: int
    text: str = ""
    end_line: int | None = field(default=None, compare=False)
    end_column: int | None = field(default=None, compare=False)

    def __str__(self) -> str:
        return f"{self.file}:{self.line}"


@dataclass(frozen=True)
class Step:
    """One link of the chain of sizes that led to a fault: `conv1 5 -> 3`."""

    site: str
    op: str
    before: tuple[int, ...]
    after: tuple[int, ...]


@dataclass(frozen=True)
class Fault:
    """A requirement that some size in the asked range violates.

    size:   smallest failing input size, one int per axis (pixels/voxels/samples)
    axis:   the spatial axis it fails along ("D", "H", "W"), "" when the axes fail jointly
    mode:   "eval", "train" or "both"
    silent: torch raises nothing, but the result is wrong
    """

    code: Code
    site: str
    op: str
    message: str
    axis: str = ""
    size: tuple[int, ...] = ()
    needs: int | None = None
    gets: int | None = None
    mode: str = "both"
    silent: bool = False
    made_at: Location | None = None
    called_at: Location | None = None
    chain: tuple[Step, ...] = field(default=())
