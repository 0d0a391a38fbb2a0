"""The round robin picks what a plain loop picks; the filter says for which example."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from conftest import Command, Filtered, write_rows

from curate.errors import UsageError
from curate.selecting.targeting import pick


def by_a_plain_loop(vectors: Any, examples: Any, n: int) -> list[tuple[int, int]]:
    left = set(range(len(vectors)))
    picked: list[tuple[int, int]] = []
    while left and len(picked) < n:
        for k, example in enumerate(examples):
            if left and len(picked) < n:
                best = min(left, key=lambda row: (-float(vectors[row] @ example), row))
                left.remove(best)
                picked.append((best, k))
    return picked


def test_each_example_in_turn_picks_its_nearest_row_that_is_left() -> None:
    chance = np.random.default_rng(0)
    for _ in range(300):
        rows, many, n = (int(chance.integers(1, most)) for most in (40, 6, 50))
        # small whole numbers: many rows are equally near, and sums are exact
        vectors = chance.integers(-2, 3, (rows, 3)).astype(np.float32)
        examples = chance.integers(-2, 3, (many, 3)).astype(np.float32)
        found = pick(vectors.astype(np.float16), np.arange(rows), examples, n)
        assert list(zip(found.rows.tolist(), found.examples.tolist(), strict=True)) == by_a_plain_loop(
            vectors, examples, n
        )
        assert np.array_equal(found.similarity, (vectors[found.rows] * examples[found.examples]).sum(1))


def test_more_rows_asked_for_are_a_superset_and_examples_that_want_the_same_rows_go_on() -> None:
    chance = np.random.default_rng(1)
    vectors = chance.normal(size=(3000, 8)).astype(np.float32)
    example = chance.normal(size=(1, 8)).astype(np.float32)
    examples = np.repeat(example, 50, axis=0)  # their lists are the same, and longer than first looked at
    some, more = (pick(vectors, np.arange(3000), examples, n).rows for n in (400, 900))
    assert set(some) < set(more) and len(set(more)) == 900
    assert set(more) == set(np.argsort(-(vectors @ example[0]), kind="stable")[:900])


ROWS = [
    ("What is the capital of France?", "Paris is the capital of France."),
    ("Name a prime number.", "Seven is a prime number."),
    ("프랑스의 수도는?", "프랑스의 수도는 파리입니다."),
    ("Is nine a prime number?", "No, nine is three times three."),
    ("How do I bake bread?", "Mix flour, water, salt and yeast; let it rise; bake it."),
]


def test_the_ledger_says_for_which_example_a_row_was_picked(here: Path, cli: Command) -> None:
    write_rows(here / "raw.jsonl", ROWS)
    write_rows(
        here / "wanted.jsonl",
        [
            ("Name a prime number above ten.", "Eleven is a prime number."),
            ("일본의 수도는?", "일본의 수도는 도쿄입니다."),
            ("", ""),
        ],
    )
    said = cli("filter", "raw.jsonl", "--recipe", "targeted", "--target", "wanted.jsonl", "--keep", 3)
    assert "3 rows picked for 2 of 3 examples" in said.err and "1 examples have nothing to compare" in said.err
    kept = [json.loads(line)["instruction"] for line in (here / "curated.jsonl").read_text().splitlines()]
    assert kept == [ROWS[1][0], ROWS[2][0], ROWS[3][0]]
    assert "picked for wanted.jsonl:1 in turn 1" in cli("why", "raw.jsonl:2").out
    assert '"example":"wanted.jsonl:2"' in cli("why", "raw.jsonl:3").out.replace("\n", "")
    assert "which picked others" in cli("why", "raw.jsonl:5").out


def test_fewer_rows_than_asked_for_are_all_kept(here: Path, filtered: Filtered) -> None:
    write_rows(here / "wanted.jsonl", ROWS[:1])
    result = filtered(ROWS, {"target": {"target": ["wanted.jsonl"], "n": 50}})
    assert result.summary.kept == 5 and "only 5 rows arrive: all of them are kept" in result.summary.by_step[0].notes


def test_what_can_not_be_done_is_refused_before_anything_is_read(here: Path, cli: Command, filtered: Filtered) -> None:
    write_rows(here / "raw.jsonl", ROWS)
    assert "--target FILE" in cli("filter", "raw.jsonl", "--recipe", "targeted", status=2).err
    said = cli("filter", "raw.jsonl", "--target", "raw.jsonl", status=2).err
    assert "no step of default can take --target" in said and "target" in said
    missing = cli("filter", "raw.jsonl", "--recipe", "targeted", "--target", "none.jsonl", status=2).err
    assert "none.jsonl" in missing
    with pytest.raises(UsageError, match="give one of n and share"):
        filtered(ROWS, {"target": {"target": ["raw.jsonl"]}})
