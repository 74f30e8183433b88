"""Matrix products in one thread, and as many as before afterwards."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys

import pytest

from pairs.blas import one_thread

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
    with one_thread() as certain:
        assert certain


def test_an_error_inside_gives_the_threads_back():
    with pytest.raises(KeyError), one_thread():
        raise KeyError
    with one_thread() as certain:
        assert certain
