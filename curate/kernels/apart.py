"""Which rows go for a better one: the exact similarities of those that a product of matrices put forward.

Of rows 0, 1 and 2, of which 1 is like 0 and 2 like 1 alone, 1 goes for 0 and 2 stays.
"""

from curate.kernels.compiling import kernel

EXACTLY = 1e-6
"""Copies have a cosine of 1, whatever their last bits make of it."""


@kernel
def _product(a, b):
    total = 0.0
    for k in range(len(a)):
        total += a[k] * b[k]
    return total


@kernel
def compare(products, bar, vectors, rows, hit, kept, similarity, value, rival):
    """For each row the most similar of some kept rows, where that reaches `similarity`; of equals the first.

    `products` f32[b, k] of the vectors of `rows` i64[b] and `kept` i64[k], a little inexact: pairs from `bar` on are
    computed anew in double precision; only those at `hit` have any. Filled: `value` f64[b], `rival` i64[b] (-1: none).
    """
    for i in hit:
        for j in range(len(kept)):
            if products[i, j] >= bar:
                exact = _product(vectors[rows[i]], vectors[kept[j]])
                if exact >= similarity - EXACTLY and exact > value[i]:
                    value[i] = exact
                    rival[i] = kept[j]


@kernel
def settle(products, bar, vectors, rows, similarity, most, value, rival, kept):
    """Keep in order each of `rows` i64[b] that has no rival and is like none kept before it, `most` at most.

    `products` f32[b, b] of their vectors, as in `compare`; `value` f64[n] and `rival` i64[n] of all rows are filled,
    `kept` i64[b] with the rows kept. Returns how many those are, and how many of `rows` were looked at.
    """
    places = kept.copy()
    count = 0
    for i in range(len(rows)):
        if count == most:
            return count, i
        row = rows[i]
        for k in range(count):
            if products[i, places[k]] >= bar:
                exact = _product(vectors[row], vectors[kept[k]])
                if exact >= similarity - EXACTLY and exact > value[row]:
                    value[row] = exact
                    rival[row] = kept[k]
        if rival[row] < 0:
            places[count] = i
            kept[count] = row
            count += 1
    return count, len(rows)
