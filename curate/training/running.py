"""Training from beginning to end, whatever is learnt: said what comes, killed and gone on with, saved and asked.

`run(stage, "model", ...)` gives a model folder that transformers and vLLM load, and `Trained`.
"""

import dataclasses
import os
import resource
import shutil
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import orjson
import xxhash

from curate.disk import disk_faults
from curate.errors import InterruptedRun, StoppedError, UsageError, nearest
from curate.models.in_process import identity
from curate.training.card import write_card
from curate.training.data import Prepared
from curate.training.opening import Opened
from curate.training.saving import Answered, answers, save
from curate.training.settings import Settings
from curate.training.tokens import shown
from curate.training.watching import Watcher
from curate.whole import check_writable, whole_file
from curate.working import Working, alone

CHECKPOINTS = 10
"""How often a training is saved from beginning to end; the last two are kept."""
SAMPLES, SAMPLE_TOKENS = 3, 64
"""Prompts that are answered before and after, and the tokens of an answer at most."""
MEMORY = "set max_length or at_once lower, gradient_checkpointing=true, or lora_rank=16; or take a smaller model"

Config = TypeVar("Config")
Show = Callable[[list[tuple[str, bool]]], None]


@dataclass(frozen=True)
class Trained:
    """A model folder, and how it came about: `measures` are the last ones, `loss` in nats a token of an SFT."""

    output: Path
    rows: int
    tokens: int
    steps: int
    measures: dict[str, float]
    seconds: float
    before: list[Answered]
    after: list[Answered]


@dataclass(frozen=True)
class Stage:
    """What is trained, on what, and how one kind of training makes its trainer.

    `trainer(folder, watcher)` is TRL's; `measures`: what of its log is told at the end, by the names it has there;
    `measured(folder)`: what else, of the model that was made.
    """

    name: str
    opened: Opened
    found: Prepared
    settings: Settings
    trainer: Callable[[Path, Any], Any]
    measures: Sequence[str]
    measured: Callable[[Path], dict[str, float]] = lambda folder: {}


def run(
    stage: Stage, out: Path, work: Path, ratio: Sequence[float], seed: int, working: Working, show: Show | None
) -> Trained:
    """Train, or find that it was done. Raises StoppedError where memory runs out or the loss is no number."""
    found, settings = stage.found, stage.settings
    asked = {"stage": stage.name, "data": found.pool.fingerprint, "ratio": list(ratio), "seed": seed}
    asked |= {"model": identity(stage.opened.name), "settings": settings.as_dict()}
    key = xxhash.xxh3_64_hexdigest(orjson.dumps(asked, option=orjson.OPT_SORT_KEYS))
    if (done := _done(out, key)) is not None:
        working.notice(f"{out} holds this training already")
        return done
    folder = work / "training" / key
    folder.mkdir(parents=True, exist_ok=True)
    once = alone(folder, "trains this", working) if is_first() else nullcontext()
    with once, disk_faults(work, out.absolute().parent):
        if is_first():
            _write_left_out(folder, found)
        return _trained(stage, seed, out, folder, key, working, show)


def is_first() -> bool:
    """Whether this process is the only one, or the first of several."""
    return os.environ.get("RANK", "0") == "0"


def processes() -> int:
    """How many train together, as `accelerate launch` starts them."""
    return int(os.environ.get("WORLD_SIZE", "1"))


def speaking(working: Working) -> Working:
    """How this process works: of several the first one speaks."""
    return working if is_first() else Working(threads=working.threads, stop=working.stop)


def check_output(out: Path) -> None:
    """Raises UsageError where a model can't be put, before anything is loaded."""
    if out.exists() and (not out.is_dir() or (any(out.iterdir()) and not (out / "curate.json").is_file())):
        raise UsageError(f"{out} is there already, and is no model of curate", "name another folder with -o")
    if not out.absolute().parent.is_dir():
        raise UsageError(f"the folder {out.parent} does not exist", f"make it: mkdir -p {out.parent}")
    check_writable(out.absolute().parent, "name another place with -o")


