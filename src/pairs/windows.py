"""Trailing windows over a series, a bounded block of them at a time."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import ArrayLike, NDArray

Array = NDArray[np.float64]

BLOCK_ELEMENTS = 1 << 16  # 512 KB of doubles: a handful of temporaries stays in the cache and far below 4 MB
FLAT = 1e-12  # a spread of values below this fraction of their size is rounding noise, not movement


def blocks(rows: int, window: int) -> Iterator[slice]:
    """Consecutive slices over ``rows`` windows of ``window`` values, each small enough to copy.

    >>> list(blocks(5, BLOCK_ELEMENTS // 2))
    [slice(0, 2, None), slice(2, 4, None), slice(4, 5, None)]
    """
    size = max(1, BLOCK_ELEMENTS // window)
    for start in range(0, rows, size):
        yield slice(start, min(start + size, rows))


def equal_series(*series: ArrayLike) -> tuple[Array, ...]:
    """The series as contiguous float arrays. Raises ValueError unless all are one-dimensional and equally long."""
    arrays = tuple(np.ascontiguousarray(values, dtype=float) for values in series)
    shapes = {array.shape for array in arrays}
    if len(shapes) != 1 or arrays[0].ndim != 1:
        found = ", ".join(str(array.shape) for array in arrays)
        raise ValueError(f"wanted one-dimensional series of one length, found shapes {found}; align the series first")
    return arrays
