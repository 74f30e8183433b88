"""What tests all pairs, and what hears how far it is."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from pairs.all_pairs import Block, Terms
from pairs.pair_tests import PairTests

Tell = Callable[[str, int, int], None]  # what is being done, how many parts of it are done, and of how many


class Tester(Protocol):
    """Tests every pair of the rows of ``log_prices``; wherever it does so, the result is the same to the last bit."""

    def __call__(
        self, log_prices: NDArray[np.float64], terms: Terms, *, on_block: Callable[[Block], None]
    ) -> PairTests: ...
