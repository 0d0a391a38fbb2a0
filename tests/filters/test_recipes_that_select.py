"""Recipes that choose N rows: exactly N where there are as many, without a model."""

from pathlib import Path

import pytest
from conftest import SAMPLE, write_rows

import curate
from curate.recipe import load_recipe


@pytest.mark.parametrize("recipe", ["default-small", "mig"])
def test_exactly_n_rows_are_kept_without_a_model(here: Path, recipe: str) -> None:
    (here / "raw.jsonl").write_text("".join(SAMPLE.read_text().splitlines(keepends=True)[:150]))
    result = curate.filter("raw.jsonl", recipe=recipe, keep=25)
    assert result.summary.kept == 25
    assert len(Path("curated.jsonl").read_text().splitlines()) == 25


def test_deita_asks_the_named_judge_twice() -> None:
    steps = {step.name: step for step in load_recipe("deita", judge="hf:some/model", keep=10).steps}
    assert [steps[name].as_dict()["judge"]["rubric"] for name in ("complexity", "quality")] == ["complexity", "quality"]
    assert steps["deita"].as_dict()["deita"]["n"] == 10


NUMBERS = [
    ("greatest divisor", "import math\n", "return math.gcd(*values) if values else 0"),
    ("sum of even squares", "", "return sum(number * number for number in values if number % 2 == 0)"),
    (
        "largest distance",
        "",
        "in_order = sorted(values)\n    return max(in_order) - min(in_order) + abs(len(in_order))",
    ),
]


def strings(k: int) -> dict[str, str]:
    """A function about strings that teaches, near none of the others."""
    said = " ".join(f"{'abcdefghij'[k % 10]}{(k + 1) * (n + 7) * 7919}" for n in range(12))
    body = f'"""Split {said}."""\n    return text.upper().strip().split("{k}")'
    text = f"def strings_{k}(text: str) -> object:\n    {body}\n"
    return {"instruction": f"Write a function about strings, {said}.", "output": text}


def numbers(name: str, head: str, body: str) -> dict[str, str]:
    """A function about numbers that teaches."""
    said = f'"""The {name}, of integers in any order."""'
    text = f"{head}def of_numbers(values: list[int]) -> int:\n    {said}\n    {body}\n"
    return {"instruction": f"Write a function that gives the {name}.", "output": text}


def test_phi_brings_topics_into_balance_where_it_is_told_how_many_to_keep(here: Path) -> None:
    rows = [strings(k) for k in range(24)] + [numbers(*about) for about in NUMBERS]
    write_rows(here / "code.jsonl", rows)
    every = curate.filter("code.jsonl", recipe="phi")
    few = curate.filter("code.jsonl", recipe="phi", keep=6)
    of_numbers = [int((kept["row"] >= 24).sum()) for kept in (every.kept, few.kept)]
    assert every.summary.kept > 20
    assert of_numbers == [3, 3]
    assert few.summary.kept == 6


def test_lima_mixes_files_by_quotas_and_takes_of_each_the_highest_scores(here: Path) -> None:
    prose = SAMPLE.read_text().splitlines()[:120]
    for name, lines in (("many.jsonl", prose[:100]), ("few.jsonl", prose[100:])):
        (here / name).write_text("\n".join(lines) + "\n")
    result = curate.filter(["many.jsonl", "few.jsonl"], recipe="lima", keep=20)
    few = int((result.kept["source"] == "few.jsonl").sum())
    assert result.summary.kept == 20
    assert few >= 6, "as many as its share would be 3"


def test_mig_spreads_over_topics_and_counts_quality_where_a_judge_is_named() -> None:
    steps = {step.name: step for step in load_recipe("mig", keep=10).steps}
    assert "quality" not in steps
    assert steps["mig"].columns() == {"labels": "cluster.topic"}
    judged = {step.name: step for step in load_recipe("mig", judge="hf:some/model", keep=10).steps}
    assert judged["quality"].as_dict()["judge"]["model"] == "hf:some/model"
    assert judged["mig"].columns() == {"labels": "cluster.topic", "quality": "quality.score"}
