"""The kernel of edits against the textbook's table."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from curate.kernels.edits import edits, most_alike

SEQUENCES = st.lists(st.integers(0, 3), max_size=12)


def plain(a: list[int], b: list[int]) -> int:
    """Levenshtein's distance."""
    row = list(range(len(b) + 1))
    for i, x in enumerate(a, 1):
        row, before = [i], row
        for j, y in enumerate(b, 1):
            row.append(min(before[j - 1] + (x != y), before[j] + 1, row[j - 1] + 1))
    return row[-1]


def array(values: list[int]) -> "np.ndarray[tuple[int], np.dtype[np.uint16]]":
    return np.array(values, dtype=np.uint16)


@given(SEQUENCES, SEQUENCES, st.integers(0, 13))
@settings(max_examples=300, deadline=None)
def test_edits_up_to_a_bound(a: list[int], b: list[int], most: int) -> None:
    room = np.empty((2, len(b) + 1), dtype=np.int64)
    assert edits(array(a), array(b), most, room) == min(plain(a, b), most + 1)


@given(SEQUENCES, st.lists(SEQUENCES, min_size=1, max_size=6), st.sampled_from([0.0, 0.5, 0.8, 1.0]))
@settings(max_examples=200, deadline=None)
def test_the_most_alike_is_the_first_of_the_best(own: list[int], others: list[list[int]], least: float) -> None:
    bounds = np.cumsum([0, *map(len, others)], dtype=np.int64)
    found, alike = most_alike(array(own), array([x for other in others for x in other]), bounds, least)
    shares = [1 - plain(own, other) / max(len(own), len(other)) if own or other else 0.0 for other in others]
    best = max(shares)
    if best >= least and best > 0:
        assert (found, round(alike, 9)) == (shares.index(best), round(best, 9))
    else:
        assert found == -1
