"""How a run works: its threads, whom it tells, what it may spend, and the flag that stops it.

The library never prints: `Working(notice=print)` tells what it has to say to whoever called it.
"""

import fcntl
import os
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

from curate.errors import InterruptedRun
from curate.spending import Spending

T = TypeVar("T")


def _silent(*_: object) -> None:
    pass


@dataclass(frozen=True)
class Working:
    """How work goes. `report(stage, done, total, detail="")` is called as it goes on, `notice(text)` for what a person
    should know; `fresh`: measures on disk don't count; `stop`: set to stop; `spending`: what models may cost, and did.
    """

    threads: int = field(default_factory=lambda: os.cpu_count() or 1)
    fresh: bool = False
    report: Callable[..., None] = _silent
    notice: Callable[[str], None] = _silent
    stop: threading.Event = field(default_factory=threading.Event)
    spending: Spending = field(default_factory=Spending)

    def check(self) -> None:
        """Raises InterruptedRun once a person asked to stop."""
        if self.stop.is_set():
            raise InterruptedRun("stopped; what was finished is kept", "run the same command again to go on")


def in_order(calls: Iterable[Callable[[], T]], threads: int) -> Iterator[T]:
    """What each call returns, in their order; one call more than there are threads is in work or done."""
    waiting: deque[Future[T]] = deque()
    with ThreadPoolExecutor(threads) as workers:
        for call in calls:
            waiting.append(workers.submit(call))
            if len(waiting) > threads:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()


@contextmanager
def alone(folder: Path, doing: str, working: Working) -> Iterator[None]:
    """Within the block no other process does so in the folder; the lock of one that was killed is gone with it."""
    with (folder / "lock").open("w") as file:
        told = False
        while True:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if not told:
                    working.notice(f"another process {doing}: waiting for it")
                    told = True
                working.check()
                time.sleep(0.2)
        yield
