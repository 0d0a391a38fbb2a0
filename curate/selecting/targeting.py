"""Which rows are like the examples of what a model should be good at: the examples take turns picking.

`pick(vectors, examples, 1000)` is RDS+'s round robin (Ivison et al. 2025, "Large-Scale Data Selection for Instruction
Tuning", arXiv 2503.01807): each example in turn picks its nearest row that is not picked yet.
"""

from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from curate.kernels.taking_turns import take_turns
from curate.working import Working

BLOCK = 65_536
"""Rows whose similarities to all examples are in memory at a time."""

Vectors = npt.NDArray[Any]
Positions = npt.NDArray[np.int64]


class Picked(NamedTuple):
    """Rows by position, in the order in which they were picked; and for every row its nearest example."""

    rows: Positions
    examples: Positions
    """For whom each was picked."""
    similarity: npt.NDArray[np.float32]
    """Cosine of each to that example."""
    nearest: Positions
    """For every row the example that it is most like; of equals the first."""
    nearest_similarity: npt.NDArray[np.float32]


def pick(
    vectors: Vectors, rows: Positions, examples: npt.NDArray[np.float32], n: int, working: Working | None = None
) -> Picked:
    """Pick `n` of the `rows` of `vectors` [.., d] for the examples f32[q, d], q > 0; all are of length 1, or zero.

    Of equally near rows the first is picked; positions count in `rows`. Exact; similarities are never all held at once.
    """
    working = working or Working()
    n = min(n, len(rows))
    depth = min(len(rows), 4 * (n // len(examples)) + 64)
    while True:
        ranked, near, nearest, nearest_similarity = _ranked(vectors, rows, examples, depth, working)
        picked, by = np.zeros(n, dtype=np.int64), np.zeros(n, dtype=np.int64)
        if take_turns(ranked, np.zeros(len(rows), dtype=np.bool_), picked, by) == n:
            break
        depth = min(len(rows), 4 * depth)  # many want the same rows
    order = np.argsort(ranked, axis=1)
    found = np.zeros(n, dtype=np.float32)
    for query in range(len(examples)):
        own = by == query
        places = np.searchsorted(ranked[query], picked[own], sorter=order[query])
        found[own] = near[query, order[query, places]]
    return Picked(picked, by, found, nearest, nearest_similarity)


def _ranked(
    vectors: Vectors, rows: Positions, examples: npt.NDArray[np.float32], depth: int, working: Working
) -> tuple[Positions, npt.NDArray[np.float32], Positions, npt.NDArray[np.float32]]:
    """Each example's `depth` nearest rows, best first, their similarities; and every row's nearest example."""
    best = np.zeros((len(examples), 0), dtype=np.int64)
    near = np.zeros((len(examples), 0), dtype=np.float32)
    nearest = np.zeros(len(rows), dtype=np.int64)
    nearest_similarity = np.zeros(len(rows), dtype=np.float32)
    for start in range(0, len(rows), BLOCK):
        working.check()
        here = np.arange(start, min(start + BLOCK, len(rows)))
        similar = examples @ np.asarray(vectors[rows[here]], dtype=np.float32).T
        nearest[here] = similar.argmax(axis=0)
        nearest_similarity[here] = similar.max(axis=0)
        both = np.concatenate((near, similar), axis=1)
        who = np.concatenate((best, np.broadcast_to(here, similar.shape)), axis=1)
        order = np.argsort(-both, axis=1, kind="stable")[:, :depth]  # of equals the first: those before come first
        best, near = np.take_along_axis(who, order, axis=1), np.take_along_axis(both, order, axis=1)
        working.report("comparing with the examples", int(here[-1]) + 1, len(rows))
    return best, near, nearest, nearest_similarity
