"""Shingles of a text, its MinHash band keys, and the real Jaccard similarity of two texts, over UTF-8 bytes.

"name a prime number" has the shingles {name a, a prime, prime number}; "소수를 하나" has {소수를, 수를하, 를하나}.

Words of scripts that put spaces between them give pairs of neighbouring words; letters of scripts that don't, or that
glue endings to words (Hangul, Han, kana, Thai ...), give runs of three, whatever stands between them. A single word, or
one or two such letters, are one shingle. A text without letters or digits has none, and equals nothing. Texts come in
NFC and lower case; capitals of ASCII, which need no table, are lowered here.
"""

import unicodedata
from functools import cache

import numpy as np
import numpy.typing as npt

from curate.kernels.compiling import kernel

NOTHING, WORD, DENSE = 0, 1, 2
"""What a code point is: between words, part of a word, or a letter that stands for itself."""

DENSE_SCRIPTS = (
    "HANGUL",
    "CJK",
    "HIRAGANA",
    "KATAKANA",
    "BOPOMOFO",
    "THAI",
    "LAO",
    "KHMER",
    "MYANMAR",
    "TIBETAN",
    "YI ",
)
"""First words of the Unicode names of letters that are taken in runs of three."""

BANDS, BAND_ROWS = 40, 3
"""A pair of Jaccard similarity s shares a band with probability 1 - (1 - s^3)^40: 0.995 at 0.5, 0.04 at 0.1."""

MANY = 4096
"""So many shingles are sorted byte by byte: their buckets would be too full."""

_FOLDED = np.zeros(256, dtype=np.uint64)  # letters and digits of ASCII in lower case, all else 0
for _code in (*range(0x30, 0x3A), *range(0x61, 0x7B)):
    _FOLDED[_code] = _code
_FOLDED[0x41:0x5B] = _FOLDED[0x61:0x7B]
_WORD_SEED, _WORD_STEP = np.uint64(0xCBF29CE484222325), np.uint64(0x100000001B3)  # FNV-1a, over code points
_PAIR_STEP = np.uint64(0x9E3779B97F4A7C15)


@cache
def code_point_classes() -> npt.NDArray[np.uint8]:
    """u8[0x110000]: NOTHING, WORD or DENSE for every code point; letters, marks and numbers are not NOTHING."""
    classes = np.zeros(0x110000, dtype=np.uint8)
    for code in range(0x20000):
        character = chr(code)
        if unicodedata.category(character)[0] in "LMN":
            classes[code] = DENSE if unicodedata.name(character, "").startswith(DENSE_SCRIPTS) else WORD
    classes[0x20000:0x40000] = DENSE  # Han beyond the first two planes
    return classes


@cache
def permutations() -> tuple[npt.NDArray[np.uint32], npt.NDArray[np.uint32]]:
    """Odd factors and increments, u32[BANDS * BAND_ROWS], of the hash functions whose minima make the bands."""
    chance = np.random.Generator(np.random.PCG64(20_24))
    drawn = chance.integers(0, 2**32, size=(2, BANDS * BAND_ROWS), dtype=np.uint32)
    return drawn[0] | np.uint32(1), drawn[1]


