"""Queries take turns: each picks the best row on its list that no other has picked.

Two lists, [3, 1, 0] and [3, 0, 1], pick 3 for the first, 0 for the second, then 1 for the first.
"""

from curate.kernels.compiling import kernel


@kernel
def take_turns(ranked, taken, rows, queries):
    """Fill `rows` i64[n] and `queries` i64[n] with who is picked and by whom; returns how many before a list ran out.

    `ranked` i64[q, k]: each query's rows, best first; `taken` bool[all rows]: who is picked already.
    """
    at = [0 for _ in range(len(ranked))]
    filled = 0
    while filled < len(rows):
        for query in range(len(ranked)):
            while at[query] < ranked.shape[1] and taken[ranked[query, at[query]]]:
                at[query] += 1
            if at[query] == ranked.shape[1]:
                return filled
            row = ranked[query, at[query]]
            taken[row] = True
            rows[filled], queries[filled] = row, query
            filled += 1
            if filled == len(rows):
                break
    return filled
