"""The kernel of features against a plain twin."""

import itertools
import math
from collections import Counter
from typing import Any

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from curate.kernels.features import BUCKET_BITS, MOST_FEATURES, feature_weights, weighted_sums
from curate.kernels.shingles import DENSE, NOTHING, WORD, code_point_classes
from curate.texts.buffers import buffers

MASK = (1 << 64) - 1
EDGE = 32


def bucket(x: int) -> int:
    x = (x ^ (x >> 30)) * 0xBF58476D1CE4E5B9 & MASK
    x = (x ^ (x >> 27)) * 0x94D049BB133111EB & MASK
    return (x ^ (x >> 31)) >> (64 - BUCKET_BITS)


def hashed(seed: int, codes: list[int]) -> int:
    for code in codes:
        seed = (seed ^ code) * 0x100000001B3 & MASK
    return seed


def runs_of_one_kind(text: str) -> list[tuple[int, list[int]]]:
    classes = code_point_classes()
    runs: list[tuple[int, list[int]]] = [(NOTHING, [])]
    for code in map(ord, text):
        kind = int(classes[code])
        if kind == runs[-1][0]:
            runs[-1][1].append(code)
        else:
            runs.append((kind, [code]))
    return runs


def features(text: str) -> Counter[int]:
    """Buckets of words with their runs of three letters, and of dense letters with their pairs."""
    found: list[int] = []
    for kind, codes in runs_of_one_kind(text):
        if kind == WORD:
            found.append(bucket(hashed(0xCBF29CE484222325, codes)))
            edged = [EDGE, *codes, EDGE]
            if len(codes) > 1:
                runs = zip(edged, edged[1:], edged[2:], strict=False)
                found += [bucket(hashed(0x9E3779B97F4A7C15, list(run))) for run in runs]
        if kind == DENSE:
            found += [bucket(code) for code in codes]
            pairs = itertools.pairwise(codes)
            found += [bucket(hashed(0x9E3779B97F4A7C15, [*pair, 0])) for pair in pairs]
    return Counter(found)


def weighed(texts: list[str]) -> list[dict[int, float]]:
    data, offsets = buffers(pl.Series(texts, dtype=pl.String))
    most = MOST_FEATURES * (len(data) + len(texts))
    buckets, weights = np.empty(most, dtype=np.int32), np.empty(most, dtype=np.float32)
    bounds = np.empty(len(texts) + 1, dtype=np.int64)
    feature_weights(data, offsets, code_point_classes(), buckets, weights, bounds)
    spans = [slice(*bounds[k : k + 2]) for k in range(len(texts))]
    return [dict(zip(buckets[span].tolist(), weights[span].tolist(), strict=True)) for span in spans]


TEXTS = st.lists(st.text(st.sampled_from("ab é_ 1.\n소수를素の½ไทย\U00020000😀")), min_size=1, max_size=5)


@given(TEXTS)
@settings(deadline=None)
def test_the_kernel_finds_what_its_plain_twin_finds(texts: list[str]) -> None:
    for text, found in zip(texts, weighed(texts), strict=True):
        assert found == pytest.approx({k: 1 + math.log(times) for k, times in features(text).items()}, rel=1e-6)


@given(TEXTS)
@settings(deadline=None)
def test_a_text_is_the_weighted_sum_of_its_buckets(texts: list[str]) -> None:
    table = np.random.default_rng(0).normal(size=(1 << BUCKET_BITS, 4)).astype(np.float32)
    out = np.full((len(texts), 4), np.nan, dtype=np.float32)
    data, offsets = buffers(pl.Series(texts, dtype=pl.String))
    weighted_sums(data, offsets, code_point_classes(), table, out)
    zero: Any = np.zeros(4)
    wanted = [sum((w * table[k] for k, w in found.items()), start=zero) for found in weighed(texts)]
    assert out == pytest.approx(np.array(wanted), abs=1e-4)


def test_words_share_runs_and_syllables_pairs() -> None:
    assert features("a") == Counter([bucket(hashed(0xCBF29CE484222325, [ord("a")]))])
    assert sum((features("prime") & features("primes")).values()) == 4  # _pr pri rim ime
    assert sum((features("소수를") & features("소수만")).values()) == 3  # 소 수 소수
