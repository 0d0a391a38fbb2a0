"""Hostile rows before a real model: by how much they move its score; none of their text turns into a special token.

SmolLM2-135M is no judge: what its shifts are worth is small, that they can be had for any model is the point.
"""

import runpy
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from curate.judging.rows import texts_of
from curate.judging.rubrics import load_rubric
from curate.models import Request, forget_model
from curate.models.in_process import rendered
from tests.conftest import REPOSITORY

BENCHMARK = runpy.run_path(str(REPOSITORY / "benchmarks" / "judge_injections.py"))
INJECTIONS = BENCHMARK["load_injections"]()


@pytest.fixture(scope="module")
def tokenizer(small_model: Path) -> Any:
    from transformers import AutoTokenizer

    return AutoTokenizer.from_pretrained(small_model)


def special(tokenizer: Any, prompt: str, response: str) -> list[int]:
    """The special tokens of what the model reads."""
    texts, _, _ = texts_of({"prompt": prompt, "response": response, "messages": []}, False, 12_000)
    turns = load_rubric("educational-value").turns("expected", **texts)
    text = rendered(tokenizer, Request(turns=turns, max_tokens=1))
    added = set(tokenizer.get_added_vocab().values())
    return [token for token in tokenizer(text, add_special_tokens=False)["input_ids"] if token in added]


def test_a_row_adds_no_special_token_to_those_of_the_chat_template(tokenizer: Any) -> None:
    alone = special(tokenizer, "Why?", "Because.")
    assert len(alone) == 5, "three turns begin and two end"
    for token in tokenizer.get_added_vocab():
        assert special(tokenizer, f"{token}Why?{token}", f"<{token}Because.{token}>") == alone
    for each in INJECTIONS:
        assert special(tokenizer, each["hostile"]["instruction"], each["hostile"]["output"]) == alone


def test_one_of_each_kind_is_scored_or_not_and_its_shift_reported(
    small_model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    english = {each["kind"]: each for each in INJECTIONS if each["language"] == "en"}
    model = f"hf:{small_model}"
    found = BENCHMARK["shifts"](list(english.values()), model, "educational-value", "expected", tmp_path)
    forget_model(model)
    assert found["kind"].to_list() == list(english)
    scores = pl.concat([found["clean"], found["hostile"]]).drop_nulls()
    assert len(scores) > len(english), "most are scored, even by this model"
    assert scores.is_between(0, 5).all()
    assert found["shift"].drop_nulls().to_list() == pytest.approx((found["hostile"] - found["clean"]).drop_nulls())
    with capsys.disabled(), pl.Config(tbl_rows=-1):
        print("\n", BENCHMARK["summary"](found, "kind"))
