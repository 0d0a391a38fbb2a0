"""`train-sft`: a real trainer and small models; killed and gone on with, the loss is that of an undisturbed run."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

from curate.errors import StoppedError, UsageError
from curate.pool import read_pool
from curate.training.data import Prepared, prepared
from curate.training.opening import Opened, open_model
from curate.training.settings import SftSettings, load_settings
from curate.training.sft import train_sft, trainer_of
from curate.training.tokens import tokens_of
from curate.working import Working
from tests.conftest import write_rows
from tests.real_models.small_models import tiny

WORDS = ["alpha", "bravo", "charlie", "delta", "echo", "foxtrot", "golf", "hotel", "india", "julia", "kilo", "리마"]
ROWS = [{"instruction": f"{word[0]}?", "output": f"{word} {word}"} for word in WORDS]
QUICK = ["max_length=256", "batch=2", "lora_rank=0", "learning_rate=0.003", "gradient_checkpointing=false"]


@pytest.fixture(scope="module")
def model(small_model: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny(tmp_path_factory.mktemp("tiny") / "model")


@pytest.fixture
def rows(here: Path) -> Path:
    write_rows(here / "curated.jsonl", ROWS)
    return here


def settings(*changes: str) -> SftSettings:
    return load_settings("lora-small", None, [*QUICK, *changes])


def prepared_for(opened: Opened, chosen: SftSettings, files: list[str], ratio: Sequence[float] = ()) -> Prepared:
    return prepared(
        files,
        ratio,
        chosen.validation,
        0,
        Path(".curate"),
        Working(),
        lambda pool: tokens_of(pool, opened.tokenizer, chosen),
    )


def test_it_learns_rows_by_heart_and_the_folder_answers_and_stops(rows: Path, model: Path) -> None:
    from transformers import AutoModelForCausalLM, AutoTokenizer

    done = train_sft(["curated.jsonl"], "out", model=str(model), settings=settings("epochs=100", "validation=0"))
    assert done.measures["loss"] < 0.1
    assert [each.stopped for each in done.after] == [True] * 3
    assert [each.said for each in done.after] == [row["output"] for row in ROWS[:3]]
    assert [each.said for each in done.before] != [each.said for each in done.after]
    network, tokenizer = (kind.from_pretrained("out") for kind in (AutoModelForCausalLM, AutoTokenizer))
    assert network.generation_config.eos_token_id == [tokenizer.convert_tokens_to_ids("<|im_end|>")]
    card = (rows / "out/README.md").read_text()
    assert "on 12 rows" in card
    assert "curated.jsonl" in card
    log = [json.loads(line) for line in (rows / "out/log.jsonl").read_text().splitlines()]
    assert [line["step"] for line in log] == list(range(1, done.steps + 1))
    assert (
        train_sft(["curated.jsonl"], "out", model=str(model), settings=settings("epochs=100", "validation=0")) == done
    )


def test_rows_of_a_pack_do_not_see_each_other(rows: Path, model: Path) -> None:
    import torch

    opened = open_model(str(model), settings(), Working())
    wide = settings("validation=0", "max_length=512")
    found = prepared_for(opened, wide, ["curated.jsonl"])
    trainer = trainer_of(opened, found, wide, 0, rows, _Nobody())
    pack = trainer.train_dataset[0]
    assert len(pack["seq_lengths"]) > 2
    network = trainer.model.eval()
    with torch.no_grad():
        fed = trainer.data_collator([pack])
        del fed["labels"]  # with them TRL has the loss alone computed
        packed = network(**fed).logits[0]
        start = 0
        for length in pack["seq_lengths"]:
            alone = network(input_ids=torch.tensor([pack["input_ids"][start : start + length]])).logits[0]
            assert torch.allclose(packed[start : start + length], alone, atol=1e-4)
            start += length


class _Nobody:
    """A callback that hears nothing."""

    def __getattr__(self, name: str) -> Callable[..., None]:
        if not name.startswith("on_"):
            raise AttributeError(name)
        return lambda *_, **__: None


def test_killed_at_any_moment_the_same_command_comes_to_the_same_loss(rows: Path, model: Path) -> None:
    changes = [f"--set={change}" for change in [*QUICK, "epochs=30", "trl.save_steps=5"]]
    command = [sys.executable, "-c", "from curate.cli import main; main()", "train-sft", "--model", str(model)]
    command += changes
    states = ".curate/training/*/checkpoints/checkpoint-*/trainer_state.json"
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    while len(list(rows.glob(states))) < 2:
        assert process.poll() is None
        time.sleep(0.02)
    process.kill()
    assert process.wait() == -signal.SIGKILL
    max(rows.glob(states), key=os.path.getmtime).unlink()  # as if it had been killed between two files
    again = subprocess.run(command, capture_output=True, text=True, check=True).stderr
    assert "going on from step 5" in again
    gone_on = json.loads((rows / "model/curate.json").read_text())["trained"]
    straight = train_sft(
        ["curated.jsonl"], "other", model=str(model), settings=settings("epochs=30"), work_dir=rows / "elsewhere"
    )
    assert gone_on["steps"] == straight.steps
    assert gone_on["measures"] == pytest.approx(straight.measures, abs=1e-5)
    assert set(straight.measures) == {"loss", "eval_loss"}


def test_a_loss_that_is_no_number_ends_it_and_keeps_what_was_saved(rows: Path, model: Path) -> None:
    with pytest.raises(StoppedError, match=r"the loss of step \d+ is not a number") as error:
        train_sft(
            ["curated.jsonl"],
            "out",
            model=str(model),
            settings=settings("epochs=20", "learning_rate=1e30", "trl.max_grad_norm=0"),
        )
    assert error.value.remedy.startswith("set learning_rate lower")
    assert not (rows / "out").exists()


def test_an_adapter_of_a_base_model_without_a_template_becomes_a_plain_model(here: Path, tmp_path: Path) -> None:
    write_rows(here / "curated.jsonl", [*ROWS, {"instruction": "x?", "output": ""}])
    base = tiny(here / "base", None)
    said: list[str] = []
    working = Working(notice=said.append)
    lora = load_settings("lora-small", None, ["max_length=256", "batch=4", "epochs=1"])
    done = train_sft(["curated.jsonl"], "out", model=str(base), settings=lora, working=working)
    assert "the model has no chat template: Alpaca's ### headings are used, and saved with it" in said
    assert any(text.startswith("11 rows, ") and text.endswith("1 rows held out; 1 left out") for text in said)
    assert any("steps, 1 min and " in text for text in said)
    assert json.loads((here / "out/left_out.jsonl").read_text())["place"] == "curated.jsonl:13"
    assert "### Response:" in (here / "out/chat_template.jinja").read_text()
    assert not list((here / "out").glob("adapter*"))
    assert "eval_loss" in done.measures


def test_files_are_brought_to_a_ratio_and_families_stay_together(here: Path, model: Path) -> None:
    write_rows(here / "a.jsonl", ROWS)
    write_rows(here / "b.jsonl", [{"instruction": f"{n}?", "output": "yes"} for n in range(50)])
    opened = open_model(str(model), settings(), Working())
    none = settings("validation=0")
    found = prepared_for(opened, none, ["a.jsonl", "b.jsonl"], [3, 1])
    assert sum(row.row < len(ROWS) for row in found.train) == 12
    assert sum(row.row >= len(ROWS) for row in found.train) == 4
    assert found.not_drawn == 46
    with pytest.raises(UsageError, match="1 numbers in the ratio, 2 files"):
        prepared_for(opened, none, ["a.jsonl", "b.jsonl"], [1])


def test_what_can_not_be_is_said_before_anything_is_trained(rows: Path, model: Path) -> None:
    def refused(**other: Any) -> str:
        chosen = {"data": ["curated.jsonl"], "output": "out", "model": str(model), "settings": settings(), **other}
        with pytest.raises((UsageError, StoppedError)) as error:
            train_sft(**chosen)
        return f"{error.value.message} -> {error.value.remedy}"

    (rows / "full").mkdir()
    (rows / "full/file").touch()
    write_rows(rows / "empty.jsonl", [{"instruction": "a?", "output": ""}])
    assert refused(output="full") == "full is there already, and is no model of curate -> name another folder with -o"
    assert refused(model="./nowhere").startswith("there is no model folder ./nowhere")
    assert refused(settings=settings("max_length=4096")).startswith("max_length 4,096 is over the 2,048 tokens of")
    assert refused(settings=settings("trl.optimm=x")).startswith("TRL's trainer has no argument optimm -> did you mean")
    assert refused(settings=settings("trl.save_strategy=odd")).startswith(
        "TRL does not take these settings: odd is not"
    )
    assert refused(data=["empty.jsonl"]).startswith("none of the 1 rows can be learnt from:\n  empty.jsonl:1  there")
    assert refused(settings=settings("max_length=5")).startswith("none of the 12 rows can be learnt from")
    assert not (rows / "out").exists()
    assert len(read_pool(["curated.jsonl"], rows / ".curate")) == 12
