"""The topics of a pool: clusters of its rows by k-means over a seeded sample, with names told from their words.

`Topics(pool, "default", "both", None, 0).of_rows(rows)` says `python, function, list` of each row about that.
"""

import threading

import numpy as np
import numpy.typing as npt
import polars as pl
import xxhash

from curate.embedding import Of, embedded, embedder, texts_of
from curate.embedding.vectors import COLUMNS, Vectors, unit
from curate.pool import Pool
from curate.seeded import shuffled_rank
from curate.selecting.blocks import Rows, nearest
from curate.selecting.k_means import LEAST, SAMPLE, k_means
from curate.selecting.naming import names_of, words_of
from curate.whole import whole_file

VERSION = 1
"""Raised when the same rows come to have other topics."""

READ, HEAD = 200, 2000
"""Rows of a topic from which its name is told, and characters of each that are read."""

MOST = 100
"""Topics at most, where nobody said how many."""

Names = npt.NDArray[np.str_]


class Topics:
    """Found at the first question, and kept in the pool's folder, so that every range of rows is held to the same."""

    def __init__(self, pool: Pool, embedder_name: str, of: Of, count: int | None, seed: int) -> None:
        self._pool, self._of, self._seed = pool, of, seed
        self._count = count or max(1, min(MOST, round((len(pool) / 2) ** 0.5)))
        self._embedder = embedder(embedder_name, pool, of)
        self.fingerprint = f"{VERSION}-{self._embedder.fingerprint}"
        self._kept: tuple[Vectors, Names] | None = None
        self._alone = threading.Lock()

    def of_rows(self, rows: Rows) -> pl.Series:
        """The topic of each row; null where there is nothing to read."""
        with self._alone:  # whoever comes first embeds the whole pool, on all threads
            stored = embedded(self._pool, self._embedder, self._of, working=self._pool.working)
            if self._kept is None:
                self._kept = self._found(stored)
            centres, names = self._kept
            vectors = unit(stored[rows])
            own, _ = nearest(vectors, centres, self._pool.working)
        topics = pl.Series([*names.tolist(), None], dtype=pl.String)
        return topics.gather(np.where(vectors.any(axis=1), own, len(names)))

    def _found(self, stored: npt.NDArray[np.float16]) -> tuple[Vectors, Names]:
        asked = f"{self.fingerprint}-{self._of}-{self._pool.side}-{self._count}-{self._seed}"
        file = self._pool.path / "embeddings" / f"topics-{xxhash.xxh3_64_hexdigest(asked.encode())}.npz"
        if not file.exists():
            centres, names = self._find(stored)
            with whole_file(file) as opened:
                np.savez(opened, centres=centres, names=names)
        with np.load(file, allow_pickle=False) as saved:
            return saved["centres"], saved["names"]

    def _find(self, stored: npt.NDArray[np.float16]) -> tuple[Vectors, Names]:
        rows, most = np.arange(len(self._pool)), max(LEAST, SAMPLE * self._count)
        if len(rows) > most:
            rows = np.sort(rows[np.argpartition(shuffled_rank(rows, self._seed), most)[:most]])
        vectors = unit(stored[rows])
        there = vectors.any(axis=1)
        rows, vectors, every = rows[there], vectors[there], np.arange(int(there.sum()))
        centres = k_means(vectors, every, self._count, seed=self._seed, working=self._pool.working)
        if not len(centres):
            return centres, np.zeros(0, dtype=np.str_)
        own, _ = nearest(vectors, centres, self._pool.working)
        held, own = np.unique(own, return_inverse=True)
        read = pl.DataFrame({"row": rows, "group": own, "chance": shuffled_rank(rows, self._seed)})
        read = read.filter(pl.col("chance").rank("ordinal").over("group") <= READ).drop("chance")
        counted = []
        for frame in self._pool.texts(read["row"].to_numpy(), COLUMNS[self._of]):
            here = frame.select(pl.col("row").cast(pl.Int64)).join(read, on="row", maintain_order="left")
            counted.append(words_of(texts_of(frame, self._of).str.head(HEAD), here["group"]))
        words = pl.concat(counted).group_by("group", "word").agg(pl.col("texts").sum())
        sizes = read.group_by("group").agg(size=pl.len()).sort("group")
        return centres[held], np.array(names_of(words, sizes), dtype=np.str_)
