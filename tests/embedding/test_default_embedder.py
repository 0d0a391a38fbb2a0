"""The default embedder: copies are nearest, in every script, and the same text always has the same vector."""

import json
import os
import random
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from conftest import SAMPLE

from curate.embedding import Embedder, embedder
from curate.errors import UsageError
from curate.pool import Pool, read_pool

Vectors = Any


def pool_of(texts: list[str], work: str = "work") -> Pool:
    Path("raw.jsonl").write_text("".join(json.dumps({"text": text}) + "\n" for text in texts))
    return read_pool(["raw.jsonl"], Path(work))


def fitted_on(texts: list[str]) -> Embedder:
    return embedder("default", pool_of(texts))


def nearest(vectors: Vectors) -> Vectors:
    alike = vectors @ vectors.T
    np.fill_diagonal(alike, -1)
    return alike.argmax(1)


@pytest.fixture(scope="module")
def answers() -> list[str]:
    """About 250 real answers in English, Korean and code."""
    rows = [json.loads(line) for line in SAMPLE.read_text().splitlines()]
    texts = {row["output"]: None for row in rows if row["note"] == "good" and len(row.get("output", "")) >= 40}
    return list(texts)


def test_the_nearest_of_a_text_is_its_edited_copy(here: Path, answers: list[str]) -> None:
    chance = random.Random(1)
    words = " ".join(answers).split(" ")
    copies = [" ".join(chance.choice(words) if chance.random() < 0.2 else w for w in a.split(" ")) for a in answers]
    texts = answers + copies
    found = nearest(fitted_on(texts).embed(texts))
    right = found == np.roll(np.arange(len(texts)), len(answers))
    assert len(answers) > 150
    assert right.mean() > 0.97


def test_korean_that_differs_in_endings_is_near(here: Path, answers: list[str]) -> None:
    asked = ["소수를 하나 말해 보세요.", "대한민국의 수도는 어디입니까?", "오늘 저녁은 무엇을 먹을까요?"]
    again = ["소수 하나만 말해 줄래?", "대한민국 수도가 어디야?", "오늘 저녁에 뭘 먹을까?"]
    found = fitted_on(answers + asked + again).embed(asked + again)
    assert nearest(found).tolist() == [3, 4, 5, 0, 1, 2]
    assert (found[:3] * found[3:]).sum(1).min() > 0.3
    assert (found[:3] @ found[:3].T - np.eye(3)).max() < 0.2


def test_korean_paraphrases_are_mostly_nearest(here: Path, real_data: Path) -> None:
    lines = (real_data / "dup_parakqc" / "paraKQC_v1.jsonl").read_text().splitlines()[:1000]
    texts, sets = zip(*((row["text"], row["set_id"]) for row in map(json.loads, lines)), strict=True)
    vectors = fitted_on(list(texts)).embed(list(texts))
    alike = vectors @ vectors.T
    np.fill_diagonal(alike, -1)
    nine = np.argsort(-alike, axis=1)[:, :9]
    owner = np.array(sets)
    assert (owner[nine] == owner[:, None]).mean() > 0.7  # of nine paraphrases among 1,000 questions


def test_where_there_is_nothing_to_read_there_is_the_zero_vector(here: Path, answers: list[str]) -> None:
    texts = pl.Series(["", None, "  \n", "?!…", "🙂", "a", "가", "9"])
    lengths = np.linalg.norm(fitted_on(answers).embed(texts), axis=1)
    assert lengths == pytest.approx([0, 0, 0, 0, 0, 1, 1, 1], abs=1e-6)


def test_what_no_row_of_the_sample_has_still_has_a_vector_of_its_own(here: Path) -> None:
    found = fitted_on(["a prime number", "소수를 하나"]).embed(["ภาษาไทย", "Ελληνικά", "ภาษาไทย"])
    assert found @ found.T == pytest.approx(np.array([[1, 0, 1], [0, 1, 0], [1, 0, 1]]), abs=0.2)


