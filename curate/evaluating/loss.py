"""Loss and perplexity of a model on responses that it was not trained on, each after its prompt.

`evaluate_loss("hf:model", ["test.jsonl"]).loss.value` is in nats a token.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path

import numpy as np

from curate.errors import StoppedError
from curate.judging.agreement import Estimate, Values, estimates
from curate.models.likelihood import open_likelihood_model
from curate.models.requests import Passage
from curate.pool import check_inputs, make_work_dir, read_pool
from curate.training.settings import SftSettings
from curate.training.templates import give_template
from curate.training.tokens import UNLEARNT, LeftOut, Tokens, tokens_of
from curate.working import Working

AT_ONCE = 256
"""Rows that are read between two moments in which progress is told."""


@dataclass(frozen=True)
class LossScore:
    """Mean loss over all tokens of the responses, in nats, and its exponential, with 95 % intervals over rows."""

    rows: int
    tokens: int
    loss: Estimate
    perplexity: Estimate
    left_out: list[LeftOut]


def evaluate_loss(
    model: str,
    data: Sequence[str],
    *,
    max_length: int | None = None,
    seed: int = 0,
    work_dir: str | Path = ".curate",
    working: Working | None = None,
) -> LossScore:
    """Read the rows, written as `train-sft` would, and the probability of each response's tokens, the one that ends it
    included. Rows over `max_length` tokens (as many as the model takes) are left out, and listed.

    Raises UsageError for a server, which can't be relied on for a prompt's probabilities, and StoppedError where no row
    has a response.
    """
    working, work = working or Working(), Path(work_dir)
    check_inputs(data, work)
    opened = open_likelihood_model(model)
    make_work_dir(work)
    pool = read_pool(data, work, working=working)
    if give_template(opened.tokenizer):
        working.notice("the model has no chat template: Alpaca's ### headings are used")
    most = min(max_length or opened.longest - 1, opened.longest - 1)  # vLLM wants room for a token more
    rows, left_out = tokens_of(pool, opened.tokenizer, SftSettings(max_length=most))
    if not rows:
        why = f": {left_out[0].place}  {left_out[0].reason}" if left_out else ""
        raise StoppedError(f"none of {len(pool):,} rows has a response that can be read{why}", "look at the data")
    sums, counts = np.zeros(len(rows)), np.zeros(len(rows))
    done = 0
    for start in range(0, len(rows), AT_ONCE):
        working.check()
        passages = [_passage(row) for row in rows[start : start + AT_ONCE]]
        for k, losses in opened.losses(passages):
            sizes = np.array([stop - begin for begin, stop in passages[k].spans])
            sums[start + k], counts[start + k] = float(losses @ sizes), sizes.sum()
            done += 1
            working.report("reading", done, len(rows))
    found = estimates({"loss": _loss, "perplexity": _perplexity}, [sums, counts], seed)
    return LossScore(len(rows), int(counts.sum()), found["loss"], found["perplexity"], left_out)


def _passage(row: Tokens) -> Passage:
    """What is asked of a row: the runs of tokens that would be learnt."""
    learnt = [label != UNLEARNT and k > 0 for k, label in enumerate(row.labels)]
    spans, at = [], 0
    for asked, run in groupby(learnt):
        size = len(list(run))
        if asked:
            spans.append((at, at + size))
        at += size
    return Passage(row.ids, tuple(spans))


def _loss(sums: Values, counts: Values) -> float:
    return float(sums.sum() / counts.sum())


def _perplexity(sums: Values, counts: Values) -> float:
    return float(np.exp(_loss(sums, counts)))
