"""A trained model as a folder that others load, and whether it answers and stops when it is loaded from there."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from curate.pool import Pool
from curate.training.opening import Opened
from curate.training.tokens import READS, UNLEARNT, Tokens, turns_of
from curate.working import Working


class Answered(NamedTuple):
    """What a model said to a prompt, and whether it ended its answer by itself."""

    prompt: str
    said: str
    stopped: bool


def save(
    trainer: Any,
    opened: Opened,
    found: Any,
    rows: Sequence[Tokens],
    most: int,
    folder: Path,
    working: Working,
) -> list[Answered]:
    """Write the model with what it needs to be used, load it from there, and let it answer the prompts of `rows`."""
    from transformers import AutoModelForCausalLM, AutoTokenizer

    model = trainer.model
    if hasattr(model, "merge_and_unload"):
        model = model.merge_and_unload()
    settings = model.generation_config
    ends = settings.eos_token_id
    known = ends if isinstance(ends, list) else [] if ends is None else [ends]
    learnt = _last_learnt(found.train)
    settings.eos_token_id = sorted({*known, *learnt})
    settings.pad_token_id = opened.tokenizer.pad_token_id
    model.config.use_cache = True
    model.save_pretrained(folder)
    opened.tokenizer.save_pretrained(folder)
    loaded = AutoModelForCausalLM.from_pretrained(folder, dtype=model.dtype).to(model.device)
    again = Opened(opened.name, loaded, AutoTokenizer.from_pretrained(folder), opened.on_gpu)
    said = answers(again, found.pool, rows, most)
    if said and not any(each.stopped for each in said):
        working.notice(f"none of {len(said)} answers ended within {most} tokens: it may have learnt too little to stop")
    return said


def _last_learnt(rows: Sequence[Tokens]) -> set[int]:
    """The tokens that end an answer: what most rows' last learnt token is."""
    last = [next(label for label in reversed(row.labels) if label != UNLEARNT) for row in rows]
    tokens, counts = np.unique(last, return_counts=True)
    return {int(tokens[counts.argmax()])}


def answers(opened: Opened, pool: Pool, rows: Sequence[Tokens], most: int) -> list[Answered]:
    """What the model says to the prompts of rows: each time the likeliest token, `most` at most."""
    import torch

    model, tokenizer = opened.model, opened.tokenizer
    model.eval()
    said = []
    for row in rows:
        frame = next(pool.texts(np.array([row.row]), READS))
        turns = turns_of(frame["messages"][0].to_list())
        asked = turns[: max((k for k, turn in enumerate(turns) if turn["role"] == "assistant"), default=0)]
        if not asked:
            continue
        prompt = tokenizer.apply_chat_template(asked, tokenize=False, add_generation_prompt=True)
        fed = tokenizer(prompt, add_special_tokens=False, return_tensors="pt").to(model.device)
        with torch.no_grad():
            made = model.generate(
                **fed, max_new_tokens=most, do_sample=False, pad_token_id=tokenizer.pad_token_id, use_cache=True
            )
        new = made[0, fed["input_ids"].shape[1] :]
        text = tokenizer.decode(new, skip_special_tokens=True)
        said.append(Answered(asked[-1]["content"], text.strip(), len(new) < most))
    return said
