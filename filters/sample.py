"""Keep N rows, or a share of rows, by chance: the baseline that every other selection must beat.

With n 1000 of 50,000: `not drawn: 1,000 of 50,000 rows, seed 0`.
"""

from dataclasses import dataclass

import numpy as np
import polars as pl

from curate.pool import Pool
from curate.protocol import Column, check_selection, how_many, keep_if, threshold
from curate.seeded import shuffled_rank
from curate.selecting.quotas import quotas as split


@dataclass(frozen=True, kw_only=True)
class Sample:
    """A random sample, the same for the same seed; with `by`, each value of that column keeps its share."""

    n: int | None = threshold(None)
    """How many rows to keep."""
    share: float | None = threshold(None)
    """How many rows to keep, as a share of those that arrive, from 0 to 1; instead of n."""
    by: Column | None = None
    """Strata: each value of this column is drawn from in proportion to its rows (largest remainder)."""
    temperature: float = threshold(1.0)
    """With `by`: a value with s rows weighs s^(1/temperature), so that above 1 small ones get more: LIMA mixes by 3."""
    seed: int = threshold(0)
    """Another seed, another sample."""

    def __post_init__(self) -> None:
        check_selection(self.n, self.share)
        if self.temperature <= 0:
            raise ValueError("temperature must be above 0")
        if self.seed < 0:
            raise ValueError("seed must be 0 or more")

    def decide(self, measures: pl.DataFrame, pool: Pool) -> pl.DataFrame:
        n = how_many(self.n, self.share, len(measures))
        chance = pl.Series("chance", shuffled_rank(measures["row"].to_numpy(), self.seed))
        stratum = pl.col("by") if self.by else pl.lit(0)
        rows = measures.select("row", stratum=stratum).with_columns(chance)
        quotas = rows.group_by("stratum").agg(size=pl.len(), first=pl.col("row").min()).sort("first")
        quotas = quotas.with_columns(
            quota=pl.Series(split(quotas["size"].to_numpy().astype(np.int64), n, self.temperature))
        )
        drawn = rows.with_columns(rank=pl.col("chance").rank("ordinal").over("stratum")).join(
            quotas, on="stratum", how="left", maintain_order="left", nulls_equal=True
        )
        kept = pl.col("rank") <= pl.col("quota")
        said = pl.format(f"not drawn: {{}} of {{}} rows, seed {self.seed}", "quota", "size")
        if self.by:
            said = pl.format(
                f"not drawn: {{}} of {{}} rows where {{}} is {{}}, seed {self.seed}",
                "quota",
                "size",
                pl.lit(self.by),
                pl.col("stratum").cast(pl.String).fill_null("absent"),
            )
        return drawn.select(
            verdict=keep_if(kept),
            reason=pl.when(~kept).then(said),
        )
