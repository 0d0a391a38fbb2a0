"""How alike two sequences are, by the edits between them: 1 - edits / the longer length.

[1, 2, 3, 4] and [1, 3, 4, 5] are 0.5 alike: one taken out, one put in.
"""

import numpy as np

from curate.kernels.compiling import kernel


@kernel
def edits(a, b, most, rows):
    """The least number of insertions, deletions and changes from `a` to `b`, or `most + 1` where it is more.

    `rows` i64[2, len(b) + 1] is room to work in; only what lies within `most` of the diagonal is looked at.
    """
    n, m = len(a), len(b)
    if abs(n - m) > most:
        return most + 1
    before, here = rows[0], rows[1]
    for j in range(m + 1):
        before[j] = j if j <= most else most + 1
    for i in range(1, n + 1):
        first, last = max(1, i - most), min(m, i + most)
        here[first - 1] = i if first == 1 and i <= most else most + 1
        least = here[first - 1]
        for j in range(first, last + 1):
            cost = before[j - 1] + (a[i - 1] != b[j - 1])
            if j < i + most:
                cost = min(cost, before[j] + 1)
            cost = min(cost, here[j - 1] + 1, most + 1)
            here[j] = cost
            least = min(least, cost)
        if least > most:
            return most + 1
        before, here = here, before
    return min(before[m], most + 1)


@kernel
def most_alike(own, others, bounds, least):
    """Of sequences `others[bounds[k] : bounds[k + 1]]` the one most like `own`, and how much; -1 where none is `least`.

    `least` is from 0 to 1; of equals the first.
    """
    best, most = -1, np.float64(0.0)
    longest = 0
    for k in range(len(bounds) - 1):
        longest = max(longest, bounds[k + 1] - bounds[k])
    rows = np.empty((2, longest + 1), dtype=np.int64)
    for k in range(len(bounds) - 1):
        other = others[bounds[k] : bounds[k + 1]]
        larger = max(len(own), len(other))
        allowed = np.int64((1.0 - max(least, most)) * larger + 1e-9)
        found = edits(own, other, allowed, rows)
        alike = 1.0 - found / larger if larger else 0.0
        if found <= allowed and alike > most:
            best, most = k, alike
    return best, most
