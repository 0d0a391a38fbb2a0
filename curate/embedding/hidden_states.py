"""`lm:NAME_OR_PATH`: what a causal language model makes of a text, as RDS+ reads it.

The mean of the last hidden states of all tokens, weighted by their place (1, 2, 3 ...), since a token has seen only
those before it (Muennighoff 2022, arXiv 2202.08904; Ivison et al. 2025, arXiv 2503.01807).
"""

from typing import Any

import numpy as np
import polars as pl

from curate.embedding.sentences import Encode, ModelEmbedder, quick_in_bfloat16
from curate.embedding.vectors import Vectors
from curate.errors import UsageError

LONGEST, BATCH_TOKENS = 2048, 4096
"""Tokens of a text that are read, and of a batch."""


class HiddenStates(ModelEmbedder):
    """`lm:NAME_OR_PATH`, by transformers; of a text the first 2,048 tokens are read, or as many as the model takes."""

    def __init__(self, name: str) -> None:
        super().__init__(name, name.removeprefix("lm:"))

    def _open(self) -> Encode:
        try:
            import torch
            from transformers import AutoModel, AutoTokenizer
        except ImportError as error:
            raise UsageError(
                f"{self.name} needs transformers and torch, which do not import here ({error})",
                "pip install 'curate-instruct[train]'",
            ) from None
        where, commit = self._located.place, self._located.commit
        device = "cuda" if torch.cuda.is_available() else "cpu"
        kind = torch.bfloat16 if quick_in_bfloat16() else torch.float32
        tokenizer = AutoTokenizer.from_pretrained(where, revision=commit)
        model = AutoModel.from_pretrained(where, revision=commit, dtype=kind).to(device).eval()
        self._dimensions = int(model.config.hidden_size)
        self._tokenizer = tokenizer.backend_tokenizer
        longest = min(LONGEST, int(getattr(model.config, "max_position_embeddings", None) or LONGEST))

        def encode(texts: pl.Series) -> Any:
            tokens = tokenizer(texts.to_list(), truncation=True, max_length=longest)["input_ids"]
            out: Vectors = np.zeros((len(tokens), self._dimensions), dtype=np.float32)
            waiting = sorted(range(len(tokens)), key=lambda k: len(tokens[k]))
            while waiting:
                size = max(BATCH_TOKENS // max(len(tokens[waiting[-1]]), 1), 1)
                batch, waiting = waiting[-size:], waiting[:-size]
                rows = [torch.tensor(tokens[k]) for k in batch]
                fed = torch.nn.utils.rnn.pad_sequence(rows, batch_first=True).to(device)  # filled behind: never seen
                place = torch.arange(1, fed.shape[1] + 1, device=device, dtype=torch.float32)
                sizes = torch.tensor([len(tokens[k]) for k in batch], device=device)
                weights = place * (place <= sizes[:, None])
                with torch.inference_mode():
                    states = model(input_ids=fed, use_cache=False).last_hidden_state.float()
                    means = (states * weights[:, :, None]).sum(1) / weights.sum(1, keepdim=True)
                out[batch] = means.cpu().numpy()
            return out

        return encode
