"""Matrix products in one thread, and as many as before afterwards."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys

import pytest

from pairs.blas import BLAS, BlasThreads

# 101 symbols: with two threads OpenBLAS would cut their product where it rounds another way
SCAN = """
import hashlib, sys
from dataclasses import fields
import numpy as np
from pairs.all_pairs import pairwise_cointegration
prices = np.random.default_rng(1).normal(size=(101, 300)).cumsum(axis=1)
tests = pairwise_cointegration(prices)
print(hashlib.sha256(b"".join(getattr(tests, field.name).tobytes() for field in fields(tests))).hexdigest())
"""


def digest(threads: int) -> str:
    environment = os.environ | {"OPENBLAS_NUM_THREADS": str(threads), "PYTHONPATH": os.pathsep.join(sys.path)}
    command = [sys.executable, "-c", SCAN]
    return subprocess.run(command, check=True, capture_output=True, text=True, env=environment).stdout.strip()


@pytest.mark.skipif((os.cpu_count() or 1) < 2, reason="one processor: OpenBLAS never takes two threads")
def test_a_scan_has_the_same_bits_however_many_threads_the_products_may_take():
    one, two = digest(1), digest(2)

    assert one == two and len(one) == len(hashlib.sha256().hexdigest())


def test_numpys_own_openblas_obeys():
    with BLAS.one() as certain:
        assert certain


class Counter:
    """A library that takes as many threads as it was told."""

    def __init__(self) -> None:
        self.threads = 8

    def read(self) -> int:
        return self.threads

    def write(self, threads: int) -> None:
        self.threads = threads


def test_whoever_leaves_last_gives_the_threads_back():
    library = Counter()
    threads = BlasThreads(library.read, library.write)
    first, second = threads.one(), threads.one()

    first.__enter__()
    second.__enter__()
    first.__exit__(None, None, None)
    between = library.threads
    second.__exit__(None, None, None)

    assert (between, library.threads) == (1, 8)


def test_an_error_inside_gives_the_threads_back():
    library = Counter()

    with pytest.raises(KeyError), BlasThreads(library.read, library.write).one():
        raise KeyError

    assert library.threads == 8


def test_a_library_that_cannot_be_asked_goes_on_as_it_was():
    with BlasThreads(None, None).one() as certain:
        assert not certain
