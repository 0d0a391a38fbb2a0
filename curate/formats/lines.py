"""The records of a source as lines of JSON, a block at a time.

`{"instruction": "a"}\\n\\n{"instruction": "b"}\\n` gives the lines 1 and 3.
"""

import csv
import io
import zlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, BinaryIO

import numpy as np
import numpy.typing as npt
import orjson

from curate.errors import InputError
from curate.formats.sources import BLOCK, Source

Positions = npt.NDArray[np.int64]
ROWS_AT_A_TIME = 8192
CUT_OFF = "the compressed file ends too early: it was cut off; make or download it again"
MAX_LINE = 32 << 20
"""Default of --max-line: the longest record that is read, in bytes."""


@dataclass(frozen=True)
class Unread:
    """A record that could not be cut out of its file, with the cause; `head`: its first bytes."""

    line: int
    cause: str
    offset: int | None = None
    length: int | None = None
    head: bytes = b""


@dataclass
class Lines:
    """Some records in order: line k is `data[starts[k]:ends[k]]`, stood on line `numbers[k]` at byte `offsets[k]`."""

    data: bytes
    starts: Positions
    ends: Positions
    numbers: Positions
    offsets: Positions | None = None
    unread: list[Unread] = field(default_factory=list)

    def __len__(self) -> int:
        return len(self.starts)

    def head(self, n: int) -> "Lines":
        """The first `n` records."""
        offsets = None if self.offsets is None else self.offsets[:n]
        return Lines(self.data, self.starts[:n], self.ends[:n], self.numbers[:n], offsets)

    def take(self, keep: npt.NDArray[Any]) -> "Lines":
        """The records that `keep`, a mask or positions, names."""
        offsets = None if self.offsets is None else self.offsets[keep]
        return Lines(self.data, self.starts[keep], self.ends[keep], self.numbers[keep], offsets, self.unread)


def read_lines(source: Source, max_line: int = MAX_LINE) -> Iterator[Lines]:
    """The records of `source`, in order, in blocks of about 8 MB."""
    if source.kind == "parquet":
        yield from _parquet(source)
    elif source.kind in ("csv", "tsv"):
        yield from _separated(source, max_line)
    elif source.kind == "json":
        yield from _values(source, max_line)
    else:
        yield from _jsonl(source, max_line)


def _blocks(source: Source, stream: BinaryIO) -> Iterator[bytes | str]:
    """Blocks of bytes; last, if the stream breaks off, a text that says how."""
    from zstandard import ZstdError

    if not source.compression:
        while block := stream.read(BLOCK):
            yield block
        return
    parts: list[bytes] = []
    broken = ""
    try:
        while part := stream.read1(BLOCK):  # type: ignore[attr-defined]  # what was read before a fault is not lost
            parts.append(part)
            if sum(map(len, parts)) >= BLOCK:
                yield b"".join(parts)
                parts = []
    except EOFError:
        broken = CUT_OFF
    except (zlib.error, ZstdError, OSError) as error:
        broken = f"the compressed file is damaged from here on ({error}); make or download it again"
    if parts:
        yield b"".join(parts)
    if not broken and source.compression == ".zst" and not _complete_zst(source):
        broken = CUT_OFF
    if broken:
        yield broken


def _complete_zst(source: Source) -> bool:
    """Whether the last frame of a .zst ended; its stream reader stops without a word where it is cut."""
    import zstandard

    with source.path.open("rb") as file:
        decompressor = zstandard.ZstdDecompressor(max_window_size=1 << 31).decompressobj()
        while block := file.read(BLOCK):
            while block:
                decompressor.decompress(block)
                block = decompressor.unused_data if decompressor.eof else b""
                if decompressor.eof and block:
                    decompressor = zstandard.ZstdDecompressor(max_window_size=1 << 31).decompressobj()
    return bool(decompressor.eof)


