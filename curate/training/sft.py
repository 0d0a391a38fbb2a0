"""Supervised fine-tuning by TRL: of curated rows, on their answers, killed at any moment and gone on with.

`train_sft(["curated.jsonl"], "model", model="Qwen/Qwen3-0.6B-Base", settings=SftSettings())` writes a model folder.
"""

import dataclasses
import os
import shutil
import time
from collections.abc import Callable, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson
import xxhash

from curate.disk import disk_faults
from curate.errors import InterruptedRun, StoppedError, UsageError, nearest
from curate.models.in_process import identity
from curate.training.data import Prepared, prepared
from curate.training.opening import Opened, open_model
from curate.training.saving import Answered, answers, save
from curate.training.settings import SftSettings
from curate.training.tokens import Tokens, shown
from curate.training.watching import Watcher
from curate.whole import check_writable, whole_file
from curate.working import Working, alone

CHECKPOINTS = 10
"""How often a training is saved from beginning to end; the last two are kept."""
SAMPLES, SAMPLE_TOKENS = 3, 64
"""Prompts that are answered before and after, and the tokens of an answer at most."""
MEMORY = "set max_length or at_once lower, gradient_checkpointing=true, or lora_rank=16; or take a smaller model"


@dataclass(frozen=True)
class Trained:
    """A model folder, and how it came about: `loss` and `held_out_loss` are the last ones, in nats a token."""

    output: Path
    rows: int
    tokens: int
    steps: int
    loss: float
    held_out_loss: float | None
    seconds: float
    before: list[Answered]
    after: list[Answered]


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
    show: Callable[[list[tuple[str, bool]]], None] | None = None,
) -> Trained:
    """Train and write a model folder that transformers and vLLM load; the same call goes on where a killed one was.

    Of several processes, as `accelerate launch` starts them, the first one speaks, saves and answers. `show` is given
    one row, token by token, with what is learnt. Raises UsageError for what can't be, StoppedError where no row can be
    learnt from, memory or disk run out, or the loss is no number; what was saved is kept.
    """
    out, work, working = Path(output), Path(work_dir), working or Working()
    first = is_first()
    if not first:
        working = Working(threads=working.threads, stop=working.stop)
    _check_output(out)
    opened = open_model(model, settings, working)
    found = prepared(data, ratio, opened.tokenizer, settings, seed, work, working)
    asked = {"data": found.pool.fingerprint, "ratio": list(ratio), "model": identity(model), "seed": seed}
    key = xxhash.xxh3_64_hexdigest(orjson.dumps({**asked, **settings.as_dict()}, option=orjson.OPT_SORT_KEYS))
    if (done := _done(out, key)) is not None:
        working.notice(f"{out} holds this training already")
        return done
    folder = work / "training" / key
    folder.mkdir(parents=True, exist_ok=True)
    once = alone(folder, "trains this", working) if first else nullcontext()
    with once, disk_faults(work, out.absolute().parent):
        if first:
            _write_left_out(folder, found)
        return _trained(opened, found, settings, seed, out, folder, key, working, show)


def _trained(
    opened: Opened,
    found: Prepared,
    settings: SftSettings,
    seed: int,
    out: Path,
    folder: Path,
    key: str,
    working: Working,
    show: Callable[[list[tuple[str, bool]]], None] | None,
) -> Trained:
    from transformers import TrainerCallback

    began = time.monotonic()
    watcher = type("Callback", (Watcher, TrainerCallback), {})(folder / "log.jsonl", working)
    trainer = _trainer(opened, found, settings, seed, folder, watcher)
    _say_what_comes(trainer, opened, found, settings, working)
    first = is_first()
    if show and first:
        show(shown(opened.tokenizer, found.train[0]))
    prompts = (found.held_out or found.train)[: SAMPLES if first else 0]
    before = answers(opened, found.pool, prompts, SAMPLE_TOKENS)
    try:
        last = _last_checkpoint(folder / "checkpoints", working, remove=first)
        trainer.train(resume_from_checkpoint=str(last) if last else None)
    except (RuntimeError, MemoryError) as error:
        if "memory" not in str(error).lower() and not isinstance(error, MemoryError):
            raise
        raise StoppedError("memory ran out", MEMORY) from None
    if watcher.not_a_number is not None:
        raise StoppedError(
            f"the loss of step {watcher.not_a_number} is not a number; what was saved before is kept in {folder}",
            "set learning_rate lower, or look at the rows for what is far too long or empty",
        )
    if working.stop.is_set() and trainer.state.global_step < trainer.state.max_steps:
        raise InterruptedRun("stopped; the model as it was is saved", "run the same command again to go on")
    log = trainer.state.log_history
    after = save(trainer, opened, found, prompts, SAMPLE_TOKENS, folder / "model", working) if first else []
    held = [line["eval_loss"] for line in log if "eval_loss" in line]
    done = Trained(
        output=out,
        rows=len(found.train),
        tokens=found.tokens[0],
        steps=trainer.state.max_steps,
        loss=[line["loss"] for line in log if "loss" in line][-1],
        held_out_loss=held[-1] if held else None,
        seconds=time.monotonic() - began,
        before=before,
        after=after,
    )
    if first:
        _finish(done, opened, found, settings, seed, folder, key)
    return done


