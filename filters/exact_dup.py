"""Drop a row that says the same as one before it.

"Name a prime." -> "7" and "name a  prime." -> "7"  are the same, normalised: `same prompt and response as row:0`.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

import polars as pl

from curate.pool import Pool
from curate.protocol import Column, best_first, for_measuring, keep_if, threshold
from curate.texts.same_text import keys, normalised

KEY = ("high", "low")


@dataclass(frozen=True, kw_only=True)
class ExactDup:
    """Equal prompt and response, or one of them; of equal rows the first stays, or the best by a measure.

    Texts are compared by a 128-bit hash. An empty text equals nothing. Both sides together means all of the row: the
    same answer against another rejected one, or with another label, is no copy.
    """

    of: Literal["both", "prompt", "response"] = "both"
    """Which side must be equal. `prompt` alone also drops other answers to the same question."""
    normalise: bool = True
    """Compare without regard to Unicode form (NFC), case and white space."""
    exclude: tuple[str, ...] = threshold(())
    """Files of rows one already has: what equals one of them is dropped."""
    by: Column | None = None
    """Keep the row with the highest value of this column; of equal values, the first."""

    @property
    def reads(self) -> tuple[str, ...]:
        return ("prompt", "response", "rejected", "label") if self.of == "both" else (self.of,)

    def measure(self, rows: pl.DataFrame) -> pl.DataFrame:
        sides = [pl.col(side).fill_null("") for side in ("prompt", "response") if side in self.reads]
        said = pl.any_horizontal(side.str.contains(r"\S") for side in sides)
        if self.normalise:
            sides = normalised(sides)
        text = pl.concat_str(sides, separator="\0")
        # a row without them has the same key whatever the rows around it have
        if self.of == "both" and rows["rejected"].null_count() < len(rows):
            turns = pl.col("rejected").list.eval(pl.element().struct.json_encode()).list.join("\0")
            text += ("\0rejected\0" + turns).fill_null("")
        if self.of == "both" and rows["label"].null_count() < len(rows):
            text += ("\0label\0" + pl.col("label").cast(pl.String)).fill_null("")
        texts, has_text = rows.select(text=text, has_text=said)
        found = keys(texts, KEY)
        return found.with_columns(pl.when(has_text).then(pl.col(half)).alias(half) for half in KEY)

    def decide(self, measures: pl.DataFrame, pool: Pool) -> pl.DataFrame:
        alike = measures.drop_nulls(KEY).filter(pl.struct(KEY).is_duplicated())
        first = best_first(alike, self.by).unique(KEY, keep="first", maintain_order=True).select(*KEY, first="row")
        copies = alike.join(first, on=KEY).filter(pl.col("first") != pl.col("row"))
        copies = copies.select("row", rival=pl.format("row:{}", pl.col("first")))
        if self.exclude:
            had = pl.concat(self._had(pool.beside(self.exclude))).unique(KEY, keep="first", maintain_order=True)
            known = measures.join(had, on=KEY).select("row", rival="place")
            copies = pl.concat([known, copies]).unique("row", keep="first", maintain_order=True)
        found = measures.select("row").join(copies, on="row", how="left", maintain_order="left")
        same = "prompt and response" if self.of == "both" else self.of
        return found.select(
            verdict=keep_if(pl.col("rival").is_null()),
            reason=pl.format(f"same {same} as {{}}", pl.col("rival")),
            rival="rival",
        )

    def _had(self, pool: Pool) -> Iterator[pl.DataFrame]:
        measuring = for_measuring(self)
        for rows in pool.batches(("source", "line", *self.reads)):
            place = rows.select(place=pl.format("{}:{}", "source", "line"))
            yield pl.concat([measuring.measure(rows), place], how="horizontal").drop_nulls(KEY)
