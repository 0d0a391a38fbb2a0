"""`train-dpo`: planted preferences are learnt by a real trainer, from a reference that is computed once."""

import json
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from curate.errors import InputError, StoppedError
from curate.training.dpo import lengths_of, train_dpo
from curate.training.settings import DpoSettings, SftSettings, settings_of
from curate.training.sft import train_sft
from curate.working import Working
from tests.conftest import write_rows
from tests.real_models.small_models import tiny

WORDS = ["alpha", "bravo", "charlie", "delta", "echo", "foxtrot", "golf", "hotel", "india", "julia", "kilo", "리마"]
PAIRS = [
    {"prompt": f"{k} {word}?", "chosen": f"{word} yes", "rejected": f"{word} no"} for k in range(4) for word in WORDS
]
QUICK = ["max_length=256", "batch=4", "lora_rank=0", "learning_rate=0.001", "gradient_checkpointing=false"]
QUICK += ["validation=0.2", "epochs=3"]


@pytest.fixture(scope="module")
def model(small_model: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny(tmp_path_factory.mktemp("tiny") / "model")


def settings(*changes: str) -> DpoSettings:
    return settings_of(DpoSettings, None, [*QUICK, *changes])


def test_sft_then_dpo_raises_the_share_of_held_out_pairs_whose_chosen_answer_gained_more(
    here: Path, model: Path
) -> None:
    write_rows(here / "pairs.jsonl", PAIRS)
    write_rows(here / "curated.jsonl", [{"instruction": p["prompt"], "output": p["chosen"]} for p in PAIRS])
    sft = settings_of(SftSettings, None, [*QUICK[:5], "packing=false", "epochs=2"])
    train_sft(["curated.jsonl"], "sft", model=str(model), settings=sft)
    said: list[str] = []
    done = train_dpo(["pairs.jsonl"], "out", model="sft", settings=settings(), working=Working(notice=said.append))
    assert done.measures["eval_rewards/accuracies"] > 0.9
    assert done.measures["eval_rewards/margins"] > 0
    assert done.measures["kl"] > 0
    assert done.measures["chosen_tokens"] > 0
    log = [json.loads(line) for line in (here / "out/log.jsonl").read_text().splitlines()]
    assert log[0]["rewards/margins"] == pytest.approx(0, abs=1e-4), "at first the model is its own reference"
    assert "direct preference optimization" in (here / "out/README.md").read_text()
    assert any(text.startswith("chosen answers have") for text in said)


def test_the_reference_is_computed_once_and_a_killed_run_goes_on_to_the_same_measures(here: Path, model: Path) -> None:
    write_rows(here / "pairs.jsonl", PAIRS)
    changes = [f"--set={change}" for change in [*QUICK, "epochs=6", "trl.save_steps=5"]]
    command = [sys.executable, "-c", "from curate.cli import main; main()", "train-dpo", "--model", str(model)]
    command += ["--data", "pairs.jsonl", *changes]
    states = ".curate/training/*/checkpoints/checkpoint-*/trainer_state.json"
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    while not list(here.glob(states)):
        assert process.poll() is None
        time.sleep(0.02)
    process.kill()
    assert process.wait() == -signal.SIGKILL
    caches = list(here.glob(".curate/training/*/pairs/cache-*.arrow"))
    times = [path.stat().st_mtime_ns for path in caches]
    assert len(caches) == 1
    again = subprocess.run(command, capture_output=True, text=True, check=True).stderr
    assert "going on from step" in again
    assert [path.stat().st_mtime_ns for path in caches] == times
    gone_on = json.loads((here / "model-dpo/curate.json").read_text())["trained"]["measures"]
    straight = train_dpo(
        ["pairs.jsonl"], "other", model=str(model), settings=settings("epochs=6"), work_dir=here / "elsewhere"
    )
    assert gone_on == pytest.approx(straight.measures, abs=1e-4)


def test_an_adapter_begins_alike_with_the_same_seed(here: Path, model: Path) -> None:
    write_rows(here / "pairs.jsonl", PAIRS[:12])
    lora = settings("lora_rank=4", "epochs=1", "label_smoothing=0.1")
    first, second = (
        train_dpo(["pairs.jsonl"], name, model=str(model), settings=lora, work_dir=here / f"w{name}")
        for name in ("a", "b")
    )
    assert first.measures == pytest.approx(second.measures, abs=1e-6)


def test_length_that_explains_the_preference_is_warned_of(here: Path, model: Path) -> None:
    pairs = [{"prompt": f"{word}?", "chosen": f"{word} {word} {word}", "rejected": word} for word in WORDS]
    write_rows(here / "pairs.jsonl", pairs)
    said: list[str] = []
    done = train_dpo(
        ["pairs.jsonl"], "out", model=str(model), settings=settings("epochs=1"), working=Working(notice=said.append)
    )
    assert any(text.startswith("the longer answer is chosen in 100% of the pairs: length alone") for text in said)
    assert done.measures["longer_is_chosen"] == 1.0


def test_pairs_that_teach_nothing_are_left_out_and_rows_without_any_refused(here: Path, model: Path) -> None:
    same = {"prompt": "a?", "chosen": "b", "rejected": "b"}
    empty = {"prompt": "a?", "chosen": "b", "rejected": ""}
    long = {"prompt": "a?", "chosen": "b " * 300, "rejected": "c"}
    write_rows(here / "pairs.jsonl", [*PAIRS[:8], same, empty, long, {"instruction": "a?", "output": "b"}])
    done = train_dpo(["pairs.jsonl"], "out", model=str(model), settings=settings("epochs=1", "validation=0"))
    left_out = [json.loads(line) for line in (here / "out/left_out.jsonl").read_text().splitlines()]
    assert [each["place"] for each in left_out] == [f"pairs.jsonl:{line}" for line in (9, 10, 11, 12)]
    assert left_out[0]["reason"] == "both answers are the same"
    assert left_out[1]["reason"] == "one of its answers is empty"
    assert left_out[2]["reason"].endswith("tokens, more than max_length 256")
    assert left_out[3]["reason"] == "it has no chosen and rejected answers"
    assert done.rows == 8
    write_rows(here / "rows.jsonl", [{"instruction": "a?", "output": "b"}])
    with pytest.raises(InputError, match="none of 1 rows is a preference") as error:
        train_dpo(["rows.jsonl"], "other", model=str(model), settings=settings())
    assert "curate train-sft" in error.value.remedy
    write_rows(here / "same.jsonl", [same])
    with pytest.raises(StoppedError, match="both answers are the same"):
        train_dpo(["same.jsonl"], "other", model=str(model), settings=settings())


def test_lengths_count_only_pairs_that_differ() -> None:
    from curate.training.tokens import Tokens

    pairs = [Tokens(0, [1] * 5, [1] * 5, 3, [1, 2]), Tokens(1, [1] * 5, [1] * 5, 2, [1, 2])]
    assert lengths_of(pairs) == {"chosen_tokens": 2.5, "rejected_tokens": 2.0, "longer_is_chosen": 1.0}
