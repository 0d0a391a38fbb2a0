"""What share of a pool near-dup would drop, from a sample of rows that are each looked for in the whole pool.

Of 2,000 rows sampled, 200 have one near-duplicate each: about 5 % of the pool would go, one of each two.
"""

from collections.abc import Callable, Iterator
from functools import partial

import numpy as np
import numpy.typing as npt
import polars as pl

from curate.duplicates.near import SHORT, THRESHOLD, Rows, Shingles, texts_of
from curate.kernels import clusters
from curate.kernels.told import compiling_told
from curate.pool import Pool
from curate.seeded import shuffled_rank
from curate.working import Working, in_order

SAMPLE = 2000
"""Rows looked for: the standard error of the share is 1.1 % of the pool at most."""

ENOUGH = 50
"""A row with so many near-duplicates is looked for no further: what it adds, 1 - 1/c, is all but 1 by then."""


def duplicate_share(pool: Pool, seed: int, working: Working) -> tuple[float, int]:
    """The estimated share of rows that near-dup would drop by its defaults, and how many rows were looked for.

    Of a cluster of c rows c - 1 go, so the mean of 1 - 1/c over rows drawn at random estimates the share without bias.
    """
    rank = shuffled_rank(np.arange(len(pool)), seed)
    rows = np.sort(np.argsort(rank, kind="stable")[:SAMPLE])
    sample = _Sample(rows, Shingles.of(pl.concat(map(texts_of, pool.texts(rows, ["prompt", "response"])))))
    done = 0
    with compiling_told(working.notice):
        for looked, found in in_order(_calls(sample, pool), working.threads):
            np.add.at(sample.alike, found, 1)
            done += looked
            working.check()
            working.report("near-duplicates", done, len(pool))
    return float((1 - 1 / (1 + np.minimum(sample.alike, ENOUGH))).mean()), len(rows)


def _calls(sample: "_Sample", pool: Pool) -> Iterator[Callable[[], tuple[int, Rows]]]:
    for rows in pool.batches(["prompt", "response"]):
        yield partial(sample.look_for, rows)


class _Sample:
    """Some rows of the pool, what they are found by, and how many rows were found `alike` so far."""

    def __init__(self, rows: Rows, own: Shingles) -> None:
        self.rows = rows
        self.keys = own.band_keys()
        self.sets, self.bounds = own.sets()
        self.alike = np.zeros(len(rows), dtype=np.int64)
        self.there = own.counts > 0  # a row without shingles is like nothing

    def look_for(self, rows: pl.DataFrame) -> tuple[int, Rows]:
        """How many rows were looked through; the sample's rows, once for each row that they are near-duplicates of."""
        own = Shingles.of(texts_of(rows))
        here, there = self._candidates(own.band_keys())
        another = self.rows[there] != here + int(rows["row"][0])
        here, there = here[another], there[another]
        needed, at = np.unique(here, return_inverse=True)
        sets = own.take(needed).sets()
        alike = clusters.alike_pairs(at, there, *sets, self.sets, self.bounds, THRESHOLD, float(SHORT))
        return len(rows), there[alike]

    def _candidates(self, keys: npt.NDArray[np.uint32]) -> tuple[Rows, Rows]:
        """Pairs of a row of `keys` and a row of the sample that share a band: each once, for a band at most ENOUGH."""
        wanted = np.flatnonzero(self.there & (self.alike < ENOUGH))
        order = np.argsort(keys, axis=0, kind="stable")
        pairs = [np.zeros(0, dtype=np.int64)]
        for band in range(keys.shape[1]):
            ranked, sought = keys[order[:, band], band], self.keys[wanted, band]
            first = np.searchsorted(ranked, sought, side="left")
            counts = np.minimum(np.searchsorted(ranked, sought, side="right") - first, ENOUGH + 1)
            nth = np.arange(counts.sum()) - np.repeat(np.cumsum(counts) - counts, counts)
            here = order[np.repeat(first, counts) + nth, band]
            pairs.append(here * len(self.rows) + np.repeat(wanted, counts))
        found = np.unique(np.concatenate(pairs))
        return found // len(self.rows), found % len(self.rows)
