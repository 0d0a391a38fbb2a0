"""Direct preference optimization by TRL: of pairs, a chosen and a rejected answer to the same prompt.

`train_dpo(["pairs.jsonl"], "model", model="model", settings=DpoSettings())` writes a model folder.
"""

import dataclasses
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

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
from curate.training.settings import DpoSettings
from curate.training.tokens import Tokens, pairs_of
from curate.working import Working

LENGTH_EXPLAINS = 0.7
"""Share of pairs from which on the longer answer's being chosen is warned of (Singhal et al., arXiv 2310.03716)."""
MOVED_OVER = 64
"""Held-out pairs over whose chosen answers the divergence from the model as it was is taken."""


def train_dpo(
    data: Sequence[str],
    output: str | Path = "model",
    *,
    model: str,
    settings: DpoSettings,
    ratio: Sequence[float] = (),
    seed: int = 0,
    work_dir: str | Path = ".curate",
    working: Working | None = None,
    show: Show | None = None,
) -> Trained:
    """Train and write a model folder; in all else as `train_sft`.

    What the untouched model makes of each answer is computed once, before the first step, and cached in the work
    directory. `measures` has, on rows trained on and held out (`eval_`): `rewards/accuracies`, the share of pairs
    whose chosen answer gained more than the other; `rewards/margins`, by how much, in nats times beta; `kl`, how far
    the model moved, in nats a token of held-out chosen answers; `chosen_tokens`, `rejected_tokens`, means; and
    `longer_is_chosen`, a share of the pairs whose answers differ in length.
    """
    out, work, working = Path(output), Path(work_dir), speaking(working or Working())
    check_output(out)
    opened = open_model(model, settings, working)
    found = prepared(
        data,
        ratio,
        settings.validation,
        seed,
        work,
        working,
        lambda pool: pairs_of(pool, opened.tokenizer, settings.max_length),
    )
    lengths = lengths_of(found.train)
    working.notice(
        f"chosen answers have {lengths['chosen_tokens']:,.0f} tokens, rejected ones {lengths['rejected_tokens']:,.0f}"
    )
    if not 1 - LENGTH_EXPLAINS < lengths["longer_is_chosen"] < LENGTH_EXPLAINS:
        longer = lengths["longer_is_chosen"] >= LENGTH_EXPLAINS
        share = lengths["longer_is_chosen"] if longer else 1 - lengths["longer_is_chosen"]
        working.notice(
            f"the {'longer' if longer else 'shorter'} answer is chosen in {share:.0%} of the pairs: length alone "
            "explains most of it, and is what will be learnt; take pairs of like length, or look at the answers"
        )
    stage = Stage(
        "dpo",
        opened,
        found,
        settings,
        lambda folder, watcher: trainer_of(opened, found, settings, seed, folder, watcher),
        ("loss", "rewards/accuracies", "rewards/margins", "logps/chosen", "logps/rejected"),
        lambda folder: lengths | {"kl": _moved(folder, opened, (found.held_out or found.train)[:MOVED_OVER])},
    )
    return run(stage, out, work, ratio, seed, working, show)


def trainer_of(opened: Opened, found: Prepared, settings: DpoSettings, seed: int, folder: Path, watcher: Any) -> Any:
    """TRL's DPOTrainer on pairs that are tokens already; the reference is cached in `folder`."""
    from transformers import PrinterCallback
    from trl import DPOConfig, DPOTrainer

    known = [each.name for each in dataclasses.fields(DPOConfig)]
    chosen = usual_arguments(settings, opened, found, len(found.train), seed, folder, known) | {
        "beta": settings.beta,
        "label_smoothing": settings.label_smoothing,
        # of TRL's losses, the usual one does not know the smoothing
        "loss_type": ["robust" if settings.label_smoothing else "sigmoid"],
        "precompute_ref_log_probs": True,
        "train_sampling_strategy": "random",
        **settings.trl,
    }
    total = len(found.train) + len(found.held_out)
    os.environ.setdefault("TQDM_DISABLE", "1")  # progress is told in one way

    class Trainer(DPOTrainer):  # type: ignore[misc]
        """TRL's, which takes rows as they are, and tells how far the reference is."""

        done = 0

        def _prepare_dataset(self, dataset: Any, *rest: Any) -> Any:
            return dataset

        def compute_ref_log_probs(self, model: Any, inputs: Any) -> Any:
            self.done += settings.at_once
            watcher.working.report("computing the reference", min(self.done, total), total)
            return super().compute_ref_log_probs(model, inputs)

    trainer = Trainer(
        model=opened.model,
        args=configured(DPOConfig, chosen),
        train_dataset=_dataset(found.train, folder / "pairs"),
        eval_dataset=_dataset(found.held_out, folder / "held_out") if found.held_out else None,
        processing_class=opened.tokenizer,
        peft_config=adapter(settings),
        callbacks=[watcher],
    )
    trainer.remove_callback(PrinterCallback)
    return trainer


def lengths_of(pairs: Sequence[Tokens]) -> dict[str, float]:
    """Mean tokens of chosen and rejected answers; share of pairs of unlike lengths whose longer answer is chosen."""
    chosen = np.array([pair.learnt for pair in pairs])
    rejected = np.array([len(pair.rejected) for pair in pairs])
    unlike = chosen != rejected
    longer = float((chosen > rejected)[unlike].mean()) if unlike.any() else 0.5
    return {
        "chosen_tokens": float(chosen.mean()),
        "rejected_tokens": float(rejected.mean()),
        "longer_is_chosen": longer,
    }


def _dataset(pairs: Sequence[Tokens], folder: Path) -> Any:
    """The pairs as TRL takes them, on disk, where it caches what the reference makes of them."""
    from datasets import Dataset, load_from_disk

    if not (folder / "dataset_info.json").exists():
        columns = {
            "prompt_ids": [pair.ids[: -pair.learnt] for pair in pairs],
            "chosen_ids": [pair.ids[-pair.learnt :] for pair in pairs],
            "rejected_ids": [list(pair.rejected) for pair in pairs],
        }
        Dataset.from_dict(columns).save_to_disk(folder)
    return load_from_disk(str(folder))


def _moved(folder: Path, opened: Opened, pairs: Sequence[Tokens]) -> float:
    """The mean divergence KL(model in `folder` || model as it was), in nats a token of the chosen answers."""
    import torch
    from transformers import AutoModelForCausalLM

    now, before = (
        AutoModelForCausalLM.from_pretrained(name, dtype=opened.model.dtype).to(opened.model.device).eval()
        for name in (folder, opened.name)
    )
    total = 0.0
    for pair in pairs:
        ids = torch.tensor([pair.ids], device=now.device)
        with torch.no_grad():
            new, old = (
                torch.log_softmax(network(ids).logits[0, -pair.learnt - 1 : -1].float(), dim=-1)
                for network in (now, before)
            )
        total += float((new.exp() * (new - old)).sum())
    return total / sum(pair.learnt for pair in pairs)
