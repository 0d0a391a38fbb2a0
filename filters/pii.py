"""Drop a row that holds somebody's e-mail address, phone number, payment card or Korean resident number.

"Call Kim at 010-2345-6781."  is dropped: `phone in the response: "01…81"`; `curate convert --redact` keeps such rows.
"""

from dataclasses import dataclass
from typing import Literal

import polars as pl

from curate.personal import MAY_HOLD, personal
from curate.pool import Pool
from curate.protocol import unless_found


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
        told = []
        for side in self.reads:
            text = rows[side].fill_null("")
            may = text.str.contains(MAY_HOLD).arg_true()
            said = pl.Series([self._first(held, side) for held in text.gather(may)], dtype=pl.String)
            told.append(pl.Series([None], dtype=pl.String).new_from_index(0, len(rows)).scatter(may, said))
        return pl.DataFrame({"pii": told[0].zip_with(told[0].is_not_null(), told[1])})

    def decide(self, measures: pl.DataFrame, pool: Pool) -> pl.DataFrame:
        return unless_found(measures, "pii")

    def _first(self, text: str, side: str) -> str | None:
        for kind, start, end in personal(text, self.kinds):
            return f'{kind} in the {side}: "{text[start : start + 2]}…{text[end - 2 : end]}"'
        return None
