"""Rows through a judge, a model with a rubric: requests out, scores in, in whatever order the answers come.

A row is done when its question is answered; for a pairwise rubric, when it is in both orders.
"""

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import NamedTuple

import polars as pl

from curate.judging.rows import texts_of
from curate.judging.rubrics import Mode, Rubric
from curate.judging.scoring import Further, Score, Unscored, expected, read_score, request_for
from curate.models import Reply, Request, Turn, ask
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
    """What a judge made of a row. `flipped`: a pairwise judge preferred another answer in the other order."""

    row: int
    score: float | None
    doubt: float | None
    cut: bool
    flipped: bool | None
    problem: str | None


class _Question(NamedTuple):
    """What a reply answers: about a row, in the other order or not, after the beginning of a label or not."""

    row: int
    swapped: bool = False
    begun: str = ""


@dataclass
class _Open:
    """A question in work: what was asked, and, for a label of several tokens, the places seen so far."""

    turns: tuple[Turn, Turn]
    place: dict[str, float] = field(default_factory=dict)
    after: dict[str, dict[str, float]] = field(default_factory=dict)
    left: int = 0


def has_logprobs(model: str, work_dir: Path, working: Working) -> bool:
    """Whether the model gives log-probabilities, found out by asking once."""
    ((_, reply),) = ask(model, [(0, PROBE)], work_dir, working)
    return isinstance(reply, Reply) and bool(reply.logprobs)


def judged(rows: Iterator[pl.DataFrame], judge: Judge, work_dir: Path, working: Working) -> Iterator[Verdict]:
    """The verdict on each row of the frames (`row` and READS), as its last answer comes."""
    questions = _Questions(rows, judge)
    for question, reply in ask(judge.model, questions, work_dir, working):
        if isinstance(reply, Reply):
            verdict = questions.answered(question, reply)
        else:
            verdict = questions.settled(question, Unscored(reply.cause))
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
        self._scores: dict[int, dict[bool, Score | Unscored]] = {}
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
                yield self._ask(number, swapped, texts)
        while self._open:
            yield self._again.popleft() if self._again else None

    def _ask(self, row: int, swapped: bool, texts: dict[str, str]) -> tuple[_Question, Request]:
        if swapped:
            texts = {"prompt": texts["prompt"], "first": texts["second"], "second": texts["first"]}
        turns = self.judge.rubric.turns(self.judge.mode, **texts)
        self._open[row, swapped] = _Open(turns)
        return _Question(row, swapped), request_for(turns, self.judge.rubric, self.judge.mode)

    def answered(self, question: _Question, reply: Reply) -> Verdict | None:
        """Take a reply in; returns the row's verdict if it was the last that it waited for."""
        rubric, mode = self.judge.rubric, self.judge.mode
        asked = self._open[question.row, question.swapped]
        if question.begun:
            asked.after[question.begun] = reply.logprobs[0] if reply.logprobs else {}
            asked.left -= 1
            if asked.left:
                return None
            return self.settled(question, expected(asked.place, rubric, asked.after))
        score = read_score(reply, rubric, mode)
        if not isinstance(score, Further):
            return self.settled(question, score)
        asked.place, asked.left = dict(reply.logprobs[0]) if reply.logprobs else {}, len(score.begun)
        for begun in score.begun:
            self._again.append((question._replace(begun=begun), request_for(asked.turns, rubric, mode, begun)))
        return None

    def settled(self, question: _Question, score: Score | Unscored) -> Verdict | None:
        """One order is judged; returns the row's verdict if that was the last."""
        self._open.pop((question.row, question.swapped), None)
        scores = self._scores.get(question.row)
        if scores is None:  # a later question of a row that is settled
            return None
        scores[question.swapped] = score
        if len(scores) < 1 + self.judge.rubric.pairwise and isinstance(score, Score):
            return None
        del self._scores[question.row]
        cut = question.row in self._cut
        self._cut.discard(question.row)
        if isinstance(score, Unscored):
            return Verdict(question.row, None, None, cut, None, score.cause)
        return self._verdict(
            question.row, [s for s in (scores.get(False), scores.get(True)) if isinstance(s, Score)], cut
        )

    def _verdict(self, row: int, scores: list[Score], cut: bool) -> Verdict:
        doubts = [score.doubt for score in scores if score.doubt is not None]
        doubt = max(doubts, default=None)
        if len(scores) == 1:
            return Verdict(row, scores[0].value, doubt, cut, None, None)
        low, high = sorted(self.judge.rubric.scale.values())
        first, second = ((score.value - low) / (high - low) for score in scores)
        chosen, again = 1 - first, second  # the chosen answer stood first, then second
        return Verdict(row, (chosen + again) / 2, doubt, cut, (chosen - 0.5) * (again - 0.5) < 0, None)
