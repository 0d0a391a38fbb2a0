"""lm: the vector of a text is the position-weighted mean of the model's own last hidden states, one text at a time."""

from pathlib import Path

import numpy as np
import pytest

from curate.embedding import embedder

TEXTS = [
    "Name a prime.",
    "Seven is a prime number, since only one and seven divide it.",
    "",
    "소수를 하나 말해 주세요.",
]


def test_a_vector_is_the_weighted_mean_of_the_states_and_does_not_mind_its_batch(small_model: Path) -> None:
    import torch
    from transformers import AutoModel, AutoTokenizer

    found = embedder(f"lm:{small_model}").embed(TEXTS)
    tokenizer = AutoTokenizer.from_pretrained(small_model)
    model = AutoModel.from_pretrained(small_model, dtype=torch.float32).eval()
    for text, vector in zip(TEXTS, found, strict=True):
        if not text:
            assert not vector.any()
            continue
        with torch.inference_mode():
            states = model(**tokenizer(text, return_tensors="pt")).last_hidden_state[0].numpy()
        mean = (states * np.arange(1, len(states) + 1)[:, None]).sum(0)
        # 0.99995 in the bfloat16 of a processor that is quick in it; a plain mean comes to 0.996 at most.
        assert vector @ mean / np.linalg.norm(mean) > 0.9995
        assert np.linalg.norm(vector) == pytest.approx(1, abs=1e-6)
    assert len(found[0]) == 576
