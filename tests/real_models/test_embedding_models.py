"""Sentence models and static vectors, with the real libraries and all-MiniLM-L6-v2."""

import json
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from model2vec import StaticModel
from sentence_transformers import SentenceTransformer

from curate.embedding import Embedder, embedded, embedder
from curate.errors import UsageError
from curate.pool import Pool, read_pool
from curate.working import Working

SAMPLE = Path(__file__).parents[2] / "data" / "sample.jsonl"

MEANING = [
    ("What is the capital of France?", "Which city is the seat of the French government?"),
    ("How do I sort a list in Python?", "Order the elements of an array with a script."),
    ("My stomach hurts after dinner.", "I have belly pain when I eat in the evening."),
    ("The stock market fell sharply.", "Share prices dropped a lot today."),
]


@pytest.fixture(scope="module")
def minilm(sentence_model: Path) -> str:
    return str(sentence_model)


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A work directory in which static vectors are made once."""
    return tmp_path_factory.mktemp("home")


@pytest.fixture(scope="module")
def sentences(minilm: str) -> Embedder:
    return embedder(f"st:{minilm}")


@pytest.fixture(scope="module")
def static(minilm: str, home: Path) -> Embedder:
    return embedder(f"static:st:{minilm}", work_dir=home)


@pytest.fixture(scope="module")
def texts() -> list[str]:
    rows = [json.loads(line) for line in SAMPLE.read_text().splitlines()]
    made = [f"{row.get('instruction', '')} {row.get('output', '')}"[:400] for row in rows]
    return [text for text in made if text.strip()][:60]


def partners(model: Embedder) -> float:
    """Of eight sentences the share whose nearest is the one that means the same."""
    found = model.embed([text for pair in MEANING for text in pair])
    alike = found @ found.T
    np.fill_diagonal(alike, -1)
    return float((alike.argmax(1) == np.arange(8) ^ 1).mean())


def test_a_sentence_model_says_what_the_library_says(sentences: Embedder, minilm: str, texts: list[str]) -> None:
    bare = SentenceTransformer(minilm, device="cpu").encode(texts, batch_size=7, normalize_embeddings=True)
    found = sentences.embed(texts)
    assert (found.shape, found.dtype, sentences.dimensions) == ((len(texts), 384), np.float32, 384)
    assert (found * bare).sum(1).min() > 0.995  # bfloat16 where the machine is quick with it


def test_static_vectors_say_what_the_library_says(static: Embedder, home: Path, texts: list[str]) -> None:
    found = static.embed(texts)
    (folder,) = (home / "embeddings").iterdir()
    library = StaticModel.from_pretrained(folder)
    library.embedding = library.embedding.astype(np.float32)
    assert found == pytest.approx(library.encode(texts, max_length=None), abs=1e-5)
    assert (static.embed(texts[5:6]) == found[5]).all()
    assert (embedder(f"static:{folder}").embed(texts) == found).all()


def test_a_tokenizer_that_looks_across_spaces_gives_the_same(texts: list[str], tmp_path: Path) -> None:
    from tokenizers import Tokenizer, models, pre_tokenizers, trainers

    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)  # "a b" is "a", " b"
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    tokenizer.train_from_iterator(texts, trainers.BpeTrainer(vocab_size=800, initial_alphabet=alphabet))
    size = tokenizer.get_vocab_size()
    vectors = np.random.default_rng(0).normal(size=(size, 16)).astype(np.float32)
    StaticModel(vectors, tokenizer, {"model_type": "model2vec"}, normalize=True).save_pretrained(tmp_path)
    bare = StaticModel.from_pretrained(tmp_path).encode(texts, max_length=None)
    assert embedder(f"static:{tmp_path}").embed(texts) == pytest.approx(bare, abs=1e-5)


def test_vectors_that_several_tokens_share_are_the_library_s(
    static: Embedder, home: Path, texts: list[str], tmp_path: Path
) -> None:
    static.embed(["opened"])
    whole = StaticModel.from_pretrained(next((home / "embeddings").iterdir()))
    chance = np.random.default_rng(1)
    mapping, weights = chance.integers(0, 500, len(whole.tokens)), chance.random(len(whole.tokens), dtype=np.float32)
    shared = StaticModel(
        whole.embedding[:500],
        whole.tokenizer,
        {"model_type": "model2vec"},
        True,
        weights=weights,
        token_mapping=mapping,
    )
    shared.save_pretrained(tmp_path)
    library = StaticModel.from_pretrained(tmp_path)
    library.embedding = library.embedding.astype(np.float32)
    bare = library.encode(texts, max_length=None, normalize=True)
    assert embedder(f"static:{tmp_path}").embed(texts) == pytest.approx(bare, abs=1e-4)


def test_meaning_is_seen_by_sentence_models_mostly_by_static_ones_and_not_by_words(
    sentences: Embedder, static: Embedder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    words = embedder("default", pool_of([text for pair in MEANING for text in pair]))
    assert partners(sentences) == 1
    assert partners(static) >= 0.75
    assert partners(words) <= 0.5


def pool_of(texts: list[str], work: str = "work") -> Pool:
    Path("raw.jsonl").write_text("".join(json.dumps({"text": text}) + "\n" for text in texts))
    return read_pool(["raw.jsonl"], Path(work))


def test_a_text_is_not_embedded_again_in_another_pool(here: Path, minilm: str, texts: list[str]) -> None:
    first = embedded(pool_of(texts), embedder(f"st:{minilm}"))
    again: Any = embedder(f"st:{minilm}")
    pool = pool_of(texts[::-1])
    assert embedded(pool, embedder("default", pool)).shape == (len(texts), 256)
    assert again.dimensions == 384
    again._encode = lambda texts: pytest.fail("nothing is new")
    assert (embedded(pool, again) == first[::-1]).all()


def test_vectors_that_are_there_open_no_model(here: Path, minilm: str, texts: list[str]) -> None:
    pool = pool_of(texts[:20])
    found = embedded(pool, embedder(f"st:{minilm}"))
    began = time.monotonic()
    again: Any = embedder(f"st:{minilm}")
    assert (embedded(pool, again) == found).all()
    assert again._encode is None
    assert time.monotonic() - began < 2


@pytest.mark.parametrize("kind", ["st", "static:st"])
def test_nothing_to_read_is_zero_and_never_nan(kind: str, minilm: str, home: Path) -> None:
    found = embedder(f"{kind}:{minilm}", work_dir=home).embed(["", " \n\t", "?", "가", "x" * 50_000, "\x00"])
    assert np.isfinite(found).all()
    assert np.linalg.norm(found[:2], axis=1).tolist() == [0, 0]
    assert np.linalg.norm(found[2:3], axis=1) == pytest.approx(1, abs=1e-5)


def test_an_english_model_is_doubted_for_korean_rows_only(here: Path, minilm: str, home: Path) -> None:
    said: list[str] = []
    model = embedder(f"static:st:{minilm}", work_dir=home)
    korean = [
        "소수를 하나 말해 보세요. 가장 작은 소수는 이입니다.",
        "대한민국의 수도는 서울특별시이고 인구가 많습니다.",
    ]
    embedded(pool_of(["name a prime", "서울"]), model, working=Working(notice=said.append))
    assert said == []
    embedded(pool_of([*korean, "name a prime"]), model, working=Working(notice=said.append))
    assert len(said) == 1
    assert "hardly knows Korean: similarity of Korean rows will mean little; a multilingual model" in said[0]


def test_a_model_that_is_not_there_is_said(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    for name in ("st:nobody/nothing", "static:nobody/nothing", f"st:{tmp_path}/none", "static:st:a b"):
        with pytest.raises(UsageError, match=r"no model .*: there is no such folder, and the hub says"):
            embedder(name)


def test_another_model_has_another_fingerprint(minilm: str, home: Path, static: Embedder, tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text("{}")
    made = [embedder(f"st:{minilm}"), static, embedder(f"st:{tmp_path}"), embedder(f"st:{minilm}")]
    assert len({model.fingerprint for model in made}) == 3
