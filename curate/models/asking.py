"""Asking a model: replies that the cache has cost nothing, all others are kept as they arrive.

for tag, reply in ask("vllm:Qwen/Qwen3-4B", [(7, request)], work_dir, working): ...
"""

import sqlite3
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from itertools import islice, takewhile
from pathlib import Path
from typing import TypeVar

from curate.errors import StoppedError
from curate.models.opening import Model, forget_model, identity_of, open_model
from curate.models.replies import Replies, open_replies
from curate.models.requests import Failure, Reply, Request
from curate.working import Working

Tag = TypeVar("Tag")

AHEAD = 512
"""Requests looked up in the cache at a time."""


def ask(
    model: str, requests: Iterable[tuple[Tag, Request] | None], work_dir: Path, working: Working
) -> Iterator[tuple[Tag, Reply | Failure]]:
    """The reply to each request under its tag, in any order; equal requests are asked once.

    A None among the requests says that the next depends on an answer. The model is opened by the first request that the
    cache does not know. Once a person asked to stop, or the budget is spent, what is in flight is waited for and
    nothing else is sent. Raises StoppedError for a spent budget, and where the cache can't be written.
    """
    try:
        with open_replies(work_dir) as replies:
            if replies.recovered is not None:
                working.notice(f"replies.sqlite was damaged: {replies.recovered:,} of its replies could be saved")
            yield from _asked(model, iter(requests), replies, working)
    except sqlite3.Error as error:
        remedy = "make room or mend that, then run the same command again: every reply before is kept"
        raise StoppedError(f"{work_dir / 'replies.sqlite'} can't be written: {error}", remedy) from error


def known_share(model: str, requests: Sequence[Request], work_dir: Path) -> float:
    """Share of the requests whose replies the cache has."""
    if not (work_dir / "replies.sqlite").exists() or not requests:
        return 0.0
    keys = [request.key(identity_of(model)) for request in requests]
    with open_replies(work_dir) as replies:
        return len(replies.known(keys)) / len(set(keys))


def _asked(
    model: str, source: Iterator[tuple[Tag, Request] | None], replies: Replies, working: Working
) -> Iterator[tuple[Tag, Reply | Failure]]:
    identity, spending = identity_of(model), working.spending
    todo: deque[tuple[bytes, Tag, Request]] = deque()
    waiting: dict[bytes, list[Tag]] = {}
    in_flight: dict[int, bytes] = {}
    opened: Model | None = None
    number = 0
    try:
        while True:
            ended = False
            while not (ended or working.stop.is_set() or spending.spent) and (opened is None or opened.room > 0):
                if not todo:
                    some = list(takewhile(lambda item: item is not None, islice(source, AHEAD)))
                    ended = not some
                    keyed = [(item[1].key(identity), *item) for item in some if item]
                    known = replies.known([key for key, _, _ in keyed])
                    for key, tag, request in keyed:
                        if key in known:
                            spending.cached += 1
                            yield tag, known[key]
                        else:
                            todo.append((key, tag, request))
                    continue
                if not spending.allows(len(in_flight)):
                    break
                opened = opened or open_model(model)
                key, tag, request = todo.popleft()
                waiting.setdefault(key, []).append(tag)
                if len(waiting[key]) == 1:
                    number += 1
                    in_flight[number] = key
                    opened.submit(number, request)
            if not in_flight or opened is None:
                break
            answers = [(in_flight.pop(answered), reply) for answered, reply in opened.collect()]
            replies.keep(identity, [(key, reply) for key, reply in answers if isinstance(reply, Reply)])
            for key, reply in answers:
                if isinstance(reply, Reply):
                    spending.pay(identity, reply.prompt_tokens, reply.output_tokens)
                for tag in waiting.pop(key):
                    yield tag, reply
    finally:
        if in_flight:  # left in the middle: its late answers must not reach the next who asks
            forget_model(model)
    if spending.spent:
        raise StoppedError(spending.spent, "allow more and run the same command again: what was answered is kept")