def _jsonl(source: Source, max_line: int) -> Iterator[Lines]:
    carry = b""
    at = 0  # offset of carry
    number = 1  # line number of carry
    skipped: Unread | None = None
    broken = ""
    with source.open() as stream:
        for block in _blocks(source, stream):
            if isinstance(block, str):
                broken = block
                break
            if at == 0 and not carry and block.startswith(b"\xef\xbb\xbf"):
                block, at = block[3:], 3
            if skipped:
                newline = block.find(b"\n")
                if newline < 0:
                    at += len(block)
                    continue
                length = at + newline - (skipped.offset or 0)
                yield _nothing([_too_long(skipped, length, max_line)])
                block, at, number, skipped = block[newline + 1 :], at + newline + 1, number + 1, None
            data = carry + block
            newlines = np.flatnonzero(np.frombuffer(data, dtype=np.uint8) == 0x0A)
            if len(newlines):
                starts = np.concatenate(([0], newlines[:-1] + 1))
                yield _records(data, starts, newlines, number, at, max_line)
                done = int(newlines[-1]) + 1
                carry, at, number = data[done:], at + done, number + len(newlines)
            else:
                carry = data
            if len(carry) > max_line:
                skipped = Unread(number, "", at, head=carry[:200])
                at, carry = at + len(carry), b""
    if skipped:
        yield _nothing([_too_long(skipped, at - (skipped.offset or 0), max_line)])
    if broken:
        yield _nothing([Unread(number, broken, at, len(carry), carry[:200])])
    elif carry:
        yield _records(carry, np.zeros(1, np.int64), np.array([len(carry)]), number, at, max_line)


def _too_long(record: Unread, length: int, max_line: int) -> Unread:
    cause = f"{length:,} bytes long, over --max-line {max_line:,}; raise it to read this record"
    return Unread(record.line, cause, record.offset, length, record.head)


def _nothing(unread: list[Unread]) -> Lines:
    none = np.zeros(0, dtype=np.int64)
    return Lines(b"", none, none, none, none, unread)


def _records(data: bytes, starts: Positions, ends: Positions, number: int, at: int, max_line: int) -> Lines:
    """The lines of `data` that are neither blank nor too long."""
    numbers = np.arange(number, number + len(starts), dtype=np.int64)
    view = np.frombuffer(data, dtype=np.uint8)
    lengths = ends - starts
    blank = lengths == 0
    spaced = np.flatnonzero(~blank & (view[np.minimum(starts, len(view) - 1)] <= 0x20))
    for k in spaced:  # a record rarely starts with white space
        blank[k] = not data[starts[k] : ends[k]].strip()
    long = lengths > max_line
    unread = [
        _too_long(Unread(int(numbers[k]), "", at + int(starts[k]), head=data[starts[k] : starts[k] + 200]), n, max_line)
        for k in np.flatnonzero(long)
        if (n := int(lengths[k]))
    ]
    lines = Lines(data, starts, ends, numbers, starts + at, unread)
    return lines.take(~(blank | long)) if blank.any() or long.any() else lines


def _values(source: Source, max_line: int) -> Iterator[Lines]:
    from curate.kernels.json_values import DEPTH, STARTED, cut_values

    state = np.zeros(4, dtype=np.int64)
    base = -1
    open_value = b""  # what is known of a value that goes on in the next block
    open_at, open_line = 0, 1
    at, number, broken = 0, 1, ""
    too_long = False
    with source.open() as stream:
        for block in _blocks(source, stream):
            if isinstance(block, str):
                broken = block
                break
            if base < 0:
                if block.startswith(b"\xef\xbb\xbf"):
                    block, at = block[3:], 3
                base = 1 if block.lstrip()[:1] == b"[" else 0
            view = np.frombuffer(block, dtype=np.uint8)
            out = np.empty(len(view), dtype=np.uint8)
            most = len(view) // 2 + 2
            starts, ends, origins = (np.empty(most, dtype=np.int64) for _ in range(3))
            count, size, rest, rest_origin = cut_values(view, base, state, out, starts, ends, origins)
            starts, ends, origins = starts[:count], ends[:count], origins[:count]
            newlines = np.flatnonzero(view == 0x0A)
            numbers = number + np.searchsorted(newlines, origins)
            offsets = at + origins
            data = out[:size].tobytes()
            if count:
                if origins[0] < 0:
                    data = open_value + data
                    starts, ends = starts + len(open_value), ends + len(open_value)
                    starts[0], numbers[0], offsets[0] = 0, open_line, open_at
                    rest += len(open_value)
                yield _cut(data, starts, ends, numbers, offsets, max_line, too_long)
                open_value, too_long = b"", False
            if state[STARTED]:
                if rest_origin >= 0:
                    open_at, open_line = at + int(rest_origin), number + int(np.searchsorted(newlines, rest_origin))
                    open_value = data[rest:]
                else:
                    open_value += data
                if len(open_value) > max_line:
                    open_value, too_long = open_value[: max_line + 1], True
            at += len(block)
            number += len(newlines)
    if broken:
        yield _nothing([Unread(number, broken, at, None, open_value[:200])])
    elif state[STARTED] or state[DEPTH] > 0:
        cause = "the JSON ends too early: a bracket or a quote that opens here is never closed"
        yield _nothing([Unread(open_line, cause, open_at, at - open_at, open_value[:200])])


