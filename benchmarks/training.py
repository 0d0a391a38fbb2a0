"""What training through curate costs beside the same call of TRL by hand; what packing and a cached reference save.

    CURATE_TEST_DATA=FOLDER python benchmarks/training.py --model FOLDER

Supervised: rows of dolly, every weight, tokens a second of `Trainer.train`, in turns; padded batches hold 8
rows in random order, as TRL makes them where nothing is said. DPO: pairs of hh-rlhf, seconds of an epoch.
"""

import argparse
import dataclasses
import os
import tempfile
import time
from pathlib import Path
from typing import Any

from curate.training.data import Prepared, prepared
from curate.training.dpo import trainer_of as dpo_trainer
from curate.training.opening import Opened, open_model
from curate.training.settings import DpoSettings, Settings, SftSettings, settings_of
from curate.training.sft import trainer_of as sft_trainer
from curate.training.tokens import pairs_of, tokens_of
from curate.training.watching import Watcher
from curate.working import Working

SFT, DPO = "alpaca_dolly3k/dolly_3k.jsonl", "pref_hh_rlhf/harmless-base_test.jsonl"
USUAL = ["epochs=1", "max_length=512", "lora_rank=0", "learning_rate=1e-5", "gradient_checkpointing=false"]
USUAL += ["validation=0", "trl.save_strategy=no"]


def rows_of(opened: Opened, file: Path, settings: Settings, work: Path, cut: Any, most: int) -> Prepared:
    head = work / "head.jsonl"
    head.write_text("".join(file.read_text().splitlines(keepends=True)[:most]))
    return prepared([str(head)], (), 0.0, 0, work, Working(), cut)


def trained(trainer: Any) -> float:
    began = time.monotonic()
    trainer.train()
    return time.monotonic() - began


def watcher(work: Path) -> Any:
    from transformers import TrainerCallback

    return type("Callback", (Watcher, TrainerCallback), {})(work / "log.jsonl", Working())


def by_hand(opened: Opened, found: Prepared, work: Path, **more: Any) -> Any:
    """TRL's SFTTrainer, called as its documentation does, on the same tokens."""
    from datasets import Dataset
    from trl import SFTConfig, SFTTrainer

    rows = {"input_ids": [row.ids for row in found.train], "labels": [row.labels for row in found.train]}
    usual = {"max_length": 512, "learning_rate": 1e-5, "num_train_epochs": 1, "save_strategy": "no"}
    usual |= {
        "report_to": "none",
        "disable_tqdm": True,
        "use_cpu": not opened.on_gpu,
        "logging_steps": 1,
        "bf16": False,
    }
    usual |= {"gradient_checkpointing": False, "output_dir": str(work / "hand")}
    return SFTTrainer(
        model=opened.model,
        args=SFTConfig(**usual, **more),
        train_dataset=Dataset.from_dict(rows),
        processing_class=opened.tokenizer,
    )


def supervised(model: str, data: Path, work: Path, many: int) -> None:
    settings = settings_of(SftSettings, None, [*USUAL, "batch=2", "at_once=1"])
    opened = open_model(model, settings, Working())
    found = rows_of(opened, data / SFT, settings, work, lambda pool: tokens_of(pool, opened.tokenizer, settings), many)
    tokens = found.tokens[0]
    trained(by_hand(opened, dataclasses.replace(found, train=found.train[:8]), work, packing=False))  # warms up
    ours, theirs = [], []
    for _ in range(2):
        hand = by_hand(opened, found, work, packing=True, per_device_train_batch_size=1, gradient_accumulation_steps=2)
        theirs.append(trained(hand))
        ours.append(trained(sft_trainer(opened, found, settings, 0, work, watcher(work))))
    padded = trained(by_hand(opened, found, work, packing=False, per_device_train_batch_size=8))
    print(f"{len(found.train):,} rows of dolly, {tokens:,} tokens, sequences of 512")
    print(
        f"  TRL by hand, packed: {tokens / min(theirs):.0f} tokens/s; through curate {tokens / min(ours):.0f} ", end=""
    )
    print(f"({min(ours) / min(theirs) - 1:+.1%})")
    print(f"  padded, 8 rows a batch: {tokens / padded:.0f}; packing is {padded / min(ours):.1f} times as fast")


def preferences(model: str, data: Path, work: Path, many: int) -> None:
    settings = settings_of(DpoSettings, None, [*USUAL, "batch=2"])
    opened = open_model(model, settings, Working())
    found = rows_of(
        opened,
        data / DPO,
        settings,
        work,
        lambda pool: pairs_of(pool, opened.tokenizer, settings.max_length),
        many,
    )
    began = time.monotonic()
    trainer = dpo_trainer(opened, found, settings, 0, work, watcher(work))
    computed = time.monotonic() - began
    cached = trained(trainer)
    plain_settings = dataclasses.replace(settings, trl={**settings.trl, "precompute_ref_log_probs": False})
    plain = trained(dpo_trainer(opened, found, plain_settings, 0, work, watcher(work)))
    print(f"{len(found.train):,} pairs of hh-rlhf: the reference is computed once in {computed:.0f} s; ", end="")
    print(f"an epoch takes {cached:.0f} s, {plain:.0f} s without: {plain / cached:.2f} times as fast")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", required=True)
    parser.add_argument("--rows", type=int, default=60)
    parser.add_argument("--pairs", type=int, default=30)
    parser.add_argument("--only", choices=["sft", "dpo"])
    given = parser.parse_args()
    data = Path(os.environ["CURATE_TEST_DATA"])
    with tempfile.TemporaryDirectory() as folder:
        if given.only != "dpo":
            supervised(given.model, data, Path(folder), given.rows)
        if given.only != "sft":
            preferences(given.model, data, Path(folder), given.pairs)


if __name__ == "__main__":
    main()
