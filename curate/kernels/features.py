"""Features of a text and their weighted sum of vectors: words and runs of three of their letters, syllables and pairs.

"a prime" has the words {a, prime} and the runs {_pr, pri, rim, ime, me_}; "소수를" the letters {소, 수, 를}, the pairs
{소수, 수를}. Each is a bucket of a table: others may share it. Texts come in NFC and lower case. What a letter is, and
which scripts glue endings to words, says `shingles`; punctuation is no feature.
"""

import numpy as np

from curate.kernels.compiling import kernel
from curate.kernels.shingles import NOTHING, WORD, _code_point, _mixed

BUCKET_BITS = 16
"""Features fall into 2^16 buckets: a table of 256 float32 each takes 64 MB, and what 10,000 texts hold fits."""

MOST_FEATURES = 3
"""Features of a text are fewer than this times its bytes, plus this."""

_STEP = np.uint64(0x100000001B3)  # FNV-1a, over code points
_WORD, _RUN, _EDGE = np.uint64(0xCBF29CE484222325), np.uint64(0x9E3779B97F4A7C15), np.uint64(32)
_SHIFT = np.uint64(64 - BUCKET_BITS)


@kernel(inline="always")
def _run(first, second, third):
    return np.uint32(_mixed((((_RUN ^ first) * _STEP ^ second) * _STEP ^ third) * _STEP) >> _SHIFT)


@kernel
def _features(data, start, end, classes, out):
    """Write the buckets of the features of `data[start:end]` to `out` u32[MOST_FEATURES * (bytes + 1)]; how many."""
    count = 0
    before, word = NOTHING, _WORD  # the kind of the code point before, and the hash of the word being read
    first, second = _EDGE, _EDGE  # the two letters before; at a word's edge there is none
    i, stop = np.uint64(start), np.uint64(end)
    while i <= stop:
        kind, code, width = NOTHING, _EDGE, np.uint64(1)
        if i < stop:
            code, width = _code_point(data, i)
            kind = classes[code]
        i += width
        if kind != before:
            if before == WORD:
                out[count] = np.uint32(_mixed(word) >> _SHIFT)
                count += 1
                if first != _EDGE:
                    out[count] = _run(first, second, _EDGE)
                    count += 1
            before, word, first, second = kind, _WORD, _EDGE, _EDGE
        if kind == NOTHING:
            continue
        if kind == WORD:
            word = (word ^ code) * _STEP
            if second != _EDGE:
                out[count] = _run(first, second, code)
                count += 1
        else:
            out[count] = np.uint32(_mixed(code) >> _SHIFT)
            count += 1
            if second != _EDGE:
                out[count] = _run(second, code, np.uint64(0))
                count += 1
        first, second = second, code
    return count


@kernel
def _weighted(data, start, end, classes, found, times, buckets, weights):
    """Write the distinct buckets of a text, in order of appearance, and 1 + ln(times) of each; returns how many.

    `found` u32 has room for all features; `times` i32[2^16] is zero, and is so again.
    """
    distinct = 0
    for k in range(_features(data, start, end, classes, found)):
        bucket = found[k]
        if times[bucket] == 0:
            buckets[distinct] = bucket
            distinct += 1
        times[bucket] += 1
    for k in range(distinct):
        weights[k] = np.float32(1.0 + np.log(np.float64(times[buckets[k]])))
        times[buckets[k]] = 0
    return distinct


@kernel
def _room(offsets):
    """Features that the longest text may have."""
    longest = 0
    for row in range(len(offsets) - 1):
        longest = max(longest, offsets[row + 1] - offsets[row])
    return MOST_FEATURES * (longest + 1)


@kernel
def feature_weights(data, offsets, classes, buckets, weights, bounds):
    """The distinct buckets of each text, each with 1 + ln(times): returns how many in all.

    `data` u8[...] and `offsets` i64[n + 1] hold the texts; `buckets` i32 and `weights` f32, both [MOST_FEATURES *
    (bytes + n)], are filled, and `bounds` i64[n + 1] says where each text's stand.
    """
    times, found = np.zeros(1 << BUCKET_BITS, dtype=np.int32), np.empty(_room(offsets), dtype=np.uint32)
    o = 0
    bounds[0] = 0
    for row in range(len(bounds) - 1):
        o += _weighted(data, offsets[row], offsets[row + 1], classes, found, times, buckets[o:], weights[o:])
        bounds[row + 1] = o
    return o


@kernel
def weighted_sums(data, offsets, classes, table, out):
    """Each text's sum of `table` f32[2^16, d] over its distinct buckets, times their weights: `out` f32[n, d]."""
    times, found = np.zeros(1 << BUCKET_BITS, dtype=np.int32), np.empty(_room(offsets), dtype=np.uint32)
    buckets, weights = np.empty(1 << BUCKET_BITS, dtype=np.int32), np.empty(1 << BUCKET_BITS, dtype=np.float32)
    for row in range(len(out)):
        distinct = _weighted(data, offsets[row], offsets[row + 1], classes, found, times, buckets, weights)
        total = out[row]
        total[:] = 0
        for k in range(distinct):
            weight, vector = weights[k], table[buckets[k]]
            for j in range(len(total)):
                total[j] += weight * vector[j]
