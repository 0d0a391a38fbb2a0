"""Keep N rows of which no topic, language or source has too many.

With n 100 of 900 English rows and 50 Korean, temperature 3: `72 of 900 rows where language.language is en stay`.
"""

from dataclasses import dataclass

import numpy as np
import polars as pl

from curate.pool import Pool
from curate.protocol import Column, check_selection, keep_if, numeric, threshold
from curate.seeded import shuffled_rank
from curate.selecting.chosen import places
from curate.selecting.quotas import quotas


@dataclass(frozen=True, kw_only=True)
class Balance:
    """Quotas by the values of a column: in proportion to size ** (1 / temperature), as LIMA drew its sites with 3."""

    by: Column
    """What makes the groups: a topic, tag, language, source ...; a number is cut by `ranges`."""
    temperature: float | None = threshold(3.0)
    """1: groups keep their shares; the higher, the more alike they become; None: equal quotas."""
    ranges: tuple[float, ...] = threshold(())
    """Bounds between groups of numbers: [100, 500] makes three."""
    best: Column | None = None
    """Of a group the rows with the highest value of this column stay; None: drawn by the seed."""
    n: int | None = threshold(None)
    """How many rows to keep."""
    share: float | None = threshold(None)
    """How many rows to keep, as a share of those that arrive, from 0 to 1; instead of n."""
    seed: int = threshold(0)
    """Another seed, another choice."""

    def __post_init__(self) -> None:
        check_selection(self.n, self.share)
        if self.temperature is not None and self.temperature <= 0:
            raise ValueError("temperature must be above 0; None for equal quotas")
        if list(self.ranges) != sorted(set(self.ranges)):
            raise ValueError("ranges must ascend")

    def decide(self, measures: pl.DataFrame, pool: Pool) -> pl.DataFrame:
        n = places(self.n, self.share, len(measures), pool)
        group = pl.col("by").cast(pl.String)
        if self.ranges:
            number = numeric(measures, self.by)
            below = pl.lit(0).cast(pl.Int64)
            for bound in self.ranges:
                below = below + (number >= bound).cast(pl.Int64)
            names = [f"below {self.ranges[0]:g}", *(f"{bound:g} or more" for bound in self.ranges)]
            group = below.replace_strict(list(range(len(names))), names, return_dtype=pl.String)
        best = numeric(measures, self.best, "best") if self.best else pl.lit(0.0)
        chance = pl.Series("chance", shuffled_rank(measures["row"].to_numpy(), self.seed))
        rows = measures.select("row", group=group.fill_null("absent"), best=best).with_columns(chance)
        sizes = rows.group_by("group").agg(size=pl.len()).sort("group")
        sizes = sizes.with_columns(
            quota=pl.Series(quotas(sizes["size"].to_numpy().astype(np.int64), n, self.temperature))
        )
        for group, size, quota in sizes.sort("size", "group", descending=[True, False]).head(1).iter_rows():
            pool.notes.append(
                f"{len(sizes):,} values of {self.by}; the most frequent, {group}, has {size / len(rows):.0%} of the "
                f"rows, {quota / n:.0%} of those that stay"
            )
        ranked = rows.with_row_index("at").sort("best", "chance", descending=[True, False], nulls_last=True)
        ranked = ranked.with_columns(rank=pl.int_range(1, pl.len() + 1).over("group")).sort("at")
        said = ranked.join(sizes, on="group", how="left", maintain_order="left")
        kept = pl.col("rank") <= pl.col("quota")
        reason = pl.format("{} of {} rows where {} is {} stay", "quota", "size", pl.lit(self.by), "group")
        return said.select(verdict=keep_if(kept), reason=pl.when(~kept).then(reason))
