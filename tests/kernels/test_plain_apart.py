"""Rivals and rows that stay, as the kernels find them, against plain Python."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from curate.kernels import apart

SIMILARITY = 0.9
VECTORS = st.lists(st.integers(0, 11), min_size=1, max_size=14).map(
    lambda angles: np.array([[np.cos(a * 0.2), np.sin(a * 0.2)] for a in angles], dtype=np.float32)
)
"""Unit vectors of which those with neighbouring angles (cosine 0.98, and 0.92 two apart) are alike."""


def cosine(a: np.ndarray, b: np.ndarray) -> float:
    return sum(float(x * y) for x, y in zip(a, b, strict=True))  # products of single precision, their sum of double


def most_alike(vector: np.ndarray, vectors: np.ndarray, kept: list[int]) -> tuple[int, float]:
    rival, value = -1, -1.0
    for other in kept:
        here = cosine(vector, vectors[other])
        if here >= SIMILARITY - apart.EXACTLY and here > value:
            rival, value = other, here
    return rival, value


@settings(max_examples=200, deadline=None)
@given(VECTORS, st.integers(0, 14))
def test_each_row_finds_the_kept_row_that_is_most_alike(vectors: np.ndarray, first: int) -> None:
    kept, rows = np.arange(min(first, len(vectors))), np.arange(len(vectors))
    products = vectors @ vectors[kept].T
    value, rival = np.full(len(rows), -1.0), np.full(len(rows), -1)
    apart.compare(products, SIMILARITY - 1e-4, vectors, rows, rows, kept, SIMILARITY, value, rival)
    expected = [most_alike(vectors[row], vectors, kept.tolist()) for row in rows]
    assert rival.tolist() == [other for other, _ in expected]
    assert value.tolist() == pytest.approx([found for _, found in expected], abs=1e-12)


@settings(max_examples=200, deadline=None)
@given(VECTORS, st.integers(0, 15), st.integers(0, 1000))
def test_in_order_each_row_stays_that_is_like_none_before_it(vectors: np.ndarray, most: int, seed: int) -> None:
    n = len(vectors)
    rows = np.random.default_rng(seed).permutation(n)
    value, rival, kept = np.full(n, -1.0), np.full(n, -1), np.empty(n, dtype=np.int64)
    products = vectors[rows] @ vectors[rows].T
    count, looked = apart.settle(products, SIMILARITY - 1e-4, vectors, rows, SIMILARITY, most, value, rival, kept)
    stayed: list[int] = []
    seen = 0
    for row in rows.tolist():
        if len(stayed) == most:
            break
        seen += 1
        other, found = most_alike(vectors[row], vectors, stayed)
        assert (rival[row], value[row]) == (other, pytest.approx(found, abs=1e-12))
        if other < 0:
            stayed.append(row)
    assert kept[:count].tolist() == stayed
    assert looked == seen
