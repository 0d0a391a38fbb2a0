"""How a run works: its threads, whom it tells, and the flag that stops it.

The library never prints: `Working(notice=print)` tells what it has to say to whoever called it.
"""

import os
import threading
from collections.abc import Callable
from dataclasses import dataclass, field

from curate.errors import InterruptedRun


def _silent(*_: object) -> None:
    pass


@dataclass(frozen=True)
class Working:
    """`report(stage, done, total)` is called as work goes on, `notice(text)` for what a person should know."""

    threads: int = field(default_factory=lambda: os.cpu_count() or 1)
    fresh: bool = False
    report: Callable[[str, int, int], None] = _silent
    notice: Callable[[str], None] = _silent
    stop: threading.Event = field(default_factory=threading.Event)

    def check(self) -> None:
        """Raises InterruptedRun once a person asked to stop."""
        if self.stop.is_set():
            raise InterruptedRun("stopped; what was finished is kept", "run the same command again to go on")
