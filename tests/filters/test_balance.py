"""balance: quotas by the values of a column."""

import json

import numpy as np
from conftest import Filtered

from curate.selecting.quotas import quotas


def test_quotas_add_up_fit_and_grow_alike_with_temperature() -> None:
    chance = np.random.default_rng(0)
    for _ in range(300):
        sizes = chance.integers(1, 200, size=chance.integers(1, 12))
        n = int(chance.integers(1, sizes.sum() + 1))
        for temperature in (1.0, 3.0, None):
            found = quotas(sizes, n, temperature)
            assert found.sum() == n
            assert (found <= sizes).all()
            assert (found >= 0).all()
    sizes = np.array([900, 50])
    assert [quotas(sizes, 60, t).tolist() for t in (1.0, 3.0, None)] == [[57, 3], [43, 17], [30, 30]]
    assert quotas(sizes, 200, None).tolist() == [150, 50]


def test_the_best_of_each_group_stay(filtered: Filtered) -> None:
    rows = [{"instruction": "q", "output": str(k), "tag": "ab"[k > 7], "votes": k} for k in range(10)]
    result = filtered(rows, {"balance": {"by": "meta.tag", "best": "meta.votes", "temperature": None, "n": 4}})
    assert result.kept["row"].to_list() == [6, 7, 8, 9]
    assert result.dropped["reason"][0] == "2 of 8 rows where meta.tag is a stay"
    assert result.summary.by_step[0].notes == [
        "2 values of meta.tag; the most frequent, a, has 80% of the rows, 50% of those that stay"
    ]


def test_numbers_are_cut_into_ranges(filtered: Filtered) -> None:
    rows = [{"instruction": "q", "output": str(k), "votes": k} for k in range(20)]
    step = {"by": "meta.votes", "ranges": [2, 10], "temperature": None, "n": 6}
    kept = [json.loads(meta)["votes"] for meta in filtered(rows, {"balance": step}).kept["meta"]]
    assert [sum(low <= k < high for k in kept) for low, high in ((0, 2), (2, 10), (10, 20))] == [2, 2, 2]
