"""From one shape to another: `{"instruction": "Hi", "output": "Hello."}` to `{"messages": [{"role": "user", ...}]}`.

`convert(["raw.jsonl"], "out.jsonl", "messages")` streams; what a record holds besides is carried along.
"""

import os
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import zip_longest
from pathlib import Path
from typing import IO, Any

import numpy as np
import orjson

from curate.errors import InputError, UsageError
from curate.filtering import disk_faults, read_options
from curate.formats.lines import Lines, Unread, joined_lines, read_lines
from curate.formats.sources import Source, sources_of
from curate.formats.writing import check_output, texts, write_lines
from curate.pool import ReadOptions
from curate.records import Message, Row, UnreadableRecord, parse, says_all, to_json
from curate.shapes import read_record
from curate.templates import load_template
from curate.whole import whole_file
from curate.working import Working


@dataclass(frozen=True)
class Converted:
    """How many records were read, and rows written to `output`; `rejected`: the file of those that could not be."""

    records: int
    rows: int
    output: Path
    rejected: Path | None


def convert(
    inputs: str | os.PathLike[str] | Sequence[str | os.PathLike[str]],
    output: str | os.PathLike[str],
    to: str,
    *,
    format: str | None = None,
    map: Mapping[str, str] | None = None,
    max_line: int | None = None,
    limit: int | None = None,
    work_dir: str | os.PathLike[str] = ".curate",
    working: Working | None = None,
) -> Converted:
    """Write the rows of `inputs` in the shape `to`: alpaca, messages, sharegpt, prompt-completion, preference or text.

    A record that can't be read, or has no such shape, goes to `OUTPUT.rejected.jsonl` with file, line and cause, and
    stops nothing. Raises InputError where no row could be converted.
    """
    if to not in TARGETS:
        raise UsageError(f"no shape is called {to}", f"known: {', '.join(TARGETS)}")
    files = [inputs] if isinstance(inputs, str | os.PathLike) else list(inputs)
    out, working = Path(output), working or Working()
    check_output(out, files)
    options = read_options(format, map, max_line, limit)
    rejected = out.with_name(f"{out.name}.rejected.jsonl")
    spool = Path(work_dir) / "pools"
    with disk_faults(out.absolute().parent):
        conversion = _Conversion(sources_of(files, spool), to, options, working)
        with whole_file(rejected) as file:
            write_lines(out, lambda: conversion.lines(file))
        if not conversion.failed:
            rejected.unlink()
    for source in conversion.sources:
        if source.path.parent == spool.absolute():
            source.path.unlink(missing_ok=True)
    if conversion.failed:
        working.notice(
            f"{conversion.failed:,} of {conversion.records:,} records could not be converted, see {rejected}; "
            f"the first is {conversion.first}"
        )
    if conversion.left_out:
        working.notice(f"{conversion.left_out:,} rejected answers are left out: {to} has no place for them")
    return Converted(conversion.records, conversion.rows, out, rejected if conversion.failed else None)


class _Conversion:
    """Lines of the target shape, and what was counted the first time they were given."""

    def __init__(self, sources: list[Source], to: str, options: ReadOptions, working: Working) -> None:
        self.sources, self.to, self.options, self.working = sources, to, options, working
        self.records = self.rows = self.failed = self.left_out = 0
        self.first = ""
        self._counted = False

    def lines(self, rejected: IO[bytes]) -> Iterator[Lines]:
        """The converted rows, block by block; a table is written in two passes, and only the first is counted.

        Raises InputError at the end if there were none.
        """
        left = self.options.limit
        for source in self.sources:
            for block in read_lines(source, self.options.max_line):
                self.working.check()
                if left is not None:
                    block = block.head(left)
                    left -= len(block) + len(block.unread)
                done, unread = self._convert(block)
                if not self._counted:
                    self.records += len(block) + len(block.unread)
                    self.rows += len(done)
                    self.failed += len(unread)
                    for record in unread:
                        self.first = self.first or f"{source.name}:{record.line}  {record.cause}"
                        place = {"source": source.name, "line": record.line, "cause": record.cause}
                        rejected.write(orjson.dumps(place) + b"\n")
                if done:
                    yield joined_lines(done, np.zeros(len(done), dtype=np.int64))
                if left == 0:
                    break
        self._counted = True
        if not self.rows:
            raise InputError(
                f"none of the {self.records:,} records can become {self.to}"
                if self.records
                else "there are no records",
                f"the first is {self.first}" if self.first else "check how the input was made",
            )

    def _convert(self, block: Lines) -> tuple[list[bytes], list[Unread]]:
        done, unread = [], list(block.unread)
        for text, line in zip(texts(block), block.numbers.tolist(), strict=True):
            try:
                for row in read_record(parse(text), self.options.reading):
                    done.append(to_json(self._record(row)).encode())
                    self.left_out += row.rejected is not None and self.to != "preference" and not self._counted
            except UnreadableRecord as error:
                unread.append(Unread(line, str(error)))
        return done, sorted(unread, key=lambda record: record.line)

    def _record(self, row: Row) -> dict[str, Any]:
        """The row in the target shape, its label, and its other fields where their names are free."""
        label = {} if row.label is None else {"label": row.label}
        record = TARGETS[self.to](row)
        return record | {name: value for name, value in (row.meta | label).items() if name not in record}


