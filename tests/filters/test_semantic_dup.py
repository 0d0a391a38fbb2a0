"""semantic-dup through curate.filter."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from conftest import Command, Filtered, Plugin, write_rows

from curate.errors import UsageError

ICE = "Ice floats because its solid form is less dense than liquid water."
FILL = [(f"Question {k} about {word}?", f"It is {word} {k * k}.") for k, word in enumerate(["apple", "river", "stone"])]


def test_reworded_and_copied_rows_lose_to_the_longest(filtered: Filtered) -> None:
    rows = [
        ("얼음은 왜 물에 뜨나요?", "고체인 얼음의 밀도가 물보다 낮기 때문입니다."),
        ("얼음은 물에 왜 뜨나요?", "고체인 얼음의 밀도가 물보다 낮기 때문입니다!!!"),
        ("Why does ice float?", ICE),
        ("why does ice float", ICE.upper()),
        *FILL,
    ]
    result = filtered(rows, "semantic-dup")
    assert result.dropped.select("row", "rival", "reason").rows() == [
        (0, "row:1", "similarity 1.0 to row:1, 0.9 or more"),
        (3, "row:2", "similarity 1.0 to row:2, 0.9 or more"),
    ]
    assert "rows with a cosine of 0.9 or more are the same" in result.summary.by_step[0].notes


def test_the_best_by_a_column_or_the_first_stays(filtered: Filtered) -> None:
    rows = [
        {"instruction": "Why does ice float?", "output": ICE + end, "votes": votes}
        for end, votes in (("", 3), (" Yes.", 1), (" So.", 2))
    ]
    kept = [
        filtered(rows, {"semantic-dup": {"similarity": 0.6, **how}}).kept["row"].to_list()
        for how in ({}, {"keep": "first"}, {"by": "meta.votes"})
    ]
    assert kept == [[1], [0], [0]]


def test_rows_with_nothing_to_read_are_like_no_other_and_counted(filtered: Filtered) -> None:
    result = filtered([("", ""), ("", "..."), ("", "!"), *FILL], "semantic-dup")
    assert result.summary.kept == 6
    assert "rows with nothing to read, like no other: 3" in result.summary.by_step[0].notes


def test_of_identical_rows_one_stays(filtered: Filtered) -> None:
    result = filtered([("Same?", "Yes, the same.")] * 3000, {"semantic-dup": {"similarity": 1.0}})
    assert result.kept["row"].to_list() == [0]


def test_a_bar_or_an_embedder_that_cannot_be_is_refused(filtered: Filtered) -> None:
    for step, said in (
        ({"similarity": 1.5}, "similarity must be above 0 and at most 1"),
        ({"embedder": "words"}, "no embedder is called words"),
    ):
        with pytest.raises(UsageError, match=said):
            filtered(FILL, {"semantic-dup": step})


def test_only_the_living_are_embedded(filtered: Filtered, here: Path) -> None:
    filtered([("Hm?", ""), *FILL], "length", "semantic-dup")
    (done,) = (here / ".curate").glob("pools/*/embeddings/*/done")
    assert list(done.read_bytes()) == [0, 1, 1, 1]


def test_a_dry_run_leaves_out_a_step_that_decides_by_a_model(here: Path, cli: Command, plugin: Plugin) -> None:
    write_rows(here / "raw.jsonl", FILL)
    file = plugin("""
        @frozen
        class Costly:
            "Decides by a model."
            asks_model = True
            def decide(self, measures, pool):
                raise AssertionError("asked in a dry run")
    """)
    (here / "recipe.yaml").write_text("steps: [length, costly]")
    said = cli("filter", "raw.jsonl", "--recipe", "recipe.yaml", "--dry-run", "--plugin", file)
    assert "costly: left out of the dry run (a model would read 3 rows)" in said.err


def test_korean_paraphrases_are_nearer_than_other_questions(filtered: Filtered, real_data: Path) -> None:
    lines = (real_data / "dup_parakqc/paraKQC_v1.jsonl").read_text().splitlines()[:2000]
    rows: list[dict[str, Any]] = [json.loads(line) for line in lines]
    given = [{"instruction": row["text"], "output": ".", "set_id": row["set_id"]} for row in rows]
    result = filtered(given, {"semantic-dup": {"of": "prompt", "similarity": 0.8}})
    gone = result.dropped.select("row", rival=result.dropped["rival"].str.slice(4).cast(int)).rows()
    same = np.mean([rows[a]["set_id"] == rows[b]["set_id"] for a, b in gone])
    assert len(gone) > 100
    assert same > 0.95
