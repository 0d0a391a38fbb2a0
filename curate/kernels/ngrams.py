"""n-grams of a text, and where those of test rows stand in it, over UTF-8 bytes.

An n-gram is a run of 8 words, counted in half words. A word is 2; a number, or a word of one letter, is 1: of code they
are half and say little. Scripts that need no spaces, or glue endings to words (Hangul, Han, kana, Thai ...), are taken
letter by letter, and each is 1. "Name a prime." is 5 long, "소수를 하나" 5 too.
"""

import numpy as np

from curate.kernels.compiling import kernel
from curate.kernels.shingles import _FOLDED, _WORD_SEED, _WORD_STEP, NOTHING, WORD, _code_point, _mixed

GRAM = 16
"""Half words of an n-gram, at least: eight words, as Tülu 3 takes them (arXiv 2411.15124)."""
LEAST, SHORT = 10, 20
"""A text of LEAST half words or more but no more than SHORT has one gram: all of it."""
BITS = np.uint64(40)
"""Bits of a gram's hash: two grams in a billion are taken for one of a thousand test rows' by chance."""

_BASE = np.uint64(0x9E3779B97F4A7C15)
_WHOLE = np.uint64(0x5851F42D4C957F2D)


@kernel
def tokens(data, start, end, classes, hashes, places, firsts):
    """Words and dense letters of `data[start:end]`: their hashes u64, places in half words and bytes; returns how many.

    `places` and `firsts` have one entry more, for the end. Room for `end - start + 2` is enough.
    """
    count = 0
    place = np.uint32(0)
    word = np.uint64(0)
    letters = 0  # of the word, digits not counted
    in_word = False
    i, stop = np.uint64(start), np.uint64(end)
    while i <= stop:
        kind, code, width = NOTHING, np.uint64(0), np.uint64(1)
        if i < stop:
            folded = _FOLDED[data[i]]
            if folded:
                if not in_word:
                    word = _WORD_SEED
                    letters = 0
                    in_word = True
                    firsts[count] = i
                while folded:
                    word = (word ^ folded) * _WORD_STEP
                    letters += folded > 0x39
                    i += np.uint64(1)
                    folded = _FOLDED[data[i]] if i < stop else np.uint64(0)
                continue
            code, width = _code_point(data, i)
            kind = classes[code]
        if kind == WORD:
            if not in_word:
                word = _WORD_SEED
                letters = 0
                in_word = True
                firsts[count] = i
            letters += 1
            word = (word ^ code) * _WORD_STEP
            i += width
            continue
        if in_word:
            in_word = False
            hashes[count] = _mixed(word)
            places[count] = place
            place += np.uint32(2 if letters > 1 else 1)
            count += 1
        if kind != NOTHING:
            hashes[count] = _mixed(code + _BASE)
            places[count] = place
            firsts[count] = i
            place += np.uint32(1)
            count += 1
        i += width
    places[count] = place
    firsts[count] = stop
    return count


@kernel
def grams(hashes, places, count, found, starts, ends):
    """The grams of `count` tokens: hashes u64, their first tokens and those after their last; returns how many."""
    length = places[count]
    if length < LEAST:
        return 0
    if length <= SHORT:
        whole = _WHOLE
        for k in range(count):
            whole = whole * _BASE + hashes[k]
        found[0] = _mixed(whole) >> (np.uint64(64) - BITS)
        starts[0], ends[0] = 0, count
        return 1
    powers = np.empty(GRAM + 2, dtype=np.uint64)
    powers[0] = np.uint64(1)
    for k in range(1, len(powers)):
        powers[k] = powers[k - 1] * _BASE
    made = 0
    after = 0
    rolling = np.uint64(0)  # of the tokens [first, after)
    for first in range(count):
        while after < count and places[after] - places[first] < GRAM:
            rolling = rolling * _BASE + hashes[after]
            after += 1
        if places[after] - places[first] < GRAM:
            break
        found[made] = _mixed(rolling) >> (np.uint64(64) - BITS)
        starts[made], ends[made] = first, after
        made += 1
        rolling -= hashes[first] * powers[after - first - 1]
    return made


