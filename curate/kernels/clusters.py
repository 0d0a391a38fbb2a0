"""From band keys to clusters: rows that share a band are candidates, those that are really alike are linked.

Three rows of which the first two share a band and are alike: links {0, 1}; row 1 goes for row 0.
"""

import numpy as np

from curate.kernels.compiling import kernel
from curate.kernels.shingles import jaccard

ROW = np.uint64(0xFFFFFFFF)
"""The bits of a pair that are the row; those above are the key."""

FEW = 8
"""So many kept rows of a cluster are compared with each of its rows, whether they share a band or not."""


@kernel
def sorted_pairs(keys, rows, pairs, spare):
    """Fill `pairs` u64[m] with `keys[row] << 32 | row` for the ascending `rows` i64[m], sorted; `spare` is room.

    A radix sort in four passes: of a row's number nothing need be compared, for the passes keep the order of equals.
    """
    m = len(rows)
    counts = np.zeros((4, 256), dtype=np.int64)
    for k in range(m):
        pairs[k] = np.uint64(keys[rows[k]]) << np.uint64(32) | np.uint64(rows[k])
        for digit in range(4):
            counts[digit, pairs[k] >> np.uint64(32 + 8 * digit) & np.uint64(255)] += 1
    for digit in range(4):
        total = 0
        for value in range(256):
            here = counts[digit, value]
            counts[digit, value] = total
            total += here
    source, target = pairs, spare
    for digit in range(4):
        for k in range(m):
            value = source[k] >> np.uint64(32 + 8 * digit) & np.uint64(255)
            target[counts[digit, value]] = source[k]
            counts[digit, value] += 1
        source, target = target, source


@kernel
def mark_shared(pairs, shared):
    """Set `shared[row]` for every row of sorted pairs whose key another row has too."""
    for k in range(1, len(pairs)):
        if pairs[k] >> np.uint64(32) == pairs[k - 1] >> np.uint64(32):
            shared[pairs[k] & ROW] = True
            shared[pairs[k - 1] & ROW] = True


@kernel
def root(parent, row):
    """The row that stands for `row`'s cluster (path halving)."""
    while parent[row] != row:
        parent[row] = parent[parent[row]]
        row = parent[row]
    return row


@kernel
def bar(threshold, short, size_a, size_b):
    """The similarity that two sets must reach: `threshold`, rising to 1 where the larger has fewer than `short`."""
    size = max(size_a, size_b)
    return threshold + (1.0 - threshold) * (short - size) / short if size < short else threshold


@kernel
def alike(of_a, of_b, threshold, short):
    """The similarity of two ascending sets, or -1 below their bar."""
    smaller, larger = min(len(of_a), len(of_b)), max(len(of_a), len(of_b))
    needed = bar(threshold, short, len(of_a), len(of_b))
    if smaller < needed * larger:  # not even if every shingle were shared
        return -1.0
    similarity = jaccard(of_a, of_b)
    return similarity if similarity >= needed else -1.0


@kernel
def set_of(sets, bounds, row):
    """The set of a row, where all are `sets[bounds[row] : bounds[row + 1]]`."""
    return sets[bounds[row] : bounds[row + 1]]


@kernel
def alike_pairs(rows, others, sets, bounds, other_sets, other_bounds, threshold, short):
    """bool[m]: whether row `rows[k]` of some sets and row `others[k]` of other sets are alike."""
    found = np.zeros(len(rows), dtype=np.bool_)
    for k in range(len(rows)):
        of_a, of_b = set_of(sets, bounds, rows[k]), set_of(other_sets, other_bounds, others[k])
        found[k] = alike(of_a, of_b, threshold, short) >= 0
    return found


@kernel
def link_band(pairs, order, parent, sets, bounds, threshold, short):
    """Join in `parent` i64[n] the ranks of a band that are alike: each with the first and the one before of its key.

    `pairs` u64[m]: the band's keys and ranks, sorted; `order` i64[n]: the row of each rank, best first, so that what is
    compared depends on what rows are worth, not on where they stand. Returns the candidates that were compared and
    those that were alike.
    """
    candidates = verified = 0
    first = 0
    for k in range(1, len(pairs)):
        if pairs[k] >> np.uint64(32) != pairs[first] >> np.uint64(32):
            first = k
            continue
        rank = np.int64(pairs[k] & ROW)
        of_row = set_of(sets, bounds, order[rank])
        for at in (first, k - 1):
            other = np.int64(pairs[at] & ROW)
            a, b = root(parent, rank), root(parent, other)
            if a != b:
                candidates += 1
                if alike(of_row, set_of(sets, bounds, order[other]), threshold, short) >= 0:
                    verified += 1
                    parent[max(a, b)] = min(a, b)
            if first == k - 1:
                break
    return candidates, verified


@kernel
def choose(order, starts, keys, sets, bounds, threshold, short, fixed, rival, similarity, needed):
    """In each cluster keep, in order, every row that is like none kept before; fill in what the others go for.

    `order` i64[m]: rows, cluster by cluster, best first; `starts` i64[c + 1]: the clusters; `keys` u32[n, bands];
    `fixed` bool[n]: stays whatever it is like. Filled: `rival` i64[n] (-1: stays), `similarity` and the bar it had to
    reach, `needed`, f64[n]. A row is compared with the first FEW kept rows of its cluster, and with those that share a
    band with it: a long chain of rows, each a little unlike the last, takes no time quadratic in its length.
    """
    bands = keys.shape[1]
    largest = 0
    for cluster in range(len(starts) - 1):
        largest = max(largest, starts[cluster + 1] - starts[cluster])
    # as long as they may have to be: pages that nobody writes to take no memory
    kept = np.empty(largest, dtype=np.int64)
    before = np.empty((largest, bands), dtype=np.int32)  # for each kept row and band, the kept row before in that slot
    compared = np.empty(largest, dtype=np.int64)
    for cluster in range(len(starts) - 1):
        count = 0
        size = starts[cluster + 1] - starts[cluster]
        slots = 1
        while slots < min(size, 1 << 18) and size > FEW:
            slots *= 2
        last = np.full((bands, slots), -1, dtype=np.int32)  # of each band and slot, the last row kept
        for k in range(starts[cluster], starts[cluster + 1]):
            row = order[k]
            best, best_at = -1.0, -1
            if not fixed[row]:
                for at in range(min(count, FEW)):
                    found = alike(set_of(sets, bounds, row), set_of(sets, bounds, kept[at]), threshold, short)
                    if found > best:
                        best, best_at = found, at
                for band in range(bands if count > FEW else 0):
                    at = last[band, keys[row, band] & np.uint32(slots - 1)]
                    while at >= FEW:
                        if keys[kept[at], band] == keys[row, band] and compared[at] != k:
                            compared[at] = k
                            found = alike(set_of(sets, bounds, row), set_of(sets, bounds, kept[at]), threshold, short)
                            if found > best or (found == best and found >= 0 and at < best_at):
                                best, best_at = found, at
                        at = before[at, band]
            if best < 0:
                kept[count] = row
                compared[count] = -1
                for band in range(bands if size > FEW else 0):
                    slot = keys[row, band] & np.uint32(slots - 1)
                    before[count, band] = last[band, slot]
                    last[band, slot] = count
                count += 1
            else:
                rival[row] = kept[best_at]
                similarity[row] = best
                size_a = bounds[row + 1] - bounds[row]
                size_b = bounds[rival[row] + 1] - bounds[rival[row]]
                needed[row] = bar(threshold, short, size_a, size_b)
