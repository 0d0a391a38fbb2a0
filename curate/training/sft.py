"""Supervised fine-tuning by TRL: of curated rows, on their answers, killed at any moment and gone on with.

`train_sft(["curated.jsonl"], "model", model="Qwen/Qwen3-0.6B-Base", settings=SftSettings())` writes a model folder.
"""

import dataclasses
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from curate.training.data import Prepared, prepared
from curate.training.opening import Opened, open_model
from curate.training.running import (
    Show,
    Stage,
    Trained,
    adapter,
    check_output,
    configured,
    run,
    speaking,
    usual_arguments,
)
from curate.training.settings import SftSettings
from curate.training.tokens import Tokens, tokens_of
from curate.working import Working


def train_sft(
    data: Sequence[str],
    output: str | Path = "model",
    *,
    model: str,
    settings: SftSettings,
    ratio: Sequence[float] = (),
    seed: int = 0,
    work_dir: str | Path = ".curate",
    working: Working | None = None,
    show: Show | None = None,
) -> Trained:
    """Train and write a model folder that transformers and vLLM load; the same call goes on where a killed one was.

    Of several processes, as `accelerate launch` starts them, the first one speaks, saves and answers. `show` is given
    one row, token by token, with what is learnt. Raises UsageError for what can't be, StoppedError where no row can be
    learnt from, memory or disk run out, or the loss is no number; what was saved is kept.
    """
    out, work, working = Path(output), Path(work_dir), speaking(working or Working())
    check_output(out)
    opened = open_model(model, settings, working)
    found = prepared(
        data, ratio, settings.validation, seed, work, working, lambda pool: tokens_of(pool, opened.tokenizer, settings)
    )
    stage = Stage(
        "sft",
        opened,
        found,
        settings,
        lambda folder, watcher: trainer_of(opened, found, settings, seed, folder, watcher),
        ("loss",),
    )
    return run(stage, out, work, ratio, seed, working, show)


def trainer_of(opened: Opened, found: Prepared, settings: SftSettings, seed: int, folder: Path, watcher: Any) -> Any:
    """TRL's SFTTrainer on rows that are tokens already, with the labels that they have."""
    from transformers import PrinterCallback
    from trl import SFTConfig, SFTTrainer

    sequences = -(-found.tokens[0] // settings.max_length) if settings.packing else len(found.train)
    known = [each.name for each in dataclasses.fields(SFTConfig)]
    chosen = usual_arguments(settings, opened, found, sequences, seed, folder, known) | {
        "packing": settings.packing,
        "train_sampling_strategy": "random" if settings.packing else "group_by_length",
        **settings.trl,
    }
    trainer = SFTTrainer(
        model=opened.model,
        args=configured(SFTConfig, chosen),
        train_dataset=_dataset(found.train),
        eval_dataset=_dataset(found.held_out) if found.held_out else None,
        processing_class=opened.tokenizer,
        peft_config=adapter(settings),
        callbacks=[watcher],
    )
    trainer.remove_callback(PrinterCallback)
    return trainer


def _dataset(rows: Sequence[Tokens]) -> Any:
    from datasets import Dataset

    return Dataset.from_dict({"input_ids": [row.ids for row in rows], "labels": [row.labels for row in rows]})
