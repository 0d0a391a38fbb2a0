"""What a person sees: progress and messages on stderr, rich on a terminal and plain lines elsewhere; tables."""

import os
import signal
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from types import FrameType
from typing import TYPE_CHECKING

from rich.cells import cell_len
from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeRemainingColumn
from rich.table import Table
from rich.text import Text

from curate.cli.text import safe, safe_lines
from curate.errors import StoppedError
from curate.spending import Spending
from curate.working import Working

if TYPE_CHECKING:
    from curate.run import Summary

DRAIN_SECONDS = 10
LINE_SECONDS = 5
WIDTH = 80


def amount(stage: str, value: float) -> str:
    """`value` of a stage in its unit: bytes while reading, steps while training, else rows."""
    if stage == "reading":
        return f"{value / 1e6:,.1f} MB"
    return f"{value:,.2f} steps" if stage == "training" else f"{value:,.0f} rows"


class Screen:
    """Progress of the stages of a run, and what it has to say."""

    def __init__(self) -> None:
        self.console = Console(stderr=True, highlight=False, soft_wrap=True)
        self._progress: Progress | None = None
        self._tasks: dict[str, TaskID] = {}
        self._began: dict[str, float] = {}
        self._spoke: dict[str, float] = {}
        self._lock = threading.Lock()

    def notice(self, text: str) -> None:
        """Say something a person should know."""
        self.console.print(Text(safe_lines(text)))

    def report(self, stage: str, done: int, total: int, detail: str = "") -> None:
        """Show how far a stage is; called from any thread. `detail`: what else is to be seen of it."""
        with self._lock:
            now = time.monotonic()
            began = self._began.setdefault(stage, now)
            rate = done / (now - began) if now > began else 0.0
            if self._progress:
                task = self._tasks.get(stage)
                if task is None:
                    task = self._tasks[stage] = self._progress.add_task(stage, total=total, speed="")
                speed = ", ".join(filter(None, [f"{amount(stage, rate)}/s" if rate else "", detail]))
                self._progress.update(task, completed=done, total=total, speed=speed)
            elif now - self._spoke.get(stage, began) >= LINE_SECONDS and done < total:
                self._spoke[stage] = now
                left = f", {(total - done) / rate:,.0f} s left" if rate else ""
                more = f", {detail}" if detail else ""
                self.notice(f"{stage}: {done / total:.0%} ({amount(stage, rate)}/s{more}{left})")

    @contextmanager
    def working(self, threads: int | None = None, spending: Spending | None = None) -> Iterator[Working]:
        """How a run works for this screen: the first Ctrl-C drains for at most 10 s, the second stops."""
        stop = threading.Event()
        working = Working(report=self.report, notice=self.notice, stop=stop, spending=spending or Spending())
        if threads:
            working = replace(working, threads=threads)
        before = signal.signal(signal.SIGINT, lambda *args: self._interrupted(stop, *args))
        try:
            if self.console.is_terminal:
                columns = (
                    TextColumn("{task.description}", markup=False),
                    BarColumn(bar_width=20),
                    TextColumn("{task.percentage:>3.0f}%"),
                    TextColumn("{task.fields[speed]}"),
                    TimeRemainingColumn(compact=True),
                )
                with Progress(*columns, console=self.console, transient=True) as progress:
                    self._progress = progress
                    yield working
            else:
                yield working
        finally:
            self._progress = None
            signal.signal(signal.SIGINT, before)

    def check_answered(self, spending: Spending) -> None:
        """Say what models were asked. Raises StoppedError where requests finally failed."""
        if spending.answered or spending.cached:
            cost = f", {spending.cost:,.2f} paid" if spending.cost else ""
            self.notice(
                f"models: {spending.answered:,} answers ({spending.prompt_tokens:,} tokens in, "
                f"{spending.output_tokens:,} out{cost}), {spending.cached:,} from the cache"
            )
        if spending.failed:
            raise StoppedError(
                f"{spending.failed:,} requests finally failed; their rows are unscored",
                "run the same command again to ask only those",
            )

    def _interrupted(self, stop: threading.Event, number: int, frame: FrameType | None) -> None:
        if stop.is_set():
            _leave()
        stop.set()
        self.notice("stopping: finishing what is in work, at most 10 s (Ctrl-C again stops at once)")
        # whatever is on disk is whole, so leaving at once loses only what was in work
        timer = threading.Timer(DRAIN_SECONDS, _leave)
        timer.daemon = True
        timer.start()


def _leave() -> None:
    """End the process at once, whatever it is doing and whoever holds the screen."""
    os.write(2, b"\nstopped; what was finished is kept: run the same command again to go on\n")
    os._exit(130)


def show_steps(screen: Screen, summary: "Summary") -> None:
    """The closing table: what each step dropped, with one example, readable at 80 columns."""
    width = min(screen.console.width, 100) if screen.console.is_terminal else WIDTH
    table = Table(box=None, pad_edge=False, header_style="bold", width=width)
    table.add_column("step", ratio=1, no_wrap=True, overflow="ellipsis")
    for name in ("rows in", "dropped", "unscored", "seconds"):
        table.add_column(name, justify="right", no_wrap=True)
    for step in summary.by_step:
        numbers = (f"{step.reached:,}", f"{step.dropped:,}", f"{step.unscored:,}", f"{step.seconds:.2f}")
        table.add_row(Text(step.step), *numbers)
    screen.console.print(table, soft_wrap=False)
    for step in summary.by_step:
        for note in step.notes:
            screen.notice(f"  {step.step}: {note}")
        if step.example:
            place, reason = _end_of(safe(step.example["at"]), width * 2 // 5), safe(step.example["reason"], 300)
            line = Text(f"  {step.step}: {place}  {reason}", style="dim")
            line.truncate(width, overflow="ellipsis")
            screen.console.print(line)


def _end_of(text: str, width: int) -> str:
    """The end of a text that is wider than so many columns, where a path has its file's name."""
    while cell_len(text) > width:
        text = "…" + text[2:]
    return text


def stdout() -> Console:
    """Stdout for tables and colours; 80 columns where it is no terminal."""
    return Console(highlight=False, width=None if sys.stdout.isatty() else WIDTH)
