"""Settle prompts that are there with different responses.

"Capital of Australia?" -> "Canberra." and -> "Sydney.": the better by a measure stays, for the other it says `another
response to the prompt of row:3`.
"""

from dataclasses import dataclass
from typing import Literal

import polars as pl

from curate.pool import Pool
from curate.protocol import VERDICT, Column, best_first, keep_if, threshold
from curate.texts.same_text import keys, normalised

PROMPT, RESPONSE = ("prompt_high", "prompt_low"), ("response_high", "response_low")


@dataclass(frozen=True, kw_only=True)
class Conflict:
    """Rows of one prompt (without regard to Unicode form, case and white space) whose responses differ."""

    reads = ("prompt", "response")
    keep: Literal["best", "all", "none"] = threshold("best")
    """Keep the best responses, all of them (they are only named), or none."""
    best: int = threshold(1)
    """How many responses to a prompt stay with `keep: best`."""
    by: Column | None = None
    """The highest value of this column is best; without it, and among equals, the longest response, then the first."""

    def __post_init__(self) -> None:
        if self.best < 1:
            raise ValueError("best must be 1 or more; `keep: none` drops all")

    def measure(self, rows: pl.DataFrame) -> pl.DataFrame:
        sides = normalised([pl.col(side).fill_null("") for side in self.reads])
        texts = rows.select(prompt=sides[0], response=sides[1])
        asked = keys(texts["prompt"], PROMPT).with_columns(
            pl.when(texts["prompt"] != "").then(pl.col(half)).alias(half) for half in PROMPT
        )
        chars = rows.select(chars=pl.col("response").str.len_chars().fill_null(0).cast(pl.Int64))
        return pl.concat([asked, keys(texts["response"], RESPONSE), chars], how="horizontal")

    def decide(self, measures: pl.DataFrame, pool: Pool) -> pl.DataFrame:
        rows = measures.drop_nulls(PROMPT).filter(pl.struct(PROMPT).is_duplicated())
        rows = rows.filter(pl.struct(RESPONSE).n_unique().over(PROMPT) > 1)
        ranked = best_first(rows, self.by, "chars")
        # of rows with one response the best stands for it: they stay or go together
        told = ranked.unique([*PROMPT, *RESPONSE], keep="first", maintain_order=True).select(
            *PROMPT,
            *RESPONSE,
            rank=pl.int_range(pl.len()).over(PROMPT),
            first=pl.col("row").first().over(PROMPT),
            second=pl.col("row").slice(1, 1).first().over(PROMPT),
        )
        ranked = ranked.join(told, on=[*PROMPT, *RESPONSE], how="left", maintain_order="left")
        stays = pl.lit(self.keep == "all") | (pl.lit(self.keep == "best") & (pl.col("rank") < self.best))
        other = pl.when(pl.col("rank") == 0).then("second").otherwise("first")
        name = pl.format("row:{}", other)
        said = ranked.select(
            "row",
            verdict=keep_if(stays),
            reason=pl.format("another response to the prompt of {}", name),
            rival=pl.when(~stays & pl.lit(self.keep == "best")).then(name),
            evidence=pl.struct(other=name).struct.json_encode(),
        )
        found = measures.select("row").join(said, on="row", how="left", maintain_order="left").drop("row")
        return found.with_columns(pl.col("verdict").fill_null(pl.lit("keep", dtype=VERDICT)))