def _cut(
    data: bytes, starts: Positions, ends: Positions, numbers: Positions, offsets: Positions, max_line: int, first: bool
) -> Lines:
    lines = Lines(data, starts, ends, numbers, offsets)
    long = (ends - starts) > max_line
    long[0] |= first
    for k in np.flatnonzero(long):
        lines.unread.append(
            _too_long(
                Unread(int(numbers[k]), "", int(offsets[k]), head=data[starts[k] : starts[k] + 200]),
                int(ends[k] - starts[k]),
                max_line,
            )
        )
    return lines.take(~long) if long.any() else lines


def _separated(source: Source, max_line: int) -> Iterator[Lines]:
    csv.field_size_limit(max_line)
    with source.open() as stream:
        text = io.TextIOWrapper(stream, encoding="utf-8-sig", errors="surrogateescape", newline="")
        rows = csv.reader(text, delimiter="\t" if source.kind == "tsv" else ",", strict=True)
        try:
            header = next(rows, None)
        except csv.Error as error:
            raise InputError(f"{source.name}:1 has no readable header: {error}", "check its quotes") from None
        if not header or len(set(header)) < len(header):
            raise InputError(f"{source.name}:1 has no header of distinct names: {header}", "name each column once")
        records: list[bytes] = []
        numbers: list[int] = []
        unread: list[Unread] = []
        size = 0
        while True:
            number = rows.line_num + 1
            try:
                row = next(rows, None)
            except csv.Error as error:
                unread.append(Unread(number, f"not {source.kind.upper()}: {error}"))
                continue
            except EOFError:
                unread.append(Unread(number, CUT_OFF))
                row = None
            except (zlib.error, OSError) as error:
                unread.append(Unread(number, f"the compressed file is damaged from here on ({error})"))
                row = None
            if row is not None and row:
                if len(row) != len(header):
                    cause = f"{len(row)} fields, the header has {len(header)}; quote fields that hold a separator"
                    unread.append(Unread(number, cause, head="\t".join(row)[:200].encode(errors="replace")))
                else:
                    try:
                        records.append(orjson.dumps(dict(zip(header, row, strict=True))))
                        numbers.append(number)
                        size += len(records[-1])
                    except TypeError:  # surrogateescape marks what is not UTF-8
                        unread.append(Unread(number, "not UTF-8; save the file as UTF-8"))
            if row is None or len(records) == ROWS_AT_A_TIME or size > BLOCK or len(unread) > ROWS_AT_A_TIME:
                yield joined_lines(records, np.array(numbers, dtype=np.int64), unread)
                records, numbers, unread, size = [], [], [], 0
            if row is None:
                return


def joined_lines(records: list[bytes], numbers: Positions, unread: list[Unread] | None = None) -> Lines:
    """Records that stand in no file as lines."""
    ends = np.cumsum([len(record) for record in records], dtype=np.int64)
    starts = np.concatenate((np.zeros(1, np.int64), ends[:-1])) if len(ends) else ends
    return Lines(b"".join(records), starts, ends, numbers, None, unread or [])


def _parquet(source: Source) -> Iterator[Lines]:
    import polars as pl
    import pyarrow as pa
    import pyarrow.parquet as pq

    number = 1
    try:
        with pq.ParquetFile(source.path) as file:
            for batch in file.iter_batches(batch_size=ROWS_AT_A_TIME):
                frame = pl.from_arrow(pa.Table.from_batches([batch]))
                assert isinstance(frame, pl.DataFrame)
                data = frame.write_ndjson().encode()
                ends = np.flatnonzero(np.frombuffer(data, dtype=np.uint8) == 0x0A)
                starts = np.concatenate(([0], ends[:-1] + 1))
                yield Lines(data, starts, ends, np.arange(number, number + len(ends), dtype=np.int64))
                number += len(ends)
    except pa.ArrowException as error:
        if number == 1:
            raise InputError(f"{source.name} is not readable Parquet: {error}", "make or download it again") from None
        yield _nothing([Unread(number, f"the Parquet file is damaged from here on ({error})")])
