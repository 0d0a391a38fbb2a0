"""Near-duplicates: candidates by MinHash bands, each verified by its real Jaccard similarity on the text.

"The capital of France is Paris, on the Seine." and "the capital of france is Paris on the Seine" are one; "Name a
prime." and "Name a river." are not: the shorter the texts, the more alike they must be.
"""

import tempfile
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import numpy as np
import numpy.typing as npt
import polars as pl

from curate.kernels import clusters, shingles
from curate.texts.buffers import buffers
from curate.texts.same_text import nfc
from curate.working import Working

Rows = npt.NDArray[np.int64]

THRESHOLD = 0.45
"""Default Jaccard similarity of shingles. 15 % of edited words leave 0.57 of the word pairs, 20 % leave 0.47. On the
rows of `benchmarks/near_duplicates.py` F1 is 0.983 at 0.5 and 0.994 at 0.45; on labelled pairs precision is equal."""

SHORT = 32
"""Texts of fewer shingles must be more alike than the threshold: "the capital of France is Paris" and "the capital of
Spain is Madrid" share half of their word pairs and say different things. Of labelled Korean and English pairs of
sentences that it calls the same, people do 99.6 %; at 24, which finds 7 % more, 99.0 %."""

LOWEST = 0.4
"""Below this the bands find less than 93 % of the pairs."""


def check_similarity(value: float) -> None:
    """Raises ValueError for a threshold that the bands can't serve."""
    if not LOWEST <= value <= 1:
        raise ValueError(f"similarity must lie between {LOWEST} and 1: below, the bands find too few pairs")


AT_ONCE = 8
"""Bands that are taken out of the keys at a time: a row's keys of one band alone would cost as much memory traffic."""


@dataclass(frozen=True)
class Found:
    """What was found among n rows.

    `rival` i64[n]: the row that each goes for, -1: it stays; `similarity` f64[n] to it; `needed` f64[n]: from where the
    two are the same. `candidates` pairs were compared, `verified` were alike; `largest`: rows of the largest cluster.
    `cluster` i64[n]: one row for each that is linked to it by verified pairs, through others or not.
    """

    rival: Rows
    similarity: npt.NDArray[np.float64]
    needed: npt.NDArray[np.float64]
    candidates: int
    verified: int
    largest: int
    cluster: Rows


def texts_of(rows: pl.DataFrame, columns: Sequence[str] = ("prompt", "response")) -> pl.Series:
    """What of rows is compared: some columns, one below the other, normalised."""
    text = pl.concat_str(columns, separator="\n", ignore_nulls=True).fill_null("")
    return normalised(rows.select(text).to_series())


def normalised(texts: pl.Series) -> pl.Series:
    """Texts as the kernels read them: NFC and lower case; where all is ASCII, the kernel lowers it."""
    if texts.str.len_bytes().sum() == texts.str.len_chars().sum():
        return texts
    return nfc(texts).str.to_lowercase()


@dataclass(frozen=True)
class Shingles:
    """Hashes of the shingles of n texts: those of text k are `hashes[starts[k] : starts[k] + counts[k]]`, any order.

    `hashes` u32[...], `starts` i64[n], `counts` u32[n].
    """

    hashes: npt.NDArray[np.uint32]
    starts: Rows
    counts: npt.NDArray[np.uint32]

    @classmethod
    def of(cls, texts: pl.Series) -> "Shingles":
        """The shingles of normalised texts."""
        data, offsets = buffers(texts)
        hashes = np.empty(int(offsets[-1] - offsets[0]) + len(texts), dtype=np.uint32)
        counts = np.empty(len(texts), dtype=np.uint32)
        size = shingles.shingle_hashes(data, offsets, shingles.code_point_classes(), hashes, counts)
        return cls(hashes[:size], np.cumsum(counts, dtype=np.int64) - counts, counts)

    def take(self, rows: Rows) -> "Shingles":
        """Those of some of the texts."""
        return Shingles(self.hashes, self.starts[rows], self.counts[rows])

    @classmethod
    def read(cls, file: IO[bytes], starts: Rows, counts: npt.NDArray[np.uint32]) -> "Shingles":
        """Those of some ascending texts, from a file of hashes."""
        first, last = int(starts[0]), int(starts[-1] + counts[-1])
        file.seek(first * 4)
        return cls(np.fromfile(file, dtype=np.uint32, count=last - first), starts - first, counts)

    def band_keys(self) -> npt.NDArray[np.uint32]:
        """u32[n, BANDS]: two texts with the same key in a column are candidates."""
        keys = np.empty((len(self.counts), shingles.BANDS), dtype=np.uint32)
        shingles.band_keys(self.hashes, self.starts, self.counts, *shingles.permutations(), keys)
        return keys

    def sets(self) -> tuple[npt.NDArray[np.uint32], Rows]:
        """The distinct shingles of each text, ascending, one text after the other, and their bounds i64[n + 1]."""
        sets = np.empty(int(self.counts.sum(dtype=np.int64)), dtype=np.uint32)
        bounds = np.empty(len(self.counts) + 1, dtype=np.int64)
        size = shingles.shingle_sets(self.hashes, self.starts, self.counts, sets, bounds)
        return sets[:size], bounds


