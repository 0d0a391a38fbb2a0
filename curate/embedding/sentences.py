"""Embedders that know meaning: sentence-transformers models, and what they share with static vectors.

`st:intfloat/multilingual-e5-small` and `st:models/mine`: a name on the hub or a folder; extra `embed`.
"""

import os
import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import polars as pl
import xxhash

from curate.embedding.vectors import Vectors, unit
from curate.errors import UsageError

BATCH = 32
"""Texts that go through a model at a time."""

TOKENS_PER_SYLLABLE = 1.2
"""A tokenizer that cuts Hangul smaller has hardly seen it: that of all-MiniLM-L6-v2 needs 1.6, that of SmolLM2 2.9."""


Encode = Callable[[pl.Series], Any]


class Located(NamedTuple):
    """Where a model is: a folder, or a name on the hub with its commit; `digest` names its contents."""

    place: str
    commit: str | None
    digest: str


class ModelEmbedder:
    """An embedder of a model that is a folder or on the hub; the first text opens it."""

    costly = True

    def __init__(self, name: str, model: str) -> None:
        self.name = name
        self._located = located(model)
        self._encode: Encode | None = None
        self._opening = threading.Lock()
        self._tokenizer: Any = None
        self._dimensions = 0

    @property
    def fingerprint(self) -> str:
        """By the bytes of a folder, or the commit of the hub."""
        return f"{self.name.partition(':')[0]}-{self._located.digest}"

    @property
    def dimensions(self) -> int:
        """Length of a vector; opens the model."""
        self._opened()
        return self._dimensions

    def embed(self, texts: pl.Series | Sequence[str]) -> Vectors:
        """[n, dimensions]; a text of nothing but white space is the zero vector and costs nothing."""
        encode = self._opened()
        texts = pl.Series(texts, dtype=pl.String).fill_null("")
        there = np.flatnonzero(texts.str.strip_chars().str.len_bytes().to_numpy())
        out = np.zeros((len(texts), self._dimensions), dtype=np.float32)
        if len(there):
            out[there] = unit(encode(texts.gather(there)))
        return out

    def doubt(self, texts: pl.Series) -> str:
        """A word of warning where there is Hangul that the model's tokenizer hardly knows."""
        self._opened()
        words = texts.str.extract_all(r"\p{Hangul}+").explode(empty_as_null=False).drop_nulls().head(1000)
        syllables = int(words.str.len_chars().sum())
        if syllables < 20:
            return ""
        tokens = self._tokenizer.encode(" ".join(words), add_special_tokens=False).tokens
        unknown = sum(token in ("[UNK]", "<unk>") for token in tokens) / len(tokens)
        if len(tokens) <= TOKENS_PER_SYLLABLE * syllables and unknown < 0.05:
            return ""
        return (
            f"{self.name} hardly knows Korean: similarity of Korean rows will mean little; "
            "a multilingual model such as intfloat/multilingual-e5-small does"
        )

    def _opened(self) -> Encode:
        with self._opening:
            if self._encode is None:
                self._encode = self._open()
            return self._encode

    def _open(self) -> Encode:
        raise NotImplementedError


class Sentences(ModelEmbedder):
    """`st:NAME_OR_PATH`: a sentence-transformers model, cut off where the model says, 256 or 512 tokens mostly."""

    def __init__(self, name: str) -> None:
        need("sentence_transformers")
        super().__init__(name, name.removeprefix("st:"))

    def _open(self) -> Encode:
        model = sentence_model(self._located)
        self._dimensions = int(model.get_embedding_dimension())
        self._tokenizer = model.tokenizer.backend_tokenizer.from_str(model.tokenizer.backend_tokenizer.to_str())
        read_whole(self._tokenizer)
        return lambda texts: model.encode(texts.to_list(), batch_size=BATCH, show_progress_bar=False)


def need(module: str) -> None:
    """Raises UsageError where a module of the extra `embed` is not installed."""
    from importlib.util import find_spec

    if find_spec(module) is None:
        name = module.replace("_", "-")
        raise UsageError(f"this embedder needs {name}", "pip install 'curate-instruct[embed]'")


def located(model: str) -> Located:
    """Find a model without opening it. Raises UsageError where there is none."""
    folder = Path(model)
    if folder.is_dir():
        hasher = xxhash.xxh3_128()
        for file in sorted(file for file in folder.rglob("*") if file.suffix in (".json", ".safetensors", ".txt")):
            hasher.update(f"{file.relative_to(folder)}:{file.stat().st_size}:".encode())
            with file.open("rb") as opened:
                while block := opened.read(1 << 20):
                    hasher.update(block)
        return Located(str(folder), None, hasher.hexdigest())
    from huggingface_hub import hf_hub_download

    try:
        commit = Path(hf_hub_download(model, "config.json")).parent.name
    except (OSError, ValueError) as error:
        offline = "the hub is off (HF_HUB_OFFLINE): " if os.environ.get("HF_HUB_OFFLINE") else ""
        raise UsageError(
            f"no model {model}: there is no such folder, and the hub says {type(error).__name__}",
            f"{offline}name a folder that holds the model, or check its name on the hub",
        ) from None
    return Located(model, commit, xxhash.xxh3_128_hexdigest(f"{model}@{commit}".encode()))


def sentence_model(model: Located) -> Any:
    """Open a sentence-transformers model: bfloat16 where that is quick, never int8, which does harm."""
    import torch
    from sentence_transformers import SentenceTransformer

    kind = torch.bfloat16 if quick_in_bfloat16() else torch.float32
    arguments = {"dtype": kind, "use_safetensors": True}  # the other kind of weights are pickles
    return SentenceTransformer(model.place, revision=model.commit, model_kwargs=arguments)


def quick_in_bfloat16() -> bool:
    """Whether this machine multiplies bfloat16 itself: twice as fast then, seven times slower where it is emulated."""
    import torch

    if torch.cuda.is_available():
        return bool(torch.cuda.is_bf16_supported(including_emulation=False))
    if torch.backends.mps.is_available():
        return False
    capabilities = torch.cpu.get_capabilities()
    return bool(capabilities.get("amx_bf16") or capabilities.get("avx512_bf16"))


def read_whole(tokenizer: Any) -> None:
    """Let a tokenizer of `tokenizers` cut nothing off and add nothing."""
    tokenizer.no_truncation()
    tokenizer.no_padding()
