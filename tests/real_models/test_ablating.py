"""`curate ablate`: real recipes, a real trainer, a tiny model; an arm that is done is not done again."""

import json
from pathlib import Path

import pytest

from curate.errors import InterruptedRun, UsageError
from curate.evaluating.ablating import Ablation, Arm, Budget, ablate, against_chance, conclusion
from curate.training.settings import load_settings
from curate.working import Working
from tests.conftest import write_rows
from tests.real_models.small_models import tiny

QUICK = ["max_length=256", "batch=2", "lora_rank=0", "learning_rate=0.003", "gradient_checkpointing=false", "epochs=5"]
WORDS = ["alpha", "bravo", "charlie", "delta", "echo", "foxtrot", "golf", "hotel", "india", "julia", "kilo", "리마"]


@pytest.fixture(scope="module")
def model(small_model: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny(tmp_path_factory.mktemp("tiny") / "model")


def run(here: Path, model: Path, *recipes: str, said: list[str] | None = None, **more: object) -> Ablation:
    rows = [{"instruction": f"{k} {word}?", "output": f"{word} " * (k + 1)} for k in range(4) for word in WORDS]
    write_rows(here / "raw.jsonl", rows)
    write_rows(here / "test.jsonl", [{"instruction": f"{word}?", "output": f"{word} {word}"} for word in WORDS[:4]])
    asked = {"budget": Budget(rows=10), "seeds": 2, "settings": load_settings("lora-small", None, QUICK), **more}
    working = Working(notice=(said if said is not None else []).append)
    return ablate(["raw.jsonl"], recipes, test=["test.jsonl"], model=str(model), working=working, **asked)  # type: ignore[arg-type]


def test_each_recipe_trains_on_as_much_and_a_second_call_trains_nothing(here: Path, model: Path) -> None:
    said: list[str] = []
    found = run(here, model, "longest", said=said)
    assert said[0] == "4 arms, 2 recipes with 2 seeds, each 10 rows for 5 epochs; 0 are done already"
    assert [(arm.recipe, arm.seed, arm.rows) for arm in found.arms] == [
        ("random", 0, 10), ("longest", 0, 10), ("random", 1, 10), ("longest", 1, 10),
    ]  # fmt: skip
    assert all(arm.loss < found.untrained for arm in found.arms)
    assert {each.recipe for each in found.recipes} == {"random", "longest"}
    assert found.conclusion
    assert "<svg" in (here / "ablation/ablation.html").read_text()
    assert json.loads((here / "ablation/ablation.json").read_text())["conclusion"] == found.conclusion
    assert not list((here / "ablation").glob("model-*"))
    said.clear()
    again = run(here, model, "longest", said=said)
    assert again.arms == found.arms
    assert said[0].endswith("4 are done already")


def test_a_budget_of_tokens_is_kept_by_all_and_filters_are_left_out_one_by_one(here: Path, model: Path) -> None:
    (here / "own.yaml").write_text(
        "steps:\n  - length: {min_chars: 7}\n  - exact-dup\n  - keep-top: {n: 9, by: length.chars}\n"
    )
    found = run(here, model, "own.yaml", budget=Budget(tokens=900), seeds=1, leave_one_out=True)
    assert {arm.recipe for arm in found.arms} == {"random", "own", "without-exact-dup"}, "by length needs length"
    assert all(700 <= arm.tokens <= 900 for arm in found.arms)
    assert found.conclusion == "One seed tells nothing of chance: take three or more."


def test_an_interrupted_ablation_goes_on(here: Path, model: Path) -> None:
    said: list[str] = []
    working = Working()

    def stop_after_one(text: str) -> None:
        said.append(text)
        if text.startswith("random, seed 0"):
            working.stop.set()

    write_rows(here / "raw.jsonl", [{"instruction": f"{word}?", "output": word} for word in WORDS])
    write_rows(here / "test.jsonl", [{"instruction": "a?", "output": "alpha"}])
    asked = {"test": ["test.jsonl"], "model": str(model), "budget": Budget(rows=6), "seeds": 1}
    settings = load_settings("lora-small", None, QUICK)
    stopped = Working(notice=stop_after_one, stop=working.stop)
    with pytest.raises(InterruptedRun):
        ablate(["raw.jsonl"], ["longest"], settings=settings, working=stopped, **asked)  # type: ignore[arg-type]
    told: list[str] = []
    ablate(["raw.jsonl"], ["longest"], settings=settings, working=Working(notice=told.append), **asked)  # type: ignore[arg-type]
    assert "1 are done already" in told[0]


def test_only_differences_that_chance_can_not_make_are_called_real() -> None:
    def arms(recipe: str, *losses: float) -> list[Arm]:
        return [Arm("", recipe, seed, 10, 100, loss, 1.0) for seed, loss in enumerate(losses)]

    base = arms("random", 2.0, 2.1, 2.2)
    found = against_chance(
        [*base, *arms("good", 1.8, 1.9, 2.0), *arms("odd", 1.8, 2.3, 2.1), *arms("bad", 3.0, 3.1, 3.2)]
    )
    assert [each.recipe for each in found] == ["good", "odd", "random", "bad"]
    assert {each.recipe: each.verdict for each in found if each.recipe != "random"} == {
        "good": "better", "odd": "noise", "bad": "worse",
    }  # fmt: skip
    said = conclusion(found, 3, Budget(tokens=25_000))
    assert said.startswith("good (-0.2000) really beat random at 25,000 tokens. bad (+1.0000) really did worse")
    assert said.endswith("Of odd, 3 seeds can't tell a difference from random.")
    alone = against_chance([*base, *arms("odd", 1.8, 2.3, 2.1)])
    assert conclusion(alone, 3, Budget(rows=5)).startswith("No recipe beat random at 5 rows.")


def test_what_can_not_be_is_said(here: Path, model: Path) -> None:
    with pytest.raises(UsageError, match="a budget is a number of rows or of tokens"):
        Budget()
    with pytest.raises(UsageError, match="there is nothing to compare with chance"):
        run(here, model, "random")
    with pytest.raises(UsageError, match="takes one recipe apart"):
        run(here, model, "longest", "default-small", leave_one_out=True)
