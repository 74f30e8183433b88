"""One thread for numpy's matrix products: OpenBLAS rounds differently when it splits a product among threads."""

from __future__ import annotations

import contextlib
import ctypes
from collections.abc import Callable, Iterator

import numpy as np

NAMES = ("scipy_openblas_{}64_", "openblas_{}64_", "scipy_openblas_{}", "openblas_{}")


@contextlib.contextmanager
def one_thread() -> Iterator[bool]:
    """Inside, OpenBLAS works in one thread, and the same products have the same bits on every machine of one kind.

    Tells whether that is certain: it is not where numpy was built with another library, which goes on as it was. The
    number of threads is the process's own; other threads that multiply meanwhile do so in one thread, too.
    """
    read, write = _function("get_num_threads"), _function("set_num_threads")
    if read is None or write is None:
        yield False
        return
    before = read()
    write(1)
    try:
        yield True
    finally:
        write(before)


def _function(name: str) -> Callable[..., int] | None:
    # numpy's own module is linked with its OpenBLAS; asking its handle finds the functions without a search of the disk
    library = ctypes.CDLL(np._core._multiarray_umath.__file__)  # type: ignore[attr-defined]
    for pattern in NAMES:
        with contextlib.suppress(AttributeError):
            found: Callable[..., int] = getattr(library, pattern.format(name))
            return found
    return None
