"""Keep the rows that are most like examples of what the model should be good at.

With examples about primes "Which city governs France?" goes: `nearest to wanted.jsonl:3 (0.12), which picked others`.
"""

from dataclasses import dataclass
from typing import Literal

import numpy as np
import polars as pl

from curate.embedding import embedded, embedder, texts_of
from curate.embedding.vectors import COLUMNS
from curate.errors import StoppedError
from curate.pool import Pool
from curate.protocol import check_selection, how_many, keep_if, threshold


@dataclass(frozen=True, kw_only=True)
class Target:
    """RDS+ round robin: the examples of `--target` take turns, each picking its nearest row that is not picked yet.

    A few dozen examples are enough (Ivison et al. 2025, arXiv 2503.01807). The paper's vectors are those of `lm:`, the
    position-weighted mean of a language model's last hidden states; any embedder will do, by what it can tell apart
    (docs/embedding.md). The evidence says for which example a row was picked.
    """

    reads = ()
    target: tuple[str, ...] = threshold(())
    """Files of examples, of any shape that rows may have."""
    n: int | None = threshold(None)
    """How many rows to keep."""
    share: float | None = threshold(None)
    """How many rows to keep, as a share of those that arrive, from 0 to 1; instead of n."""
    embedder: str = threshold("default")
    """`default`, `static:NAME`, `st:NAME` or `lm:NAME_OR_PATH`, a language model's hidden states."""
    of: Literal["both", "prompt", "response"] = threshold("both")
    """Which side of rows and examples is compared."""

    def __post_init__(self) -> None:
        if not self.target:
            raise ValueError("name the examples of what the model should be good at (--target FILE)")
        check_selection(self.n, self.share)

    def decide(self, measures: pl.DataFrame, pool: Pool) -> pl.DataFrame:
        from curate.selecting.targeting import pick

        read = embedder(self.embedder, pool, self.of)
        examples = pool.beside(self.target)
        frames = list(examples.batches((*COLUMNS[self.of], "source", "line")))
        places = pl.concat([frame.select(pl.format("{}:{}", "source", "line")).to_series() for frame in frames])
        wanted = np.concatenate([read.embed(texts_of(frame, self.of)) for frame in frames])
        readable = np.flatnonzero(wanted.any(axis=1))
        if not len(readable):
            raise StoppedError("no example has a text that can be compared", f"look at {', '.join(self.target)}")
        if empty := len(wanted) - len(readable):
            pool.notes.append(f"{empty:,} examples have nothing to compare and pick no row")
        own = measures["row"].to_numpy().astype(np.int64)
        here = np.zeros(len(pool), dtype=bool)
        here[own] = True
        vectors = embedded(pool, read, self.of, rows=here, working=pool.working)
        n = how_many(self.n, self.share, len(own))
        if n < (self.n or 0):
            pool.notes.append(f"only {len(own):,} rows arrive: all of them are kept")
        found = pick(vectors, own, wanted[readable], n, pool.working)
        used = len(np.unique(found.examples))
        pool.notes.append(f"{len(found.rows):,} rows picked for {used:,} of {len(places):,} examples")
        kept, example = np.zeros(len(own), dtype=bool), found.nearest.copy()
        similarity, turn = found.nearest_similarity.copy(), np.zeros(len(own), dtype=np.int64)
        kept[found.rows], example[found.rows], similarity[found.rows] = True, found.examples, found.similarity
        turn[found.rows] = np.arange(len(found.rows)) // len(readable) + 1
        lines = pl.DataFrame(
            {"kept": kept, "similarity": similarity, "turn": turn, "example": places.gather(readable[example])}
        ).with_columns(turn=pl.when("kept").then("turn"), similarity=pl.col("similarity").cast(pl.Float64).round(4))
        shown = pl.col("similarity").round(2)
        return lines.select(
            verdict=keep_if(pl.col("kept")),
            reason=pl.when("kept")
            .then(pl.format("picked for {} in turn {} ({})", "example", "turn", shown))
            .otherwise(pl.format("nearest to {} ({}), which picked others", "example", shown)),
            value="similarity",
            evidence=pl.struct("example", "similarity", "turn").struct.json_encode(),
        )
