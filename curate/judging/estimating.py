"""What judging so many rows will take, said before the first of them is paid for.

`judge: 12,000 rows, about 14.2 million tokens in and 12,000 out; the cache has 40 % of the replies`
"""

import time
from collections.abc import Iterator, Sequence
from itertools import islice
from pathlib import Path

import polars as pl

from curate.judging.judging import Judge, questions_about
from curate.models import Request, ask, identity_of, known_share, open_model
from curate.working import Working

PROBED = 32
"""Requests that are sent and timed."""


def cost_of(rows: pl.DataFrame, total: int, judge: Judge, work_dir: Path, working: Working) -> Iterator[str]:
    """What judging `total` rows like these will take: tokens, the cache's share, money where a price is set."""
    if not len(rows):
        return
    requests = list(questions_about(rows, judge))
    each = total / len(rows)
    tokens_in = sum(tokens(request) for request in requests) * each
    tokens_out = sum(request.max_tokens for request in requests) * each
    cached = known_share(judge.model, requests, work_dir)
    yield (
        f"{total:,} rows, about {_short(tokens_in)} tokens in and at most {_short(tokens_out)} out; "
        f"the cache has {cached:.0%} of the replies"
    )
    price = working.spending.price(identity_of(judge.model), tokens_in * (1 - cached), tokens_out * (1 - cached))
    if price is not None:
        yield f"about {price:,.2f} to pay"


def time_of(rows: pl.DataFrame, total: int, judge: Judge, work_dir: Path, working: Working) -> Iterator[str]:
    """How long that will take, as far as the cache does not have it: a few of the rows are judged, and their replies
    kept."""
    requests = list(questions_about(rows, judge))
    left = 1 - known_share(judge.model, requests, work_dir)
    if not left:
        return
    seconds, answers = _timed(judge.model, requests, work_dir, working)
    if answers:
        took = seconds / answers * len(requests) * total / len(rows) * left
        yield f"about {_time(took)} at the rate of the first {answers} answers"


def _timed(model: str, requests: Sequence[Request], work_dir: Path, working: Working) -> tuple[float, int]:
    """Seconds for the first requests that the cache did not know, and how many those were."""
    open_model(model)  # what that takes is not the rate
    spending = working.spending
    began, before, cached = time.monotonic(), spending.answered, spending.cached
    for _ in ask(model, islice(enumerate(requests), PROBED), work_dir, working):
        pass
    answers = spending.answered - before
    spending.cached = cached - answers  # they will be read again, and are not from before
    return time.monotonic() - began, answers


def tokens(request: Request) -> float:
    """Estimated tokens of a request: a quarter of the characters of one byte and 0.6 of the others."""
    text = "".join(turn.content for turn in request.turns)
    wide = (len(text.encode()) - len(text)) / 2
    return (len(text) - wide) / 4 + wide * 0.6


def _short(number: float) -> str:
    return f"{number / 1e6:,.1f} million" if number >= 1e6 else f"{number:,.0f}"


def _time(seconds: float) -> str:
    if seconds < 90:
        return f"{seconds:,.0f} s"
    return f"{seconds / 60:,.0f} min" if seconds < 5400 else f"{seconds / 3600:,.1f} h"