def is_first() -> bool:
    """Whether this process is the only one, or the first of several."""
    return os.environ.get("RANK", "0") == "0"


def _check_output(out: Path) -> None:
    if out.exists() and (not out.is_dir() or (any(out.iterdir()) and not (out / "curate.json").is_file())):
        raise UsageError(f"{out} is there already, and is no model of curate", "name another folder with -o")
    if not out.absolute().parent.is_dir():
        raise UsageError(f"the folder {out.parent} does not exist", f"make it: mkdir -p {out.parent}")
    check_writable(out.absolute().parent, "name another place with -o")


def _done(out: Path, key: str) -> Trained | None:
    """What `curate.json` tells of the training that made a folder, if it was this one."""
    file = out / "curate.json"
    facts = orjson.loads(file.read_bytes()) if file.is_file() else {}
    if facts.get("key") != key:
        return None
    told = facts["trained"]
    samples = {side: [Answered(**each) for each in told[side]] for side in ("before", "after")}
    return Trained(**{**told, **samples, "output": out})


def _write_left_out(folder: Path, found: Prepared) -> None:
    with whole_file(folder / "left_out.jsonl") as file:
        for each in found.left_out:
            file.write(orjson.dumps(each._asdict()) + b"\n")


def _trainer(opened: Opened, found: Prepared, settings: SftSettings, seed: int, folder: Path, watcher: Any) -> Any:
    import torch
    from transformers import PrinterCallback
    from trl import SFTConfig, SFTTrainer

    known = [each.name for each in dataclasses.fields(SFTConfig)]
    if unknown := [name for name in settings.trl if name not in known]:
        raise UsageError(f"SFTConfig has no argument {unknown[0]}", nearest(unknown[0], known))
    sequences = -(-sum(map(_length, found.train)) // settings.max_length) if settings.packing else len(found.train)
    steps = max(int(settings.epochs * -(-sequences // settings.batch)), 1)
    processes = int(os.environ.get("WORLD_SIZE", "1"))
    chosen: dict[str, Any] = {
        "output_dir": str(folder / "checkpoints"),
        "per_device_train_batch_size": settings.at_once,
        "per_device_eval_batch_size": settings.at_once,
        "gradient_accumulation_steps": max(settings.batch // (settings.at_once * processes), 1),
        "num_train_epochs": settings.epochs,
        "learning_rate": settings.learning_rate,
        "warmup_steps": settings.warmup,
        "weight_decay": settings.weight_decay,
        "adam_beta2": settings.beta2,
        "max_length": settings.max_length,
        "packing": settings.packing,
        "train_sampling_strategy": "random" if settings.packing else "group_by_length",
        "gradient_checkpointing": settings.gradient_checkpointing,
        "bf16": opened.on_gpu and torch.cuda.is_bf16_supported(),
        "use_cpu": not opened.on_gpu,
        "seed": seed,
        "logging_steps": 1,
        "logging_nan_inf_filter": False,
        "save_steps": max(steps // CHECKPOINTS, 1),
        "save_total_limit": 2,
        "eval_strategy": "epoch" if found.held_out else "no",
        "report_to": "none",
        "disable_tqdm": True,
        **_schedule(settings, steps),
        **settings.trl,
    }
    trainer = SFTTrainer(
        model=opened.model,
        args=SFTConfig(**chosen),
        train_dataset=_dataset(found.train),
        eval_dataset=_dataset(found.held_out) if found.held_out else None,
        processing_class=opened.tokenizer,
        peft_config=_adapter(settings),
        callbacks=[watcher],
    )
    trainer.remove_callback(PrinterCallback)
    return trainer


def _length(row: Tokens) -> int:
    return len(row.ids)


def _schedule(settings: SftSettings, steps: int) -> dict[str, Any]:
    if settings.schedule == "cosine":
        return {"lr_scheduler_type": "cosine_with_min_lr", "lr_scheduler_kwargs": {"min_lr_rate": settings.last_rate}}
    if settings.schedule == "linear":
        decay = {"decay_type": "linear", "min_lr_ratio": settings.last_rate, "num_decay_steps": steps}
        return {"lr_scheduler_type": "warmup_stable_decay", "lr_scheduler_kwargs": decay}
    return {"lr_scheduler_type": "constant_with_warmup"}


def _adapter(settings: SftSettings) -> Any:
    if not settings.lora_rank:
        return None
    from peft import LoraConfig

    rank = settings.lora_rank
    return LoraConfig(r=rank, lora_alpha=2 * rank, target_modules="all-linear", task_type="CAUSAL_LM")


def _dataset(rows: Sequence[Tokens]) -> Any:
    from datasets import Dataset

    return Dataset.from_dict({"input_ids": [row.ids for row in rows], "labels": [row.labels for row in rows]})


def _say_what_comes(trainer: Any, opened: Opened, found: Prepared, settings: SftSettings, working: Working) -> None:
    """Rows, tokens, steps, memory and time, from one sequence that is learnt from on trial."""
    tokens, learnt = found.tokens
    packs = len(trainer.train_dataset)
    a_step = settings.batch
    steps = max(int(-(-packs // a_step) * settings.epochs), 1)
    seconds, memory = _tried(trainer)
    working.notice(
        f"{opened.name}: {sum(p.numel() for p in opened.model.parameters()):,} weights, "
        f"{sum(p.numel() for p in trainer.model.parameters() if p.requires_grad):,} of them trained"
    )
    working.notice(
        f"{len(found.train):,} rows, {tokens:,} tokens, {learnt:,} of them learnt, in {packs:,} sequences; "
        f"{len(found.held_out):,} rows held out; {len(found.left_out):,} left out"
    )
    if found.left_out:
        first = found.left_out[0]
        working.notice(f"the first row that is left out: {first.place}  {first.reason}")
    whole = seconds * packs * settings.epochs / int(os.environ.get("WORLD_SIZE", "1"))
    working.notice(f"about {steps:,} steps, {_time(whole)} and {memory:.1f} GB of memory on this machine")


def _time(seconds: float) -> str:
    return f"{seconds / 3600:.1f} hours" if seconds >= 5400 else f"{max(seconds / 60, 1):.0f} min"


def _tried(trainer: Any) -> tuple[float, float]:
    """Seconds of a sequence, forward and back, and the gigabytes that training takes; nothing is learnt."""
    import resource

    import torch

    batch = trainer.data_collator([trainer.train_dataset[0]])
    model = trainer.model
    model.train()
    batch = {name: value.to(model.device) for name, value in batch.items()}
    began = time.monotonic()
    model(**batch, use_cache=False).loss.backward()
    if model.device.type == "cuda":
        torch.cuda.synchronize()
    seconds = time.monotonic() - began
    model.zero_grad()
    weights = sum(p.numel() for p in model.parameters() if p.requires_grad)
    used = torch.cuda.max_memory_allocated() if model.device.type == "cuda" else 0
    used = used or resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    return seconds, (used + weights * 8) / 1e9  # AdamW keeps two numbers of four bytes for each


def _last_checkpoint(folder: Path, working: Working, remove: bool) -> Path | None:
    """The newest checkpoint that is whole: its state is written last. Others, of a killed process, are removed."""
    found = sorted(folder.glob("checkpoint-*"), key=lambda path: int(path.name.partition("-")[2]), reverse=True)
    for path in found:
        try:
            orjson.loads((path / "trainer_state.json").read_bytes())
        except (OSError, orjson.JSONDecodeError):
            if remove:
                shutil.rmtree(path)
            continue
        working.notice(f"going on from step {path.name.partition('-')[2]}")
        return path
    return None


def _finish(
    done: Trained, opened: Opened, found: Prepared, settings: SftSettings, seed: int, folder: Path, key: str
) -> None:
    """Put the model in its place, with its card and what made it; the checkpoints are not needed any more."""
    from curate.training.card import write_card

    made = folder / "model"
    for name in ("log.jsonl", "left_out.jsonl"):
        shutil.copy(folder / name, made / name)
    write_card(made / "README.md", done, opened, found, settings, seed)
    told = dataclasses.asdict(done) | {"output": str(done.output)}
    told |= {side: [each._asdict() for each in getattr(done, side)] for side in ("before", "after")}
    facts = {"key": key, "settings": settings.as_dict(), "seed": seed, "model": opened.name, "trained": told}
    with whole_file(made / "curate.json") as file:
        file.write(orjson.dumps(facts, option=orjson.OPT_INDENT_2))
    if done.output.exists():
        shutil.rmtree(done.output)
    shutil.move(made, done.output)
    shutil.rmtree(folder / "checkpoints", ignore_errors=True)
