"""Rows as tokens, with the label of each: what is learnt, what is only read, and rows that can't be learnt from.

`tokenised(tokenizer, turns, settings)` of "Hi" and "Hello." has labels at `Hello`, `.` and the token that ends a turn.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import orjson

from curate.errors import InputError, StoppedError, UsageError
from curate.pool import Pool
from curate.records import UnreadableRecord
from curate.training.settings import SftSettings
from curate.training.templates import Rendered, rendered

UNLEARNT = -100
"""The label of a token that is only read."""

READS = ("messages", "label", "source", "line")


class Tokens(NamedTuple):
    """A row for a trainer: a label for each token, the token itself or UNLEARNT."""

    row: int
    ids: list[int]
    labels: list[int]
    learnt: int
    """How many tokens are learnt."""
    rejected: Sequence[int] = ()
    """Of a preference, the tokens of the other answer; those of the chosen one are the last `learnt` of `ids`."""


class LeftOut(NamedTuple):
    """A row that is not trained on, and why."""

    row: int
    place: str
    reason: str


def tokens_of(pool: Pool, tokenizer: Any, settings: SftSettings) -> tuple[list[Tokens], list[LeftOut]]:
    """All rows of a pool. Raises InputError for preference rows, StoppedError where too long ones are refused."""
    done: list[Tokens] = []
    left_out: list[LeftOut] = []
    _check_no_pairs(pool)
    for frame in pool.batches(READS):
        pool.working.check()
        for row, messages, label, source, line in frame.iter_rows():
            try:
                if label is False:
                    raise UnreadableRecord("its label says that the answer is not wanted")
                done.append(tokenised(tokenizer, turns_of(messages), settings, row))
            except UnreadableRecord as error:
                left_out.append(LeftOut(row, f"{source}:{line}", str(error)))
        pool.working.report("cutting into tokens", len(done) + len(left_out), len(pool))
    return done, left_out


def pairs_of(pool: Pool, tokenizer: Any, most: int) -> tuple[list[Tokens], list[LeftOut]]:
    """The preferences of a pool, both answers within `most` tokens. Raises InputError where there is none."""
    done: list[Tokens] = []
    left_out: list[LeftOut] = []
    for frame in pool.batches(("messages", "chosen", "rejected", "source", "line")):
        pool.working.check()
        for row, messages, chosen, rejected, source, line in frame.iter_rows():
            try:
                if chosen is None:
                    raise UnreadableRecord("it has no chosen and rejected answers")
                context = turns_of(messages[: len(messages) - len(chosen)])
                done.append(_pair(tokenizer, context, turns_of(chosen), turns_of(rejected), most, row))
            except UnreadableRecord as error:
                left_out.append(LeftOut(row, f"{source}:{line}", str(error)))
        pool.working.report("cutting into tokens", len(done) + len(left_out), len(pool))
    if not any(frame["chosen"].is_not_null().any() for frame in pool.batches(["chosen"])):
        raise InputError(
            f"none of {len(pool):,} rows is a preference: a prompt with a chosen and a rejected answer",
            "train on answers instead: curate train-sft; or look at the shape: curate inspect FILE",
        )
    return done, left_out


def _check_no_pairs(pool: Pool) -> None:
    pairs = sum(int(frame["chosen"].is_not_null().sum()) for frame in pool.batches(["chosen"]))
    if pairs:
        raise InputError(
            f"{pairs:,} of {len(pool):,} rows are preferences: a chosen and a rejected answer",
            "train on the chosen ones: curate convert FILE -o chosen.jsonl --to messages",
        )


def turns_of(messages: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """Turns as chat templates take them, with what else they carry, as tool calls."""
    return [
        {**(orjson.loads(turn["extra"]) if turn["extra"] else {}), "role": turn["role"], "content": turn["content"]}
        for turn in messages
    ]


def tokenised(tokenizer: Any, turns: list[dict[str, Any]], settings: SftSettings, row: int = 0) -> Tokens:
    """A row's tokens and labels. Raises UnreadableRecord with why it can't be learnt from."""
    while True:
        if not any(turn["role"] in ("assistant", "text") and turn["content"].strip() for turn in turns):
            raise UnreadableRecord("there is no response to learn")
        written = rendered(tokenizer, turns)
        ids, labels = labelled(tokenizer, written, settings.loss == "all")
        if len(ids) <= settings.max_length:
            break
        shorter = _without_last_answer(turns) if settings.too_long == "cut" else None
        if shorter is None:
            cause = f"{len(ids):,} tokens, more than max_length {settings.max_length:,}"
            if settings.too_long == "refuse":
                raise StoppedError(f"row {row} has {cause}", "raise max_length, or set too_long to drop or cut")
            raise UnreadableRecord(cause)
        turns = shorter
    learnt = sum(label != UNLEARNT for label in labels)
    if not learnt:
        raise UnreadableRecord("no token of it can be learnt: the response is empty once cut into tokens")
    return Tokens(row, ids, labels, learnt)


def _pair(
    tokenizer: Any,
    context: list[dict[str, Any]],
    chosen: list[dict[str, Any]],
    rejected: list[dict[str, Any]],
    most: int,
    row: int,
) -> Tokens:
    """A preference's tokens. Raises UnreadableRecord with why nothing can be learnt from it."""
    asked, wanted = _answered(tokenizer, context, chosen)
    also_asked, unwanted = _answered(tokenizer, context, rejected)
    if asked != also_asked:
        raise UnreadableRecord("the tokens of the prompt are others before the other answer")
    if wanted == unwanted:
        raise UnreadableRecord("both answers are the same")
    longest = len(asked) + max(len(wanted), len(unwanted))
    if longest > most:
        raise UnreadableRecord(f"{longest:,} tokens, more than max_length {most:,}")
    return Tokens(row, asked + wanted, [UNLEARNT] * len(asked) + wanted, len(wanted), unwanted)


