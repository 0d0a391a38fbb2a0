"""Static token vectors (model2vec): a text is the sum of its tokens' vectors, wherever they stand.

`static:st:intfloat/multilingual-e5-small` is made of that model once, in minutes, and kept in the work directory.
"""

import re
import shutil
from functools import partial
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from curate.embedding.sentences import Encode, Located, ModelEmbedder, need, read_whole, sentence_model
from curate.whole import temporary_name

VERSION, DIMENSIONS = 1, 256
"""What `static:st:` makes of a model; raise the version when it comes to make something else."""

SIF = 1e-4
"""Weight of a token of probability p is SIF / (SIF + p) (Arora et al. 2017), p by Zipf's law over the vocabulary."""

PROBE = "Name a prime, e.g. 2.\n\n소수를 하나 말해 보세요: (예) 2!\tdef f(x):\n    return x['a'] + 1  # naïve — 素数 ½"
"""What tells whether a tokenizer looks across white space."""


class Static(ModelEmbedder):
    """`static:NAME_OR_PATH`: model2vec; `static:st:NAME_OR_PATH`: made once of a sentence model and kept."""

    def __init__(self, name: str, work_dir: Path) -> None:
        need("model2vec")
        self._source = name.removeprefix("static:")
        if self._distilled:
            need("sentence_transformers")
        super().__init__(name, self._source.removeprefix("st:"))
        self._home = work_dir / "embeddings"

    @property
    def _distilled(self) -> bool:
        return self._source.startswith("st:")

    @property
    def fingerprint(self) -> str:
        """By the model; of one that is distilled also by how."""
        return f"static-{VERSION}-{super().fingerprint}" if self._distilled else super().fingerprint

    def _open(self) -> Encode:
        from model2vec import StaticModel

        if self._distilled:
            folder = self._home / f"static-{VERSION}-{self._located.digest}"
            if not folder.exists():
                _distil(self._located, folder)
        elif self._located.commit:
            from huggingface_hub import snapshot_download

            wanted = ["*.json", "*.safetensors", "*.txt"]
            where, commit = self._located.place, self._located.commit
            folder = Path(snapshot_download(where, revision=commit, allow_patterns=wanted))
        else:
            folder = Path(self._located.place)
        model = StaticModel.from_pretrained(folder)
        self._dimensions, self._tokenizer = int(model.dim), model.tokenizer
        read_whole(self._tokenizer)
        return partial(_added_up, model, _reads_words_alone(self._tokenizer))


def _added_up(model: Any, by_word: bool, texts: pl.Series) -> Any:
    """The sum of the vectors of each text's tokens.

    model2vec's own `encode` spends most of its time in the tokenizer: here each word is cut into tokens only once.
    """
    from scipy.sparse import csr_matrix

    cut = texts.str.extract_all(r"\S+") if by_word else pl.select(pl.concat_list(texts)).to_series()
    parts = pl.DataFrame({"row": np.arange(len(texts)), "part": cut}).explode("part", empty_as_null=False)
    distinct = parts.select(pl.col("part").unique(maintain_order=True)).with_row_index("at")
    at = parts.join(distinct, on="part", how="left", maintain_order="left")["at"].to_numpy()
    ids = []
    for some in distinct.iter_slices(4096):
        ids += [e.ids for e in model.tokenizer.encode_batch_fast(some["part"].to_list(), add_special_tokens=False)]
    tokens = np.fromiter(chain.from_iterable(ids), dtype=np.int64)
    bounds = np.cumsum([0, *map(len, ids)])
    counted = np.ones(len(tokens), dtype=np.float32) if model.unk_token_id is None else tokens != model.unk_token_id
    tokens_of = csr_matrix((counted.astype(np.float32), tokens, bounds), shape=(len(ids), len(model.tokens)))
    ones = np.ones(len(at), dtype=np.float32)
    bags = csr_matrix((ones, (parts["row"].to_numpy(), at)), shape=(len(texts), len(ids))) @ tokens_of
    bags.sort_indices()  # the same sum, to the last bit, whatever the other texts are
    used = np.unique(bags.indices)
    vectors = model.embedding[used if model.token_mapping is None else model.token_mapping[used]].astype(np.float32)
    if model.weights is not None:
        vectors *= model.weights[used, None]
    return bags[:, used] @ vectors


def _reads_words_alone(tokenizer: Any) -> bool:
    """Whether a text's tokens are those of its words, as with most; not where a space is part of the next word."""
    words = [tokenizer.encode(word, add_special_tokens=False).ids for word in PROBE.split()]
    return list(chain.from_iterable(words)) == list(tokenizer.encode(PROBE, add_special_tokens=False).ids)


def _distil(model: Located, folder: Path) -> None:
    """Write a static model to `folder`, as Model2Vec does (van Dongen and Tulkens 2024): each token by itself through
    the model, its mean pooled output in 256 principal components, weighed by rarity.

    model2vec's own extra for it needs transformers below 5.4, which the engines that judges run on don't allow.
    """
    import torch
    from model2vec import StaticModel

    teacher = sentence_model(model)
    tokenizer = teacher.tokenizer.backend_tokenizer.from_str(teacher.tokenizer.backend_tokenizer.to_str())
    read_whole(tokenizer)
    before, after = _around(tokenizer)
    size = tokenizer.get_vocab_size()
    special = set(teacher.tokenizer.all_special_ids)
    names = {number: name for name, number in tokenizer.get_vocab().items()}
    used = [k for k in range(size) if k not in special and not re.fullmatch(r"\[unused\d+\]", names[k])]
    rows = []
    with torch.inference_mode():
        for start in range(0, len(used), 1024):
            ids = torch.tensor(
                [[*before, token, *after] for token in used[start : start + 1024]], device=teacher.device
            )
            said = teacher({"input_ids": ids, "attention_mask": torch.ones_like(ids)})
            rows.append(said["token_embeddings"].float().mean(1).cpu().numpy())
    outputs = np.nan_to_num(np.concatenate(rows))
    outputs -= outputs.mean(0)
    _, axes = np.linalg.eigh(outputs.T @ outputs)
    rank = 1 / np.arange(2, len(used) + 2)
    weights = SIF / (SIF + rank / rank.sum())
    vectors = np.zeros((size, min(DIMENSIONS, outputs.shape[1])), dtype=np.float16)
    vectors[used] = outputs @ axes[:, ::-1][:, : vectors.shape[1]] * weights[:, None]
    config = {"model_type": "model2vec", "architectures": ["StaticModel"], "tokenizer_name": model.place}
    made = StaticModel(vectors, tokenizer, config, normalize=True, max_length=None)
    folder.parent.mkdir(parents=True, exist_ok=True)
    temporary = temporary_name(folder)
    try:
        made.save_pretrained(temporary)
        if not folder.exists():  # or another process was quicker
            temporary.rename(folder)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def _around(tokenizer: Any) -> tuple[list[int], list[int]]:
    """The special tokens that stand before and after a text."""
    with_them = tokenizer.encode("a").ids
    alone = tokenizer.encode("a", add_special_tokens=False).ids
    at = next(k for k in range(len(with_them)) if with_them[k : k + len(alone)] == alone)
    return with_them[:at], with_them[at + len(alone) :]