def _alpaca(row: Row) -> dict[str, Any]:
    system, pairs = _pairs(row)
    *earlier, (question, answer) = pairs
    instruction, given = _split(question, row.input)
    record = {"instruction": instruction, "input": given, "output": answer}
    return record | ({"system": system} if system else {}) | ({"history": earlier} if earlier else {})


def _text(row: Row) -> dict[str, Any]:
    if row.messages[0].role == "text":
        return {"text": row.messages[0].content}
    system, pairs = _pairs(row)
    turns = [{"instruction": question, "input": "", "response": answer or ""} for question, answer in pairs]
    turns[-1]["instruction"], turns[-1]["input"] = _split(pairs[-1][0], row.input)
    hangul = len(re.findall("[\uac00-\ud7a3]", pairs[0][0]))
    latin = len(re.findall("[A-Za-z]", pairs[0][0]))
    template = load_template("alpaca/ko" if 3 * hangul > latin else "alpaca/en")
    return {"text": template.render(system=system, input=turns[-1]["input"], turns=turns)}


def _pairs(row: Row) -> tuple[str, list[tuple[str, str | None]]]:
    """The system's text, and each question with its answer (None: the last has none)."""
    system = row.messages[0].content if row.messages[0].role == "system" else ""
    turns = row.messages[1:] if row.messages[0].role == "system" else row.messages
    roles = [turn.role for turn in turns]
    if not turns or roles != ["user", "assistant"] * (len(turns) // 2) + ["user"] * (len(turns) % 2):
        raise UnreadableRecord(
            f"the turns ({', '.join(roles)}) are not questions and answers; --to messages keeps them"
        )
    if any(turn.extra for turn in turns):
        raise UnreadableRecord("a turn carries more than its text; --to messages keeps it")
    answers: list[str | None] = [turn.content for turn in turns[1::2]]
    return system, list(zip_longest((turn.content for turn in turns[::2]), answers))


def _split(question: str, given: str | None) -> tuple[str, str]:
    """An instruction and its input again, where the row was read from such a pair."""
    if given and question.endswith(given):
        return question.removesuffix(given).removesuffix("\n\n"), given
    return question, ""


def _messages(row: Row) -> dict[str, Any]:
    return {"messages": _turns(row.messages, "role", "content")}


def _sharegpt(row: Row) -> dict[str, Any]:
    return {"conversations": _turns(row.messages, "from", "value")}


def _turns(messages: Sequence[Message], role: str, content: str) -> list[dict[str, Any]]:
    """Messages as a file holds them; what stood beside a turn's text stands there again."""
    names = {"user": "human", "assistant": "gpt"} if role == "from" else {}
    turns = []
    for message in messages:
        if message.role == "text":
            raise UnreadableRecord("plain text has no turns")
        extra = parse(message.extra.encode()) if message.extra else {}
        named = extra.pop("role", None)  # a spelling of the role other than ours
        turns.append({role: named or names.get(message.role, message.role), content: message.content, **extra})
    return turns


def _prompt_completion(row: Row) -> dict[str, Any]:
    if says_all(row.messages) and len(row.messages) == 2:
        return {"prompt": row.messages[0].content, "completion": row.messages[1].content}
    if row.messages[-1].role != "assistant":
        raise UnreadableRecord("it does not end with an answer, which a completion is")
    turns = _turns(row.messages, "role", "content")
    return {"prompt": turns[:-1], "completion": turns[-1:]}


def _preference(row: Row) -> dict[str, Any]:
    if row.chosen is None or row.rejected is None:
        raise UnreadableRecord("it has no chosen and rejected answers")
    context = row.messages[: len(row.messages) - len(row.chosen)]
    if all(says_all((*context, *answer)) and len(context) == 1 for answer in (row.chosen, row.rejected)):
        return {"prompt": context[0].content, "chosen": row.chosen[0].content, "rejected": row.rejected[0].content}
    parts = {"prompt": context, "chosen": row.chosen, "rejected": row.rejected}
    return {name: _turns(messages, "role", "content") for name, messages in parts.items()}


TARGETS: dict[str, Callable[[Row], dict[str, Any]]] = {
    "alpaca": _alpaca,
    "messages": _messages,
    "sharegpt": _sharegpt,
    "prompt-completion": _prompt_completion,
    "preference": _preference,
    "text": _text,
}
"""How a row is written in each shape; UnreadableRecord says why one can't be."""
