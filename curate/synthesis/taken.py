"""Whether a draft is like a row that was accepted before, or like a benchmark's: what is decided in the plan's order.

A draft about the same as row 17 is lost: `near a row accepted before (attempt 40): similarity 0.81`.
"""

from collections.abc import Sequence

import numpy as np
import polars as pl

from curate.contamination import BUILT_IN, Index, Known
from curate.duplicates.growing import Growing, Instructions, hashes_of_labels, hashes_of_text
from curate.formats.sources import Source
from curate.synthesis.drafts import Draft, Lost
from curate.working import Working

FUNCTIONS_ALIKE = 0.8
"""Share of runs of four nodes that two functions' syntax trees share, names left out, from where one is the other's
copy."""

OVERLAP, RUN, CODE = 0.5, 13, 0.9
"""When a text is a benchmark's, as `decontaminate` has it by default."""


class Taken:
    """The rows accepted so far, by attempt. `instructions_apart`: no two instructions in nearly the same words."""

    def __init__(self, instructions_apart: bool) -> None:
        self._texts, self._functions = Growing(), Growing(FUNCTIONS_ALIKE, 0)
        self._instructions = Instructions() if instructions_apart else None
        self._attempts: list[int] = []
        self._function_of: list[int] = []

    def check(self, draft: Draft) -> None:
        """Raises Lost where the draft is like a row that was accepted."""
        if found := self._texts.nearest(hashes_of_text(_text(draft))):
            raise Lost("unique", f"near a row accepted before ({self._attempt(found[0])}): similarity {found[1]:.2f}")
        for hashes in _functions(draft):
            if found := self._functions.nearest(hashes):
                where = self._attempt(self._function_of[found[0]])
                raise Lost("unique", f"its function is one accepted before under other names ({where})")
        if self._instructions and (found := self._instructions.nearest(draft.instruction)):
            where = self._attempt(found[0])
            raise Lost("unique", f"its instruction is in nearly the words of another ({where}): ROUGE-L {found[1]:.2f}")

    def add(self, draft: Draft, attempt: int) -> None:
        """Take an accepted draft in."""
        number = len(self._attempts)
        self._attempts.append(attempt)
        self._texts.add(hashes_of_text(_text(draft)))
        for hashes in _functions(draft):
            self._functions.add(hashes)
            self._function_of.append(number)
        if self._instructions:
            self._instructions.add(draft.instruction)

    def _attempt(self, number: int) -> str:
        return f"attempt {self._attempts[number]}"


class Benchmarks:
    """Test rows that no draft may hold: those that ship with curate, and those of files."""

    def __init__(self, sources: Sequence[Source], working: Working, names: Sequence[str] = BUILT_IN) -> None:
        self._known = Known(names, sources, working) if names or sources else None

    def check(self, draft: Draft) -> None:
        """Raises Lost where the draft holds a test row, as `decontaminate` would find it."""
        if self._known is None:
            return
        index: Index = self._known.index
        found = index.matches(pl.Series([draft.instruction, draft.response]))
        for name, bound, words in (("overlap", OVERLAP, "holds much of"), ("run", RUN, "has 13 words in a row of")):
            hit = found.filter(pl.col(name) >= bound) if name == "run" else found.filter(pl.col(name) > bound)
            if len(hit):
                raise Lost("clean", f"it {words} {index.sides.rows[hit[f'{name}_side'][0]]}")
        alike = index.sides.functions.most_like([draft.response]) if draft.functions else None
        if alike and alike[0] >= CODE:
            raise Lost("clean", f"its function is by {alike[0]:.0%} one of {index.sides.rows[alike[1]]}")


def _text(draft: Draft) -> str:
    return f"{draft.instruction}\n{draft.response}"


def _functions(draft: Draft) -> list[np.ndarray[tuple[int, ...], np.dtype[np.uint32]]]:
    return [hashes_of_labels(labels) for labels in draft.functions]
