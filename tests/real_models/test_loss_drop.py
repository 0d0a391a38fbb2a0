"""loss-drop: rows like the examples gain most from a short tuning on them, and the base losses are the model's own."""

import json
from pathlib import Path
from typing import Any

import pytest

import curate
from tests.conftest import write_rows

SUMS = [(f"What is {a} plus {b}?", f"The sum of {a} and {b} is {a + b}.") for a, b in ((3, 4), (8, 5), (2, 9), (7, 7))]
ROWS = [
    ("How do I bake bread?", "Mix flour, water, salt and yeast, let the dough rise, and bake it until brown."),
    ("What is 6 plus 3?", "The sum of 6 and 3 is 9."),
    ("Why is the sky blue?", "Air scatters blue light more than red, so it reaches us from every side."),
    ("What is 12 plus 5?", "The sum of 12 and 5 is 17."),
    {"text": "A plain text without a question."},
    ("Say nothing.", ""),
]


def test_rows_like_the_examples_stay(hf_model: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    write_rows(tmp_path / "raw.jsonl", ROWS)
    write_rows(tmp_path / "wanted.jsonl", SUMS)
    steps: list[Any] = [
        {"ifd": {"model": hf_model, "below": None}},
        {"loss-drop": {"model": hf_model, "n": 2}},
    ]
    (tmp_path / "recipe.yaml").write_text(json.dumps({"steps": steps}))
    result = curate.filter("raw.jsonl", recipe="recipe.yaml", target=["wanted.jsonl"])
    assert result.kept["row"].to_list() == [1, 3]
    said = result.ledger.filter(step="loss-drop")
    unscored = said.filter(verdict="unscored")
    assert unscored["row"].to_list() == [5] and unscored["reason"].to_list() == ["there is no response"]
    assert said.filter(row=4)["reason"].to_list() == ["there is no instruction and response to read"]
    assert "only 2 are kept" in said.filter(row=0)["reason"][0]
    for row in range(4):  # the adapter off, the model is the model
        own, again = (
            json.loads(result.ledger.filter(row=row, step=step)["evidence"][0]) for step in ("ifd", "loss-drop")
        )
        assert again["loss"] == pytest.approx(own["loss"], abs=1e-3) and again["tokens"] == own["tokens"]
