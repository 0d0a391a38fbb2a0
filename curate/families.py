"""Families of rows that must stay together, since what is learnt from one tells of the others.

Two answers to one question, a row and its copy with two words changed, and, with an embedder, two rows that mean the
same, are of one family.
"""

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt
import polars as pl

from curate.duplicates.near import THRESHOLD, Shingles, find, texts_of
from curate.embedding import Embedder, embedded
from curate.kernels.told import compiling_told
from curate.measuring import Measures
from curate.pool import Pool
from curate.recipe import step_of
from curate.texts.same_text import normalised
from curate.working import Working

Rows = npt.NDArray[np.int64]
Links = tuple[Rows, Rows]

COMMON = 0.05
"""A prompt that so many rows share is an instruction to all of them, and no question of which one knows the answer."""

A_BLOCK = 2048
"""Rows whose vectors are compared with all others at a time."""


def families(
    pool: Pool,
    working: Working,
    similarity: float = THRESHOLD,
    embedder: Embedder | None = None,
    cosine: float = 0.9,
) -> Rows:
    """i64[rows]: a number for each row, the same for all of a family, in the order of their first rows.

    Linked are near-duplicates, each pair verified, rows of the same prompt, and with an embedder rows whose vectors
    are as near as `cosine`, of all pairs.
    """
    from scipy.sparse import coo_matrix
    from scipy.sparse.csgraph import connected_components

    n = len(pool)
    links = [_near(pool, similarity, working), _asked(pool)]
    if embedder is not None:
        links.append(_meaning(embedded(pool, embedder, working=working), cosine, working))
    left, right = (np.concatenate(side) for side in zip(*links, strict=True))
    graph = coo_matrix((np.ones(len(left), dtype=np.int8), (left, right)), shape=(n, n))
    number = connected_components(graph, directed=False)[1]
    _, first, number = np.unique(number, return_index=True, return_inverse=True)
    found: Rows = np.argsort(np.argsort(first))[number]
    return found


def _near(pool: Pool, similarity: float, working: Working) -> Links:
    """Each row and the first of its cluster of near-duplicates, where it has one."""
    everyone = np.ones(len(pool), dtype=np.bool_)
    near = Measures(step_of("near-dup", similarity=similarity), pool)
    near.compute(everyone, working)
    measures = near.load(everyone)
    sides = ("prompt", "response")

    def shingles_of(rows: Rows) -> Iterator[Shingles]:
        yield from (Shingles.of(texts_of(frame, sides)) for frame in pool.texts(rows, sides))

    keys = [piece.to_numpy() for piece in measures["bands"].get_chunks()]
    with compiling_told(working.notice):
        found = find(
            keys,
            measures["shingles"].to_numpy(),
            shingles_of,
            np.arange(len(pool)),
            threshold=similarity,
            folder=pool.work_dir,
            working=working,
        )
    rows = np.flatnonzero(found.cluster != np.arange(len(pool)))
    return rows, found.cluster[rows]


def _asked(pool: Pool) -> Links:
    """Each row and the first of the same prompt, without regard to Unicode form, case and white space."""
    (prompt,) = normalised([pl.col("prompt")])
    prompts = pl.concat([frame.select(prompt) for frame in pool.batches(["prompt"])]).with_row_index("row")
    asked = prompts.filter(pl.col("prompt") != "")
    shared = asked.with_columns(first=pl.col("row").first().over("prompt"), rows=pl.len().over("prompt"))
    shared = shared.filter(pl.col("rows").is_between(2, max(COMMON * len(pool), 2)))
    return shared["row"].to_numpy().astype(np.int64), shared["first"].to_numpy().astype(np.int64)


def _meaning(vectors: npt.NDArray[np.float16], cosine: float, working: Working) -> Links:
    """All pairs of rows whose vectors are as near as `cosine`: each with every one after it, a block at a time."""
    left, right = [np.zeros(0, dtype=np.int64)], [np.zeros(0, dtype=np.int64)]
    blocks = range(0, len(vectors), A_BLOCK)
    for start in blocks:
        own = vectors[start : start + A_BLOCK].astype(np.float32)
        for other in range(start, len(vectors), A_BLOCK):
            near = own @ vectors[other : other + A_BLOCK].astype(np.float32).T >= cosine
            a, b = np.nonzero(near)
            later = a + start < b + other
            left.append(a[later] + start)
            right.append(b[later] + other)
        working.check()
        working.report("comparing meanings", start + len(own), len(vectors))
    return np.concatenate(left), np.concatenate(right)