def usual_arguments(
    stage: Settings, opened: Opened, found: Prepared, sequences: int, seed: int, folder: Path, known: Sequence[str]
) -> dict[str, Any]:
    """The arguments that all of TRL's trainers share. Raises UsageError for one of `trl` that is not `known`."""
    import torch

    if unknown := [name for name in stage.trl if name not in known]:
        raise UsageError(f"TRL's trainer has no argument {unknown[0]}", nearest(unknown[0], list(known)))
    steps = max(int(stage.epochs * -(-sequences // stage.batch)), 1)
    return {
        "output_dir": str(folder / "checkpoints"),
        "per_device_train_batch_size": stage.at_once,
        "per_device_eval_batch_size": stage.at_once,
        "gradient_accumulation_steps": max(stage.batch // (stage.at_once * processes()), 1),
        "num_train_epochs": stage.epochs,
        "learning_rate": stage.learning_rate,
        "warmup_steps": stage.warmup,
        "weight_decay": stage.weight_decay,
        "adam_beta2": stage.beta2,
        "max_length": stage.max_length,
        "gradient_checkpointing": stage.gradient_checkpointing,
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
        **_schedule(stage, steps),
    }


def configured(kind: type[Config], chosen: dict[str, Any]) -> Config:
    """TRL's configuration of a trainer. Raises UsageError for what it does not take."""
    try:
        return kind(**chosen)
    except (ValueError, TypeError) as error:
        raise UsageError(f"TRL does not take these settings: {error}", "look at what --set trl.NAME says") from None


def adapter(settings: Settings) -> Any:
    """The adapter that is trained; None: every weight is."""
    if not settings.lora_rank:
        return None
    from peft import LoraConfig

    rank = settings.lora_rank
    return LoraConfig(r=rank, lora_alpha=2 * rank, target_modules="all-linear", task_type="CAUSAL_LM")


def _schedule(settings: Settings, steps: int) -> dict[str, Any]:
    if settings.schedule == "cosine":
        return {"lr_scheduler_type": "cosine_with_min_lr", "lr_scheduler_kwargs": {"min_lr_rate": settings.last_rate}}
    if settings.schedule == "linear":
        decay = {"decay_type": "linear", "min_lr_ratio": settings.last_rate, "num_decay_steps": steps}
        return {"lr_scheduler_type": "warmup_stable_decay", "lr_scheduler_kwargs": decay}
    return {"lr_scheduler_type": "constant_with_warmup"}


def _trained(
    stage: Stage, seed: int, out: Path, folder: Path, key: str, working: Working, show: Show | None
) -> Trained:
    from transformers import TrainerCallback, set_seed

    began = time.monotonic()
    opened, found, first = stage.opened, stage.found, is_first()
    watcher = type("Callback", (Watcher, TrainerCallback), {})(folder / "log.jsonl", working)
    set_seed(seed)  # an adapter begins by chance, before the trainer sets its own seed
    trainer = stage.trainer(folder, watcher)
    _say_what_comes(trainer, stage, working)
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
    after, measures = [], _last_of(trainer.state.log_history, stage.measures)
    if first:
        after = save(trainer, opened, found, prompts, SAMPLE_TOKENS, folder / "model", working)
        measures |= stage.measured(folder / "model")
    done = Trained(
        output=out,
        rows=len(found.train),
        tokens=found.tokens[0],
        steps=trainer.state.max_steps,
        measures=measures,
        seconds=time.monotonic() - began,
        before=before,
        after=after,
    )
    if first:
        _finish(done, stage, seed, folder, key)
    return done


def _last_of(log: Sequence[Mapping[str, Any]], names: Sequence[str]) -> dict[str, float]:
    """The last value of each measure, on rows that were trained on and (`eval_`) on those held out."""
    wanted = [prefix + name for name in names for prefix in ("", "eval_")]
    return {name: line[name] for name in wanted for line in log if name in line}


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


def _say_what_comes(trainer: Any, stage: Stage, working: Working) -> None:
    """Rows, tokens, steps, memory and time, from one sequence that is learnt from on trial."""
    opened, found, settings = stage.opened, stage.found, stage.settings
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
    whole = seconds * packs * settings.epochs / processes()
    working.notice(f"about {steps:,} steps, {_time(whole)} and {memory:.1f} GB of memory on this machine")


def _time(seconds: float) -> str:
    return f"{seconds / 3600:.1f} hours" if seconds >= 5400 else f"{max(seconds / 60, 1):.0f} min"


def _tried(trainer: Any) -> tuple[float, float]:
    """Seconds of a sequence, forward and back, and the gigabytes that training takes; nothing is learnt."""
    import torch

    model = trainer.model
    model.train()
    batch = trainer._prepare_inputs(trainer.data_collator([trainer.train_dataset[0]]))
    began = time.monotonic()
    trainer.compute_loss(model, batch).backward()
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


def _finish(done: Trained, stage: Stage, seed: int, folder: Path, key: str) -> None:
    """Put the model in its place, with its card and what made it; the checkpoints are not needed any more."""
    made = folder / "model"
    for name in ("log.jsonl", "left_out.jsonl"):
        shutil.copy(folder / name, made / name)
    told = dataclasses.asdict(done) | {"output": str(done.output)}
    told |= {side: [each._asdict() for each in getattr(done, side)] for side in ("before", "after")}
    facts = {"key": key, "stage": stage.name, "settings": stage.settings.as_dict(), "seed": seed}
    facts |= {"model": stage.opened.name, "trained": told}
    write_card(made / "README.md", facts, stage.found)
    with whole_file(made / "curate.json") as file:
        file.write(orjson.dumps(facts, option=orjson.OPT_INDENT_2))
    if done.output.exists():
        shutil.rmtree(done.output)
    shutil.move(made, done.output)
    shutil.rmtree(folder / "checkpoints", ignore_errors=True)
