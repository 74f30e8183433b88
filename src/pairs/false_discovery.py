"""Which of many p-values to believe."""

from __future__ import annotations

from typing import Literal

import numpy as np
from numpy.typing import ArrayLike

from pairs.windows import Array


def q_values(p: ArrayLike, method: Literal["bh", "by"] = "bh") -> Array:
    """The smallest false-discovery rate at which each test is still believed, in the order of ``p``.

    With p sorted upwards, ``q_(i) = min over j >= i of p_(j) m / j``, at most 1. ``"bh"``: Benjamini & Hochberg (1995),
    for tests that are independent or rise and fall together. ``"by"`` multiplies by ``1 + 1/2 + … + 1/m`` and holds
    under any dependence: Benjamini & Yekutieli (2001), Annals of Statistics 29, 1165-1188.

    Raises ValueError unless ``p`` is one-dimensional and all of it lies in 0 .. 1.

    >>> [round(float(q), 3) for q in q_values([0.01, 0.5, 0.02])]
    [0.03, 0.5, 0.03]
    """
    values = np.asarray(p, dtype=float)
    if method not in ("bh", "by"):
        raise ValueError(f'wanted method "bh" or "by", found {method!r}')
    if values.ndim != 1 or not ((values >= 0.0) & (values <= 1.0)).all():
        raise ValueError("wanted one-dimensional p-values from 0 to 1; leave out the tests that have none")
    tests = len(values)
    ranks = np.arange(1.0, tests + 1.0)
    scale = tests * (np.sum(1.0 / ranks) if method == "by" else 1.0)
    order = np.argsort(values, kind="stable")
    lowest = np.minimum.accumulate((values[order] * scale / ranks)[::-1])[::-1]
    found = np.empty(tests)
    found[order] = np.minimum(lowest, 1.0)
    return found


def expected_false(tests: int, level: float) -> float:
    """How many of ``tests`` pairs that do not keep together have a p below ``level`` all the same.

    ``level`` is the true rate of the test at the chosen p: the p itself, or what simulation measured.

    >>> expected_false(435, 0.05)
    21.75
    """
    return tests * level
