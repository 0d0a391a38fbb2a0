"""Keep the rows of which a model learns most when it is briefly tuned on examples of what it should be good at.

With examples of sums, a row about bread goes: `loss falls by 0.01 of itself, rank 4, only 1 are kept`.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any, Self

import polars as pl

from curate.errors import StoppedError
from curate.likelihood.loss_drop import MAKES, TunedModel, loss_drops
from curate.likelihood.of_responses import READS
from curate.models import identity_of
from curate.models.likelihood import WAYS, check_likelihood_model
from curate.pool import Pool
from curate.protocol import fitted, keep_if, threshold


@dataclass(frozen=True, kw_only=True)
class LossDrop:
    """The share by which a model's loss of a response falls when the model was tuned on the examples of `--target`.

    A short tuning of a low-rank adapter on the examples' answers, then two forward passes a row (arXiv 2605.09404).
    What falls is what the examples teach: their form, their language, their subject. No one example is named: for
    that there is `target`.
    """

    reads = READS
    makes = MAKES
    target: tuple[str, ...] = ()
    """Files of examples, of any shape that rows may have."""
    model: str = ""
    """`hf:NAME_OR_PATH`, a causal model that can be tuned here; a small one will do."""
    epochs: int = 3
    """How often each example is learnt from."""
    n: int | None = threshold(None)
    """How many rows to keep."""
    share: float | None = threshold(None)
    """How many rows to keep, as a share of those that arrive, from 0 to 1; instead of n."""
    fingerprint: str | None = fitted()
    pool: Any = fitted()

    def __post_init__(self) -> None:
        if not self.target:
            raise ValueError("name the examples of what the model should be good at (--target FILE)")
        if not self.model:
            raise ValueError(f"name a model (--set loss-drop.model=hf:NAME); {WAYS}")
        check_likelihood_model(self.model)
        if not self.model.startswith("hf:"):
            raise ValueError(f"{self.model} can't be tuned here; name one as hf:NAME_OR_PATH")
        if (self.n is None) == (self.share is None):
            raise ValueError("give one of n and share")
        if self.epochs < 1 or (self.n is not None and self.n < 1):
            raise ValueError("epochs and n must be 1 or more")
        if self.share is not None and not 0 < self.share <= 1:
            raise ValueError("share must be above 0 and at most 1")

    def prepare(self, pool: Pool) -> Self:
        examples = pool.beside(self.target).fingerprint
        return replace(self, pool=pool, fingerprint=f"{identity_of(self.model)} {examples}")

    def estimate(self, rows: pl.DataFrame, total: int, probe: bool) -> list[str]:
        return [f"{total:,} rows, each read twice by {self.model}: as it is, and tuned on the examples"]

    def stream(self, batches: Iterator[pl.DataFrame]) -> Iterator[pl.DataFrame]:
        working = self.pool.working
        examples = self.pool.beside(self.target).batches(READS)
        yield from loss_drops(batches, TunedModel(self.model, examples, self.epochs, working), self.model, working)
        if spent := working.spending.spent:
            raise StoppedError(spent, "allow more and run the same command again: what was read is kept")

    def decide(self, measures: pl.DataFrame, pool: Pool) -> pl.DataFrame:
        n = self.n if self.n is not None else max(1, round((self.share or 0) * len(measures)))
        ranked = measures.with_columns(rank=(-pl.col("drop")).rank("ordinal"), shown=pl.col("drop").round(3))
        there = ranked["rank"].count()
        if there < n:
            pool.notes.append(f"only {there:,} rows have a drop: all of them are kept")
        limit = ranked.filter(rank=min(n, there))["drop"].first() if there else None
        kept = (pl.col("rank") <= n).fill_null(False)
        beaten = pl.format(f"loss falls by {{}} of itself, rank {{}}, only {n:,} are kept", "shown", "rank")
        margin = pl.col("drop") - pl.lit(limit, dtype=pl.Float64)
        return ranked.select(
            verdict=keep_if(kept),
            reason=pl.when(~kept).then(pl.coalesce(beaten, pl.lit("there is no instruction and response to read"))),
            value="drop",
            threshold=pl.lit(limit, dtype=pl.Float64),
            margin=pl.when(kept | (margin < 0)).then(margin),  # a tie lost by its row number has none
            evidence=pl.struct("loss", "loss_tuned", "tokens").struct.json_encode(),
        )