def test_case_and_unicode_form_make_no_difference(here: Path, answers: list[str]) -> None:
    found = fitted_on(answers).embed(["Name a PRIME, né 소수", "name a prime! né 소수"])
    assert (found[0] == found[1]).all()


def test_a_vector_depends_on_its_text_alone(here: Path, answers: list[str]) -> None:
    model = fitted_on(answers)
    together = model.embed(answers)
    assert together.dtype == np.float32
    assert (np.concatenate([model.embed([text]) for text in answers]) == together).all()


@pytest.mark.parametrize("texts", [["one row"], ["same"] * 3, ["a", "b"], ["", "?"]])
def test_tiny_pools_are_fitted_too(here: Path, texts: list[str]) -> None:
    found = fitted_on(texts).embed(texts)
    assert found.shape == (len(texts), 256)
    assert np.isfinite(found).all()
    assert nearest(found).tolist() in ([0], [1, 0, 0], [1, 0])


FIT = """
import sys
from pathlib import Path
from curate.embedding import embedder
from curate.pool import read_pool
pool = read_pool(["raw.jsonl"], Path(sys.argv[1]))
model = embedder("default", pool, "response")
model.save(Path(sys.argv[1]) / "saved.npz")
"""


def test_the_fit_is_the_same_bytes_whatever_the_threads(here: Path, answers: list[str]) -> None:
    pool_of(answers[:100])
    saved = []
    for threads in ("1", "2"):
        limits = {"OMP_NUM_THREADS": threads, "OPENBLAS_NUM_THREADS": threads, "NUMBA_NUM_THREADS": threads}
        subprocess.run([sys.executable, "-c", FIT, threads], check=True, env={**os.environ, **limits})
        saved.append((here / threads / "saved.npz").read_bytes())
    assert saved[0] == saved[1]


def test_what_was_saved_says_the_same_of_another_pool(here: Path, answers: list[str]) -> None:
    model = fitted_on(answers)
    model.save(here / "words.npz")  # type: ignore[attr-defined]
    other = pool_of(["another pool", "다른 것"], "elsewhere")
    again = embedder("default:words.npz", other)
    assert (again.embed(answers) == model.embed(answers)).all()
    assert again.fingerprint == embedder("default:words.npz").fingerprint != model.fingerprint


def test_another_pool_side_or_part_is_another_fit(here: Path) -> None:
    pool, other = pool_of(["a", "b"]), pool_of(["a", "c"])
    made = [embedder("default", pool), embedder("default", other), embedder("default", pool, "response")]
    made += [embedder("default", pool.seen_from("rejected")), embedder("default", pool)]
    assert len({model.fingerprint for model in made}) == 4


def spoilt(path: Path) -> None:
    with np.load(path) as saved:
        np.savez(path, version=99, table=saved["table"])


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda path: path.unlink(), "words.npz holds no saved default embedder: .*No such file"),
        (lambda path: path.write_bytes(b"not one"), "words.npz holds no saved default embedder"),
        (lambda path: path.write_bytes(path.read_bytes()[:10_000]), "words.npz holds no saved default embedder"),
        (spoilt, "words.npz was saved by another version of the embedder"),
    ],
)
def test_a_file_that_is_none_is_said(here: Path, spoil: Callable[[Path], None], message: str) -> None:
    fitted_on(["a", "b"]).save(Path("words.npz"))  # type: ignore[attr-defined]
    spoil(Path("words.npz"))
    with pytest.raises(UsageError, match=message):
        embedder("default:words.npz")


def test_names_that_are_none_are_said(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("defualt", "st:", "static", "hf:x", "default:"):
        with pytest.raises(UsageError, match=f"no embedder is called {name}\nknown: default, default:FILE, static:"):
            embedder(name)
    with pytest.raises(UsageError, match="the embedder default is fitted on a pool\n"):
        embedder("default")
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    for name, module in (("st:x", "sentence-transformers"), ("static:x", "model2vec")):
        with pytest.raises(UsageError, match=rf"needs {module}\npip install 'curate-instruct\[embed\]'"):
            embedder(name)
