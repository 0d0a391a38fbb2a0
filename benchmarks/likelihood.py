"""What reading likelihoods costs, and what each of them tells about a row.

    CURATE_TEST_DATA=FOLDER python benchmarks/likelihood.py hf:NAME_OR_PATH [--rows 60] [--part rates|auc]

Rates: rows per second of `curate.likelihood` and of the reference, two passes over one row at a time with the model's
own loss (all logits, float32 on a CPU; the quicker of two runs), over the same rows of dolly (80 to 500 characters, no
input); the largest difference of their losses is printed too; the shortest and the longest responses also apart.

AUCs: rows against the same rows damaged, over all pairs: `swapped`, under another row's question; `cut`, half of its
words; `shuffled`, its words in another order. 1: the signal ranks every good row above every damaged one, 0.5: it
tells nothing, 0: it prefers the damaged. In brackets the 95 % interval over 1,000 seeded resamples of rows.
"""

import argparse
import json
import os
import random
import time
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from curate.likelihood.of_responses import likelihoods
from curate.models.likelihood import open_likelihood_model
from curate.working import Working

Rows = list[tuple[str, str]]
SIGNALS = {
    "loss": -1,
    "gain": 1,
    "gain a token": 1,
    "perplexity_ratio": -1,
    "loss_ratio": -1,
    "tokens": 1,
}
"""With +1 a high value counts as good, with -1 a low one."""


def rows_of(folder: Path, n: int) -> Rows:
    lines = (folder / "alpaca_dolly3k" / "dolly_3k.jsonl").read_text().splitlines()
    rows = [(row["instruction"], row["output"]) for row in map(json.loads, lines) if not row["input"]]
    rows = [row for row in rows if 80 < len(row[1]) < 500]
    random.Random(1).shuffle(rows)
    return rows[:n]


def measured(rows: Rows, model: str, alone: Any) -> pl.DataFrame:
    messages = [[{"role": "user", "content": p}, {"role": "assistant", "content": r}] for p, r in rows]
    frame = pl.DataFrame({"row": range(len(rows)), "messages": messages})
    found = pl.concat(likelihoods(iter([frame]), model, alone, Working())).sort("row")
    return found.with_columns((pl.col("gain") / pl.col("tokens")).alias("gain a token"))


def reference(rows: Rows, model: str) -> list[tuple[float, float]]:
    """Losses after the prompt and alone, the same frames as `alone: template`, one row at a time."""
    import torch

    opened: Any = open_likelihood_model(model)
    tokenizer, network = opened.tokenizer, opened._model

    def before(prompt: str) -> list[int]:
        turns = [{"role": "user", "content": prompt}]
        text = tokenizer.apply_chat_template(turns, tokenize=False, add_generation_prompt=True)
        return list(tokenizer(text, add_special_tokens=False)["input_ids"])

    losses = []
    for prompt, response in rows:
        said = tokenizer(response.strip(), add_special_tokens=False)["input_ids"]
        both = []
        for begin in (before(prompt), before("")):
            tokens = torch.tensor([begin + said], device=network.device)
            labels = torch.tensor([[-100] * len(begin) + said], device=network.device)
            with torch.inference_mode():
                both.append(float(network(input_ids=tokens, labels=labels).loss))
        losses.append((both[0], both[1]))
    return losses


def rates(rows: Rows, model: str) -> None:
    by_length = sorted(rows, key=lambda row: len(row[1]))
    few = max(len(rows) // 3, 1)
    parts = {"all": rows, "shortest third": by_length[:few], "longest third": by_length[-few:]}
    measured(rows[:4], model, "template")
    reference(rows[:1], model)
    print("| rows | characters of a response | reference, rows/s | curate, rows/s | | largest difference |")
    print("| --- | ---: | ---: | ---: | ---: | ---: |")
    for name, part in parts.items():
        theirs = ours = float("inf")
        for _ in range(2):  # the quicker of two, in turns
            began = time.monotonic()
            direct = reference(part, model)
            middle = time.monotonic()
            found = measured(part, model, "template")
            ours = min(ours, time.monotonic() - middle)
            theirs = min(theirs, middle - began)
        apart = np.abs(found.select("loss", "loss_alone").to_numpy() - np.array(direct)).max()
        size, n = np.mean([len(response) for _, response in part]), len(part)
        print(f"| {name} | {size:.0f} | {n / theirs:.2f} | {n / ours:.2f} | {theirs / ours:.1f}x | {apart:.0e} |")


def damaged(rows: Rows) -> dict[str, Rows]:
    chance = random.Random(2)
    halves = [" ".join(response.split()[: len(response.split()) // 2]) for _, response in rows]
    mixed = [" ".join(chance.sample(words := response.split(), len(words))) for _, response in rows]
    return {
        "swapped": [(rows[(k + 1) % len(rows)][0], response) for k, (_, response) in enumerate(rows)],
        "cut": [(prompt, half) for (prompt, _), half in zip(rows, halves, strict=True)],
        "shuffled": [(prompt, words) for (prompt, _), words in zip(rows, mixed, strict=True)],
    }


def auc(good: Any, bad: Any) -> float:
    return float(((good[:, None] > bad[None]) + 0.5 * (good[:, None] == bad[None])).mean())


def with_interval(good: Any, bad: Any) -> str:
    chance = np.random.default_rng(0)
    drawn = [chance.integers(0, len(good), len(good)) for _ in range(1000)]
    low, high = np.quantile([auc(good[rows], bad[rows]) for rows in drawn], (0.025, 0.975))
    return f"{auc(good, bad):.2f} [{low:.2f}, {high:.2f}]"


def what_they_tell(rows: Rows, model: str) -> None:
    kinds = damaged(rows)
    everything = [*rows, *(row for kind in kinds.values() for row in kind)]
    for alone in ("template", "bare"):
        found = measured(everything, model, alone)
        good, *bad = (found.slice(k * len(rows), len(rows)) for k in range(1 + len(kinds)))
        print(f"\nalone: {alone}; share of rows with a ratio of 1 or more:", end=" ")
        print(f"right {(good['loss_ratio'] >= 1).mean():.2f}", end="")
        print("".join(f", {name} {(b['loss_ratio'] >= 1).mean():.2f}" for name, b in zip(kinds, bad, strict=True)))
        print(f"\n| good is | {' | '.join(kinds)} |\n| --- |{' ---: |' * len(kinds)}")
        for signal, sign in SIGNALS.items():
            sides = [(sign * good[signal].to_numpy(), sign * b[signal].to_numpy()) for b in bad]
            print(f"| {'high' if sign > 0 else 'low'} {signal} | {' | '.join(with_interval(*s) for s in sides)} |")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", help="hf:NAME_OR_PATH")
    parser.add_argument("--rows", type=int, default=60)
    parser.add_argument("--part", choices=("rates", "auc", "both"), default="both")
    arguments = parser.parse_args()
    rows = rows_of(Path(os.environ["CURATE_TEST_DATA"]), arguments.rows)
    if arguments.part != "auc":
        rates(rows, arguments.model)
    if arguments.part != "rates":
        what_they_tell(rows, arguments.model)


if __name__ == "__main__":
    main()
