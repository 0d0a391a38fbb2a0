"""Asking a model: replies that the cache has cost nothing, all others are kept as they arrive.

for tag, reply in ask("vllm:Qwen/Qwen3-4B", [(7, request)], work_dir, working): ...
"""

import sqlite3
import time
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
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
"""Requests looked up in the cache, and claimed, at a time."""

LOOK_SECONDS, TOLD_SECONDS, HANGS_SECONDS = 0.25, 2.0, 600.0
"""How often is looked for what another run asks; when a person is told; after how long without any it is asked here."""


def ask(
    model: str, requests: Iterable[tuple[Tag, Request] | None], work_dir: Path, working: Working
) -> Iterator[tuple[Tag, Reply | Failure]]:
    """The reply to each request under its tag, in any order; equal requests are asked once, by all runs that share a
    work directory together.

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
    waiting: dict[bytes, list[Tag]] = {}  # who waits for a reply: to what is to be sent, in flight, or asked by others
    todo: deque[tuple[bytes, Request]] = deque()
    in_flight: dict[int, bytes] = {}
    others = _Others(replies, working)
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
                    known = replies.known([key for key, _, _ in keyed if key not in waiting])
                    new: dict[bytes, Request] = {}
                    for key, tag, request in keyed:
                        if key in known:
                            spending.cached += 1
                            yield tag, known[key]
                        elif key in waiting:
                            waiting[key].append(tag)
                        else:
                            waiting[key], new[key] = [tag], request
                    todo.extend(others.claimed(new))
                    continue
                if not spending.allows(len(in_flight)):
                    break
                opened = opened or open_model(model)
                key, request = todo.popleft()
                number += 1
                in_flight[number] = key
                opened.submit(number, request)
            if in_flight and opened:
                answers = [(in_flight.pop(answered), reply) for answered, reply in opened.collect(working.notice)]
                replies.keep(identity, [(key, reply) for key, reply in answers if isinstance(reply, Reply)])
                replies.release([key for key, reply in answers if isinstance(reply, Failure)])
                for key, reply in answers:
                    if isinstance(reply, Reply):
                        spending.pay(identity, reply.prompt_tokens, reply.output_tokens)
                    for tag in waiting.pop(key):
                        yield tag, reply
            elif not others.asked or working.stop.is_set() or spending.spent:
                break
            else:
                others.wait()
            come, left = others.looked()
            todo.extend(left)
            for key, reply in come.items():
                for tag in waiting.pop(key):
                    spending.cached += 1
                    yield tag, reply
    finally:
        with suppress(sqlite3.Error):  # whatever went wrong is said already
            replies.release([key for key in waiting if key not in others.asked])
        if in_flight:  # left in the middle: its late answers must not reach the next who asks
            forget_model(model)
    if spending.spent:
        raise StoppedError(spending.spent, "allow more and run the same command again: what was answered is kept")


class _Others:
    """What other processes ask at this moment, and whose replies serve here as well."""

    def __init__(self, replies: Replies, working: Working) -> None:
        self.asked: dict[bytes, Request] = {}
        self._replies, self._working = replies, working
        self._looked = self._last = time.monotonic()
        self._told = False

    def claimed(self, requests: dict[bytes, Request]) -> list[tuple[bytes, Request]]:
        """Those of some requests that nobody else asks; the rest is waited for."""
        mine = self._replies.claim(list(requests)) if requests else set()
        if not self.asked:
            self._last = time.monotonic()
        self.asked |= {key: request for key, request in requests.items() if key not in mine}
        return [(key, request) for key, request in requests.items() if key in mine]

    def looked(self) -> tuple[dict[bytes, Reply], list[tuple[bytes, Request]]]:
        """The replies that came meanwhile; and what is to be asked here: whoever asked it failed, ended, or hangs."""
        now = time.monotonic()
        if not self.asked or now - self._looked < LOOK_SECONDS:
            return {}, []
        self._looked = now
        come = self._replies.known(list(self.asked))
        for key in come:
            del self.asked[key]
        free = self._replies.claim(list(self.asked), anyway=now - self._last > HANGS_SECONDS) if self.asked else set()
        if come or free:
            self._last = now
        return come, [(key, self.asked.pop(key)) for key in list(self.asked) if key in free]

    def wait(self) -> None:
        """A moment, in which there is nothing else to do."""
        if not self._told and time.monotonic() - self._last > TOLD_SECONDS:
            by = ", ".join(str(number) for number in sorted(self._replies.claimed_by(list(self.asked))))
            self._working.notice(f"waiting for {len(self.asked):,} replies that another run asks for (process {by})")
            self._told = True
        self._working.stop.wait(LOOK_SECONDS)
