"""Drop a row whose response goes round in circles.

"I like tea. " twenty times over is dropped: `share of copied text is 0.95, more than 0.75`.
"""

from dataclasses import dataclass

import numpy as np
import polars as pl

from curate.pool import Pool
from curate.protocol import all_of, threshold, within
from curate.texts.buffers import buffers

FEW_BYTES = 120
"""Shorter responses have no room for a loop: "Row, row, row your boat" is none."""

ASKED_FOR = (
    r"(?i)(?-u:\b)(?:say|write|print|repeat|type)(?-u:\b).{0,60}"
    r"(?-u:\b)(?:\d+|ten|twenty|fifty|hundred|thousand) times(?-u:\b)|"
    r"\d ?번 ?(?:반복|써|쓰|말|적)"
)
"""A prompt that asks for so many times the same."""


@dataclass(frozen=True, kw_only=True)
class Repetition:
    """Share of the response that repeats its own earlier passages (32 bytes and longer), and of repeated lines.

    Gopher's rules count repeated words and n-grams one size at a time (Rae et al. 2021, arXiv 2112.11446, table A1),
    by thresholds for web pages; refrains, tables and code repeat themselves more than prose and are kept by these.
    """

    version = 2
    per_row = True
    reads = ("prompt", "response")
    max_copied: float | None = threshold(0.75)
    """Largest share of bytes that stand in a copy of an earlier passage of the same response. A list that says the
    same of ten things comes to 0.7."""
    max_lines: float | None = threshold(0.7)
    """Largest share of lines, blank ones not counted, that stood before in the same response. In generated code
    (brackets, the same option for every field) it comes to 0.68."""

    def measure(self, rows: pl.DataFrame) -> pl.DataFrame:
        from curate.kernels.repetition import repetition

        texts = rows["response"].fill_null("")
        data, offsets = buffers(texts)
        size, copied, lines, repeated = (np.zeros(len(texts), dtype=np.int64) for _ in range(4))
        repetition(data, offsets, size, copied, lines, repeated)
        long = size >= FEW_BYTES
        looped = np.flatnonzero(long & (copied * 2 > size))
        asked = rows["prompt"].gather(looped).fill_null("").str.contains(ASKED_FOR).to_numpy()
        long[looped[asked]] = False
        return pl.DataFrame(
            {
                "copied": np.where(long, copied / np.maximum(size, 1), 0.0),
                "lines": np.where(long & (lines > 4), repeated / np.maximum(lines, 1), 0.0),
            }
        )

    def decide(self, measures: pl.DataFrame, pool: Pool) -> pl.DataFrame:
        return all_of(
            [
                within(measures, "copied", high=self.max_copied, what="share of copied text"),
                within(measures, "lines", high=self.max_lines, what="share of repeated lines"),
            ]
        )
