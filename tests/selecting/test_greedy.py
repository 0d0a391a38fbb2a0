"""Greedy choices, each step against the plain definition, on small random pools."""

import numpy as np
import pytest
from test_apart import pool

from curate.selecting.chosen import with_text
from curate.selecting.greedy import by_clusters, facility, farthest_first, informative
from curate.working import Working

WORKING = Working(threads=2)


def test_farthest_first_takes_each_time_a_row_whose_nearest_chosen_is_farthest() -> None:
    for seed in range(100):
        vectors = pool(seed)
        rows = with_text(vectors)
        chosen = farthest_first(vectors, rows, 12, WORKING)
        assert len(set(chosen)) == 12
        for k in range(1, 12):
            nearest = (vectors @ vectors[chosen[:k]].T).max(axis=1)
            left = np.setdiff1d(rows, chosen[:k])
            assert nearest[chosen[k]] <= nearest[left].min() + 1e-5


@pytest.mark.parametrize("alpha", [0.0, 0.5])
def test_facility_takes_each_time_a_row_that_adds_most(alpha: float) -> None:
    for seed in range(100):
        vectors = pool(seed)
        rows = with_text(vectors)
        worth = np.random.default_rng(seed).random(len(vectors)) * alpha
        chosen, mean, exact = facility(vectors, rows, 10, WORKING, worth=worth, weight=1 - alpha)
        cosines = np.maximum(vectors[rows] @ vectors.T, 0).astype(float)
        covered = np.zeros(len(rows))
        for k, row in enumerate(chosen):
            gains = np.maximum(cosines - covered[:, None], 0).sum(axis=0) * (1 - alpha) * 1000 / len(rows) + worth
            left = np.setdiff1d(rows, chosen[:k])
            assert gains[row] >= gains[left].max() - 1e-2 * (1 - alpha) - 1e-9
            covered = np.maximum(covered, cosines[:, row])
        assert exact
        assert mean == pytest.approx(covered.mean(), abs=1e-5)


def test_a_sample_stands_for_all_rows_at_little_loss(monkeypatch: pytest.MonkeyPatch) -> None:
    vectors = pool(1, 3000, 16)
    rows = with_text(vectors)
    _, best, _ = facility(vectors, rows, 30, WORKING)
    monkeypatch.setattr("curate.selecting.greedy.EXACT", 1000)
    monkeypatch.setattr("curate.selecting.greedy.SAMPLE", 1000)
    some, told, exact = facility(vectors, rows, 30, WORKING)
    found = float((vectors[rows] @ vectors[some].T).max(axis=1).mean())
    assert not exact
    assert 0.97 * best < found <= best + 1e-6 <= told + 0.02


def test_information_takes_each_time_a_row_that_tells_most() -> None:
    for seed in range(100):
        chance = np.random.default_rng(seed)
        n, labels = 40, 6
        told = chance.random((n, labels)) * (chance.random((n, labels)) < 0.4)
        starts = np.concatenate(([0], np.cumsum((told > 0).sum(axis=1))))
        at, amounts = np.nonzero(told)[1], told[told > 0]
        chosen = informative(starts, at, amounts, labels, np.arange(n), 15, 0.8, WORKING)
        so_far = np.zeros(labels)
        for k, row in enumerate(chosen):
            gains = ((so_far + told) ** 0.8 - so_far**0.8).sum(axis=1)
            assert gains[row] >= np.delete(gains, chosen[:k]).max() - 1e-9
            so_far += told[row]


def test_clusters_give_one_row_each_before_any_gives_a_second() -> None:
    centres = np.eye(5, 16)
    chance = np.random.default_rng(0)
    vectors = np.repeat(centres, [60, 30, 6, 3, 1], axis=0) + 0.02 * chance.standard_normal((100, 16))
    vectors = (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32)
    chosen = by_clusters(vectors, np.arange(100), 12, 5, WORKING)
    assert sorted(vectors[chosen[:5]].argmax(axis=1)) == [0, 1, 2, 3, 4]
    assert np.bincount(vectors[chosen].argmax(axis=1)).tolist() == [3, 3, 3, 2, 1]


def test_more_places_keep_a_superset_and_the_order_of_rows_decides_nothing() -> None:
    vectors = pool(5, 300, 16)
    vectors = np.unique(vectors[with_text(vectors)], axis=0)
    rows = np.arange(len(vectors))
    shuffled = np.random.default_rng(0).permutation(rows)
    for choose in (
        lambda v, n: farthest_first(v, rows, n, WORKING),
        lambda v, n: facility(v, rows, n, WORKING)[0],
        lambda v, n: by_clusters(v, rows, n, 20, WORKING),
    ):
        few, many = choose(vectors, 10), choose(vectors, 40)
        assert many[:10].tolist() == few.tolist()
        assert len(set(shuffled[choose(vectors[shuffled], 10)]) & set(few)) >= 9
