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
from curate.models import Request
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


def test_hostile_rows_are_scored_or_not_and_their_shift_reported(
    vllm_model: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    kinds = {each["kind"]: each for each in INJECTIONS if each["language"] == "en"}
    some = list(kinds.values())[::3]
    found = BENCHMARK["shifts"](some, vllm_model, "educational-value", "expected", tmp_path)
    assert found["kind"].to_list() == list(kinds)[::3]
    scores = pl.concat([found["clean"], found["hostile"]]).drop_nulls()
    assert len(scores) > len(some), "most are scored, even by this model"
    assert scores.is_between(0, 5).all()
    assert found["shift"].drop_nulls().to_list() == pytest.approx((found["hostile"] - found["clean"]).drop_nulls())
    with capsys.disabled(), pl.Config(tbl_rows=-1):
        print("\n", BENCHMARK["summary"](found, "kind"))
