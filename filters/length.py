"""Drop a row whose response (or prompt) is too short or too long to teach anything.

"Name a prime." -> ""  is dropped: `response has 0 characters, fewer than 1`.
"""

from dataclasses import dataclass
from typing import Literal

import polars as pl

from curate.pool import Pool
from curate.protocol import all_of, check_bounds, threshold, within


@dataclass(frozen=True, kw_only=True)
class Length:
    """Characters and estimated tokens of the response, the prompt, or both together.

    Characters are Unicode code points, white space at the ends not counted. Tokens are estimated without a tokenizer,
    as a quarter of the characters of one byte and 0.6 of the others, which suits English, code and Korean under current
    vocabularies to about a fifth.
    """

    per_row = True
    version = 2
    of: Literal["response", "prompt", "both"] = "response"
    """Which side is measured."""
    min_chars: int | None = threshold(1)
    """Shortest text to keep; None: no lower bound. "Paris." is a good answer: raise it with care."""
    max_chars: int | None = threshold(None)
    """Longest text to keep, in characters."""
    min_tokens: int | None = threshold(None)
    """Shortest text to keep, in estimated tokens."""
    max_tokens: int | None = threshold(None)
    """Longest text to keep, in estimated tokens: for a training length."""

    def __post_init__(self) -> None:
        check_bounds("chars", self.min_chars, self.max_chars)
        check_bounds("tokens", self.min_tokens, self.max_tokens)

    @property
    def reads(self) -> tuple[str, ...]:
        return ("prompt", "response") if self.of == "both" else (self.of,)

    def measure(self, rows: pl.DataFrame) -> pl.DataFrame:
        texts = [pl.col(side).str.strip_chars().str for side in self.reads]
        both = self.of == "both"  # a conversation without an answer is as long as its prompt
        chars = pl.sum_horizontal([text.len_chars().cast(pl.Int64) for text in texts], ignore_nulls=both)
        size = pl.sum_horizontal([text.len_bytes().cast(pl.Int64) for text in texts], ignore_nulls=both)
        wide = (size - chars) / 2  # Hangul, kana and CJK take three bytes
        return rows.select(chars=chars, tokens=((chars - wide) / 4 + wide * 0.6).ceil().cast(pl.Int64))

    def decide(self, measures: pl.DataFrame, pool: Pool) -> pl.DataFrame:
        what = "row" if self.of == "both" else self.of
        return all_of(
            [
                within(measures, "chars", self.min_chars, self.max_chars, what, "characters"),
                within(measures, "tokens", self.min_tokens, self.max_tokens, what, "estimated tokens"),
            ]
        )
