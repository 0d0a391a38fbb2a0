"""Rows through a judge, a model with a rubric: requests out, scores in, in whatever order the answers come.

A row is done when its question is answered; for a pairwise rubric, when it is in both orders.
"""

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from itertools import islice
from pathlib import Path
from typing import NamedTuple

import polars as pl

from curate.errors import StoppedError
from curate.judging.rows import texts_of
from curate.judging.rubrics import Mode, Rubric
from curate.judging.scoring import Further, Score, Unscored, expected, read_score, request_for
from curate.models import Failure, Reply, Request, Turn, ask
from curate.working import Working

READS = ("prompt", "response", "messages", "chosen", "rejected")
"""What a judge reads of the pool."""

PROBE = Request(turns=(Turn("user", "Answer with 1 alone."),), max_tokens=1, top_logprobs=5)
"""Asked once of a model: does it give log-probabilities?"""


@dataclass(frozen=True)
class Judge:
    """A model with a rubric. `max_chars`: how much of a row it reads; `cut`: longer rows are cut, else unscored."""

    model: str
    rubric: Rubric
    mode: Mode
    max_chars: int
    cut: bool


class Verdict(NamedTuple):
    """What a judge made of a row. `flipped`: a pairwise judge preferred another answer in the other order; `first`: its
    belief in whichever answer stood first, the mean of both orders (0.5: it does not mind the order)."""

    row: int
    score: float | None
    doubt: float | None
    cut: bool
    flipped: bool | None
    problem: str | None
    first: float | None = None


class _Question(NamedTuple):
    """What a reply answers: about a row, in the other order or not, after the beginning of a label or not."""

    row: int
    swapped: bool = False
    begun: str = ""


@dataclass
class _Open:
    """A question in work: what was asked, and what came after each beginning of a label, "" being the start."""

    turns: tuple[Turn, Turn]
    places: dict[str, dict[str, float]] = field(default_factory=dict)
    left: int = 1


def has_logprobs(model: str, work_dir: Path, working: Working) -> bool:
    """Whether the model gives log-probabilities, found out by asking once.

    Raises StoppedError where it answers nothing at all: a passing fault must not choose the mode.
    """
    cause, cached = "", working.spending.cached
    for request in (PROBE, replace(PROBE, top_logprobs=None)):
        for _, reply in ask(model, [(0, request)], work_dir, working):
            working.spending.cached = cached  # it is about no row
            if isinstance(reply, Reply):
                return bool(reply.logprobs)
            cause = reply.cause
    working.check()
    raise StoppedError(f"{model} does not answer: {cause}", "look at the model, then run the same command again")


def judged(rows: Iterator[pl.DataFrame], judge: Judge, work_dir: Path, working: Working) -> Iterator[Verdict]:
    """The verdict on each row of the frames (`row` and READS), as its last answer comes."""
    questions = _Questions(rows, judge)
    for question, reply in ask(judge.model, questions, work_dir, working):
        working.spending.failed += isinstance(reply, Failure)
        verdict = questions.answered(question, reply)
        yield from questions.refused
        questions.refused.clear()
        if verdict:
            yield verdict
    yield from questions.refused


def questions_about(rows: pl.DataFrame, judge: Judge) -> Iterator[Request]:
    """The first questions about some rows."""
    yield from (item[1] for item in islice(_Questions(iter([rows]), judge), 2 * len(rows)) if item)


class _Questions:
    """The questions about rows, one after the other, and what their answers say together."""

    def __init__(self, rows: Iterator[pl.DataFrame], judge: Judge) -> None:
        self.judge = judge
        self.refused: list[Verdict] = []
        self._rows = (row for frame in rows for row in frame.select("row", *READS).iter_rows(named=True))
        self._again: deque[tuple[_Question, Request]] = deque()
        self._open: dict[tuple[int, bool], _Open] = {}
        self._scores: dict[int, dict[bool, Score]] = {}
        self._cut: set[int] = set()

    def __iter__(self) -> Iterator[tuple[_Question, Request] | None]:
        for row in self._rows:
            while self._again:
                yield self._again.popleft()
            number = row["row"]
            texts, cut, problem = texts_of(row, self.judge.rubric.pairwise, self.judge.max_chars)
            if problem or (cut and not self.judge.cut):
                cause = problem or f"longer than the {self.judge.max_chars:,} characters that max_chars allows"
                self.refused.append(Verdict(number, None, None, cut, None, cause))
                continue
            if cut:
                self._cut.add(number)
            self._scores[number] = {}
            for swapped in (False, True) if self.judge.rubric.pairwise else (False,):
                if number in self._scores:  # else the first order has no score already
                    yield self._ask(number, swapped, texts)
        while self._open:
            yield self._again.popleft() if self._again else None

    def _ask(self, row: int, swapped: bool, texts: dict[str, str]) -> tuple[_Question, Request]:
        if swapped:
            texts = {"prompt": texts["prompt"], "first": texts["second"], "second": texts["first"]}
        turns = self.judge.rubric.turns(self.judge.mode, **texts)
        self._open[row, swapped] = _Open(turns)
        return _Question(row, swapped), request_for(turns, self.judge.rubric, self.judge.mode)

    def answered(self, question: _Question, reply: Reply | Failure) -> Verdict | None:
        """Take an answer in; returns the row's verdict if it was the last that it waited for."""
        rubric, mode = self.judge.rubric, self.judge.mode
        asked = self._open.get((question.row, question.swapped))
        if asked is None:  # its row is settled: another of its questions failed
            return None
        score: Score | Unscored | Further
        if isinstance(reply, Failure):
            score = Unscored(reply.cause)
        elif mode == "expected" and reply.logprobs:
            asked.places[question.begun] = reply.logprobs[0]
            asked.left -= 1
            if asked.left:
                return None
            score = expected(asked.places, rubric)
        else:
            score = read_score(reply, rubric, mode)
        if not isinstance(score, Further):
            return self._settled(question, score)
        asked.left = len(score.begun)
        for begun in score.begun:
            self._again.append((question._replace(begun=begun), request_for(asked.turns, rubric, mode, begun)))
        return None

    def _settled(self, question: _Question, score: Score | Unscored) -> Verdict | None:
        """One order is judged; returns the row's verdict if that was the last, or if it has no score."""
        row = question.row
        del self._open[row, question.swapped]
        scores = self._scores[row]
        if isinstance(score, Score):
            scores[question.swapped] = score
            if len(scores) < 1 + self.judge.rubric.pairwise:
                return None
        del self._scores[row]
        self._open.pop((row, not question.swapped), None)
        cut = row in self._cut
        self._cut.discard(row)
        if isinstance(score, Unscored):
            return Verdict(row, None, None, cut, None, score.cause)
        return self._verdict(row, [scores[order] for order in sorted(scores)], cut)

    def _verdict(self, row: int, scores: list[Score], cut: bool) -> Verdict:
        doubt = max((score.doubt for score in scores if score.doubt is not None), default=None)
        if len(scores) == 1:
            return Verdict(row, scores[0].value, doubt, cut, None, None)
        a, b = self.judge.rubric.scale.values()
        first, second = ((score.value - a) / (b - a) for score in scores)
        chosen, again = 1 - first, second  # the chosen answer stood first, then second
        flipped = (chosen - 0.5) * (again - 0.5) < 0
        return Verdict(row, (chosen + again) / 2, doubt, cut, flipped, None, 1 - (first + second) / 2)
