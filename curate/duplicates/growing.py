"""What is like something that was taken before, while more is taken: for rows that come one by one.

`Growing()` finds in 100,000 texts the one that shares most with a new one by MinHash bands and verifies it by their
real Jaccard similarity, as `near` does for a whole pool; it holds about 1 KB a text.
"""

import numpy as np
import numpy.typing as npt
import polars as pl

from curate.duplicates.near import SHORT, THRESHOLD, Shingles, normalised
from curate.kernels import clusters, shingles
from curate.kernels.subsequences import most_in_common

Hashes = npt.NDArray[np.uint32]


def hashes_of_text(text: str) -> Hashes:
    """The shingles of a text, as `near` compares them."""
    return Shingles.of(normalised(pl.Series([text]))).hashes


def hashes_of_labels(labels: npt.NDArray[np.uint16]) -> Hashes:
    """Runs of four nodes of a syntax tree (`curate.code.alike.labels_of`), for functions that differ in names alone."""
    wide = labels.astype(np.uint32)
    if len(wide) < 4:
        return wide
    mixed = wide[:-3]
    for step in (1, 2, 3):
        mixed = (mixed * np.uint32(0x9E3779B1)) ^ wide[step : len(wide) - 3 + step]
    return mixed


class Growing:
    """Sets of hashes that grow in number. `threshold`, `short`: how alike two must be, and below how many hashes more
    so (see `near.SHORT`)."""

    def __init__(self, threshold: float = THRESHOLD, short: int = SHORT) -> None:
        self.threshold, self.short = threshold, short
        self._sets: list[Hashes] = []
        self._runs: list[npt.NDArray[np.uint64]] = []  # ascending; key of a band above, number below

    def nearest(self, hashes: Hashes) -> tuple[int, float] | None:
        """The number of what was added that is most like this, the first of equals, and how much; None: nothing is."""
        if not len(hashes):
            return None
        one = Shingles(hashes, np.zeros(1, dtype=np.int64), np.array([len(hashes)], dtype=np.uint32))
        own, keys = one.sets()[0], _banded(one)
        candidates: set[int] = set()
        for run in self._runs:
            first, last = np.searchsorted(run, keys), np.searchsorted(run, keys + np.uint64(1 << 32))
            for start, stop in zip(first, last, strict=True):
                candidates.update((run[start:stop] & np.uint64(0xFFFFFFFF)).tolist())
        best, most = -1, -1.0
        for number in sorted(candidates):
            alike = clusters.alike(own, self._sets[number], self.threshold, float(self.short))
            if alike > most:
                best, most = number, alike
        return (best, most) if most >= 0 else None

    def add(self, hashes: Hashes) -> None:
        """Take one more; its number is how many there were."""
        one = Shingles(hashes, np.zeros(1, dtype=np.int64), np.array([len(hashes)], dtype=np.uint32))
        self._sets.append(one.sets()[0].copy())
        if not len(hashes):
            return
        run = np.sort(_banded(one) | np.uint64(len(self._sets) - 1))
        while self._runs and len(self._runs[-1]) <= len(run):  # so there are as many runs as the number has bits
            run = np.sort(np.concatenate((self._runs.pop(), run)), kind="stable")
        self._runs.append(run)


def _banded(one: Shingles) -> npt.NDArray[np.uint64]:
    """Its key of each band, the band mixed in, in the upper half of 64 bits."""
    keys = one.band_keys()[0].astype(np.uint64) * np.uint64(0x9E3779B97F4A7C15)
    bands = np.arange(shingles.BANDS, dtype=np.uint64) << np.uint64(40)
    mixed: npt.NDArray[np.uint64] = ((keys + bands) >> np.uint64(33)) << np.uint64(32)
    return mixed


class Instructions:
    """Instructions that were taken, for Self-Instruct's rule: a new one must have a ROUGE-L below 0.7 with each of
    them (Wang et al. 2022, arXiv 2212.10560, section 3.2)."""

    def __init__(self) -> None:
        self._numbers: dict[str, int] = {}
        self._words = np.zeros(1 << 12, dtype=np.uint32)
        self._bounds = [0]

    def nearest(self, instruction: str, least: float = 0.7) -> tuple[int, float] | None:
        """The number of the instruction with the highest ROUGE-L (F1 over words), and that; None: below `least`."""
        words = self._numbered(instruction)
        bounds = np.array(self._bounds, dtype=np.int64)
        number, value = most_in_common(words, self._words[: bounds[-1]], bounds, least)
        return (int(number), float(value)) if number >= 0 else None

    def add(self, instruction: str) -> None:
        """Take one more; its number is how many there were."""
        words = self._numbered(instruction)
        end = self._bounds[-1] + len(words)
        if end > len(self._words):
            self._words = np.concatenate((self._words, np.zeros(max(end, len(self._words)), dtype=np.uint32)))
        self._words[self._bounds[-1] : end] = words
        self._bounds.append(end)

    def _numbered(self, instruction: str) -> Hashes:
        words = "".join(c if c.isalnum() else " " for c in instruction.lower()).split()
        return np.array([self._numbers.setdefault(word, len(self._numbers)) for word in words], dtype=np.uint32)
