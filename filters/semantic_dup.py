"""Drop a row that means nearly the same as a better one, by the cosine of their vectors.

"How do I reset my password?" loses to "How can I reset my password?": `similarity 0.93 to row:12, 0.9 or more`.
"""

from dataclasses import dataclass
from typing import Literal

import numpy as np
import polars as pl

from curate.embedding import Of, check_embedder, is_model, vectors_of
from curate.pool import Pool
from curate.protocol import Column, best_first, keep_if, threshold
from curate.selecting.apart import apart
from curate.selecting.rivals import usual_similarity


@dataclass(frozen=True, kw_only=True)
class SemanticDup:
    """Rows whose vectors have a cosine over a bar; near-dup first, it is cheaper (SemDeDup, Abbas et al. 2023)."""

    embedder: str = "default"
    """What makes the vectors: default, static:NAME_OR_PATH, st:NAME_OR_PATH (docs/embedding.md)."""
    of: Of = "both"
    """What is compared."""
    similarity: float | None = threshold(None)
    """Cosine from which two rows are the same; None: 0.9, or nearer to 1 for an embedder that calls any texts alike."""
    keep: Literal["longest", "first"] = threshold("longest")
    """Which of rows that are the same stays: the longest, or the first, which is that of the input named first."""
    by: Column | None = None
    """The row with the highest value of this column stays; of equal values, as `keep` says."""

    def __post_init__(self) -> None:
        check_embedder(self.embedder)
        if self.similarity is not None and not 0 < self.similarity <= 1:
            raise ValueError("similarity must be above 0 and at most 1")

    @property
    def asks_model(self) -> bool:
        return is_model(self.embedder)

    @property
    def reads(self) -> tuple[str, ...]:
        return ("prompt", "response") if self.of == "both" else (self.of,)

    def measure(self, rows: pl.DataFrame) -> pl.DataFrame:
        size = pl.sum_horizontal(pl.col(side).str.len_bytes().fill_null(0).cast(pl.Int64) for side in self.reads)
        return rows.select(bytes=size)

    def decide(self, measures: pl.DataFrame, pool: Pool) -> pl.DataFrame:
        vectors = vectors_of(pool, self.embedder, self.of, measures["row"])
        bar = usual_similarity(pool, self.embedder) if self.similarity is None else self.similarity
        ranked = best_first(measures.with_row_index("at"), self.by, *(["bytes"] if self.keep == "longest" else []))
        found = apart(vectors, ranked["at"].to_numpy().astype(np.int64), bar, pool.working)
        if self.similarity is None:
            pool.notes.append(f"rows with a cosine of {bar:g} or more are the same")
        if nothing := int((~vectors.any(axis=1)).sum()):
            pool.notes.append(f"rows with nothing to read, like no other: {nothing:,}")
        if not found.exact:
            pool.notes.append("so many rows are compared through cells of k-means: some pairs may have been missed")
        gone = found.rival >= 0
        rival = measures["row"].gather(np.maximum(found.rival, 0))
        said = pl.DataFrame({"gone": gone, "rival": rival, "value": found.value})
        name, value = pl.when("gone").then(pl.format("row:{}", "rival")), pl.when("gone").then("value")
        return said.select(
            verdict=keep_if(~pl.col("gone")),
            reason=pl.format("similarity {} to {}, " + f"{bar:g} or more", value.round(3), name),
            value=value,
            threshold=pl.when("gone").then(bar),
            margin=value.neg() + bar - 1e-6,  # one that just reaches the bar goes too
            rival=name,
        )
