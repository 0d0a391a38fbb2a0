"""Drop a row that holds somebody's e-mail address, phone number, payment card or Korean resident number.

"Call Kim at 010-2345-6781."  is dropped: `phone in the response: "01…81"`; `curate convert --redact` keeps such rows.
"""

from dataclasses import dataclass
from functools import partial
from typing import Literal

import polars as pl

from curate.pool import Pool
from curate.protocol import said_where, unless_found
from curate.texts.personal import MAY_HOLD, personal


@dataclass(frozen=True, kw_only=True)
class Pii:
    """Personal data in the prompt or the response; cards and resident numbers by their checksums.

    What documentation writes in their place (user@example.com, 010-1234-5678, 555-0123) is nobody's.
    """

    per_row = True
    reads = ("prompt", "response")
    kinds: tuple[Literal["rrn", "card", "phone", "email"], ...] = ("rrn", "card", "phone", "email")
    """What is looked for."""

    def measure(self, rows: pl.DataFrame) -> pl.DataFrame:
        said = [said_where(rows, pl.col(side).str.contains(MAY_HOLD), partial(self._said, side)) for side in self.reads]
        return pl.select(pii=pl.coalesce(said))

    def decide(self, measures: pl.DataFrame, pool: Pool) -> pl.DataFrame:
        return unless_found(measures, "pii")

    def _said(self, side: str, held: pl.DataFrame) -> list[str | None]:
        return [self._first(text, side) for text in held[side]]

    def _first(self, text: str, side: str) -> str | None:
        for kind, start, end in personal(text, self.kinds):
            return f'{kind} in the {side}: "{text[start : start + 2]}…{text[end - 2 : end]}"'
        return None
