"""What a row adds to a choice, as the kernels count it, against plain Python."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from curate.kernels import greedy


@settings(max_examples=100, deadline=None)
@given(st.integers(1, 12), st.integers(1, 9), st.integers(0, 1000))
def test_rows_come_nearer_by_the_chosen_one(n: int, dimensions: int, seed: int) -> None:
    chance = np.random.default_rng(seed)
    vectors = chance.standard_normal((n, dimensions)).astype(np.float32)
    cosine = chance.standard_normal(n).astype(np.float32)
    start, stop = sorted(chance.integers(0, n + 1, 2).tolist())
    chosen = int(chance.integers(n))
    expected = cosine.tolist()
    for row in range(start, stop):
        product = sum(float(a) * float(b) for a, b in zip(vectors[row], vectors[chosen], strict=True))
        expected[row] = max(expected[row], product)
    greedy.bring_nearer(vectors, chosen, start, stop, cosine)
    assert cosine.tolist() == pytest.approx(expected, abs=1e-5)


@settings(max_examples=100, deadline=None)
@given(st.lists(st.lists(st.integers(0, 4), max_size=5, unique=True), min_size=1, max_size=8), st.integers(0, 1000))
def test_a_row_adds_what_its_labels_gain(labels: list[list[int]], seed: int) -> None:
    chance = np.random.default_rng(seed)
    amounts = [chance.random(len(own)).tolist() for own in labels]
    told = chance.random(5)
    rows = chance.permutation(len(labels))
    starts = np.cumsum([0, *map(len, labels)], dtype=np.int64)
    flat = np.array([label for own in labels for label in own], dtype=np.int64)
    gains = np.empty(len(rows))
    greedy.information(rows, starts, flat, np.array([a for own in amounts for a in own], dtype=float), told, 0.8, gains)
    expected = [
        sum((told[label] + a) ** 0.8 - told[label] ** 0.8 for label, a in zip(labels[row], amounts[row], strict=True))
        for row in rows
    ]
    assert gains.tolist() == pytest.approx(expected, abs=1e-12)