def find(
    keys: Sequence[npt.NDArray[np.uint32]],
    counts: npt.NDArray[np.uint32],
    shingles_of: Callable[[Rows], Iterable[Shingles]],
    priority: Rows,
    *,
    threshold: float = THRESHOLD,
    fixed: int = 0,
    folder: Path | None = None,
    working: Working | None = None,
) -> Found:
    """Which of n rows are near-duplicates of a better one.

    `keys`, in pieces one after the other, and `counts`: band keys and numbers of shingles; `shingles_of(rows)`: the
    shingles of ascending rows, in pieces; `priority` i64[n]: all rows, best first; the last `fixed` rows stay whatever
    they are like. The shingles of candidates lie in a temporary file of `folder`, not in memory.
    """
    working = working or Working()
    n = len(counts)
    shared = np.zeros(n, dtype=np.bool_)
    for pairs in _bands(keys, np.flatnonzero(counts), "candidates", working):
        clusters.mark_shared(pairs, shared)
    marked = np.flatnonzero(shared)
    own = _rows_of(keys, marked)
    m = len(marked)
    place = np.full(n, -1, dtype=np.int64)
    place[marked] = np.arange(m)
    ranked = place[priority]
    order = ranked[ranked >= 0]
    parent = np.arange(m, dtype=np.int64)
    rival, similarity, needed = np.full(m, -1, dtype=np.int64), np.zeros(m), np.zeros(m)
    candidates = verified = 0
    with tempfile.TemporaryFile(dir=folder) as file:
        bounds = _spilled(shingles_of(marked), file, m, working)
        sets: Any = np.memmap(file, dtype=np.uint32) if bounds[-1] else np.zeros(0, dtype=np.uint32)
        for pairs in _bands([own[order]], np.arange(m), "comparing", working):
            here = clusters.link_band(pairs, order, parent, sets, bounds, threshold, float(SHORT))
            candidates, verified = candidates + here[0], verified + here[1]
        while not np.array_equal(parent, parent[parent]):
            parent = parent[parent]
        members, starts = _clusters(parent, order)
        clusters.choose(
            members, starts, own, sets, bounds, threshold, float(SHORT), marked >= n - fixed, rival, similarity, needed
        )
    gone = np.flatnonzero(rival >= 0)
    rivals, values, bars = np.full(n, -1, dtype=np.int64), np.zeros(n), np.zeros(n)
    rivals[marked[gone]] = marked[rival[gone]]
    values[marked[gone]], bars[marked[gone]] = similarity[gone], needed[gone]
    cluster = np.arange(n, dtype=np.int64)
    cluster[marked[order]] = marked[order[parent]]
    return Found(rivals, values, bars, candidates, verified, int(np.diff(starts).max(initial=0)), cluster)


def _bands(
    keys: Sequence[npt.NDArray[np.uint32]], rows: Rows, stage: str, working: Working
) -> Iterator[npt.NDArray[np.uint64]]:
    """For each band the pairs of key and row, sorted, of some `rows`; told as the progress of a stage."""
    pairs, spare = np.empty(len(rows), dtype=np.uint64), np.empty(len(rows), dtype=np.uint64)
    columns = np.empty((AT_ONCE, sum(map(len, keys))), dtype=np.uint32)
    for band in range(shingles.BANDS):
        if band % AT_ONCE == 0:
            start = 0
            for piece in keys:
                columns[:, start : start + len(piece)] = piece[:, band : band + AT_ONCE].T
                start += len(piece)
        clusters.sorted_pairs(columns[band % AT_ONCE], rows, pairs, spare)
        yield pairs
        working.check()
        working.report(stage, len(rows) * (band + 1) // shingles.BANDS, len(rows))


def _rows_of(keys: Sequence[npt.NDArray[np.uint32]], rows: Rows) -> npt.NDArray[np.uint32]:
    """The keys of ascending rows."""
    found = np.empty((len(rows), shingles.BANDS), dtype=np.uint32)
    start = 0
    for piece in keys:
        first, last = np.searchsorted(rows, (start, start + len(piece)))
        found[first:last] = piece[rows[first:last] - start]
        start += len(piece)
    return found


def _spilled(pieces: Iterable[Shingles], file: IO[bytes], m: int, working: Working) -> Rows:
    """Write the distinct shingles of m texts to a file; returns their bounds i64[m + 1]."""
    bounds, done = [np.zeros(1, dtype=np.int64)], 0
    for piece in pieces:
        sets, own = piece.sets()
        file.write(sets.data)
        bounds.append(bounds[-1][-1] + own[1:])
        done += len(own) - 1
        working.check()
        working.report("reading candidates", done, m)
    file.flush()
    return np.concatenate(bounds)


def _clusters(parent: Rows, order: Rows) -> tuple[Rows, Rows]:
    """The rows of clusters of more than one, cluster by cluster, best first, and where each cluster starts.

    `parent` of each rank, `order` the row of each rank.
    """
    sizes = np.bincount(parent, minlength=len(parent))
    ranks = np.flatnonzero(sizes[parent] > 1)
    ranks = ranks[np.argsort(parent[ranks], kind="stable")]
    changes = np.flatnonzero(np.diff(parent[ranks])) + 1
    return order[ranks], np.concatenate(([0], changes, [len(ranks)])).astype(np.int64)
