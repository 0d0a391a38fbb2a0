"""How much of a text says again what stands before in it, over UTF-8 bytes; white space counts once.

Of "I like tea. I like tea. I like tea. I like tea. " three quarters are copies of the first sentence.
"""

import numpy as np

from curate.kernels.compiling import kernel

PASSAGE = 32
"""Bytes from which a repeated passage counts: about five English words, or ten Korean syllables."""

_STEP = np.uint64(0x100000001B3)
_SPREAD = np.uint64(0x9E3779B97F4A7C15)


@kernel(inline="always")
def _hashed(data, start, end):
    h = np.uint64(0xCBF29CE484222325)
    for i in range(start, end):
        h = (h ^ np.uint64(data[i])) * _STEP
    return h


@kernel
def copied_bytes(data, start, end, heads):
    """Bytes of `data[start:end]` that stand in a copy, of PASSAGE bytes or more, of what begins before it.

    `heads` i64[2^k]: room for the place of each passage, by its hash; filled with -1 before and after.
    """
    copied = np.int64(0)
    power = np.uint64(1)
    for _ in range(PASSAGE - 1):
        power *= _STEP
    mask = np.uint64(len(heads) - 1)
    shift = np.uint64(20)
    at = start
    rolling = np.uint64(0)
    fresh = True
    while at + PASSAGE <= end:
        if fresh:
            rolling = np.uint64(0)
            for i in range(at, at + PASSAGE):
                rolling = rolling * _STEP + np.uint64(data[i])
            fresh = False
        slot = (rolling * _SPREAD) >> shift & mask
        length = 0
        while heads[slot] >= 0:
            length = 0
            while at + length < end and data[heads[slot] + length] == data[at + length]:
                length += 1
            if length >= PASSAGE:
                break
            slot = (slot + np.uint64(1)) & mask
        if length >= PASSAGE:
            copied += length
            at += length
            fresh = True
            continue
        heads[slot] = at
        if at + PASSAGE < end:
            rolling = (rolling - np.uint64(data[at]) * power) * _STEP + np.uint64(data[at + PASSAGE])
        at += 1
    return copied


@kernel
def repeated_lines(data, start, end, seen):
    """Lines of `data[start:end]` that are not blank, and how many of them stood before; `seen` u64[2^k] is zeroed."""
    lines = repeated = 0
    mask = np.uint64(len(seen) - 1)
    at = start
    while at < end:
        stop = at
        while stop < end and data[stop] != 0x0A:
            stop += 1
        first, last = at, stop
        while first < last and data[first] <= 0x20:
            first += 1
        while last > first and data[last - 1] <= 0x20:
            last -= 1
        if last > first:
            lines += 1
            key = _hashed(data, first, last) | np.uint64(1)
            slot = (key * _SPREAD) >> np.uint64(20) & mask
            while seen[slot] != 0 and seen[slot] != key:
                slot = (slot + np.uint64(1)) & mask
            if seen[slot] == key:
                repeated += 1
            seen[slot] = key
        at = stop + 1
    return lines, repeated


@kernel
def squeezed(data, start, end, into):
    """Copy `data[start:end]`, each run of white space as one line break or else one space; returns the length."""
    size = 0
    at = start
    while at < end:
        if data[at] > 0x20:
            into[size] = data[at]
            at += 1
        else:
            into[size] = 0x20
            while at < end and data[at] <= 0x20:
                if data[at] == 0x0A:
                    into[size] = 0x0A
                at += 1
        size += 1
    return size


@kernel
def repetition(data, offsets, sizes, copied, lines, repeated):
    """For each of n texts its bytes, those in copies, its lines, and those that stood before: fills four i64[n].

    `data` u8[...] and `offsets` i64[n + 1] hold the texts; what is counted is their text `squeezed`.
    """
    heads = np.empty(0, dtype=np.int64)
    text = np.empty(0, dtype=np.uint8)
    seen = np.empty(0, dtype=np.uint64)
    for row in range(len(copied)):
        if len(text) < offsets[row + 1] - offsets[row]:
            text = np.empty(2 * (offsets[row + 1] - offsets[row]), dtype=np.uint8)
        size = squeezed(data, offsets[row], offsets[row + 1], text)
        sizes[row] = size
        room = 64
        while room < 2 * size:
            room *= 2
        if room > len(heads):
            heads = np.empty(room, dtype=np.int64)
            seen = np.empty(room, dtype=np.uint64)
        own_heads, own_seen = heads[:room], seen[:room]
        own_heads[:] = -1
        copied[row] = copied_bytes(text, 0, size, own_heads)
        breaks = 1
        for i in range(size):
            breaks += text[i] == 0x0A
        room = 4
        while room < 2 * breaks:
            room *= 2
        own_seen = seen[:room]
        own_seen[:] = 0
        lines[row], repeated[row] = repeated_lines(text, 0, size, own_seen)
