"""From one shape to another: `{"instruction": "Hi", "output": "Hello."}` to `{"messages": [{"role": "user", ...}]}`.

`convert(["raw.jsonl"], "out.jsonl", "messages")` streams; what a record holds besides is carried along.
"""

import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO

import numpy as np
import orjson

from curate.disk import disk_faults
from curate.errors import InputError, UsageError
from curate.formats.lines import Lines, Unread, joined_lines
from curate.formats.reading import read_lines
from curate.formats.sources import Source, sources_of
from curate.formats.writing import check_output, texts, write_lines
from curate.pool import ReadOptions, read_options
from curate.records import UnreadableRecord, parse, to_json
from curate.shapes.reading import read_record
from curate.shapes.rendering import TARGETS, record_of
from curate.texts.personal import redacted
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
    redact: bool = False,
    work_dir: str | os.PathLike[str] = ".curate",
    working: Working | None = None,
) -> Converted:
    """Write the rows of `inputs` in the shape `to`: alpaca, messages, sharegpt, prompt-completion, preference or text.

    A record that can't be read, or has no such shape, goes to `OUTPUT.rejected.jsonl` with file, line and cause, and
    stops nothing. With `redact` e-mail addresses, phone numbers, cards and resident numbers are replaced by [EMAIL] and
    the like, in every text of a record. Raises InputError where no row could be converted.
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
        conversion = _Conversion(sources_of(files, spool), to, options, redact, working)
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
    if redact:
        working.notice(
            f"{conversion.redacted:,} addresses, numbers and cards redacted; look at the result all the same"
        )
    if conversion.clashed:
        working.notice(
            f"{conversion.clashed:,} records have other fields whose names {to} needs; these fields are left out"
        )
    if conversion.left_out:
        working.notice(f"{conversion.left_out:,} rejected answers are left out: {to} has no place for them")
    return Converted(conversion.records, conversion.rows, out, rejected if conversion.failed else None)


class _Conversion:
    """Lines of the target shape, and what was counted when they were given last."""

    def __init__(self, sources: list[Source], to: str, options: ReadOptions, redact: bool, working: Working) -> None:
        self.sources, self.to, self.options, self.redact, self.working = sources, to, options, redact, working
        self._count_anew()

    def _count_anew(self) -> None:
        self.records = self.rows = self.failed = self.left_out = self.clashed = self.redacted = 0
        self.first = ""

    def lines(self, rejected: IO[bytes]) -> Iterator[Lines]:
        """The converted rows, block by block; a table is written in two passes, each of which counts anew.

        Raises InputError at the end if there were none.
        """
        self._count_anew()
        rejected.seek(0)
        rejected.truncate()
        left = self.options.limit
        for source in self.sources:
            for block in read_lines(source, self.options.max_line):
                self.working.check()
                if left is not None:
                    block = block.head(left)
                    left -= len(block) + len(block.unread)
                done, unread = self._convert(block)
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
                    record = record_of(row, self.to)
                    self.clashed += any(record[name] is not value for name, value in row.meta.items())
                    if self.redact:
                        record, count = redacted(record)
                        self.redacted += count
                    done.append(to_json(record).encode())
                    self.left_out += row.rejected is not None and self.to != "preference"
            except UnreadableRecord as error:
                unread.append(Unread(line, str(error)))
        return done, sorted(unread, key=lambda record: record.line)
