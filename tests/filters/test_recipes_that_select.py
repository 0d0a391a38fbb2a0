"""Recipes that choose N rows: exactly N where there are as many, without a model."""

from pathlib import Path

import pytest
from conftest import SAMPLE

import curate
from curate.recipe import load_recipe


@pytest.mark.parametrize("recipe", ["default-small", "lima"])
def test_exactly_n_rows_are_kept_without_a_model(here: Path, recipe: str) -> None:
    (here / "raw.jsonl").write_text("".join(SAMPLE.read_text().splitlines(keepends=True)[:150]))
    result = curate.filter("raw.jsonl", recipe=recipe, keep=25)
    assert result.summary.kept == 25
    assert len(Path("curated.jsonl").read_text().splitlines()) == 25


def test_deita_asks_the_named_judge_twice() -> None:
    steps = {step.name: step for step in load_recipe("deita", judge="hf:some/model", keep=10).steps}
    assert [steps[name].as_dict()["judge"]["rubric"] for name in ("complexity", "quality")] == ["complexity", "quality"]
    assert steps["deita"].as_dict()["deita"]["n"] == 10
