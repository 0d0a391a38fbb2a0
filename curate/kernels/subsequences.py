"""How much two sequences of words share in the same order: ROUGE-L, the F1 of their longest common subsequence.

[1, 2, 3, 4] and [1, 3, 5] share [1, 3]: 2 * 2 / (4 + 3) = 0.57.
"""

import numpy as np

from curate.kernels.compiling import kernel


@kernel
def common(a, b, row):
    """Length of the longest common subsequence; `row` i64[len(b) + 1] is room to work in."""
    row[: len(b) + 1] = 0
    for i in range(len(a)):
        diagonal = 0
        for j in range(len(b)):
            above = row[j + 1]
            row[j + 1] = diagonal + 1 if a[i] == b[j] else max(above, row[j])
            diagonal = above
    return row[len(b)]


@kernel
def most_in_common(own, others, bounds, least):
    """Of sequences `others[bounds[k] : bounds[k + 1]]` the first with the highest ROUGE-L to `own`, and that value; -1
    where none reaches `least`."""
    best, most = -1, np.float64(least)
    longest = 0
    for k in range(len(bounds) - 1):
        longest = max(longest, bounds[k + 1] - bounds[k])
    row = np.empty(longest + 1, dtype=np.int64)
    for k in range(len(bounds) - 1):
        other = others[bounds[k] : bounds[k + 1]]
        size = len(own) + len(other)
        if size == 0 or 2.0 * min(len(own), len(other)) < most * size:  # not even if the shorter were within the longer
            continue
        value = 2.0 * common(own, other, row) / size
        if value > most or (best < 0 and value >= most):
            best, most = k, value
    return best, most
