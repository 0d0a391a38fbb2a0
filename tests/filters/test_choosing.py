"""diverse, deita, qdit and mig through curate.filter."""

import json
from pathlib import Path
from typing import Any

import pytest
from conftest import Filtered

from curate.errors import UsageError

TOPICS = ["tax return deadline", "guitar chord strings", "얼음 물 밀도"]
METHODS: list[dict[str, Any]] = [
    {"diverse": {"method": "k-means", "n": 6}},
    {"diverse": {"method": "farthest-first", "n": 6}},
    {"diverse": {"method": "facility", "n": 6}},
    {"deita": {"complexity": "meta.hard", "quality": "meta.good", "n": 6, "similarity": 0.999}},
    {"qdit": {"quality": "meta.good", "n": 6}},
    {"mig": {"labels": "meta.tags", "quality": "meta.good", "n": 6}},
]


def row(k: int, **more: Any) -> dict[str, Any]:
    topic = TOPICS[k % 3]
    text = {"instruction": f"{topic} {'abcdefghij'[k % 10] * 3}?", "output": f"{topic} number {k}."}
    return {**text, "hard": k % 5 + 1, "good": k % 7 + 1, "tags": [topic], **more}


ROWS = [row(k) for k in range(30)]


@pytest.mark.parametrize("step", METHODS)
def test_it_keeps_as_many_as_asked_for_and_says_why_not_the_others(filtered: Filtered, step: dict[str, Any]) -> None:
    result = filtered(ROWS, step)
    assert result.summary.kept == 6
    assert result.dropped["reason"].null_count() == 0


@pytest.mark.parametrize("step", METHODS)
def test_of_fewer_rows_than_asked_for_all_are_kept(filtered: Filtered, step: dict[str, Any]) -> None:
    result = filtered(ROWS[:4], step)
    assert result.summary.kept == 4
    assert "6 rows were asked for, there are 4: all are kept" in result.summary.by_step[0].notes


@pytest.mark.parametrize("step", METHODS)
def test_identical_and_empty_rows_stop_nothing(filtered: Filtered, step: dict[str, Any]) -> None:
    same = filtered([row(0)] * 20, step)
    assert same.summary.kept == (1 if "deita" in step else 6)
    rows = [row(k, instruction="", output="", good=0, hard=0) for k in range(10)] + ROWS[:6]
    assert filtered(rows, step).kept["row"].to_list() == [10, 11, 12, 13, 14, 15]


@pytest.mark.parametrize("step", METHODS[3:])
def test_a_row_without_a_score_comes_last(filtered: Filtered, step: dict[str, Any]) -> None:
    rows = [row(k, good=None if k < 24 else 3) for k in range(30)]
    assert filtered(rows, step).kept["row"].to_list() == [24, 25, 26, 27, 28, 29]


def test_deita_compares_with_the_chosen_and_not_with_the_whole_pool(filtered: Filtered) -> None:
    """Of two that are alike the better stays: compared with the whole pool, each would cost the other its place."""
    ice = "Ice floats because its solid form is less dense than liquid water."
    rows = [
        row(0, instruction="Why does ice float?", output=ice, hard=5, good=5),
        row(0, instruction="Why does ice float", output=ice + "!", hard=4, good=5),
        row(1, hard=3, good=3),
        row(2, hard=2, good=2),
    ]
    result = filtered(rows, {"deita": {"complexity": "meta.hard", "quality": "meta.good", "n": 2}})
    assert result.kept["row"].to_list() == [0, 2]
    assert result.dropped["reason"].to_list() == [
        "similarity 1.0 to row:0, chosen before it",
        "rank 4 by complexity × quality, the 2 chosen rank before it",
    ]


def test_mig_takes_of_each_label_the_best_and_then_as_power_says(filtered: Filtered) -> None:
    rows = [row(0, tags=tags, good=good) for tags, good in (("a", 5), ("a", 4), ("a", 3), (["b"], 2), (["b", "c"], 1))]
    step = {"labels": "meta.tags", "quality": "meta.good", "power": 0.2}
    kept = [filtered(rows, {"mig": {**step, "n": n}}).kept["row"].to_list() for n in (1, 2, 3)]
    assert kept == [[4], [0, 4], [0, 3, 4]]


def test_qdit_with_alpha_1_takes_the_best(filtered: Filtered) -> None:
    result = filtered(ROWS, {"qdit": {"quality": "meta.good", "alpha": 1.0, "n": 4}})
    assert result.kept["row"].to_list() == [6, 13, 20, 27]


def test_what_cannot_be_is_refused(filtered: Filtered) -> None:
    for step, said in (
        ({"diverse": {}}, "give one of n and share"),
        ({"qdit": {"quality": "meta.good", "n": 2, "alpha": 2}}, "alpha must lie between 0 and 1"),
        ({"qdit": {"quality": "id", "n": 2}}, "rows can't be ranked by id"),
    ):
        with pytest.raises(UsageError, match=said):
            filtered(ROWS, step)


def test_a_varied_choice_covers_more_intents_than_chance(filtered: Filtered, real_data: Path) -> None:
    lines = (real_data / "cluster_banking77/test.jsonl").read_text().splitlines()
    given = [{"instruction": r["text"], "output": ".", "intent": r["category"]} for r in map(json.loads, lines)]

    def covered(step: dict[str, Any]) -> int:
        return len({json.loads(meta)["intent"] for meta in filtered(given, step).kept["meta"]})

    chance = covered({"sample": {"n": 77}})
    assert covered({"diverse": {"n": 77, "of": "prompt"}}) > chance + 3
