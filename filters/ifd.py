"""Drop a row whose instruction does nothing for its response, and keep those where it has most left to teach.

A poem under "Name a prime." is dropped: `perplexity ratio is 1.04, 1 or more: the instruction does not help`.
"""

import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any, Literal, Self

import polars as pl

from curate.errors import StoppedError
from curate.likelihood.of_responses import MAKES, READS, SCHEMA, Alone, likelihoods
from curate.models import identity_of
from curate.models.likelihood import WAYS, check_likelihood_model, open_likelihood_model
from curate.pool import Pool
from curate.protocol import check_selection, fitted, keep_if, threshold
from curate.spending import Spending

LINES, SECONDS, PROBED = 64, 0.5, 16


@dataclass(frozen=True, kw_only=True)
class Ifd:
    """Instruction-following difficulty: how a language model's loss of the response falls when it has read the prompt.

    A ratio of 1 or more means that the prompt did not help: another question's answer, or no answer. Of the rest a
    high ratio means that the model could not have guessed the response from the prompt. It says nothing of whether the
    response is right, cut off or well written; docs/likelihood.md says what it was found to tell, and what not.
    Per assistant turn, each after its own context. A token that has no likelihood alone (the first of a response, where
    nothing comes before it) is left out of both sides.
    """

    reads = READS
    makes = MAKES
    model: str = ""
    """`hf:NAME_OR_PATH` or `vllm:NAME_OR_PATH`; a small one will do."""
    alone: Alone = "template"
    """What the response alone follows: `template`, the model's chat template around an empty question, where it has
    one; `bare`, nothing, as published."""
    ratio: Literal["perplexity", "loss"] = threshold("perplexity")
    """`perplexity`: exp(loss) over exp(loss), as Superfiltering; `loss`: loss over loss, as Cherry."""
    turns: Literal["mean", "min"] = threshold("mean")
    """What counts of a conversation: the mean over its assistant turns, or the smallest."""
    below: float | None = threshold(1.0)
    """Rows of so much or more go; None: none."""
    n: int | None = threshold(None)
    """How many of the rest are kept, the highest first; None: all."""
    share: float | None = threshold(None)
    """The same as a share of the rows that arrive, from 0 to 1."""
    fingerprint: str | None = fitted()
    pool: Any = fitted()

    def __post_init__(self) -> None:
        if not self.model:
            raise ValueError(f"name a model (--set ifd.model=MODEL); {WAYS}")
        check_likelihood_model(self.model)
        if self.n is not None or self.share is not None:
            check_selection(self.n, self.share)

    def prepare(self, pool: Pool) -> Self:
        return replace(self, pool=pool, fingerprint=identity_of(self.model))

    def estimate(self, rows: pl.DataFrame, total: int, probe: bool) -> list[str]:
        line = f"{total:,} rows, each read twice by {self.model}: with its prompt and without"
        if not probe:
            return [line]
        open_likelihood_model(self.model)  # what that takes is not the rate
        trying = replace(self.pool.working, spending=Spending())
        began = time.monotonic()
        read = sum(map(len, likelihoods(iter([rows.head(PROBED)]), self.model, self.alone, trying)))
        seconds = (time.monotonic() - began) * total / max(read, 1)
        return [line, f"about {seconds / 60:,.0f} min at the rate of {read} of them"]

    def stream(self, batches: Iterator[pl.DataFrame]) -> Iterator[pl.DataFrame]:
        waiting = [pl.DataFrame(schema=SCHEMA)]
        since = time.monotonic()
        for found in likelihoods(batches, self.model, self.alone, self.pool.working):
            waiting.append(found)
            if len(waiting) > LINES or time.monotonic() - since > SECONDS:
                yield pl.concat(waiting)
                waiting, since = [], time.monotonic()
        if waiting:
            yield pl.concat(waiting)
        if spent := self.pool.working.spending.spent:
            raise StoppedError(spent, "allow more and run the same command again: what was read is kept")

    def decide(self, measures: pl.DataFrame, pool: Pool) -> pl.DataFrame:
        what = f"{self.ratio} ratio"
        given = measures[f"{self.ratio}_ratio" + ("_min" if self.turns == "min" else "")]
        n = self.n if self.share is None else max(1, round(self.share * len(measures)))
        value, bar = pl.col("value"), pl.lit(self.below, dtype=pl.Float64)
        helped = pl.when(value.is_not_null()).then(True if self.below is None else value < self.below)
        ranked = measures.with_columns(value=given).with_columns(
            rank=pl.when(helped).then(-value).rank("ordinal"), shown=value.round(3).cast(pl.String)
        )
        limit = ranked.filter(rank=n)["value"].first() if n else None
        pool.notes.extend(self._notes(ranked, n))
        beaten = pl.col("rank") > n if n else pl.lit(False)
        nothing = value.is_null() if n else pl.lit(False)
        lost_to_limit = value - pl.lit(limit, dtype=pl.Float64)
        return ranked.select(
            verdict=keep_if(~(nothing | ~helped | beaten).fill_null(False)),
            reason=pl.when(nothing)
            .then(pl.lit("there is no instruction whose help could be measured"))
            .when(~helped)
            .then(pl.format(f"{what} is {{}}, {self.below or 0:g} or more: the instruction does not help", "shown"))
            .when(beaten)
            .then(pl.format(f"{what} is {{}}, rank {{}}, only {n or 0:,} are kept", "shown", "rank")),
            value=value,
            threshold=pl.when(~helped).then(bar).otherwise(bar if limit is None else pl.lit(limit)),
            margin=pl.when(~helped)
            .then(bar - value - 1e-9)  # one that just reaches the bar goes
            .when(beaten)
            .then(pl.when(lost_to_limit < 0).then(lost_to_limit))  # a tie lost by its row number has none
            .otherwise(bar - value if limit is None else lost_to_limit),
            evidence=pl.struct("loss", "loss_alone", "tokens", "prompt_tokens", "turns", "gain").struct.json_encode(),
        )

    def _notes(self, ranked: pl.DataFrame, n: int | None) -> Iterator[str]:
        there = ranked["rank"].count()
        if n is not None and there < n:
            yield f"only {there:,} rows have a ratio below the bar: all of them are kept"
        swayed = ranked.select(pl.corr("value", "tokens", method="spearman")).item()
        if swayed is not None and swayed == swayed:
            yield f"rank correlation of the ratio with the length of the response: {swayed:+.2f}"
