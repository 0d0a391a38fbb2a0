"""How a filter that decides by vectors gets them: `vectors_of(pool, "default", "both", measures["row"])`.

Only the rows that are asked for are embedded, each once for all runs; a killed run goes on where it was.
"""

import numpy as np
import polars as pl

from curate.embedding.embedder import embedder
from curate.embedding.stored import embedded
from curate.embedding.vectors import Of, Vectors, unit
from curate.pool import Pool

AT_ONCE = 65_536
"""Rows that are read from the disk at a time."""


def check_embedder(name: str) -> None:
    """Raises UsageError for a name that is no embedder's, or an extra that is not installed; opens no model."""
    from curate.embedding.sentences import need

    kind, _, which = name.partition(":")
    if kind not in ("static", "st") or not which:
        if name != "default":
            embedder(name)
        return
    need("model2vec" if kind == "static" else "sentence_transformers")


def is_model(name: str) -> bool:
    """Whether the embedder is a model that reads text as a whole: too slow to be asked in a dry run."""
    return name.startswith("st:") or name.startswith("static:st:")


def vectors_of(pool: Pool, name: str, of: Of, rows: pl.Series) -> Vectors:
    """Vectors f32[len(rows), dimensions] of some ascending rows, of length 1, or zero where there is nothing to read.

    Raises UsageError where the embedder can't be had.
    """
    numbers = rows.to_numpy().astype(np.int64)
    wanted = np.zeros(len(pool), dtype=np.bool_)
    wanted[numbers] = True
    stored = embedded(pool, embedder(name, pool, of), of, rows=wanted, working=pool.working)
    found = np.empty((len(numbers), stored.shape[1]), dtype=np.float32)
    for start in range(0, len(numbers), AT_ONCE):
        found[start : start + AT_ONCE] = unit(stored[numbers[start : start + AT_ONCE]])
    return found
