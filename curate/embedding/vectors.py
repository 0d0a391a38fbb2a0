"""Vectors of length 1, and which texts of a row they stand for."""

from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import polars as pl

Vectors = npt.NDArray[np.float32]
Of = Literal["both", "prompt", "response"]

COLUMNS: dict[str, tuple[str, ...]] = {
    "both": ("prompt", "response"),
    "prompt": ("prompt",),
    "response": ("response",),
}
"""The columns of the pool that are read for each `Of`."""


def texts_of(rows: pl.DataFrame, of: Of) -> pl.Series:
    """What is embedded of rows: the prompt, the response, or both with a blank line between."""
    sides = [pl.col(name).replace("", None) for name in COLUMNS[of]]
    return rows.select(pl.concat_str(sides, separator="\n\n", ignore_nulls=True).fill_null("").alias("text"))["text"]


def unit(vectors: npt.NDArray[Any]) -> Vectors:
    """Each vector at length 1; one without length, or with a number that is none, as zeros."""
    vectors = np.asarray(vectors, dtype=np.float32)
    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    usable = np.isfinite(lengths) & (lengths > 0)
    made = np.where(usable, vectors, 0) / np.where(usable, lengths, 1)
    return made.astype(np.float32, copy=False)
