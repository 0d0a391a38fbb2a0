"""Keep the N rows, or the share of rows, with the highest value of a measure.

With n 1 and by length.chars, "Paris." loses to a longer answer: `length.chars is 6, rank 2, only 1 are kept`.
"""

from dataclasses import dataclass
from typing import Literal

import polars as pl

from curate.pool import Pool
from curate.protocol import Column, check_selection, how_many, keep_if, numeric, threshold


@dataclass(frozen=True, kw_only=True)
class KeepTop:
    """The best rows by any measure, field of meta or column; a row without a value ranks last, ties go to the first."""

    by: Column
    """What ranks: `length.chars`, `meta.votes` ..."""
    n: int | None = threshold(None)
    """How many rows to keep."""
    share: float | None = threshold(None)
    """How many rows to keep, as a share of those that arrive, from 0 to 1; instead of n."""
    order: Literal["highest", "lowest"] = threshold("highest")
    """Which end is kept."""

    def __post_init__(self) -> None:
        check_selection(self.n, self.share)

    def decide(self, measures: pl.DataFrame, pool: Pool) -> pl.DataFrame:
        n = how_many(self.n, self.share, len(measures))
        sign = 1.0 if self.order == "highest" else -1.0
        ranked = measures.select("row", value=numeric(measures, self.by)).with_row_index("at")
        ranked = ranked.sort(sign * pl.col("value"), "row", descending=[True, False], nulls_last=True)
        limit = ranked["value"][n - 1] if n else None
        margin = sign * (pl.col("value") - limit) if limit is not None else pl.lit(None, dtype=pl.Float64)
        kept = pl.col("rank") <= n
        shown = pl.col("value").round(4).cast(pl.String).str.strip_suffix(".0")
        said = pl.format(f"{{}} is {{}}, rank {{}}, only {n:,} are kept", pl.lit(self.by), shown, "rank")
        none = pl.format(f"no value of {{}}, rank {{}}, only {n:,} are kept", pl.lit(self.by), "rank")
        return (
            ranked.with_row_index("rank", offset=1)
            .select(
                "at",
                verdict=keep_if(kept),
                reason=pl.when(~kept).then(pl.coalesce(said, none)),
                value="value",
                threshold=pl.lit(limit, dtype=pl.Float64),
                # a tie lost by its row number has no margin that says so
                margin=pl.when(kept | (margin < 0)).then(margin),
            )
            .sort("at")
            .drop("at")
        )
