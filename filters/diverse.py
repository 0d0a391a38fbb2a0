"""Keep N rows that differ, or that stand for all others, by their vectors.

With n 1000 "How do I cancel it?" is left: `not among the 1,000 chosen: nearest is row:17, similarity 0.83`.
"""

from dataclasses import dataclass
from typing import Literal

import numpy as np
import polars as pl

from curate.embedding import Of, check_embedder, is_model, vectors_of
from curate.pool import Pool
from curate.protocol import check_selection, threshold
from curate.selecting.chosen import filled_up, places, verdicts, with_text
from curate.selecting.greedy import by_clusters, facility, farthest_first

MOST_CLUSTERS = 1000


@dataclass(frozen=True, kw_only=True)
class Diverse:
    """A varied choice; rows with nothing to read are taken last."""

    embedder: str = "default"
    """What makes the vectors (docs/embedding.md); farthest-first needs one that knows meaning."""
    of: Of = "both"
    """What is compared."""
    method: Literal["k-means", "farthest-first", "facility"] = threshold("k-means")
    """k-means: the rows nearest the centres of clusters; farthest-first: each far from those before, odd ones first;
    facility: so that every row has a chosen one near it."""
    n: int | None = threshold(None)
    """How many rows to keep."""
    share: float | None = threshold(None)
    """How many rows to keep, as a share of those that arrive, from 0 to 1; instead of n."""
    clusters: int | None = threshold(None)
    """k-means: how many clusters; None: one for each row to keep, 1,000 at most."""

    def __post_init__(self) -> None:
        check_embedder(self.embedder)
        check_selection(self.n, self.share)
        if self.clusters is not None and self.clusters < 1:
            raise ValueError("clusters must be 1 or more")

    @property
    def asks_model(self) -> bool:
        return is_model(self.embedder)

    def decide(self, measures: pl.DataFrame, pool: Pool) -> pl.DataFrame:
        n = places(self.n, self.share, len(measures), pool)
        vectors = vectors_of(pool, self.embedder, self.of, measures["row"])
        rows = with_text(vectors)
        mean, exact = 0.0, True
        if self.method == "k-means":
            chosen = by_clusters(vectors, rows, n, self.clusters or min(n, MOST_CLUSTERS), pool.working)
        elif self.method == "farthest-first":
            chosen = farthest_first(vectors, rows, n, pool.working)
        else:
            chosen, mean, exact = facility(vectors, rows, n, pool.working)
        said = verdicts(measures["row"], filled_up(chosen, n, np.arange(len(measures))), vectors, pool)
        if not exact:
            found = float(said["value"].clip(0, 1).fill_null(1.0).sum() / len(rows))
            pool.notes.append(
                f"a sample stands for all {len(rows):,} rows; mean similarity to the nearest chosen is {mean:.4f} in "
                f"it, {found:.4f} of all: at most about {max(0.0, 1 - found / mean):.2%} less than exactly chosen"
            )
        return said
