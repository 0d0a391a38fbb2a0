"""Settings of `train-sft`: presets, a file over them, changes on top; what can't be is told with what is known."""

from pathlib import Path
from typing import Any

import pytest

from curate.errors import UsageError
from curate.training.data import usual_files
from curate.training.settings import SftSettings, load_settings


def test_a_file_goes_over_the_preset_and_changes_over_both(here: Path) -> None:
    (here / "mine.yaml").write_text(
        "epochs: 5\nlearning_rate: 3e-5\ntrl:\n  optim: adafactor\n  neftune_noise_alpha: 5\n"
    )
    found = load_settings("lima", "mine.yaml", ["epochs=2", "packing=true", "trl.optim=sgd"])
    assert (found.epochs, found.learning_rate, found.packing, found.batch) == (2.0, 3e-5, True, 64)
    assert found.trl == {"optim": "sgd", "neftune_noise_alpha": 5}
    assert load_settings("lora-small", None, []) == SftSettings()


def test_lima_is_as_published() -> None:
    lima = load_settings("lima", None, [])
    assert (lima.epochs, lima.batch, lima.learning_rate, lima.last_rate) == (15, 64, 1e-5, 0.1)
    assert (lima.weight_decay, lima.beta2, lima.warmup, lima.max_length) == (0.1, 0.95, 0, 2048)
    assert (lima.schedule, lima.residual_dropout, lima.lora_rank) == ("linear", 0.3, 0)


@pytest.mark.parametrize(
    ("preset", "change", "message"),
    [
        ("limo", "epochs=1", "no preset is called limo"),
        ("lima", "epoch=1", "no setting is called epoch"),
        ("lima", "epochs", "epochs is not NAME=VALUE"),
        ("lima", "epochs=many", "epochs can't be many"),
        ("lima", "epochs=true", "epochs can't be True"),
        ("lima", "batch=1.5", "batch can't be 1.5"),
        ("lima", "packing=3", "packing can't be 3"),
        ("lima", "loss=some", "loss can't be some"),
        ("lima", "epochs=0", "epochs must be more than 0"),
        ("lima", "at_once=7", "batch 64 is no multiple of at_once 7"),
        ("lima", "validation=1", "validation is a share of the rows, from 0 to less than 1"),
    ],
)
def test_what_can_not_be_is_said(preset: str, change: str, message: str) -> None:
    with pytest.raises(UsageError) as error:
        load_settings(preset, None, [change])
    assert error.value.message == message


def test_where_nothing_is_named_what_is_there_is_trained_on(here: Path) -> None:
    with pytest.raises(UsageError, match=r"there is neither curated\.jsonl nor synth\.jsonl here"):
        usual_files()
    (here / "synth.jsonl").touch()
    assert usual_files() == ["synth.jsonl"]
    (here / "curated.jsonl").touch()
    assert usual_files() == ["curated.jsonl", "synth.jsonl"]


def test_without_trl_the_command_says_what_to_install(here: Path, curate_command: Any) -> None:
    (here / "curated.jsonl").write_text('{"instruction": "a?", "output": "b"}\n')
    ran = curate_command("train-sft", "--model", "OWNER/NAME", status=UsageError.exit_status)
    assert "error: training needs TRL and torch, which do not import" in ran.stderr
    assert "-> pip install 'curate-instruct[train]'" in ran.stderr


def test_a_no_of_trl_is_a_name() -> None:
    assert load_settings("lora-small", None, ["trl.save_strategy=no"]).trl == {"save_strategy": "no"}
