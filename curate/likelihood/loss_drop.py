"""What examples teach a model about a row: its loss of the row's response, before and after a short tuning on them.

A response whose loss falls from 2.0 to 1.8 nats a token has a drop of 0.1 (arXiv 2605.09404). Only a low-rank adapter
is tuned (LoRA), so that one copy of the weights gives both losses; rows are only read.
"""

from collections.abc import Iterator
from itertools import islice
from typing import Any

import polars as pl

from curate.errors import StoppedError
from curate.likelihood.of_responses import READS, WINDOW, Framed, frame
from curate.models import identity_of
from curate.models.transformers_model import TransformersModel
from curate.working import Working

SCHEMA = {
    "row": pl.UInt64,
    "loss": pl.Float64,
    "loss_tuned": pl.Float64,
    "drop": pl.Float64,
    "tokens": pl.Int64,
    "problem": pl.String,
}
MAKES = tuple(name for name in SCHEMA if name not in ("row", "problem"))
RANK, RATE, SEED = 8, 2e-4, 0


class TunedModel:
    """A model of `hf:`, itself and tuned. Raises UsageError where it can't be loaded, StoppedError without examples."""

    def __init__(self, model: str, examples: Iterator[pl.DataFrame], epochs: int, working: Working) -> None:
        import torch
        from peft import LoraConfig, get_peft_model

        self.opened = TransformersModel(model.removeprefix("hf:"))  # of its own: what is tuned is not shared
        framed = (frame(messages, self.opened, "template") for batch in examples for messages in batch["messages"])
        passages = [passage for made in framed if isinstance(made, Framed) for passage in made.after]
        if not passages:
            raise StoppedError("no example has a question and an answer to tune on", "look at the files of --target")
        torch.manual_seed(SEED)
        adapter = LoraConfig(r=RANK, lora_alpha=2 * RANK, target_modules="all-linear", task_type="CAUSAL_LM")
        self.network: Any = get_peft_model(self.opened._model, adapter)
        self.opened._model = self.network
        tuned = [weight for weight in self.network.parameters() if weight.requires_grad]
        optimizer = torch.optim.AdamW(tuned, lr=RATE)
        for done in range(epochs * len(passages)):
            passage = passages[done % len(passages)]
            labels = torch.full((1, len(passage.tokens)), -100)
            for start, stop in passage.spans:
                labels[0, start:stop] = torch.tensor(passage.tokens[start:stop])
            fed = torch.tensor([passage.tokens], device=self.network.device)
            self.network(input_ids=fed, labels=labels.to(fed.device), use_cache=False).loss.backward()
            optimizer.step()
            optimizer.zero_grad()
            working.report("tuning on the examples", done + 1, epochs * len(passages))
            working.check()


def loss_drops(
    batches: Iterator[pl.DataFrame], tuned: TunedModel, model: str, working: Working
) -> Iterator[pl.DataFrame]:
    """Frames of SCHEMA for rows with READS: losses are means in nats a token over all responses of a row.

    Ends early once a person asked to stop, or the budget is spent.
    """
    identity = identity_of(model)
    rows = (row for batch in batches for row in batch.select("row", *READS).iter_rows())
    while window := list(islice(rows, WINDOW // 16)):
        framed = {row: frame(messages, tuned.opened, "template") for row, messages in window}
        lines: list[tuple[Any, ...]] = [
            (row, None, None, None, None, made or None) for row, made in framed.items() if isinstance(made, str)
        ]
        left = [(row, passage) for row, made in framed.items() if isinstance(made, Framed) for passage in made.after]
        with tuned.network.disable_adapter():
            before = dict(tuned.opened.losses([passage for _, passage in left]))
        after = dict(tuned.opened.losses([passage for _, passage in left]))
        sums: dict[int, list[float]] = {}
        for k, (row, passage) in enumerate(left):
            total = sums.setdefault(row, [0.0, 0.0, 0])
            for (start, stop), b, a in zip(passage.spans, before[k], after[k], strict=True):
                total[0] += b * (stop - start)
                total[1] += a * (stop - start)
                total[2] += stop - start
            working.spending.pay(identity, 2 * len(passage.tokens), 0)
        for row, (b, a, n) in sums.items():
            there = 0 < b < float("inf") and a == a
            problem = None if there else "the model's loss is not a number above 0"
            lines.append((row, b / n, a / n, (b - a) / b, int(n), None) if there else (row, *[None] * 4, problem))
        yield pl.DataFrame(lines, schema=SCHEMA, orient="row")
        if working.stop.is_set() or working.spending.spent:
            return
