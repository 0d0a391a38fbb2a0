"""How many letters of which script stand at the beginning of a text, over UTF-8 bytes.

"Python 리스트" has 6 of the Latin alphabet and 3 of Hangul.
"""

import numpy as np

from curate.kernels.compiling import kernel

LATIN, HANGUL, KANA, HAN, OTHER = range(5)
"""Columns of the counts. Latin: A to Z; with accents a letter is counted nowhere, as few languages have many."""


@kernel(inline="always")
def _script(point):
    """Column of a code point from U+0080; -1: no letter, or a Latin one."""
    if point < 0x370:
        return -1
    if 0x1100 <= point < 0x1200 or 0x3130 <= point < 0x3190 or 0xA960 <= point < 0xA980 or 0xAC00 <= point < 0xD800:
        return HANGUL
    if 0x3041 <= point < 0x3100 or 0x31F0 <= point < 0x3200 or 0xFF66 <= point < 0xFFA0:
        return KANA
    if 0x3400 <= point < 0x4DC0 or 0x4E00 <= point < 0xA000 or 0xF900 <= point < 0xFB00 or 0x20000 <= point < 0x40000:
        return HAN
    if point < 0x1D00 or 0x1F00 <= point < 0x2000 or 0x2D00 <= point < 0x2E00 or 0xA000 <= point < 0xAC00:
        return OTHER
    return OTHER if 0xFB1D <= point < 0xFE00 or 0xFE70 <= point < 0xFF00 else -1


@kernel
def count_scripts(data, offsets, characters, counts):
    """For each of n texts the letters by script among its first `characters`: fills `counts` i64[n, 5].

    `data` u8[...] and `offsets` i64[n + 1] hold the texts.
    """
    for row in range(len(counts)):
        at, seen = offsets[row], 0
        while at < offsets[row + 1] and seen < characters:
            first = np.int64(data[at])
            seen += 1
            if first < 0x80:
                counts[row, LATIN] += 0x41 <= first & 0xDF <= 0x5A
                at += 1
                continue
            size = 2 if first < 0xE0 else 3 if first < 0xF0 else 4
            point = first & (0x7F >> size)
            for i in range(1, size):
                point = point << 6 | np.int64(data[at + i]) & 0x3F
            column = _script(point)
            if column >= 0:
                counts[row, column] += 1
            at += size
