"""Drop a row that a model judges to be of little worth by a rubric.

"Buy now!!! Best price" is dropped: `educational-value is 0.41, less than 3`.
"""

import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any, Literal, Self

import polars as pl

from curate.judging import judging
from curate.judging.estimating import cost_of, time_of
from curate.judging.judging import READS, Verdict, has_logprobs, judged
from curate.judging.rubrics import Mode, Rubric, load_rubric
from curate.models import WAYS, check_model, identity_of
from curate.pool import Pool
from curate.protocol import VERDICT, fitted, threshold, within

LINES, SECONDS = 64, 0.5
"""So many verdicts, or those of so long, go to the engine at a time."""


@dataclass(frozen=True, kw_only=True)
class Judge:
    """The score of a model by a rubric: educational value, accuracy, complexity, quality, or one of your own.

    `expected`, the default where the model gives log-probabilities, asks for the score alone and weighs every label by
    its probability: finer than a whole number, and one token of output.
    """

    reads = READS
    makes = ("score", "doubt", "cut", "flipped", "first")
    model: str = ""
    """`vllm:NAME_OR_PATH`, `http://HOST:PORT/v1#NAME` or `hf:NAME_OR_PATH`."""
    rubric: str = "educational-value"
    """A name (see `curate rubrics`) or a file of your own."""
    language: Literal["en", "ko"] = "en"
    """Language of the rubric; rows may be in any."""
    mode: Literal["expected", "text", "choice"] | None = None
    """`expected`: from log-probabilities; `text`: a reason, then a score; `choice`: a label by structured output."""
    at_least: float | None = threshold(None)
    """Lowest score to keep; None: what the rubric says."""
    max_doubt: float | None = threshold(None)
    """Largest share of the model's belief off the scale; rows of more are unscored."""
    max_chars: int = 12_000
    """How much of a row is read."""
    long: Literal["cut", "unscored"] = "cut"
    """What becomes of longer rows: cut in the middle, visibly, or unscored."""
    fingerprint: str | None = fitted()
    pool: Any = fitted()

    def __post_init__(self) -> None:
        if not self.model:
            raise ValueError(f"name a model (--judge MODEL, or --set judge.model=MODEL); {WAYS}")
        check_model(self.model)
        load_rubric(self.rubric, self.language)

    def prepare(self, pool: Pool) -> Self:
        rubric = self._rubric
        return replace(self, pool=pool, fingerprint=f"{rubric.fingerprint} {identity_of(self.model)}")

    def estimate(self, rows: pl.DataFrame, total: int, probe: bool) -> Iterator[str]:
        about = rows, total, self._judge(self.mode or "expected"), self.pool.work_dir, self.pool.working
        yield from cost_of(*about)
        if not probe:
            return
        mode = self._answered()  # asks the model: a person knows by now what is to come
        about = *about[:2], self._judge(mode), *about[3:]
        if mode != (self.mode or "expected"):
            yield "the model gives no log-probabilities, so it is asked for a reason and a score"
            yield from cost_of(*about)
        yield from time_of(*about)

    def stream(self, batches: Iterator[pl.DataFrame]) -> Iterator[pl.DataFrame]:
        waiting: list[Verdict] = []
        since = time.monotonic()
        for verdict in judged(batches, self._judge(self._answered()), self.pool.work_dir, self.pool.working):
            waiting.append(verdict)
            if len(waiting) >= LINES or time.monotonic() - since > SECONDS:
                yield pl.DataFrame(waiting, schema=SCHEMA, orient="row")
                waiting, since = [], time.monotonic()
        yield pl.DataFrame(waiting, schema=SCHEMA, orient="row")

    def decide(self, measures: pl.DataFrame, pool: Pool) -> pl.DataFrame:
        rubric = self._rubric
        flipped = measures["flipped"].drop_nulls()
        if len(flipped):
            share = flipped.sum() / len(flipped)
            pool.notes.append(f"the judge preferred another answer in the other order in {share:.1%} of the pairs")
        least = rubric.keep if self.at_least is None else self.at_least
        decided = within(measures, "score", low=least, what=rubric.name)
        doubt = measures["doubt"]
        in_doubt = (doubt > self.max_doubt).fill_null(False) if self.max_doubt is not None else pl.lit(False)
        why = pl.format("{} of the judge's belief lies off the scale", doubt.round(2))
        evidence = measures.select(pl.struct("doubt", "cut", "flipped").struct.json_encode()).to_series()
        return decided.with_columns(
            verdict=pl.when(in_doubt).then(pl.lit("unscored", dtype=VERDICT)).otherwise("verdict"),
            reason=pl.when(in_doubt).then(why).otherwise("reason"),
            evidence=evidence,
        )

    def _answered(self) -> Mode:
        if self.mode:
            return self.mode
        return "expected" if has_logprobs(self.model, self.pool.work_dir, self.pool.working) else "text"

    @property
    def _rubric(self) -> Rubric:
        return load_rubric(self.rubric, self.language)

    def _judge(self, mode: Mode) -> judging.Judge:
        return judging.Judge(self.model, self._rubric, mode, self.max_chars, self.long == "cut")


SCHEMA = {
    "row": pl.UInt64,
    "score": pl.Float64,
    "doubt": pl.Float64,
    "cut": pl.Boolean,
    "flipped": pl.Boolean,
    "problem": pl.String,
    "first": pl.Float64,
}
assert list(SCHEMA) == list(Verdict._fields)
