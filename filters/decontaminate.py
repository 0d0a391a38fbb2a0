"""Drop a row in which a test row stands, so that a benchmark measures what was learnt and not what was seen.

"Check if in given list of numbers, are any two numbers closer to each other than given threshold." is dropped: `the
prompt has 18 words in a row of humaneval:0 (prompt)`.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any, Literal, Self, cast

import numpy as np
import orjson
import polars as pl

from curate.code.alike import LEAST, Functions
from curate.code.syntax import python_in
from curate.contamination import BUILT_IN, CODE, OVERLAP, RUN, Index, Known, shown
from curate.embedding import Of, embedded, embedder
from curate.errors import UsageError
from curate.formats.sources import sources_of
from curate.pool import Pool
from curate.protocol import fitted, keep_if, threshold

A_PIECE = 8192
"""Rows whose vectors are compared with those of all test rows at a time."""

SIDES: dict[str, tuple[str, ...]] = {"both": ("prompt", "response"), "prompt": ("prompt",), "response": ("response",)}


@dataclass(frozen=True, kw_only=True)
class Decontaminate:
    """Rows that share n-grams with rows of HumanEval, MBPP, GSM8K or of the files of `--against`.

    A row goes when runs of eight words cover more than half of a text of a test row (Lambert et al. 2024, arXiv
    2411.15124), or when 13 words in a row are the same (Brown et al. 2020, arXiv 2005.14165); two letters of Korean,
    Chinese, Japanese ... count as a word, numbers and one-letter words as half of one. What stands in more than ten
    rows of a file is its template. A text of 5 to 10 words is found only where it is all of a side. Paraphrases and
    translations share no n-grams. Python functions are also compared by their syntax trees, in which names count for
    nothing.
    """

    of: Literal["both", "prompt", "response"] = "both"
    """Which side of a row is looked at, each apart; a plain text is a response."""
    benchmarks: tuple[str, ...] = BUILT_IN
    """Which of humaneval, mbpp and gsm8k are looked for: n-grams of theirs ship with curate, their texts do not."""
    against: tuple[str, ...] = ()
    """Files of test rows, of any shape: every text of a record is looked for. `--against` adds to them."""
    overlap: float | None = threshold(OVERLAP)
    """Largest share of a test row's text that may stand in the row; None: off. Of texts under 20 words, of 20."""
    run: float | None = threshold(RUN)
    """So many words in a row, the same as in a test row, are too many; None: off."""
    functions: bool = True
    """Whether the form of Python functions is compared too; it is found under other names, and takes a while."""
    code: float | None = threshold(CODE)
    """So alike must the syntax trees of two functions not be, by the edits between them, 0.8 to 1; None: off."""
    embedder: str | None = threshold(None)
    """Compare meanings too, for paraphrases and, by a model of several languages, translations: `st:NAME` ..."""
    cosine: float = threshold(0.9)
    """So near must the vectors of a side and of a test row's text not be, where there is an embedder."""
    fingerprint: str | None = fitted()
    known: Any = fitted()

    def __post_init__(self) -> None:
        if unknown := set(self.benchmarks) - set(BUILT_IN):
            raise ValueError(f"no benchmark that ships is called {sorted(unknown)[0]}; known: {', '.join(BUILT_IN)}")
        if not self.benchmarks and not self.against:
            raise ValueError("name what to look for: benchmarks, or files with --against")
        if self.code is not None and not LEAST <= self.code <= 1:
            raise ValueError(f"code must lie between {LEAST} and 1: below, what is no copy is alike by chance")

    @property
    def per_row(self) -> bool:
        """Only the living are embedded."""
        return self.embedder is None

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
        if "response" in self.reads and self.functions:
            found.append(self._alike(rows["response"].fill_null("")))
        return pl.concat(found, how="horizontal")

    def _alike(self, responses: pl.Series) -> pl.DataFrame:
        """Of each response the function most like one of a test row, how alike they are, and of which side it is."""
        functions: Functions = self.known.index.sides.functions
        may = responses.str.contains(r"(?m)^[ \t]*(?:async )?def \w").arg_true()
        said = [functions.most_like(python_in(text, alone=False)) for text in responses.gather(may)]
        found = pl.DataFrame({"at": may, "said": pl.Series(said, dtype=pl.List(pl.Float64))})
        lines = pl.DataFrame({"at": range(len(responses))}, schema={"at": may.dtype})
        value, side = pl.col("said").list.get(0), pl.col("said").list.get(1).cast(pl.Int64)
        return lines.join(found, on="at", how="left", maintain_order="left").select(
            response_code=value, response_code_side=side
        )

    def decide(self, measures: pl.DataFrame, pool: Pool) -> pl.DataFrame:
        looked = [(side, name) for name in ("overlap", "run", "code") for side in self.reads]
        hits = [hit for side, name in looked for hit in self._hits(measures, side, name)]
        if self.embedder is not None:
            hits += self._near(measures, pool)
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
        bound = getattr(self, name)
        if bound is None or f"{side}_{name}" not in measures.columns:
            return
        value = pl.col(f"{side}_{name}").cast(pl.Float64)
        number = pl.col(f"{side}_{name}_side").cast(pl.Int64)
        found = measures.filter(value > bound if name == "overlap" else value >= bound)
        if len(found):
            yield self._said(found.select("row", value=value, number=number), side, name, bound)

    def _near(self, measures: pl.DataFrame, pool: Pool) -> list[pl.DataFrame]:
        """The rows that are near a test row in meaning, each with the nearest text of one."""
        index: Index = self.known.index
        numbers = np.array([k for k in range(len(index.sides)) if index.sides.text(k)], dtype=np.int64)
        if not len(numbers):
            raise UsageError("only n-grams of the test rows are known, no texts to embed", "name files with --against")
        model = embedder(str(self.embedder), pool)
        tests = model.embed([index.sides.text(k) or "" for k in numbers.tolist()])
        rows = measures["row"].to_numpy().astype(np.int64)
        alive = np.zeros(len(pool), dtype=np.bool_)
        alive[rows] = True
        hits = []
        for side in self.reads:
            vectors = embedded(pool, model, cast(Of, side), rows=alive, working=pool.working)
            for start in range(0, len(rows), A_PIECE):
                own = rows[start : start + A_PIECE]
                cosines = vectors[own].astype(np.float32) @ tests.T
                nearest = cosines.argmax(axis=1)
                value = cosines[np.arange(len(own)), nearest].astype(np.float64)
                found = pl.DataFrame({"row": measures["row"][start : start + A_PIECE], "value": value})
                found = found.with_columns(number=pl.Series(numbers[nearest])).filter(pl.col("value") >= self.cosine)
                hits += [self._said(found, side, "cosine", self.cosine)] if len(found) else []
        return hits

    def _said(self, found: pl.DataFrame, side: str, name: str, bound: float) -> pl.DataFrame:
        """What is said of rows, their values and the numbers of the sides of test rows."""
        index: Index = self.known.index
        rival = pl.Series("rival", index.sides.rows, dtype=pl.String).gather(found["number"])
        field = pl.Series("field", index.sides.fields, dtype=pl.String).gather(found["number"])
        value = pl.col("value")
        whole = (value if name == "run" else value * 100).floor().cast(pl.Int64)
        words = {
            "overlap": "holds {} % of {} ({})",
            "run": "has {} words in a row of {} ({})",
            "code": "has a function that is by {} % one of {} ({})",
            "cosine": "is in meaning by {} % near {} ({})",
        }[name]
        return found.with_columns(rival, field).select(
            *("row", "number", "value", "rival"),
            side=pl.lit(side),
            threshold=pl.lit(float(bound)),
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
            if not spans:
                facts["own"] = shown(row[hit["side"]] or "")
            if text := index.sides.text(number):
                facts["text"] = shown(text)
            said.append(orjson.dumps(facts).decode())
        return pl.Series("evidence", said, dtype=pl.String)
