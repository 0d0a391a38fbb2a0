"""Products of many vectors, block by block: the same to the last bit however many threads there are.

Each block is multiplied by one thread of BLAS; blocks run side by side.
"""

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import TypeVar

import numpy as np
import numpy.typing as npt

from curate.working import Working, in_order

T = TypeVar("T")
Vectors = npt.NDArray[np.float32]
Rows = npt.NDArray[np.int64]

AT_ONCE = 1024
"""Rows of a block."""


def blocks(count: int, size: int = AT_ONCE) -> list[slice]:
    """`count` rows, `size` at a time."""
    return [slice(start, min(start + size, count)) for start in range(0, count, size)]


@contextmanager
def one_thread_each() -> Iterator[None]:
    """Within it BLAS works on the thread that calls it."""
    from threadpoolctl import threadpool_limits

    with threadpool_limits(1, "blas"):
        yield


def side_by_side(calls: Iterable[Callable[[], T]], working: Working) -> Iterator[T]:
    """What each call returns, in their order, on the threads of `working`."""

    def checked() -> Iterator[Callable[[], T]]:
        for call in calls:
            working.check()
            yield call

    return in_order(checked(), working.threads)


def nearest(vectors: Vectors, others: Vectors, working: Working) -> tuple[Rows, Vectors]:
    """For each of n vectors the nearest of m others, i64[n], and its cosine f32[n]; of equals the first."""

    def of_block(rows: slice) -> tuple[Rows, Vectors]:
        at, best = np.zeros(rows.stop - rows.start, dtype=np.int64), np.full(rows.stop - rows.start, -2, np.float32)
        for part in blocks(len(others), 4096):
            products = vectors[rows] @ others[part].T
            here = products.argmax(axis=1)
            value = products[np.arange(len(here)), here]
            better = value > best
            at[better], best[better] = here[better] + part.start, value[better]
        return at, best

    with one_thread_each():
        found = list(side_by_side((partial(of_block, rows) for rows in blocks(len(vectors))), working))
    if not found:
        return np.zeros(0, dtype=np.int64), np.zeros(0, dtype=np.float32)
    return np.concatenate([at for at, _ in found]), np.concatenate([best for _, best in found])
