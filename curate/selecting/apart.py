"""Rows that lie apart: in order of worth, each stays that is like none that stayed before it.

Of three rows, best first, of which b is like a and c like b but not like a, a and c stay and b goes for a. semantic-dup
does it with all rows, deita until it has enough.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial

import numpy as np
import numpy.typing as npt

from curate.selecting.blocks import AT_ONCE, Rows, Vectors, blocks, nearest, one_thread_each, side_by_side
from curate.selecting.k_means import k_means
from curate.working import Working

EXACT = 200_000
"""So many rows are each compared with every row kept before them; of more, each with a block of its neighbours in worth
and with the kept rows of the cells that lie nearest to it."""

BLOCK = 8192
"""Rows that are compared with each other whatever cell they lie in."""

CELLS, PROBES = 256, 8
"""Beyond EXACT: cells of k-means, and how many of them, the nearest, are looked into for a row."""

ROUNDING = 1e-4
"""By how much a product of single precision may fall short of the real one."""

Values = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Apart:
    """What became of n rows.

    `kept` i64: those that stayed, best first; `rival` i64[n]: the kept row that each went for, the most similar one,
    -1: none; `value` f64[n]: the cosine to it; `seen`: how many rows were looked at, the best ones, until there were
    enough; `exact`: whether each was compared with every row kept before it.
    """

    kept: Rows
    rival: Rows
    value: Values
    seen: int
    exact: bool


def apart(
    vectors: Vectors, order: Rows, similarity: float, working: Working, *, most: int | None = None, exact: int = EXACT
) -> Apart:
    """Which of the rows in `order`, best first, stay, `most` at most; the others lie `similarity` or more from one.

    `vectors` f32[n, d] of length 1; a zero vector is like nothing. A row that `order` leaves out is not looked at.
    """
    rival, value = np.full(len(vectors), -1, dtype=np.int64), np.full(len(vectors), -1.0)
    cells = _Cells(vectors, order, working) if len(order) > exact else None
    kept = np.zeros(0, dtype=np.int64)
    seen = 0
    for block in blocks(len(order), BLOCK):
        rows = order[block]
        pairs = cells.near(rows) if cells else ((part, kept) for part in _parts(np.arange(len(rows))))
        with one_thread_each():
            for at, best, other in side_by_side(_against(vectors, rows, pairs, similarity), working):
                better = best > value[rows[at]]
                value[rows[at[better]]], rival[rows[at[better]]] = best[better], other[better]
            new = np.zeros(0, dtype=np.int64)
            for part in blocks(len(rows)):
                room = len(rows) if most is None else most - len(kept) - len(new)
                added, looked = _settled(vectors, rows[part], new, similarity, room, value, rival)
                new, seen = np.concatenate((new, added)), seen + looked
                if most is not None and len(kept) + len(new) == most:
                    break
        kept = np.concatenate((kept, new))
        if cells:
            cells.keep(new)
        working.report("comparing", block.stop, len(order))
        if len(kept) == most:
            break
    rival[order[seen:]] = -1
    return Apart(kept, rival, np.minimum(value, 1.0), seen, cells is None)


Pairs = Iterator[tuple[Rows, Rows]]
Best = tuple[Rows, Values, Rows]


def _parts(at: Rows) -> Iterator[Rows]:
    return (at[part] for part in blocks(len(at)))


def _against(vectors: Vectors, rows: Rows, pairs: Pairs, similarity: float) -> Iterator[Callable[[], Best]]:
    """For each pair of positions in `rows` and kept rows the call that compares them."""
    return (partial(_best, vectors, rows, at, kept, similarity) for at, kept in pairs if len(kept))


def _best(vectors: Vectors, rows: Rows, at: Rows, kept: Rows, similarity: float) -> Best:
    from curate.kernels.apart import compare

    value, rival = np.full(len(at), -1.0), np.full(len(at), -1, dtype=np.int64)
    own = vectors[rows[at]]
    for some in blocks(len(kept), 4 * AT_ONCE):
        products = own @ vectors[kept[some]].T
        hit = np.flatnonzero(products.max(axis=1) >= similarity - ROUNDING)
        if len(hit):
            compare(products, similarity - ROUNDING, vectors, rows[at], hit, kept[some], similarity, value, rival)
    return at, value, rival


def _settled(
    vectors: Vectors, rows: Rows, earlier: Rows, similarity: float, room: int, value: Values, rival: Rows
) -> tuple[Rows, int]:
    """Which of a few rows stay, `room` at most, beside some `earlier` ones; how many of them were looked at."""
    from curate.kernels.apart import settle

    _, best, other = _best(vectors, rows, np.arange(len(rows)), earlier, similarity)
    better = best > value[rows]
    value[rows[better]], rival[rows[better]] = best[better], other[better]
    products = vectors[rows] @ vectors[rows].T
    kept = np.empty(len(rows), dtype=np.int64)
    count, looked = settle(products, similarity - ROUNDING, vectors, rows, similarity, room, value, rival, kept)
    return kept[:count], looked


class _Cells:
    """The kept rows by the cell they lie in."""

    def __init__(self, vectors: Vectors, rows: Rows, working: Working) -> None:
        self._vectors, self._working = vectors, working
        self._centres = k_means(vectors, rows, CELLS, working=working)
        self._kept: list[list[Rows]] = [[] for _ in self._centres]

    def near(self, rows: Rows) -> Pairs:
        """For each cell with kept rows the positions of those rows that look into it, some at a time."""
        products = self._vectors[rows] @ self._centres.T
        probes = min(PROBES, len(self._centres))
        near = np.argpartition(-products, probes - 1, axis=1)[:, :probes]
        for cell, pieces in enumerate(self._kept):
            if pieces:
                kept = np.concatenate(pieces)
                yield from ((at, kept) for at in _parts(np.flatnonzero((near == cell).any(axis=1))))

    def keep(self, rows: Rows) -> None:
        """Remember rows that stay."""
        cell, _ = nearest(self._vectors[rows], self._centres, self._working)
        for here in np.unique(cell):
            self._kept[here].append(rows[cell == here])
