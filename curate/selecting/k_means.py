"""Spherical k-means: centres of rows by cosine, the same whatever their order and the threads.

Lloyd's iterations over a sample; the first centres are drawn by what rows say, not by where they stand.
"""

import numpy as np
import numpy.typing as npt
from numpy.typing import NDArray

from curate.selecting.blocks import Rows, Vectors, blocks, nearest
from curate.working import Working

SAMPLE = 64
"""Rows a centre that k-means sees, and never fewer than LEAST in all: more move the centres hardly."""

LEAST = 20_000

ITERATIONS = 12


def chance_of(vectors: Vectors, rows: Rows, seed: int) -> NDArray[np.uint64]:
    """A number of each of some rows that looks random, and depends on its vector and the seed alone."""
    weights = np.random.default_rng(seed).integers(1 << 63, size=vectors.shape[1], dtype=np.uint64) | np.uint64(1)
    chance = np.empty(len(rows), dtype=np.uint64)
    for some in blocks(len(rows), 8192):
        bits = np.ascontiguousarray(vectors[rows[some]]).view(np.uint32)
        mixed = (bits.astype(np.uint64) + np.uint64(1)) * weights
        chance[some] = (mixed ^ (mixed >> np.uint64(29))).sum(axis=1) * np.uint64(0x9E3779B97F4A7C15)
    return chance


def drawn(vectors: Vectors, rows: Rows, count: int, seed: int = 0) -> Rows:
    """`count` of `rows` by chance that depends on their vectors and the seed, not on where they stand; ascending."""
    if len(rows) <= count:
        return np.sort(rows)
    return np.sort(rows[np.lexsort((rows, chance_of(vectors, rows, seed)))[:count]])


def _first_centres(points: Vectors, k: int, seed: int) -> Vectors:
    """Distinct points, each likelier the farther it lies from those before (k-means++, Arthur and Vassilvitskii 2007).

    The least exponential number over a squared distance is a draw in proportion to it.
    """
    from curate.kernels.greedy import bring_nearer

    every = np.arange(len(points))
    waiting = -np.log((chance_of(points, every, seed) >> np.uint64(11)) / 2.0**53 + 2.0**-54)
    cosine = np.full(len(points), -1, dtype=np.float32)
    chosen: list[int] = []
    while len(chosen) < k:
        far = np.maximum(1 - cosine.astype(np.float64), 0)
        if not (far > 1e-6).any():
            break
        row = int(np.argmin(np.where(far > 1e-6, waiting / np.maximum(far, 1e-6), np.inf)))
        chosen.append(row)
        bring_nearer(points, row, 0, len(points), cosine)
        cosine[row] = 1
    return points[np.array(chosen, dtype=np.int64)]


def k_means(
    vectors: Vectors, rows: Rows, k: int, *, seed: int = 0, iterations: int = ITERATIONS, working: Working
) -> Vectors:
    """At most `k` centres f32[k, d], of length 1, of the rows that are no zero vectors."""
    sample = drawn(vectors, rows, max(LEAST, SAMPLE * k), seed)
    points = vectors[sample]
    points = points[points.any(axis=1)]
    centres = _first_centres(points[drawn(points, np.arange(len(points)), LEAST, seed + 1)], k, seed + 2)
    for done in range(iterations if len(centres) > 1 else 0):
        own, cosine = nearest(points, centres, working)
        sums = summed(points, own, len(centres))
        lengths = np.linalg.norm(sums, axis=1, keepdims=True)
        moved = (sums / np.where(lengths > 0, lengths, 1)).astype(np.float32)
        if len(
            empty := np.flatnonzero(lengths[:, 0] == 0)
        ):  # a centre without rows goes where rows lie far from theirs
            moved[empty] = points[np.lexsort((np.arange(len(points)), cosine))[: len(empty)]]
        still = np.abs(moved - centres).max() < 1e-4
        centres = moved
        working.report("k-means", done + 1, iterations)
        if still:
            break
    return centres


def summed(points: Vectors, own: Rows, k: int) -> NDArray[np.float64]:
    """The sum f64[k, d] of the points of each centre."""
    from scipy.sparse import csr_matrix

    which = csr_matrix((np.ones(len(own)), (own, np.arange(len(own)))), shape=(k, len(own)))
    sums: npt.NDArray[np.float64] = which @ points.astype(np.float64)
    return sums
