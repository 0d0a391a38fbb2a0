"""What an embedder is, and the one string that names it everywhere.

`default`, `static:minishlab/potion-multilingual-128M`, `static:st:intfloat/multilingual-e5-small`,
`st:intfloat/multilingual-e5-small`, `lm:Qwen/Qwen3-0.6B`, `default:FILE` (one that was saved).
docs/embedding.md says which suits what.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

import polars as pl

from curate.embedding.vectors import Of, Vectors
from curate.errors import UsageError
from curate.pool import Pool


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
