"""Keep N rows that tell most: of many labels something, of each the best rows first.

Of two labels the first two chosen are one of each; of a good row that is left it says `1 of 3 rows labelled algebra are
among the 2 that tell most`.
"""

from dataclasses import dataclass

import numpy as np
import polars as pl

from curate.embedding import check_embedder, embedder, is_model
from curate.pool import Pool
from curate.protocol import Column, check_selection, keep_if, numeric, threshold
from curate.selecting.chosen import filled_up, places
from curate.selecting.greedy import informative
from curate.selecting.labels import labels_of, spread


@dataclass(frozen=True, kw_only=True)
class Mig:
    """Greedy on information: the sum over labels of (quality told of it) ** power, shared by similar labels.

    Arxiv 2504.13835. A row without labels or quality tells nothing and comes last.
    """

    labels: Column
    """Topics of the step cluster (cluster.topic), or a field with a tag or a list of tags."""
    quality: Column | None = None
    """Scores of a judge, or any column of numbers, from 0; None: all rows are equally good."""
    embedder: str = "default"
    """What tells which labels are similar (docs/embedding.md)."""
    similarity: float = threshold(0.9)
    """Cosine of two labels from which what is told of one counts for the other too."""
    power: float = threshold(0.8)
    """Below 1: the more is told of a label, the less one more row tells."""
    n: int | None = threshold(None)
    """How many rows to keep."""
    share: float | None = threshold(None)
    """How many rows to keep, as a share of those that arrive, from 0 to 1; instead of n."""

    def __post_init__(self) -> None:
        check_embedder(self.embedder)
        check_selection(self.n, self.share)
        if not 0 < self.similarity <= 1 or not 0 < self.power <= 1:
            raise ValueError("similarity and power must be above 0 and at most 1")

    @property
    def asks_model(self) -> bool:
        return is_model(self.embedder)

    def decide(self, measures: pl.DataFrame, pool: Pool) -> pl.DataFrame:
        n = places(self.n, self.share, len(measures), pool)
        quality = np.ones(len(measures))
        if self.quality:
            score = measures.select(value=numeric(measures, self.quality, "quality"))["value"]
            if missing := score.null_count():
                pool.notes.append(f"rows without a value of {self.quality}, which come last: {missing:,}")
            low = float(score.fill_null(0.0).to_numpy().min(initial=0.0))
            if low < 0:
                pool.notes.append(f"{self.quality} falls below 0: counted from its lowest value")
                score = score - low
            quality = score.fill_null(0.0).to_numpy()
        names, own = labels_of(measures["labels"])
        vectors = embedder(self.embedder, pool).embed(names)
        told = spread(own, len(quality), vectors, self.similarity).multiply(quality[:, None]).tocsr()
        rows = np.flatnonzero((np.diff(told.indptr) > 0) & (quality > 0))
        starts, labels = told.indptr.astype(np.int64), told.indices.astype(np.int64)
        chosen = informative(
            starts, labels, told.data.astype(np.float64), len(names), rows, n, self.power, pool.working
        )
        kept = np.zeros(len(quality), dtype=np.bool_)
        kept[filled_up(chosen, n, np.arange(len(quality)))] = True
        said = pl.DataFrame({"kept": kept, "label": measures["labels"].cast(pl.String)}).with_columns(
            have=pl.len().over("label"), here=pl.col("kept").sum().over("label")
        )
        most = f"the {n:,} that tell most"
        reason = pl.format(f"{{}} of {{}} rows labelled {{}} are among {most}", "here", "have", "label")
        reason = pl.coalesce(reason, pl.lit(f"no label; not among {most}"))
        return said.select(verdict=keep_if(pl.col("kept")), reason=pl.when(~pl.col("kept")).then(reason))
