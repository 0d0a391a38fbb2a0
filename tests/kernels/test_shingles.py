"""The kernels of near-duplicates against plain twins of a few lines, bit for bit."""

import unicodedata
from itertools import pairwise

import numpy as np
import polars as pl
from hypothesis import given, settings
from hypothesis import strategies as st

from curate.duplicates.near import Shingles, normalised
from curate.kernels import clusters, shingles

TEXTS = st.lists(
    st.text(max_size=30)
    | st.sampled_from(
        ["", "ok", "name a prime number", "소수를 하나 말해 주세요", "東京 is big", "...!", "\u0301", "ราคา", "😀"]
    ),
    min_size=1,
    max_size=8,
)
M = (1 << 64) - 1


def mixed(x: int) -> int:
    x = (x ^ (x >> 30)) * 0xBF58476D1CE4E5B9 & M
    x = (x ^ (x >> 27)) * 0x94D049BB133111EB & M
    return x ^ (x >> 31)


def kind(character: str) -> str:
    if 0x20000 <= ord(character) < 0x40000:
        return "dense"
    if ord(character) >= 0x20000 or unicodedata.category(character)[0] not in "LMN":
        return "nothing"
    return "dense" if unicodedata.name(character, "").startswith(shingles.DENSE_SCRIPTS) else "word"


def shingles_of(text: str) -> list[int]:
    """Pairs of neighbouring words, and runs of three dense letters, as hashes."""
    text = "".join(c.lower() if c.isascii() else c for c in text)
    spaced = "".join(c if kind(c) == "word" else " " for c in text).split()
    words = []
    for word in spaced:
        h = 0xCBF29CE484222325
        for c in word:
            h = (h ^ ord(c)) * 0x100000001B3 & M
        words.append(h)
    letters = [ord(c) for c in text if kind(c) == "dense"]
    found = [mixed((a * 0x9E3779B97F4A7C15 + b) & M) >> 32 for a, b in pairwise(words)]
    found += [
        mixed((a << 42 | b << 21 | c) & M) >> 32 for a, b, c in zip(letters, letters[1:], letters[2:], strict=False)
    ]
    if len(words) == 1:
        found.append(mixed(words[0]) >> 32)
    if len(letters) in (1, 2):
        found.append(mixed(([0, *letters][-2] << 21 | letters[-1]) & M) >> 32)
    return found


def keys_of(hashes: list[int]) -> list[int]:
    if not hashes:
        return [0] * shingles.BANDS
    factors, increments = (values.tolist() for values in shingles.permutations())
    minima = [min((h * a + b) & 0xFFFFFFFF for h in hashes) for a, b in zip(factors, increments, strict=True)]
    keys = []
    for band in range(shingles.BANDS):
        key = band
        for j in range(shingles.BAND_ROWS):
            key = mixed((key + minima[band * shingles.BAND_ROWS + j] + 0x9E3779B97F4A7C15) & M)
        keys.append(key >> 32)
    return keys


@settings(max_examples=150, deadline=None)
@given(TEXTS)
def test_shingles_and_band_keys_are_those_of_the_twins(texts: list[str]) -> None:
    series = normalised(pl.Series(texts, dtype=pl.String))
    own = Shingles.of(series)
    keys = own.band_keys()
    sets, bounds = own.sets()
    for row, text in enumerate(series):
        expected = shingles_of(text)
        start = own.starts[row]
        assert sorted(own.hashes[start : start + own.counts[row]].tolist()) == sorted(expected)
        assert keys[row].tolist() == keys_of(expected)
        assert sets[bounds[row] : bounds[row + 1]].tolist() == sorted(set(expected))


@settings(deadline=None)
@given(
    st.lists(st.lists(st.integers(0, 2**32 - 1) | st.integers(0, 3), max_size=40), max_size=5),
    st.integers(0, 3 * shingles.MANY),
)
def test_shingle_sets_are_sorted_sets_of_few_and_of_many(few: list[list[int]], many: int) -> None:
    lists = [*few, [k * 2_654_435_761 % 2**32 for k in range(many)]]
    counts = np.array([len(values) for values in lists], dtype=np.uint32)
    hashes = np.array([h for values in lists for h in values], dtype=np.uint32)
    sets, bounds = Shingles(hashes, np.cumsum(counts, dtype=np.int64) - counts, counts).sets()
    assert [sets[a:b].tolist() for a, b in pairwise(bounds)] == [sorted(set(values)) for values in lists]


SETS = st.sets(st.integers(0, 40), max_size=20)


@settings(deadline=None)
@given(SETS, SETS)
def test_jaccard_is_that_of_sets(a: set[int], b: set[int]) -> None:
    expected = len(a & b) / len(a | b) if a & b else 0.0
    assert shingles.jaccard(*(np.array(sorted(s), dtype=np.uint32) for s in (a, b))) == expected


@settings(deadline=None)
@given(st.lists(st.tuples(st.integers(0, 2**32 - 1) | st.integers(0, 3), st.booleans()), max_size=60))
def test_sorted_pairs_are_sorted_by_key_then_row(values: list[tuple[int, bool]]) -> None:
    keys = np.array([key for key, _ in values], dtype=np.uint32)
    rows = np.array([row for row, (_, wanted) in enumerate(values) if wanted], dtype=np.int64)
    pairs, spare = np.empty(len(rows), dtype=np.uint64), np.empty(len(rows), dtype=np.uint64)
    clusters.sorted_pairs(keys, rows, pairs, spare)
    assert pairs.tolist() == sorted(values[row][0] << 32 | row for row in rows.tolist())
