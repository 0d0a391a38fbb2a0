"""cluster: which topic a row is about, for the steps that balance or choose by it."""

import json
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from conftest import SAMPLE, Filtered

from curate.embedding.words import Words
from curate.errors import UsageError
from curate.measuring import Measures
from curate.pool import read_pool
from curate.run import recipe_of
from curate.selecting.naming import names_of, without_particles
from curate.working import Working


def topics(result: Any) -> list[str | None]:
    step = next(step for step in recipe_of(result.run).steps if step.filter_name == "cluster")
    found = Measures(step, result.pool).load(np.ones(len(result.pool), dtype=np.bool_))
    return found["topic"].to_list()


@pytest.fixture(scope="session")
def words(tmp_path_factory: pytest.TempPathFactory) -> str:
    """The default embedder, fitted once for all tests of this file."""
    folder = tmp_path_factory.mktemp("words")
    pool = read_pool([SAMPLE], folder / "work")
    Words.of_pool(pool, "both").save(folder / "words.npz")
    return f"default:{folder / 'words.npz'}"


BREAD = [(f"How long do I bake bread {k}?", "Put the bread into a hot oven and bake it.") for k in range(6)]
GUITAR = [(f"How do I tune a guitar {k}?", "Turn each string of the guitar until it sounds right.") for k in range(6)]
CAT = [(f"고양이가 왜 사료를 안 먹나요? {k}", "고양이는 사료에 질렸어요. 고양이의 그릇도 보세요.") for k in range(6)]


def test_topics_are_named_by_the_words_that_set_them_apart(filtered: Filtered, words: str) -> None:
    rows = [*BREAD, *GUITAR, *CAT, ("", "")]
    result = filtered(rows, {"cluster": {"topics": 3, "embedder": words}})
    found = topics(result)
    assert [len(set(found[at : at + 6])) for at in (0, 6, 12)] == [1, 1, 1]
    bread, guitar, cat = (set((found[at] or "").split(", ")) for at in (0, 6, 12))
    assert {"bread", "bake"} < bread
    assert "guitar" in guitar
    assert "고양이" in cat
    assert found[18] is None, "there is nothing to read in it"
    assert result.summary.kept == 19
    assert result.summary.by_step[0].notes[0].startswith("3 topics, the largest: ")
    options = {"work_dir": "other", "working": Working(threads=1)}
    again = filtered(
        rows[::-1], {"length": {"min_chars": 42}}, {"cluster": {"topics": 3, "embedder": words}}, **options
    )
    assert topics(again) == found[::-1], "whatever the order, the threads, and what was dropped"


def test_particles_go_where_what_is_left_is_a_word() -> None:
    seen = ["고양이가", "고양이는", "고양이", "학교에서", "학교", "만드는", "아이", "회의", "python은"]
    assert without_particles(pl.Series(seen)).to_list() == [
        *("고양이", "고양이", "고양이", "학교", "학교", "만드는", "아이", "회의", "python은")
    ]


def test_names_differ_and_no_word_stands_in_one_twice() -> None:
    said = {"oven": 9, "ovens": 8, "bread": 7, "dough": 6, "yeast": 5, "the": 10}
    counted = [{"group": group, "word": word, "texts": n} for group in (0, 1) for word, n in said.items()]
    words = pl.DataFrame(counted, schema={"group": pl.Int64, "word": pl.String, "texts": pl.UInt32})
    sizes = pl.DataFrame({"group": [0, 1, 2], "size": [10, 10, 10]})
    assert names_of(words, sizes) == ["oven, bread, dough", "oven, bread, dough, yeast", "no words"]


def test_balance_takes_its_quotas_from_topics(filtered: Filtered, words: str) -> None:
    steps = (
        {"cluster": {"topics": 3, "embedder": words}},
        {"balance": {"by": "cluster.topic", "temperature": None, "n": 9}},
    )
    result = filtered([*BREAD * 4, *GUITAR[:3], *CAT[:3]], *steps)
    kept = result.kept["row"].to_list()
    assert Counter("bread" if row < 24 else "guitar" if row < 27 else "cat" for row in kept) == {
        "bread": 3,
        "guitar": 3,
        "cat": 3,
    }
    assert "rows where cluster.topic is" in result.dropped["reason"][0]


def test_rows_that_say_nothing_or_all_the_same(filtered: Filtered, words: str) -> None:
    nothing = filtered([("", ""), ("?", "!")], {"cluster": {"embedder": words}})
    assert topics(nothing) == [None, None]
    assert nothing.summary.by_step[0].notes == ["there is nothing to read"]
    assert len(set(topics(filtered(BREAD[:1] * 30, {"cluster": {"topics": 5, "embedder": words}})))) == 1


def test_the_rejected_side_has_topics_of_its_own(filtered: Filtered, words: str) -> None:
    rows = [{"prompt": "q?", "chosen": "Bake the bread.", "rejected": "Tune the guitar."}] * 4
    step = {"cluster": {"topics": 1, "of": "response", "embedder": words}, "side": "rejected"}
    assert set(topics(filtered(rows, step))) == {"guitar, tune"}


def test_what_cannot_be_is_refused(filtered: Filtered) -> None:
    with pytest.raises(UsageError, match="topics must be 1 or more"):
        filtered(BREAD, {"cluster": {"topics": 0}})


@pytest.mark.parametrize(
    ("file", "fields", "label", "least"),
    [
        ("cluster_banking77/test.jsonl", "text", "category", 0.55),
        ("dup_parakqc/paraKQC_v1.jsonl", "text", "col1", 0.45),
    ],
)
def test_topics_of_real_rows_follow_what_people_said(
    filtered: Filtered, real_data: Path, file: str, fields: str, label: str, least: float
) -> None:
    """How much of the label a topic tells (homogeneity), in English and in Korean."""
    from sklearn.metrics import homogeneity_score

    given = [json.loads(line) for line in (real_data / file).read_text().splitlines()][:3080]
    rows = [{"instruction": row[fields], "output": ".", "label": str(row[label])} for row in given]
    found = topics(filtered(rows, {"cluster": {"topics": 77, "of": "prompt"}}))
    assert homogeneity_score([row["label"] for row in rows], found) > least
