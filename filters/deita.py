"""Keep the N best rows by complexity times quality of which no two are alike.

The third best row, nearly a copy of the best, is passed over: `similarity 0.93 to row:4, chosen before it`.
"""

from dataclasses import dataclass

import numpy as np
import polars as pl

from curate.embedding import Of, check_embedder, is_model, vectors_of
from curate.pool import Pool
from curate.protocol import Column, check_selection, keep_if, numeric, threshold
from curate.selecting.apart import apart
from curate.selecting.chosen import filled_up, places


@dataclass(frozen=True, kw_only=True)
class Deita:
    """Rows in order of complexity × quality, each chosen that is not alike to one chosen before (arXiv 2312.15685).

    A row without a score comes after all others; where too few differ enough, fewer are kept.
    """

    complexity: Column
    """The scores of the rubric complexity, or any column of numbers."""
    quality: Column
    """The scores of the rubric quality, or any column of numbers."""
    embedder: str = "default"
    """What makes the vectors (docs/embedding.md)."""
    of: Of = "both"
    """What is compared."""
    similarity: float = threshold(0.9)
    """Cosine to a chosen row from which a row is passed over."""
    n: int | None = threshold(None)
    """How many rows to keep."""
    share: float | None = threshold(None)
    """How many rows to keep, as a share of those that arrive, from 0 to 1; instead of n."""

    def __post_init__(self) -> None:
        check_embedder(self.embedder)
        check_selection(self.n, self.share)
        if not 0 < self.similarity <= 1:
            raise ValueError("similarity must be above 0 and at most 1")

    @property
    def asks_model(self) -> bool:
        return is_model(self.embedder)

    def decide(self, measures: pl.DataFrame, pool: Pool) -> pl.DataFrame:
        n = places(self.n, self.share, len(measures), pool)
        hard, good = (numeric(measures, getattr(self, name), name) for name in ("complexity", "quality"))
        score = measures.select(value=hard * good)["value"]
        worth = score.fill_null(-np.inf).to_numpy()
        order = np.lexsort((np.arange(len(worth)), -worth))
        vectors = vectors_of(pool, self.embedder, self.of, measures["row"])
        found = apart(vectors, order, self.similarity, pool.working, most=n)
        if missing := score.null_count():
            pool.notes.append(f"rows without a score, which come last: {missing:,}")
        if len(found.kept) < n:
            pool.notes.append(f"{n:,} rows were asked for, {len(found.kept):,} differ enough")
        rank = np.empty(len(order), dtype=np.int64)
        rank[order] = np.arange(1, len(order) + 1)
        kept = np.zeros(len(order), dtype=np.bool_)
        kept[filled_up(found.kept, n)] = True
        gone = found.rival >= 0
        rival = pl.Series(measures["row"].gather(np.maximum(found.rival, 0)))
        said = pl.DataFrame({"kept": kept, "gone": gone, "rank": rank, "rival": rival, "cosine": found.value})
        name = pl.when("gone").then(pl.format("row:{}", "rival"))
        passed = pl.format("similarity {} to {}, chosen before it", pl.col("cosine").round(3), name)
        late = pl.format(f"rank {{}} by complexity × quality, the {len(found.kept):,} chosen rank before it", "rank")
        return said.select(
            verdict=keep_if(pl.col("kept")),
            reason=pl.when(~pl.col("kept")).then(pl.coalesce(passed, late)),
            value=pl.when("gone").then("cosine").otherwise(score),
            threshold=pl.when("gone").then(self.similarity),
            rival=name,
            evidence=pl.struct("rank").struct.json_encode(),
        )
