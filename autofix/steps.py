"""A table kept by its runs of equal numbers, for functions that repeat only after billions of sizes.

Forty strides of 2 give floor(n / 2**40): no table holds its period, yet on it the function takes two values.
"""

from __future__ import annotations

from typing import Any, Final

import numpy as np
from numpy.lib.mixins import NDArrayOperatorsMixin

MOST_RUNS: Final = 4_000_000  # beyond it an exact table would no longer fit the time a user waits


class TooManyRuns(ArithmeticError):
    """A table that its runs do not shorten."""


class Steps(NDArrayOperatorsMixin):
    """An immutable sequence: values[i] from starts[i] (0 first, rising) up to the next start."""

    def __init__(self, starts: Any, values: Any, length: int) -> None:
        values = np.asarray(values)
        new = np.concatenate(([True], values[1:] != values[:-1]))[: len(values)]
        self.starts, self.values, self.length = np.asarray(starts)[new], values[new], length

    @classmethod
    def repeated(cls, head: Any, period: Any, rise: int, length: int) -> Steps:
        """`head`, then `period` again and again, each time `rise` higher. Raises TooManyRuns."""
        first, again = _runs(head), _runs(period)
        steady = rise == 0 and len(again.starts) == 1
        turns = 1 if steady else -(-(length - len(head)) // len(period))
        if len(again.starts) * turns + len(first.starts) > MOST_RUNS or length > 1 << 62:
            raise TooManyRuns
        turn = np.arange(turns, dtype=np.int64)[:, None]
        starts = (len(head) + turn * len(period) + again.starts).ravel()
        values = (again.values + turn * rise).ravel()
        inside = starts < length
        return cls(
            np.concatenate((first.starts, starts[inside])),
            np.concatenate((first.values, values[inside])),
            length,
        )

    def __len__(self) -> int:
        return self.length

    def __getitem__(self, key: Any) -> Any:
        if not isinstance(key, slice):
            index = np.searchsorted(self.starts, np.asarray(key) % self.length, "right") - 1
            return self.values[index]
        first, last, _ = key.indices(self.length)
        inside = self.starts[(self.starts > first) & (self.starts < last)]
        starts = np.concatenate(([first], inside)) if last > first else inside
        return Steps(starts - first, self[starts], max(0, last - first)) if len(starts) else np.array([], int)

    def __array__(self, dtype: Any = None, copy: Any = None) -> Any:
        """All the numbers. Raises TooManyRuns."""
        if self.length > MOST_RUNS:
            raise TooManyRuns(f"a table of {self.length:,} numbers")
        return self[np.arange(self.length)].astype(dtype or self.values.dtype)

    def __array_ufunc__(self, ufunc: Any, method: str, *inputs: Any, **kwargs: Any) -> Any:
        if method == "reduce":  # of gcd, max and min, which do not count how often a number occurs
            return ufunc.reduce(inputs[0].values, **kwargs)
        tables = [one for one in inputs if isinstance(one, Steps)]
        starts = np.unique(np.concatenate([one.starts for one in tables]))
        values = ufunc(*(one[starts] if isinstance(one, Steps) else one for one in inputs))
        return Steps(starts, values, tables[0].length)

    def min(self) -> int:
        return int(self.values.min())

    def max(self) -> int:
        return int(self.values.max())

    def tobytes(self) -> bytes:
        return bytes(self.starts.tobytes() + self.values.tobytes())

    def last(self) -> int:
        """The last position of a true value; -1 where there is none."""
        true = np.flatnonzero(self.values)
        if not len(true):
            return -1
        return int(self.starts[true[-1] + 1]) - 1 if true[-1] + 1 < len(self.starts) else self.length - 1

    def first(self) -> int:
        """The first position of a true value; -1 where there is none."""
        true = np.flatnonzero(self.values)
        return int(self.starts[true[0]]) if len(true) else -1


def _runs(table: Any) -> Steps:
    return table if isinstance(table, Steps) else Steps(np.arange(len(table)), table, len(table))


def equal(left: Any, right: Any) -> bool:
    """Whether two tables of one length hold the same numbers."""
    if isinstance(left, Steps) or isinstance(right, Steps):
        return bool(np.all((left == right).values))
    return bool(np.array_equal(left, right))


def last(truth: Any) -> int:
    """The last position of a true value in a table; -1 where there is none."""
    if isinstance(truth, Steps):
        return truth.last()
    found = np.flatnonzero(truth)
    return int(found[-1]) if len(found) else -1
