"""Whether a draft is like a row that was accepted before, or like a benchmark's: what is decided in the plan's order.

A draft about the same as row 17 is lost: `near a row accepted before (attempt 40): similarity 0.81`.
"""

from collections.abc import Sequence

import numpy as np
import polars as pl

from curate.contamination import BUILT_IN, CODE, OVERLAP, RUN, Index, Known
from curate.duplicates.growing import Growing, Instructions, hashes_of_labels, hashes_of_text
from curate.embedding import Embedder
from curate.embedding.vectors import Vectors
from curate.formats.sources import Source
from curate.selecting.rivals import similarity_of
from curate.synthesis.drafts import Draft
from curate.working import Working

FUNCTIONS_ALIKE = 0.8
"""Share of runs of four nodes that two functions' syntax trees share, names left out, from where one is the other's
copy."""

Vector = np.ndarray[tuple[int], np.dtype[np.float32]]


class Meanings:
    """Vectors of what was accepted, for rows that say the same in other words."""

    def __init__(self, embedder: Embedder) -> None:
        self._embedder, self._bar = embedder, similarity_of(embedder)
        self._vectors = np.zeros((1024, embedder.dimensions), dtype=np.float32)
        self._size = 0

    def embed(self, drafts: Sequence[Draft]) -> Vectors:
        """[drafts, dimensions]."""
        return self._embedder.embed([_text(draft) for draft in drafts])

    def nearest(self, vector: Vector) -> tuple[int, float] | None:
        """The number of what was added with the highest cosine, and that; None: below the bar."""
        if not self._size:
            return None
        cosines = self._vectors[: self._size] @ vector
        best = int(cosines.argmax())
        return (best, float(cosines[best])) if cosines[best] >= self._bar else None

    def add(self, vector: Vector) -> None:
        """Take one more; its number is how many there were."""
        if self._size == len(self._vectors):
            self._vectors = np.concatenate((self._vectors, np.zeros_like(self._vectors)))
        self._vectors[self._size] = vector
        self._size += 1


class Taken:
    """The rows accepted so far, by attempt. `instructions_apart`: no two instructions in nearly the same words;
    `means`: what tells rows that mean the same, None: only what stands in them is compared."""

    def __init__(self, instructions_apart: bool, means: Embedder | None = None) -> None:
        self._texts, self._functions = Growing(), Growing(FUNCTIONS_ALIKE, 0)
        self._instructions = Instructions() if instructions_apart else None
        self._meanings = Meanings(means) if means else None
        self._attempts: list[int] = []
        self._function_of: list[int] = []

    def vectors(self, drafts: Sequence[Draft]) -> Sequence[Vector | None]:
        """What each draft means, to be given to `like` and `add`; None where nobody tells."""
        return list(self._meanings.embed(drafts)) if self._meanings and drafts else [None] * len(drafts)

    def like(self, draft: Draft, vector: Vector | None = None) -> str:
        """How the draft is like a row that was accepted; nothing where it is like none."""
        if found := self._texts.nearest(hashes_of_text(_text(draft))):
            return f"near a row accepted before ({self._attempt(found[0])}): similarity {found[1]:.2f}"
        for hashes in _functions(draft):
            if found := self._functions.nearest(hashes):
                where = self._attempt(self._function_of[found[0]])
                return f"its function is one accepted before under other names ({where})"
        if self._instructions and (found := self._instructions.nearest(draft.instruction)):
            where = self._attempt(found[0])
            return f"its instruction is in nearly the words of another ({where}): ROUGE-L {found[1]:.2f}"
        if self._meanings and vector is not None and (found := self._meanings.nearest(vector)):
            return f"it means what a row accepted before does ({self._attempt(found[0])}): cosine {found[1]:.2f}"
        return ""

    def add(self, draft: Draft, attempt: int, vector: Vector | None = None) -> None:
        """Take an accepted draft in."""
        number = len(self._attempts)
        self._attempts.append(attempt)
        self._texts.add(hashes_of_text(_text(draft)))
        for hashes in _functions(draft):
            self._functions.add(hashes)
            self._function_of.append(number)
        if self._instructions:
            self._instructions.add(draft.instruction)
        if self._meanings and vector is not None:
            self._meanings.add(vector)

    def _attempt(self, number: int) -> str:
        return f"attempt {self._attempts[number]}"


class Benchmarks:
    """Test rows that no draft may hold: those that ship with curate, and those of files."""

    def __init__(self, sources: Sequence[Source], working: Working, names: Sequence[str] = BUILT_IN) -> None:
        self._known = Known(names, sources, working) if names or sources else None

    def found(self, drafts: Sequence[Draft]) -> list[str]:
        """For each draft which test row it holds, as `decontaminate` would find it; else nothing."""
        reasons = [""] * len(drafts)
        if self._known is None:
            return reasons
        index: Index = self._known.index
        texts = pl.Series([text for draft in drafts for text in (draft.instruction, draft.response)])
        of_texts = index.matches(texts).iter_rows(named=True)
        for number, text in enumerate(of_texts):
            if (text["run"] or 0) >= RUN:
                reasons[number // 2] = f"it has {RUN:g} words in a row of {index.sides.rows[text['run_side']]}"
            elif (text["overlap"] or 0) > OVERLAP:
                reasons[number // 2] = f"it holds much of {index.sides.rows[text['overlap_side']]}"
        for at, draft in enumerate(drafts):
            alike = index.sides.functions.most_like([draft.response]) if draft.functions else None
            if alike and alike[0] >= CODE:
                reasons[at] = f"its function is by {alike[0]:.0%} one of {index.sides.rows[alike[1]]}"
        return reasons


def _text(draft: Draft) -> str:
    return f"{draft.instruction}\n{draft.response}"


def _functions(draft: Draft) -> list[np.ndarray[tuple[int, ...], np.dtype[np.uint32]]]:
    return [hashes_of_labels(labels) for labels in draft.functions]
