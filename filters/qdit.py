"""Keep N rows that are good and together stand for all others.

With alpha 0.7 a dull row beside a chosen one is left: `nearest is row:17, similarity 0.83`.
"""

from dataclasses import dataclass

import numpy as np
import polars as pl

from curate.embedding import Of, check_embedder, is_model, vectors_of
from curate.pool import Pool
from curate.protocol import Column, check_selection, numeric, threshold
from curate.selecting.chosen import filled_up, places, verdicts, with_text
from curate.selecting.greedy import facility


@dataclass(frozen=True, kw_only=True)
class Qdit:
    """Greedy on (1 - alpha) · coverage gained + alpha · quality (Bukharin et al. 2023, arXiv 2311.14736).

    Coverage is facility location in thousandths of what could be, quality is put between 0, the lowest, and 1, the
    highest. A row without a quality comes after all others.
    """

    quality: Column
    """Scores of a judge, or any column of numbers."""
    alpha: float = threshold(0.7)
    """How much quality counts, from 0 (coverage alone) to 1 (the best rows)."""
    embedder: str = "default"
    """What makes the vectors (docs/embedding.md)."""
    of: Of = "both"
    """What is compared."""
    n: int | None = threshold(None)
    """How many rows to keep."""
    share: float | None = threshold(None)
    """How many rows to keep, as a share of those that arrive, from 0 to 1; instead of n."""

    def __post_init__(self) -> None:
        check_embedder(self.embedder)
        check_selection(self.n, self.share)
        if not 0 <= self.alpha <= 1:
            raise ValueError("alpha must lie between 0 and 1")

    @property
    def asks_model(self) -> bool:
        return is_model(self.embedder)

    def decide(self, measures: pl.DataFrame, pool: Pool) -> pl.DataFrame:
        n = places(self.n, self.share, len(measures), pool)
        score = measures.select(value=numeric(measures, self.quality, "quality"))["value"]
        if missing := score.null_count():
            pool.notes.append(f"rows without a value of {self.quality}, which come last: {missing:,}")
        quality = score.to_numpy()
        there = np.flatnonzero(np.isfinite(quality))
        low, high = (quality[there].min(), quality[there].max()) if len(there) else (0.0, 0.0)
        worth = (quality - low) / (high - low) if high > low else np.zeros(len(quality))
        vectors = vectors_of(pool, self.embedder, self.of, measures["row"])
        rows = np.intersect1d(with_text(vectors), there)
        chosen, _, _ = facility(vectors, rows, n, pool.working, worth=self.alpha * worth, weight=1 - self.alpha)
        return verdicts(measures["row"], filled_up(chosen, n, there, np.arange(len(quality))), vectors, pool)
