"""One thread for numpy's matrix products: OpenBLAS rounds differently when it splits a product among threads."""

from __future__ import annotations

import contextlib
import ctypes
import threading
from collections.abc import Callable, Iterator

import numpy as np

NAMES = ("scipy_openblas_{}64_", "openblas_{}64_", "scipy_openblas_{}", "openblas_{}")


class BlasThreads:
    """How many threads ``read`` and ``write`` say that products take in this process; None where nobody can say."""

    def __init__(self, read: Callable[[], int] | None, write: Callable[[int], object] | None) -> None:
        self._read, self._write = read, write
        self._lock, self._inside, self._before = threading.Lock(), 0, 1

    @contextlib.contextmanager
    def one(self) -> Iterator[bool]:
        """Inside, products take one thread; the last to leave gives the others back. Tells whether that is certain."""
        if self._read is None or self._write is None:
            yield False
            return
        with self._lock:
            if not self._inside:
                self._before = self._read()
                self._write(1)
            self._inside += 1
        try:
            yield True
        finally:
            with self._lock:
                self._inside -= 1
                if not self._inside:
                    self._write(self._before)


def _function(name: str) -> Callable[..., int] | None:
    # numpy's own module is linked with its OpenBLAS; asking its handle finds the functions without a search of the disk
    library = ctypes.CDLL(np._core._multiarray_umath.__file__)  # type: ignore[attr-defined]
    for pattern in NAMES:
        with contextlib.suppress(AttributeError):
            found: Callable[..., int] = getattr(library, pattern.format(name))
            return found
    return None


# one for the process, as the number that it holds is one for the process
BLAS = BlasThreads(_function("get_num_threads"), _function("set_num_threads"))
