"""Say which topic a row is about, for balance, mig and the report; no row is dropped.

"How long do I bake bread?" is about `oven, bread, bake`, a measure that is called `cluster.topic`.
"""

from dataclasses import dataclass, replace
from typing import Any, Self

import polars as pl

from curate.embedding import Of, check_embedder, is_model
from curate.pool import Pool
from curate.protocol import fitted, keep_if
from curate.selecting.topics import Topics


@dataclass(frozen=True, kw_only=True)
class Cluster:
    """Topics are clusters of all rows of the pool, named by the words that set them apart (c-TF-IDF).

    `balance: {by: cluster.topic}` and `mig: {labels: cluster.topic}` take the measure `topic`, which doesn't depend
    on what other steps drop; a row with nothing to read has none.
    """

    reads = ()
    embedder: str = "default"
    """What makes the vectors (docs/embedding.md)."""
    of: Of = "both"
    """What is compared."""
    topics: int | None = None
    """How many; None: the root of half the rows, 100 at most."""
    seed: int = 0
    """Another seed, other first centres, and in a large pool another sample that decides where they lie."""
    fingerprint: str | None = fitted()
    found: Any = fitted()

    def __post_init__(self) -> None:
        check_embedder(self.embedder)
        if self.topics is not None and self.topics < 1:
            raise ValueError("topics must be 1 or more")

    @property
    def asks_model(self) -> bool:
        return is_model(self.embedder)

    def prepare(self, pool: Pool) -> Self:
        found = Topics(pool, self.embedder, self.of, self.topics, self.seed)
        return replace(self, found=found, fingerprint=found.fingerprint)

    def measure(self, rows: pl.DataFrame) -> pl.DataFrame:
        if not len(rows):
            return pl.DataFrame(schema={"topic": pl.String})
        found: Topics = self.found
        return pl.DataFrame({"topic": found.of_rows(rows["row"].to_numpy())})

    def decide(self, measures: pl.DataFrame, pool: Pool) -> pl.DataFrame:
        sizes = measures["topic"].drop_nulls().value_counts(sort=True).sort("count", "topic", descending=[True, False])
        most = "; ".join(f"{topic} ({count:,})" for topic, count in sizes.head(3).iter_rows())
        pool.notes.append(f"{len(sizes)} topics, the largest: {most}" if len(sizes) else "there is nothing to read")
        return measures.select(verdict=keep_if(pl.col("row") >= 0))
