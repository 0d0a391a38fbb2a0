"""Keep a row by several scores at once: their mean, the lowest of them, or each by a bar of its own.

value.score 4.2 and accuracy.score 2.1 with a lowest of 3  is dropped: `lowest of value.score, accuracy.score is 2.1,
less than 3`.
"""

from dataclasses import dataclass
from typing import Literal

import polars as pl

from curate.pool import Pool
from curate.protocol import Column, all_of, threshold, within


@dataclass(frozen=True, kw_only=True)
class Combine:
    """Several judges, rubrics or other measures of a row, put together into one decision."""

    of: tuple[Column, ...] = ()
    """What is combined, as in `[value.score, accuracy.score]`."""
    how: Literal["mean", "lowest", "all"] = threshold("mean")
    """The mean reaches the bar, the lowest does, or each value reaches its own."""
    at_least: tuple[float, ...] = threshold(())
    """The bar; for `all` one for each column."""

    def __post_init__(self) -> None:
        if len(self.of) < 2:
            raise ValueError("name two columns or more in `of`")
        wanted = len(self.of) if self.how == "all" else 1
        if len(self.at_least) != wanted:
            raise ValueError(f"how {self.how} needs {wanted} in `at_least`, not {len(self.at_least)}")

    def decide(self, measures: pl.DataFrame, pool: Pool) -> pl.DataFrame:
        columns = [f"of.{k}" for k in range(len(self.of))]
        if self.how == "all":
            return all_of(
                [
                    within(measures, column, low=bar, what=str(name))
                    for column, name, bar in zip(columns, self.of, self.at_least, strict=True)
                ]
            )
        put_together = pl.mean_horizontal if self.how == "mean" else pl.min_horizontal
        combined = measures.with_columns(combined=put_together(columns))
        return within(combined, "combined", low=self.at_least[0], what=f"{self.how} of {', '.join(self.of)}")
