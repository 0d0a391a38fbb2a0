"""Rows that lie apart, against a plain loop over small random pools."""

import numpy as np
import pytest

from curate.selecting.apart import apart
from curate.working import Working


def pool(seed: int, n: int = 60, dimensions: int = 8) -> np.ndarray:
    """Clusters, copies, chains and a few rows with nothing to read."""
    chance = np.random.default_rng(seed)
    centres = chance.standard_normal((6, dimensions))
    made = centres[chance.integers(6, size=n)] + chance.choice([0.05, 0.3, 1.0]) * chance.standard_normal(
        (n, dimensions)
    )
    made[chance.integers(n, size=5)] = made[chance.integers(n, size=5)]
    made /= np.linalg.norm(made, axis=1, keepdims=True)
    made[chance.integers(n, size=3)] = 0
    return made.astype(np.float32)


def by_hand(vectors: np.ndarray, order: np.ndarray, similarity: float, most: int) -> list[int]:
    kept: list[int] = []
    for row in order:
        if len(kept) < most and all(vectors[row].astype(float) @ vectors[k] < similarity - 1e-6 for k in kept):
            kept.append(int(row))
    return kept


@pytest.mark.parametrize("most", [10_000, 7])
def test_it_keeps_what_a_plain_loop_keeps(monkeypatch: pytest.MonkeyPatch, most: int) -> None:
    monkeypatch.setattr("curate.selecting.apart.BLOCK", 16)
    monkeypatch.setattr("curate.selecting.blocks.AT_ONCE", 4)
    for seed in range(150):
        vectors = pool(seed)
        order = np.random.default_rng(seed + 1000).permutation(len(vectors))
        similarity = [0.7, 0.9, 1.0][seed % 3]
        found = apart(vectors, order, similarity, Working(), most=most)
        assert found.kept.tolist() == by_hand(vectors, order, similarity, most)
        for row in np.flatnonzero(found.rival >= 0):
            cosines = vectors[found.kept].astype(float) @ vectors[row]
            before = cosines[: int(np.searchsorted(np.argsort(order)[found.kept], np.argsort(order)[row]))]
            assert found.value[row] == pytest.approx(min(1, before.max()), abs=1e-6)
            assert found.rival[row] in found.kept[: len(before)][before > before.max() - 1e-6]
        assert (found.rival[order[found.seen :]] == -1).all()
        assert (found.rival[found.kept] == -1).all()


def test_cells_find_nearly_all_that_exact_comparison_finds() -> None:
    chance = np.random.default_rng(0)
    vectors = chance.standard_normal((6000, 32)).astype(np.float32)
    vectors[3000:] = vectors[:3000] + chance.uniform(0.1, 0.5, (3000, 1)) * vectors[3000:]
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("curate.selecting.apart.BLOCK", 512)
        patch.setattr("curate.selecting.apart.CELLS", 32)
        every = apart(vectors, np.arange(6000), 0.9, Working())
        some = apart(vectors, np.arange(6000), 0.9, Working(), exact=1000)
    assert (every.exact, some.exact) == (True, False)
    assert ((every.rival >= 0) & (some.rival >= 0)).sum() > 0.99 * (every.rival >= 0).sum() > 2000
    assert ((every.rival < 0) & (some.rival >= 0)).sum() < 10


def test_threads_change_nothing() -> None:
    vectors = pool(3, 5000, 32)
    one, three = (apart(vectors, np.arange(5000), 0.9, Working(threads=n), exact=1000) for n in (1, 3))
    assert np.array_equal(one.rival, three.rival)
    assert one.value.tobytes() == three.value.tobytes()
