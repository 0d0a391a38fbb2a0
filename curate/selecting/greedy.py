"""Greedy choice of n rows, without asking each row anew after every choice (lazy greedy, Minoux 1978).

A gain only shrinks as others are chosen: what a row would have added earlier bounds what it adds now.
"""

import heapq
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from functools import partial

import numpy as np
import numpy.typing as npt

from curate.selecting.blocks import Rows, Vectors, blocks, nearest, one_thread_each, side_by_side
from curate.selecting.k_means import drawn, k_means
from curate.working import Working

Gains = npt.NDArray[np.float64]

EXACT = 20_000
"""Facility location: so many rows are represented; of more, SAMPLE of them, drawn by a fixed seed, stand for all."""

SAMPLE = 6144

PART = 2048
"""Of those represented, how many one thread looks at together."""

AT_ONCE = 32
"""Rows whose gains are computed together: a product of matrices costs little more than one of vectors."""

PER = 1000.0
"""Coverage is told in thousandths of what could be covered, so that a gain compares with a quality from 0 to 1."""


def lazy_greedy(
    bounds: Gains,
    rows: Rows,
    n: int,
    gains_of: Callable[[Rows], Gains],
    choose: Callable[[int], None],
    working: Working,
) -> Rows:
    """`n` of `rows` in the order of choice; `bounds` f64: what each adds to nothing. Of equals the first."""
    waiting = rows[np.lexsort((rows, -bounds))]
    first = np.sort(-bounds)
    heap: list[tuple[float, int, int]] = []  # what was asked: minus the gain, the row, after how many choices
    chosen: list[int] = []
    at = 0
    while len(chosen) < min(n, len(rows)):
        stale: list[int] = []
        while len(stale) < AT_ONCE:
            untouched = at < len(waiting) and (not heap or (first[at], int(waiting[at])) < heap[0][:2])
            if untouched:
                stale.append(int(waiting[at]))
                at += 1
            elif heap and heap[0][2] < len(chosen):
                stale.append(heapq.heappop(heap)[1])
            else:
                break
        if stale:
            gains = gains_of(np.array(stale, dtype=np.int64))
            for row, gain in zip(stale, gains.tolist(), strict=True):
                heapq.heappush(heap, (-gain, row, len(chosen)))
            continue
        _, row, _ = heapq.heappop(heap)
        choose(row)
        chosen.append(row)
        if len(chosen) % 32 == 0:
            working.check()
            working.report("choosing", len(chosen), n)
    return np.array(chosen, dtype=np.int64)


def facility(
    vectors: Vectors, rows: Rows, n: int, working: Working, *, worth: Gains | None = None, weight: float = 1.0
) -> tuple[Rows, float, bool]:
    """`n` of `rows` that stand for all: each raises most the sum of every row's cosine to its nearest chosen.

    To `weight` times that, in thousandths of what could be, `worth` f64[len(vectors)] of a row is added. Returns the
    rows in the order of choice, the mean cosine of those represented to their nearest, and whether they were all rows.
    """
    exact = len(rows) <= EXACT
    points = vectors[rows if exact else drawn(vectors, rows, SAMPLE)]
    covered = np.zeros(len(points), dtype=np.float32)
    scale = weight * PER / max(len(points), 1)

    parts = blocks(len(points), PART)

    def covers(some: Vectors, part: slice) -> Gains:
        added = some @ points[part].T
        np.maximum(added - covered[part], 0, out=added)
        gains: Gains = added.sum(axis=1, dtype=np.float64)
        return gains

    def gains_by(over: Callable[..., Iterable[Gains]], some: Rows) -> Gains:
        gains = sum(over(partial(covers, vectors[some]), parts), np.zeros(len(some))) * scale
        return gains if worth is None else gains + worth[some]

    def choose(row: int) -> None:
        np.maximum(covered, vectors[row] @ points.T, out=covered)

    with one_thread_each(), ThreadPoolExecutor(working.threads) as threads:
        tasks = (partial(gains_by, map, rows[some]) for some in blocks(len(rows)))
        bounds = np.concatenate([np.zeros(0), *side_by_side(tasks, working)])
        chosen = lazy_greedy(bounds, rows, n, partial(gains_by, threads.map), choose, working)
    return chosen, float(covered.mean()) if len(covered) else 0.0, exact


def farthest_first(vectors: Vectors, rows: Rows, n: int, working: Working) -> Rows:
    """`n` of `rows`: the one nearest the mean, then each time the one whose nearest chosen is farthest (k-center)."""
    from curate.kernels.greedy import bring_nearer

    if not len(rows):
        return rows
    cosine = np.full(len(vectors), np.inf, dtype=np.float32)
    cosine[rows] = -2
    mean = np.zeros(vectors.shape[1])
    for some in blocks(len(rows), 65_536):
        mean += vectors[rows[some]].sum(axis=0, dtype=np.float64)
    with one_thread_each():
        row = int(rows[np.argmax(np.round(vectors[rows] @ mean.astype(np.float32), 3))])
    chosen = []
    parts = blocks(len(vectors), max(1, -(-len(vectors) // working.threads)))
    while True:
        chosen.append(row)
        cosine[row] = np.inf
        if len(chosen) == min(n, len(rows)):
            return np.array(chosen, dtype=np.int64)
        list(side_by_side((partial(bring_nearer, vectors, row, p.start, p.stop, cosine) for p in parts), working))
        row = int(np.argmin(cosine))
        working.report("choosing", len(chosen), n)


def by_clusters(vectors: Vectors, rows: Rows, n: int, k: int, working: Working) -> Rows:
    """`n` of `rows`: of `k` clusters the row nearest each centre, largest cluster first, then the second nearest ..."""
    if not len(rows):
        return rows
    own, cosine = nearest(vectors[rows], k_means(vectors, rows, k, working=working), working)
    inside = np.lexsort((rows, -cosine, own))
    sizes = np.bincount(own)
    starts = np.cumsum(sizes) - sizes
    rank = np.empty(len(rows), dtype=np.int64)
    rank[inside] = np.arange(len(rows)) - starts[own[inside]]
    order: Rows = rows[np.lexsort((rows, -cosine, -sizes[own], rank))[:n]]
    return order


def informative(
    starts: Rows, labels: Rows, amounts: Gains, count: int, rows: Rows, n: int, power: float, working: Working
) -> Rows:
    """`n` of `rows` that tell most of `count` labels, where what is told of one counts `told ** power` (MIG)."""
    from curate.kernels.greedy import information

    told = np.zeros(count)

    def gains_of(some: Rows) -> Gains:
        gains = np.empty(len(some))
        information(some, starts, labels, amounts, told, power, gains)
        return gains

    def choose(row: int) -> None:
        own = slice(starts[row], starts[row + 1])
        told[labels[own]] += amounts[own]

    return lazy_greedy(gains_of(rows), rows, n, gains_of, choose, working)
