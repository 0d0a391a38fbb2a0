"""From what cosine rows count as the same, where nobody said."""

import numpy as np

from curate.embedding import Embedder, embedder
from curate.pool import Pool

SAME = 0.9
"""Of an embedder for which unlike texts have nothing in common."""

UNLIKE = (
    "What is the capital of Portugal?",
    "def add(a, b):\n    return a + b",
    "Preheat the oven to 200 degrees and butter a tin.",
    "고양이는 왜 상자를 좋아하나요?",
    "She sold the farm in 1912 and moved to the coast.",
    "E = mc² relates energy to mass.",
    "내일 아침 기차표를 취소하고 싶어요.",
    "My invoice was charged twice.",
)
"""Texts that have nothing to do with each other."""


def usual_similarity(pool: Pool, name: str) -> float:
    """From what cosine rows of a pool are the same by the embedder of that name."""
    return SAME if name.startswith("default") else similarity_of(embedder(name, pool))


def similarity_of(embedder: Embedder) -> float:
    """0.9 of the way from the cosine that an embedder gives to unlike texts, to 1; two digits.

    Some give any two texts a cosine of 0.8 (multilingual-e5): for those 0.9 would call unlike rows the same.
    """
    vectors = embedder.embed(UNLIKE)
    unlike = np.median((vectors @ vectors.T)[np.triu_indices(len(vectors), 1)])
    return round(1 - (1 - SAME) * (1 - max(0.0, float(unlike))), 2)
