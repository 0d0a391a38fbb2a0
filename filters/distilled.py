"""Drop a row that a classifier, taught a judge's scores, finds of little worth; ask the judge where it is unsure.

"Buy now!!! Best price" is dropped: `the classifier gives educational-value of 3 or more a chance of 0.02`.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, Self

import orjson
import polars as pl
import xxhash

from curate.errors import UsageError
from curate.judging.distilled import Card, Classifier, is_sure, open_classifier
from curate.judging.judging import READS
from curate.judging.rubrics import load_rubric
from curate.pool import Pool
from curate.protocol import fitted, keep_if
from curate.registry import load_filter
from curate.working import in_order


@dataclass(frozen=True, kw_only=True)
class Distilled:
    """The score to expect of a judge, thousands of rows a second; only where it is unsure is the judge itself asked.

    `curate judge distill` makes the classifier from scores that a judge gave, and says how well it learnt.
    """

    reads = READS
    makes = ("score", "chance", "judged")
    model: str = ""
    """The folder that `curate judge distill` wrote."""
    judge: str | None = None
    """Who is asked where the classifier is unsure, as `judge` names its model; None: the classifier decides alone."""
    sure: float = 0.9
    """How sure the classifier must be to decide, 0.5 to 1; its card says what each bar saves and costs."""
    max_chars: int = 12_000
    """How much of a row the judge reads."""
    fingerprint: str | None = fitted()
    pool: Any = fitted()
    card: Any = fitted()
    classifier: Any = fitted()
    asked: Any = fitted()

    def __post_init__(self) -> None:
        if not self.model:
            raise ValueError("name the classifier (--set distilled.model=FOLDER); curate judge distill makes one")
        if not 0.5 <= self.sure <= 1:
            raise ValueError(f"sure is {self.sure:g}; it is a chance from 0.5 to 1")
        if self.card is None:
            self._judge(open_classifier(self.model)[0])

    def prepare(self, pool: Pool) -> Self:
        card, classifier = open_classifier(self.model, pool.work_dir)
        judge = self._judge(card)
        asked = judge.prepare(pool) if judge else None
        facts = [card.arrays, card.embedder_fingerprint, card.versions, card.cut, asked and asked.fingerprint]
        named = xxhash.xxh3_64_hexdigest(orjson.dumps(facts))
        return replace(self, pool=pool, fingerprint=named, card=card, classifier=classifier, asked=asked)

    def estimate(self, rows: pl.DataFrame, total: int, probe: bool) -> Iterator[str]:
        unsure = rows.filter(self._for_judge(self._said(rows)))
        share = len(unsure) / len(rows)
        yield f"{total:,} rows, about {1 - share:.0%} of which the classifier decides"
        if len(unsure):
            yield from self.asked.estimate(unsure, round(total * share), probe)

    def stream(self, batches: Iterator[pl.DataFrame]) -> Iterator[pl.DataFrame]:
        unsure = [pl.DataFrame(schema={"row": pl.UInt64, "score": pl.Float64, "chance": pl.Float64})]
        for said in in_order((partial(self._said, rows) for rows in batches), self.pool.working.threads):
            for_judge = self._for_judge(said)
            unsure.append(said.filter(for_judge).select("row", "score", "chance"))
            yield said.filter(~for_judge)
        left = pl.concat(unsure)
        if len(left):
            for judged in self.asked.stream(self.pool.texts(left["row"], READS)):
                known = judged.join(left, on="row", how="left", suffix="_expected", maintain_order="left")
                yield known.select("row", "score", "chance", "problem", judged="score")

    def decide(self, measures: pl.DataFrame, pool: Pool) -> pl.DataFrame:
        card: Card = self.card
        judged = pl.col("judged").is_not_null()
        keep = pl.when(judged).then(pl.col("judged") >= card.cut).otherwise(pl.col("chance") >= 0.5)
        value = pl.when(judged).then(keep.cast(pl.Float64)).otherwise("chance")
        of_judge = pl.format(
            f"the judge gives {card.rubric} {{}}, {{}} than {card.cut:g}; the classifier was unsure ({{}})",
            pl.col("judged").round(2),
            pl.when(keep).then(pl.lit("no less")).otherwise(pl.lit("less")),
            pl.col("chance").round(2),
        )
        of_classifier = pl.format(
            f"the classifier gives {card.rubric} of {card.cut:g} or more a chance of {{}}", pl.col("chance").round(2)
        )
        asked = measures["judged"].is_not_null().sum()
        pool.notes.append(f"{len(measures) - asked:,} rows decided by the classifier, {asked:,} by the judge")
        return measures.select(
            verdict=keep_if(keep),
            reason=pl.when(judged).then(of_judge).otherwise(of_classifier),
            value=value,
            threshold=pl.lit(0.5),
            margin=value - 0.5,
        )

    def _said(self, rows: pl.DataFrame) -> pl.DataFrame:
        classifier: Classifier = self.classifier
        nothing = rows["response"].is_null()
        said = classifier.said_of(rows.with_columns(pl.col("response").fill_null("")))
        return said.select(
            rows["row"],
            score=pl.when(~nothing).then("score"),
            chance=pl.when(~nothing).then("chance"),
            judged=pl.lit(None, dtype=pl.Float64),
            problem=pl.when(nothing).then(pl.lit("there is no response to judge")),
        )

    def _for_judge(self, said: pl.DataFrame) -> pl.Series:
        unsure = ~is_sure(said["chance"].fill_null(1.0).to_numpy(), self.sure)
        return pl.Series(unsure if self.judge else unsure & False)

    def _judge(self, card: Card) -> Any:
        """The filter that asks. Raises UsageError for a model that can't be, or a rubric that was changed since."""
        if not self.judge:
            return None
        if load_rubric(card.rubric, card.language).fingerprint != card.rubric_fingerprint:
            raise UsageError(
                f"{self.model} was taught by another text of {card.rubric} than there is now",
                "bring the old text back, or judge some rows by the new one and distill them",
            )
        parameters = {"rubric": card.rubric, "language": card.language, "max_chars": self.max_chars}
        return load_filter("judge")(model=self.judge, **parameters)