@kernel(inline="always")
def _mixed(x):
    """A value whose every bit depends on every bit of `x` (the finaliser of splitmix64)."""
    x = (x ^ (x >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    x = (x ^ (x >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return x ^ (x >> np.uint64(31))


@kernel(inline="always")
def _code_point(data, i):
    """The code point whose UTF-8 bytes start at `i`, and how many they are."""
    byte = np.uint64(data[i])
    if byte < 0x80:
        return byte, np.uint64(1)
    second = np.uint64(data[i + np.uint64(1)] & 0x3F)
    if byte < 0xE0:
        return ((byte & np.uint64(0x1F)) << np.uint64(6)) | second, np.uint64(2)
    third = np.uint64(data[i + np.uint64(2)] & 0x3F)
    if byte < 0xF0:
        return ((byte & np.uint64(0x0F)) << np.uint64(12)) | (second << np.uint64(6)) | third, np.uint64(3)
    high = ((byte & np.uint64(0x07)) << np.uint64(18)) | (second << np.uint64(12)) | (third << np.uint64(6))
    return high | np.uint64(data[i + np.uint64(3)] & 0x3F), np.uint64(4)


@kernel
def shingles(data, start, end, classes, out):
    """Write the hashes of the shingles of `data[start:end]` to `out` u32[end - start + 1 or more]; returns how many."""
    count = np.uint64(0)
    word, before = np.uint64(0), np.uint64(0)  # hashes of the word being read and of the one before
    in_word = False
    words = 0
    first, second = np.uint64(0), np.uint64(0)  # the two dense letters before
    letters = 0
    i, stop = np.uint64(start), np.uint64(end)
    while i <= stop:
        kind, code, width = NOTHING, np.uint64(0), np.uint64(1)
        if i < stop:
            folded = _FOLDED[data[i]]
            if folded:  # most letters of most texts: a loop as short as can be
                if not in_word:
                    word = _WORD_SEED
                    in_word = True
                while folded:
                    word = (word ^ folded) * _WORD_STEP
                    i += np.uint64(1)
                    folded = _FOLDED[data[i]] if i < stop else np.uint64(0)
                continue
            code, width = _code_point(data, i)
            kind = classes[code]
        i += width
        if kind == WORD:
            word = ((word if in_word else _WORD_SEED) ^ code) * _WORD_STEP
            in_word = True
            continue
        if in_word:
            in_word = False
            words += 1
            if words > 1:
                out[count] = np.uint32(_mixed(before * _PAIR_STEP + word) >> np.uint64(32))
                count += np.uint64(1)
            before = word
        if kind == DENSE:
            letters += 1
            if letters > 2:
                three = (first << np.uint64(42)) | (second << np.uint64(21)) | code
                out[count] = np.uint32(_mixed(three) >> np.uint64(32))
                count += np.uint64(1)
            first, second = second, code
    if words == 1:
        out[count] = np.uint32(_mixed(before) >> np.uint64(32))
        count += np.uint64(1)
    if letters == 1 or letters == 2:
        out[count] = np.uint32(_mixed((first << np.uint64(21)) | second) >> np.uint64(32))
        count += np.uint64(1)
    return np.int64(count)


@kernel
def shingle_hashes(data, offsets, classes, hashes, counts):
    """The hashes of the shingles of each text, one text after the other, with what is there twice: returns how many.

    `data` u8[...] and `offsets` i64[n + 1] hold the texts; `hashes` u32[bytes + n] and `counts` u32[n] are filled.
    """
    o = 0
    for row in range(len(counts)):
        counts[row] = shingles(data, offsets[row], offsets[row + 1], classes, hashes[o:])
        o += counts[row]
    return o


@kernel
def band_keys(hashes, starts, counts, factors, increments, keys):
    """MinHash band keys of each text, from its shingles: `keys` u32[n, BANDS] is filled; without shingles, with 0."""
    minima = np.empty(len(factors), dtype=np.uint32)
    for row in range(len(counts)):
        own = hashes[starts[row] : starts[row] + counts[row]]
        if len(own) == 0:
            keys[row] = 0
            continue
        minima[:] = 0xFFFFFFFF
        last = len(own) - 1
        for k in range(0, len(own), 4):  # four at a time: the minima are loaded and stored once for each four
            h0, h1, h2, h3 = own[k], own[min(k + 1, last)], own[min(k + 2, last)], own[min(k + 3, last)]
            for j in range(len(factors)):
                f, a = factors[j], increments[j]
                least = min(np.uint32(h0 * f + a), np.uint32(h1 * f + a))
                other = min(np.uint32(h2 * f + a), np.uint32(h3 * f + a))
                minima[j] = min(minima[j], min(least, other))
        for band in range(BANDS):
            key = np.uint64(band)
            for j in range(BAND_ROWS):
                key = _mixed(key + np.uint64(minima[band * BAND_ROWS + j]) + _PAIR_STEP)
            keys[row, band] = np.uint32(key >> np.uint64(32))


@kernel
def _sort_few(hashes, out, starts):
    """Write `hashes` to `out`, ascending: into 256 buckets by their top byte, then in place by insertion.

    `starts` u32[257] is room to work in. Hashes are spread evenly, so that few move, and not far.
    """
    _by_byte(hashes, out, starts, np.uint32(24))
    for k in range(1, len(out)):
        h = out[k]
        at = k
        while at > 0 and out[at - 1] > h:
            out[at] = out[at - 1]
            at -= 1
        out[at] = h


@kernel
def _by_byte(hashes, out, starts, shift):
    """Write `hashes` to `out` in order of one of their bytes, equal ones as they stood.

    `shift` is a u32 that numba can't take for a constant: for each of those it would compile this anew.
    """
    for bucket in range(257):
        starts[bucket] = 0
    for k in range(len(hashes)):
        starts[(hashes[k] >> shift & np.uint32(255)) + np.uint32(1)] += np.uint32(1)
    for bucket in range(256):
        starts[bucket + 1] += starts[bucket]
    for k in range(len(hashes)):
        bucket = hashes[k] >> shift & np.uint32(255)
        out[starts[bucket]] = hashes[k]
        starts[bucket] += np.uint32(1)


@kernel
def shingle_sets(hashes, starts, counts, sets, bounds):
    """The distinct shingles of each text, ascending, from `hashes[starts[row] : starts[row] + counts[row]]`.

    `sets` u32[...] is filled and `bounds` i64[n + 1] says where.
    """
    o = 0
    bounds[0] = 0
    scratch = np.empty(257, dtype=np.uint32)
    for row in range(len(starts)):
        own = hashes[starts[row] : starts[row] + counts[row]]
        out = sets[o : o + len(own)]
        if len(own) < MANY:
            _sort_few(own, out, scratch)
        else:
            spare = np.empty(len(own), dtype=np.uint32)
            _by_byte(own, spare, scratch, np.uint32(0))
            _by_byte(spare, out, scratch, np.uint32(8))
            _by_byte(out, spare, scratch, np.uint32(16))
            _by_byte(spare, out, scratch, np.uint32(24))
        distinct = 0
        for k in range(len(out)):
            if k == 0 or out[k] != out[distinct - 1]:
                out[distinct] = out[k]
                distinct += 1
        o += distinct
        bounds[row + 1] = o
    return o


@kernel
def jaccard(a, b):
    """Shared distinct values of two ascending sets, over all of theirs; 0 where either is empty."""
    i = j = shared = 0
    while i < len(a) and j < len(b):
        if a[i] == b[j]:
            shared += 1
            i += 1
            j += 1
        elif a[i] < b[j]:
            i += 1
        else:
            j += 1
    union = len(a) + len(b) - shared
    return shared / union if shared else 0.0