def _answered(
    tokenizer: Any, context: list[dict[str, Any]], answer: list[dict[str, Any]]
) -> tuple[list[int], list[int]]:
    """The tokens of a conversation up to its last answer, and those of that."""
    turns = sum(turn["role"] == "assistant" and bool(turn["content"].strip()) for turn in answer)
    if not turns:
        raise UnreadableRecord("one of its answers is empty")
    written = rendered(tokenizer, [*context, *answer])
    span = (written.answers[-turns][0], written.answers[-1][1])
    ids, labels = labelled(tokenizer, Rendered(written.text, [span]), learn_all=False)
    learnt = [k for k, label in enumerate(labels) if label != UNLEARNT]
    if not learnt:
        raise UnreadableRecord("one of its answers is empty once cut into tokens")
    return ids[: learnt[0]], ids[learnt[0] : learnt[-1] + 1]


def _without_last_answer(turns: list[dict[str, Any]]) -> list[dict[str, Any]] | None:
    """The conversation up to the answer before the last one; None: there is none."""
    answers = [k for k, turn in enumerate(turns) if turn["role"] == "assistant" and turn["content"].strip()]
    return turns[: answers[-2] + 1] if len(answers) > 1 else None


def labelled(tokenizer: Any, written: Rendered, learn_all: bool) -> tuple[list[int], list[int]]:
    """Tokens and labels of a text; a token is learnt that lies within an answer.

    One that begins before the answer is learnt if only white space of it does: some tokenizers write a word with the
    space before it.
    """
    try:
        cut = tokenizer(written.text, add_special_tokens=False, return_offsets_mapping=True)
    except NotImplementedError:
        raise UsageError(
            "this model's tokenizer can't say where its tokens stand", "take a model with a fast one"
        ) from None
    ids = np.array(cut["input_ids"], dtype=np.int64)
    starts, ends = np.array(cut["offset_mapping"], dtype=np.int64).reshape(-1, 2).T
    learnt = np.full(len(ids), learn_all)
    for start, end in written.answers:
        inside = (starts >= start) & (ends <= end) & (ends > starts)
        for k in np.flatnonzero((starts < start) & (ends > start) & (ends <= end)):
            inside[k] = not written.text[starts[k] : start].strip()
        learnt |= inside
    return ids.tolist(), np.where(learnt, ids, UNLEARNT).tolist()


def shown(tokenizer: Any, row: Tokens) -> list[tuple[str, bool]]:
    """Each token of a row as text, and whether it is learnt; tokens that only together make a character, together."""
    pieces: list[tuple[str, bool]] = []
    waiting: list[int] = []
    for token, label in zip(row.ids, row.labels, strict=True):
        waiting.append(token)
        text = tokenizer.decode(waiting)
        if not text.endswith("\ufffd"):
            pieces.append((text, label != UNLEARNT))
            waiting = []
    return pieces
