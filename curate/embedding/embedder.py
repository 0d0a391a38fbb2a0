"""What an embedder is, and the one string that names it everywhere.

`default`, `static:minishlab/potion-multilingual-128M`, `static:st:intfloat/multilingual-e5-small`,
`st:intfloat/multilingual-e5-small`, `lm:Qwen/Qwen3-0.6B`, `default:FILE` (one that was saved).
docs/embedding.md says which suits what.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal, Protocol

import numpy as np
import numpy.typing as npt
import polars as pl

from curate.errors import UsageError
from curate.pool import Pool

Vectors = npt.NDArray[np.float32]
Of = Literal["both", "prompt", "response"]

COLUMNS: dict[str, tuple[str, ...]] = {
    "both": ("prompt", "response"),
    "prompt": ("prompt",),
    "response": ("response",),
}
"""The columns of the pool that are read for each `Of`."""


class Embedder(Protocol):
    """Texts to vectors. Weights are opened, and fitted or distilled, by the first call of `embed`."""

    name: str
    """What the user called it."""
    costly: bool
    """Whether it is worth keeping what it says of a text for other pools."""

    @property
    def fingerprint(self) -> str:
        """Names everything that decides a text's vector; known before weights are opened."""

    @property
    def dimensions(self) -> int:
        """Length of a vector."""

    def embed(self, texts: pl.Series | Sequence[str]) -> Vectors:
        """[n, dimensions], each of length 1; the zero vector for a text in which there is nothing to read."""

    def doubt(self, texts: pl.Series) -> str:
        """What a person should know before such texts are left to this embedder; mostly nothing."""


def embedder(name: str, pool: Pool | None = None, of: Of = "both", *, work_dir: Path | None = None) -> Embedder:
    """The embedder of that name; `default` is fitted on a sample of what `of` says of the pool.

    Raises UsageError for a name that is none, a model that is not there, or an extra that is not installed.
    """
    kind, _, which = name.partition(":")
    if name == "default":
        from curate.embedding.words import Words

        if pool is None:
            raise UsageError("the embedder default is fitted on a pool", "give one, or default:FILE of a saved one")
        return Words.of_pool(pool, of)
    if kind == "default" and which:
        from curate.embedding.words import Words

        return Words.of_file(Path(which))
    if kind in ("static", "st") and which:
        from curate.embedding.sentences import Sentences
        from curate.embedding.static import Static

        home = work_dir or (pool.work_dir if pool else Path(".curate"))
        return Sentences(name) if kind == "st" else Static(name, home)
    if kind == "lm" and which:
        from curate.embedding.hidden_states import HiddenStates

        return HiddenStates(name)
    raise UsageError(
        f"no embedder is called {name}",
        "known: default, default:FILE, static:NAME_OR_PATH, static:st:NAME_OR_PATH, st:NAME_OR_PATH, lm:NAME_OR_PATH",
    )


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