@kernel
def grams_of_texts(data, offsets, classes, found, at, until, counts, lengths):
    """The grams of each text, one text after the other: returns how many.

    Filled: `found` u64 hashes, `at` and `until` u32, their places in half words, and for each text how many grams it
    has, `counts` i64[n], and its length in half words, `lengths` u32[n].
    """
    o = 0
    longest = 0
    for row in range(len(counts)):
        longest = max(longest, offsets[row + 1] - offsets[row])
    hashes = np.empty(longest + 1, dtype=np.uint64)
    places, firsts = np.empty(longest + 2, dtype=np.uint32), np.empty(longest + 2, dtype=np.int64)
    starts, ends = np.empty(longest + 1, dtype=np.int64), np.empty(longest + 1, dtype=np.int64)
    for row in range(len(counts)):
        count = tokens(data, offsets[row], offsets[row + 1], classes, hashes, places, firsts)
        made = grams(hashes, places, count, found[o:], starts, ends)
        for k in range(made):
            at[o + k], until[o + k] = places[starts[k]], places[ends[k]]
        counts[row] = made
        lengths[row] = places[count]
        o += made
    return o


@kernel
def fill_table(keys, slots, bits):
    """Enter distinct `keys` u64 into an empty table `slots` i32[2^k] (-1: free) and a set of `bits` u8[2^j]."""
    mask, bit_mask = np.uint64(len(slots) - 1), np.uint64(8 * len(bits) - 1)
    for k in range(len(keys)):
        slot = keys[k] & mask
        while slots[slot] >= 0:
            slot = (slot + np.uint64(1)) & mask
        slots[slot] = k
        bit = (keys[k] >> np.uint64(8)) & bit_mask
        bits[bit >> np.uint64(3)] |= np.uint8(1) << np.uint8(bit & np.uint64(7))


@kernel
def _look_up(key, keys, slots, bits):
    """The position of `key`, or -1."""
    bit = (key >> np.uint64(8)) & np.uint64(8 * len(bits) - 1)
    if not bits[bit >> np.uint64(3)] >> np.uint8(bit & np.uint64(7)) & np.uint8(1):
        return -1
    mask = np.uint64(len(slots) - 1)
    slot = key & mask
    while slots[slot] >= 0:
        if keys[slots[slot]] == key:
            return slots[slot]
        slot = (slot + np.uint64(1)) & mask
    return -1


@kernel
def matches(data, offsets, classes, keys, slots, bits, first, out, start):
    """Write what the texts share with test rows, a line for each gram, to `out` i64[4, m], beginning with text `start`.

    `keys`, `slots`, `bits`: the distinct grams of the test rows, of which gram k has the postings `[first[k], first[k +
    1])`. A line is: the text, the posting, the place of the gram in the text and where it ends. Returns the number of
    lines and the first text for which there was no room.
    """
    longest = 0
    for row in range(start, len(offsets) - 1):
        longest = max(longest, offsets[row + 1] - offsets[row])
    hashes, found = np.empty(longest + 1, dtype=np.uint64), np.empty(longest + 1, dtype=np.uint64)
    places, firsts = np.empty(longest + 2, dtype=np.uint32), np.empty(longest + 2, dtype=np.int64)
    starts, ends = np.empty(longest + 1, dtype=np.int64), np.empty(longest + 1, dtype=np.int64)
    m = 0
    for row in range(start, len(offsets) - 1):
        before = m
        count = tokens(data, offsets[row], offsets[row + 1], classes, hashes, places, firsts)
        for k in range(grams(hashes, places, count, found, starts, ends)):
            key = _look_up(found[k], keys, slots, bits)
            if key < 0:
                continue
            if m + first[key + 1] - first[key] > out.shape[1]:
                return before, row
            for posting in range(first[key], first[key + 1]):
                out[0, m], out[1, m] = row, posting
                out[2, m], out[3, m] = places[starts[k]], places[ends[k]]
                m += 1
    return m, len(offsets) - 1
