"""Where the tests are made: in this process, or block by block on a Dask cluster, with the same result to the bit."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pairs.all_pairs import Block, Terms, block_cointegration, pairwise_cointegration, partition
from pairs.pair_tests import PairTests, join
from research.scan.errors import ScanError
from research.scan.tester import Tester

DASK = "dask://"
PATIENCE_S = 15


@contextmanager
def pair_tester(executor: str) -> Iterator[Tester]:
    """``local``, or ``dask://HOST:PORT`` of a scheduler. Raises ``ScanError`` when there is none."""
    if executor == "local":
        yield pairwise_cointegration
    elif executor.startswith(DASK) and len(executor) > len(DASK):
        with _cluster(executor.removeprefix(DASK)) as client:
            yield DaskTester(client)
    else:
        raise ScanError(f"unknown executor {executor!r}; known: local, {DASK}HOST:PORT")


class DaskTester:
    """Tests each block of ``partition`` on a worker of ``client``'s cluster. The prices travel once."""

    def __init__(self, client: Any) -> None:
        self._client = client

    def __call__(
        self, log_prices: NDArray[np.float64], terms: Terms, *, on_block: Callable[[Block], None]
    ) -> PairTests:
        from distributed import as_completed

        if not self._client.scheduler_info()["workers"]:
            raise ScanError("the Dask scheduler has no worker: start some with dask worker HOST:PORT")
        prices = self._client.scatter(log_prices, broadcast=True)
        blocks = partition(len(log_prices))
        work = {self._client.submit(block_cointegration, prices, block, terms, pure=False): block for block in blocks}
        parts = []
        for future, part in as_completed(work, loop=self._client.loop, with_results=True):
            parts.append(part)
            on_block(work[future])
        return join(parts)


@contextmanager
def _cluster(address: str) -> Iterator[Any]:
    try:
        from distributed import Client
    except ImportError:
        raise ScanError("dask is not installed: pip install 'tandem-pairs[distributed]', or --executor local") from None
    try:
        client = Client(f"tcp://{address}", timeout=PATIENCE_S, set_as_default=False)
    except (OSError, ValueError) as error:
        raise ScanError(f"no Dask scheduler answers at {address} ({error}): start one with dask scheduler") from error
    with client:
        yield client
