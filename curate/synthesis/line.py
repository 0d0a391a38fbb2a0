"""The line on which attempts are made: the model, the checks of many attempts and the log are at work at once.

A thread asks the model whatever is ready to be asked; workers take replies and run what is to be run; attempts come
out in the order of the plan, so that what is kept does not depend on who was quicker.
"""

import queue
import threading
from collections.abc import Callable, Generator, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

from curate.models import Failure, Reply, Request, ask
from curate.synthesis.drafts import Attempt, Draft, Lost, ToJudge
from curate.working import Working

AT_ONCE = 8
"""Requests that are given to the model at a time."""

TOGETHER = 64
"""Attempts that are decided at a time, at most: one look at many rows costs little more than at one."""


@dataclass(order=True)
class _Todo:
    """A request that is ready; those of earlier attempts go first, so that what is begun is finished."""

    number: int
    request: Request = field(compare=False)


@dataclass
class Made:
    """What came of one attempt: a draft, or why there is none; what was answered, and the tokens that took."""

    number: int
    attempt: Attempt
    outcome: Draft | Lost | None = None
    replies: list[str] = field(default_factory=list)
    tokens: int = 0
    at: str = "answered"
    """The stage at which it is lost where no answer comes."""


class _Asking(threading.Thread):
    """Asks the model what it is given; replies go to `events` as (number, reply), and at the end (None, error)."""

    def __init__(self, model: str, work_dir: Path, working: Working, events: "queue.SimpleQueue[_Event]") -> None:
        super().__init__(name="asking", daemon=True)
        self.todo: queue.PriorityQueue[_Todo] = queue.PriorityQueue()
        self.enough = False
        self._open = 0
        self._given = (model, work_dir, working, events)

    def run(self) -> None:
        model, work_dir, working, events = self._given
        try:
            for number, reply in ask(model, self._requests(working), work_dir, working):
                self._open -= 1
                events.put((number, reply))
                if self.enough:
                    break
        except BaseException as error:  # noqa: BLE001  whatever it is, who waits for replies must hear of it
            events.put((None, error))
        else:
            events.put((None, None))

    def _requests(self, working: Working) -> Iterator[tuple[int, Request] | None]:
        given = 0
        while not (self.enough or working.stop.is_set()):
            try:
                # with nothing in flight there is nothing else to do than to wait for what comes next
                item = self.todo.get(timeout=0 if self._open else 0.2)
            except queue.Empty:
                if self._open:
                    yield None
                continue
            self._open += 1
            yield item.number, item.request
            given += 1
            if given % AT_ONCE == 0:  # so that what comes meanwhile of earlier attempts is not behind all others
                yield None


_Event = tuple[int | None, Request | ToJudge | Reply | Failure | Draft | Lost | BaseException | None]


class Line:
    """Attempts, begun by `begin(number)`, at most `window()` at once; `threads` workers check what the model wrote.

    `judge`: the model that requests to a judge go to, None where there are none.
    """

    def __init__(
        self, begin: Callable[[int], Attempt], model: str, judge: str | None, work_dir: Path, working: Working
    ) -> None:
        self._begin, self._working = begin, working
        self._events: queue.SimpleQueue[_Event] = queue.SimpleQueue()
        self._writer = _Asking(model, work_dir, working, self._events)
        other = judge is not None and judge != model
        self._judge = _Asking(judge or model, work_dir, working, self._events) if other else self._writer
        self._open: dict[int, Made] = {}
        self._busy = 0
        self._ended = False
        self._error: BaseException | None = None

    def attempts(self, first: int, window: Callable[[], int]) -> Generator[list[Made]]:
        """What came of attempts `first`, `first` + 1, ..., without end, in order: as many at a time as are finished.

        Raises what asking raises, once all that was answered is given out; InterruptedRun if a person stopped it.
        Nobody asks or checks any more once it is closed.
        """
        following, started = first, first
        for asking in {self._writer, self._judge}:
            asking.start()
        workers = ThreadPoolExecutor(self._working.threads)
        try:
            while True:
                while not (self._ended or self._working.stop.is_set()) and started - following < window():
                    self._open[started] = Made(started, self._begin(started))
                    self._step(workers, started, None)
                    started += 1
                while not self._events.empty():  # all that came while others were decided
                    self._take(workers)
                done: list[Made] = []
                while len(done) < TOGETHER and (made := self._open.get(following)) and made.outcome is not None:
                    done.append(self._open.pop(following))
                    following += 1
                if done:
                    yield done
                elif not self._ended or self._busy:
                    self._take(workers)
                elif self._error:
                    raise self._error
                else:
                    self._working.check()
                    return
        finally:
            self._writer.enough = self._judge.enough = True
            workers.shutdown(cancel_futures=True)
            for asking in {self._writer, self._judge}:
                asking.join()

    def _take(self, workers: ThreadPoolExecutor) -> None:
        """Wait for the next event and take it in."""
        number, what = self._events.get()
        if number is None:  # nothing more is asked; what was answered is still checked
            self._ended = True
            self._error = self._error or (what if isinstance(what, BaseException) else None)
            return
        made = self._open[number]
        if isinstance(what, Reply):
            made.replies.append(what.text)
            made.tokens += what.prompt_tokens + what.output_tokens
            self._step(workers, number, what)
        elif isinstance(what, Failure):
            made.outcome = Lost(made.at, what.cause)
        else:
            self._busy -= 1
            if isinstance(what, Request):
                self._writer.todo.put(_Todo(number, what))
            elif isinstance(what, ToJudge):
                made.at = "judged"
                self._judge.todo.put(_Todo(number, what.request))
            elif isinstance(what, Draft | Lost):
                made.outcome = what
            elif isinstance(what, BaseException):
                raise what

    def _step(self, workers: ThreadPoolExecutor, number: int, reply: Reply | None) -> None:
        """Let a worker take the attempt to its next request, or to its end."""
        self._busy += 1
        workers.submit(self._stepped, number, self._open[number].attempt, reply)

    def _stepped(self, number: int, attempt: Attempt, reply: Reply | None) -> None:
        try:
            self._events.put((number, next(attempt) if reply is None else attempt.send(reply)))
        except StopIteration as done:
            self._events.put((number, done.value))
        except Lost as lost:
            self._events.put((number, lost))
        except BaseException as error:  # noqa: BLE001  a fault of ours must reach the one who waits
            self._events.put((number, error))
