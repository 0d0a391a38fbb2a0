"""Drop a row in which a test row stands, so that a benchmark measures what was learnt and not what was seen.

"Check if in given list of numbers, are any two numbers closer to each other than given threshold." is dropped: `the
prompt holds 71 % of humaneval:0 (prompt)`.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any, Literal, Self

import orjson
import polars as pl

from curate.contamination import BUILT_IN, Index, Known, shown
from curate.formats.sources import sources_of
from curate.pool import Pool
from curate.protocol import fitted, keep_if, threshold

SIDES: dict[str, tuple[str, ...]] = {"both": ("prompt", "response"), "prompt": ("prompt",), "response": ("response",)}


@dataclass(frozen=True, kw_only=True)
class Decontaminate:
    """Rows that share n-grams with rows of HumanEval, MBPP, GSM8K or of the files of `--against`.

    A row goes when runs of eight words cover more than half of a text of a test row (Lambert et al. 2024, arXiv
    2411.15124), or when 13 words in a row are the same (Brown et al. 2020, arXiv 2005.14165); two letters of Korean,
    Chinese, Japanese ... count as a word, numbers and one-letter words as half of one. What stands in more than ten
    rows of a file is its template. A text of 5 to 10 words is found only where it is all of a side. Paraphrases and
    translations share no n-grams.
    """

    per_row = True
    of: Literal["both", "prompt", "response"] = "both"
    """Which side of a row is looked at, each apart; a plain text is a response."""
    benchmarks: tuple[str, ...] = BUILT_IN
    """Which of humaneval, mbpp and gsm8k are looked for: n-grams of theirs ship with curate, their texts do not."""
    against: tuple[str, ...] = ()
    """Files of test rows, of any shape: every text of a record is looked for. `--against` adds to them."""
    overlap: float | None = threshold(0.5)
    """Largest share of a test row's text that may stand in the row; None: off. Of texts under 20 words, of 20."""
    run: float | None = threshold(13.0)
    """So many words in a row, the same as in a test row, are too many; None: off."""
    fingerprint: str | None = fitted()
    known: Any = fitted()

    def __post_init__(self) -> None:
        if unknown := set(self.benchmarks) - set(BUILT_IN):
            raise ValueError(f"no benchmark that ships is called {sorted(unknown)[0]}; known: {', '.join(BUILT_IN)}")
        if not self.benchmarks and not self.against:
            raise ValueError("name what to look for: benchmarks, or files with --against")

    @property
    def reads(self) -> tuple[str, ...]:
        return SIDES[self.of]

    def prepare(self, pool: Pool) -> Self:
        sources = sources_of(self.against, pool.work_dir / "pools") if self.against else []
        known = Known(self.benchmarks, sources, pool.working)
        return replace(self, known=known, fingerprint=known.fingerprint)

    def measure(self, rows: pl.DataFrame) -> pl.DataFrame:
        index: Index = self.known.index
        found = [index.matches(rows[side]).select(pl.all().name.prefix(f"{side}_")) for side in self.reads]
        return pl.concat(found, how="horizontal")

    def decide(self, measures: pl.DataFrame, pool: Pool) -> pl.DataFrame:
        hits = [hit for name in ("overlap", "run") for side in self.reads for hit in self._hits(measures, side, name)]
        largest = pl.max_horizontal(f"{side}_overlap" for side in self.reads).cast(pl.Float64)
        bound = pl.lit(self.overlap, dtype=pl.Float64)
        rows = measures.select("row", value=largest, threshold=bound, margin=bound - largest)
        if hits:
            found = pl.concat(hits).unique("row", keep="first", maintain_order=True).sort("row")
            found = found.with_columns(self._evidence(found, pool)).drop("side", "number")
            kept = rows.join(found, on="row", how="anti")
            rows = pl.concat([kept, found], how="diagonal").sort("row")
        rows = measures.select("row").join(rows, on="row", how="left", maintain_order="left")
        return rows.select(pl.exclude("row"), verdict=keep_if(pl.col("reason").is_null() if hits else pl.lit(True)))

    def _hits(self, measures: pl.DataFrame, side: str, name: str) -> Iterator[pl.DataFrame]:
        """The rows that break a bound on one side, each with the side of a test row that it breaks it with."""
        bound, index = getattr(self, name), self.known.index
        if bound is None:
            return
        value = pl.col("value")
        found = measures.select(
            "row", value=pl.col(f"{side}_{name}").cast(pl.Float64), number=pl.col(f"{side}_{name}_side")
        ).filter(value > bound if name == "overlap" else value >= bound)
        if not len(found):
            return
        number = found["number"]
        rival = pl.Series("rival", index.sides.rows, dtype=pl.String).gather(number)
        field = pl.Series("field", index.sides.fields, dtype=pl.String).gather(number)
        whole = (value * 100 if name == "overlap" else value).floor().cast(pl.Int64)
        words = "holds {} % of {} ({})" if name == "overlap" else "has {} words in a row of {} ({})"
        yield found.with_columns(rival, field).select(
            *("row", "number", "value", "rival"),
            side=pl.lit(side),
            threshold=pl.lit(bound),
            margin=bound - value - 1e-9,
            reason=pl.format(f"the {side} {words}", whole, "rival", "field"),
        )

    def _evidence(self, found: pl.DataFrame, pool: Pool) -> pl.Series:
        """What of each row stands in its test row, as JSON, and the test row's text where it can be had."""
        index: Index = self.known.index
        texts = (row for frame in pool.texts(found["row"], self.reads) for row in frame.iter_rows(named=True))
        said = []
        for hit, row in zip(found.iter_rows(named=True), texts, strict=True):
            number = hit["number"]
            spans = [shown(span) for span in index.spans(row[hit["side"]] or "", number)]
            facts = {"side": hit["side"], "of": f"{hit['rival']} {index.sides.fields[number]}", "spans": spans}
            if text := index.sides.text(number):
                facts["text"] = shown(text)
            said.append(orjson.dumps(facts).decode())
        return pl.Series("evidence", said, dtype=pl.String)
