"""The kernels that make clusters of band keys, against plain twins of a few lines, bit for bit."""

from collections import Counter

import numpy as np
import numpy.typing as npt
from hypothesis import given, settings
from hypothesis import strategies as st

from curate.kernels import clusters

Keys = list[list[int]]
Sets = list[set[int]]
THRESHOLD, SHORT = 0.5, 6

ROWS = st.integers(1, 40).flatmap(
    lambda n: st.tuples(
        st.lists(st.lists(st.integers(0, 4), min_size=3, max_size=3), min_size=n, max_size=n),  # keys of three bands
        st.lists(st.sets(st.integers(0, 11), min_size=1, max_size=10), min_size=n, max_size=n),
        st.permutations(range(n)),
    )
)


def similarity(a: set[int], b: set[int]) -> tuple[float, float]:
    """The similarity of two sets, and the bar it must reach."""
    size = max(len(a), len(b))
    bar = THRESHOLD + (1 - THRESHOLD) * (SHORT - size) / SHORT if size < SHORT else THRESHOLD
    return len(a & b) / len(a | b), bar


def alike(a: set[int], b: set[int]) -> bool:
    found, bar = similarity(a, b)
    return found >= bar


def linked(keys: Keys, sets: Sets) -> tuple[list[int], int, int]:
    """Each row's cluster (its smallest row), pairs compared and pairs alike."""
    cluster = list(range(len(sets)))
    compared = verified = 0
    for band in range(len(keys[0])):
        first: dict[int, int] = {}
        before: dict[int, int] = {}
        for row in sorted(range(len(sets)), key=lambda row: (keys[row][band], row)):
            key = keys[row][band]
            for other in dict.fromkeys((first.setdefault(key, row), before.get(key, row))):
                if cluster[row] != cluster[other]:
                    compared += 1
                    if alike(sets[row], sets[other]):
                        verified += 1
                        joined = {cluster[row], cluster[other]}
                        cluster = [min(joined) if c in joined else c for c in cluster]
            before[key] = row
    return cluster, compared, verified


def chosen(cluster: list[int], order: list[int], keys: Keys, sets: Sets, fixed: set[int]) -> dict[int, int]:
    """Row -> the most similar row that is kept before it in its cluster: of the first FEW, and of those in a band."""
    kept: dict[int, list[int]] = {}
    rivals = {}
    for row in order:
        mine = kept.setdefault(cluster[row], [])
        near = [
            other
            for at, other in enumerate(mine)
            if at < clusters.FEW or any(a == b for a, b in zip(keys[row], keys[other], strict=True))
        ]
        near = [other for other in near if alike(sets[row], sets[other])] if row not in fixed else []
        if near:
            rivals[row] = max(near, key=lambda other: similarity(sets[row], sets[other])[0])
        else:
            mine.append(row)
    return rivals


def packed(sets: Sets) -> tuple[npt.NDArray[np.uint32], npt.NDArray[np.int64]]:
    bounds = np.cumsum([0, *map(len, sets)], dtype=np.int64)
    return np.array([value for own in sets for value in sorted(own)], dtype=np.uint32), bounds


def bands(keys: Keys) -> list[npt.NDArray[np.uint64]]:
    columns = zip(*keys, strict=True)
    return [np.array(sorted(key << 32 | row for row, key in enumerate(column)), dtype=np.uint64) for column in columns]


@settings(max_examples=200, deadline=None)
@given(ROWS)
def test_links_are_those_of_the_twin(rows: tuple[Keys, Sets, list[int]]) -> None:
    keys, sets, order = rows
    parent, ranked = np.arange(len(sets)), [keys[row] for row in order]
    counted = [
        clusters.link_band(pairs, np.array(order), parent, *packed(sets), THRESHOLD, float(SHORT))
        for pairs in bands(ranked)
    ]
    cluster, compared, verified = linked(ranked, [sets[row] for row in order])
    assert [clusters.root(parent, row) for row in range(len(sets))] == cluster
    assert (sum(c for c, _ in counted), sum(v for _, v in counted)) == (compared, verified)


@settings(max_examples=300, deadline=None)
@given(ROWS, st.integers(0, 3), st.booleans())
def test_rows_to_keep_are_those_of_the_twin(rows: tuple[Keys, Sets, list[int]], last: int, one: bool) -> None:
    keys, sets, order = rows
    n = len(sets)
    cluster = [0] * n if one else linked(keys, sets)[0]  # one: as large a cluster as can be
    fixed = set(range(n - last, n))
    order = [row for row in order if row in fixed] + [row for row in order if row not in fixed]
    grouped = sorted(order, key=lambda row: cluster[row])
    sizes = [count for _, count in sorted(Counter(cluster).items())]
    rival, found, needed = np.full(n, -1), np.zeros(n), np.zeros(n)
    clusters.choose(
        np.array(grouped),
        np.cumsum([0, *sizes]),
        np.array(keys, dtype=np.uint32),
        *packed(sets),
        THRESHOLD,
        float(SHORT),
        np.array([row in fixed for row in range(n)]),
        rival,
        found,
        needed,
    )
    gone = {row: int(rival[row]) for row in range(n) if rival[row] >= 0}
    expected = chosen(cluster, grouped, keys, sets, fixed)
    assert gone.keys() == expected.keys()
    for row, other in gone.items():
        assert (found[row], needed[row]) == similarity(sets[row], sets[other])
        assert found[row] == similarity(sets[row], sets[expected[row]])[0]


@settings(deadline=None)
@given(st.lists(st.integers(0, 9), max_size=30))
def test_a_row_is_marked_whose_key_another_has(keys: list[int]) -> None:
    shared = np.zeros(len(keys), dtype=np.bool_)
    clusters.mark_shared(np.array(sorted(k << 32 | row for row, k in enumerate(keys)), dtype=np.uint64), shared)
    assert shared.tolist() == [keys.count(key) > 1 for key in keys]


@settings(deadline=None)
@given(ROWS, ROWS)
def test_pairs_are_alike_as_sets_are(ours: tuple[Keys, Sets, list[int]], theirs: tuple[Keys, Sets, list[int]]) -> None:
    pairs = [(a, b) for a in range(len(ours[1])) for b in range(len(theirs[1]))]
    rows, others = (np.array(side) for side in zip(*pairs, strict=True))
    found = clusters.alike_pairs(rows, others, *packed(ours[1]), *packed(theirs[1]), THRESHOLD, float(SHORT))
    assert found.tolist() == [alike(ours[1][a], theirs[1][b]) for a, b in pairs]
