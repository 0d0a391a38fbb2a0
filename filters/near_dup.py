"""Drop a row that says nearly the same as a better one.

"The capital of France is Paris, on the Seine." loses to the same with one word more: `0.88 of the shingles shared with
row:12`.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from typing import Literal

import numpy as np
import polars as pl

from curate.duplicates.near import THRESHOLD, Found, Rows, Shingles, check_similarity, find, normalised, texts_of
from curate.kernels.shingles import BANDS
from curate.pool import Pool
from curate.protocol import VERDICT, Column, best_first, for_measuring, threshold
from curate.working import in_order


@dataclass(frozen=True, kw_only=True)
class NearDup:
    """Rows that share most of their shingles: pairs of words; in Korean, Chinese, Japanese ... runs of three letters.

    Candidates share a MinHash band; each is verified by its real Jaccard similarity before it costs a row its place.
    """

    of: Literal["both", "prompt", "response", "first-turn"] = "both"
    """What is compared."""
    similarity: float = threshold(THRESHOLD)
    """Share of shingles from which two texts are the same; short texts need more (`curate.duplicates.near.SHORT`)."""
    keep: Literal["longest", "first"] = threshold("longest")
    """Which row of a cluster stays: the longest, or the first, which is that of the input named first."""
    by: Column | None = None
    """The row with the highest value of this column stays; of equal values, as `keep` says."""
    exclude: tuple[str, ...] = threshold(())
    """Files of rows one already has: what is nearly one of them is dropped."""

    def __post_init__(self) -> None:
        check_similarity(self.similarity)

    @property
    def reads(self) -> tuple[str, ...]:
        return {"both": ("prompt", "response"), "first-turn": ("messages",)}.get(self.of, (self.of,))

    def measure(self, rows: pl.DataFrame) -> pl.DataFrame:
        texts = self._texts(rows)
        own = Shingles.of(texts)
        bands = pl.Series("bands", own.band_keys(), dtype=pl.Array(pl.UInt32, BANDS))
        return pl.DataFrame({"bands": bands, "shingles": own.counts, "bytes": texts.str.len_bytes()})

    def decide(self, measures: pl.DataFrame, pool: Pool) -> pl.DataFrame:
        n = len(measures)
        own = measures["row"].to_numpy().astype(np.int64)
        ranked = best_first(
            measures.drop("bands").with_row_index("at"), self.by, *(["bytes"] if self.keep == "longest" else [])
        )
        priority = ranked["at"].to_numpy().astype(np.int64)
        keys = [piece.to_numpy() for piece in measures["bands"].get_chunks()]
        counts = measures["shingles"].to_numpy()
        old = pool.beside(self.exclude) if self.exclude else None
        if old:
            measure = for_measuring(self).measure
            calls = (partial(measure, rows) for rows in old.batches(self.reads))
            had = list(in_order(calls, pool.working.threads))
            keys += [piece["bands"].to_numpy() for piece in had]
            counts = np.concatenate((counts, *(piece["shingles"].to_numpy() for piece in had)))
            priority = np.concatenate((np.arange(n, len(counts)), priority))

        def shingles_of(rows: Rows) -> Iterator[Shingles]:
            yield from (Shingles.of(self._texts(frame)) for frame in pool.texts(own[rows[rows < n]], self.reads))
            if old:
                yield from (Shingles.of(self._texts(frame)) for frame in old.texts(rows[rows >= n] - n, self.reads))

        found = find(
            keys,
            counts,
            shingles_of,
            priority,
            threshold=self.similarity,
            fixed=len(counts) - n,
            folder=pool.work_dir,
            working=pool.working,
        )
        pool.notes.append(f"{found.candidates:,} candidate pairs, {found.verified:,} of them alike")
        if nothing := int((counts[:n] == 0).sum()):
            pool.notes.append(f"rows without a letter or digit, like no other: {nothing:,}")
        return self._verdicts(found, own, old)

    def _verdicts(self, found: Found, own: Rows, old: Pool | None) -> pl.DataFrame:
        """What is said of each row of the pool, whose numbers are `own`."""
        n = len(own)
        gone = np.flatnonzero(found.rival[:n] >= 0)
        value = pl.col("value")
        dropped = pl.DataFrame(
            {
                "at": gone,
                "value": found.similarity[gone],
                "threshold": found.needed[gone],
                "rival": _names(found.rival[gone], own, old),
            },
        ).with_columns(
            verdict=pl.lit("drop", dtype=VERDICT),
            reason=pl.format("{} of the shingles shared with {}", value.round(2), "rival"),
            margin=pl.col("threshold") - value - 1e-9,  # one that just reaches the bar goes too
        )
        verdicts = pl.DataFrame({"at": np.arange(n)}).join(dropped, on="at", how="left", maintain_order="left")
        return verdicts.drop("at").with_columns(pl.col("verdict").fill_null(pl.lit("keep", dtype=VERDICT)))

    def _texts(self, rows: pl.DataFrame) -> pl.Series:
        if self.of != "first-turn":
            return texts_of(rows, self.reads)
        asked = pl.element().filter(pl.element().struct.field("role") == "user").first().struct.field("content")
        first = pl.col("messages").list.eval(asked).list.first()
        return normalised(rows.select(first.fill_null("")).to_series())


def _names(rivals: Rows, own: Rows, old: Pool | None) -> pl.Series:
    """`row:N` of rivals in the pool; `FILE:LINE` of those from `--exclude`, which are numbered on after it."""
    numbers = pl.Series(own[np.minimum(rivals, len(own) - 1)])
    named = pl.DataFrame({"at": rivals, "row": numbers}).with_columns(name=pl.format("row:{}", "row"))
    theirs = np.unique(rivals[rivals >= len(own)])
    if old is None or not len(theirs):
        return named["name"]
    places = pl.concat(old.texts(theirs - len(own), ("source", "line")))
    places = places.select(at=pl.Series(theirs), place=pl.format("{}:{}", "source", "line"))
    found = named.join(places, on="at", how="left", maintain_order="left")
    return found.select(pl.coalesce("place", "name")).to_series()
