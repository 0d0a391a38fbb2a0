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
from curate.formats.sources import BLOCK, PIECE, Source

Positions = npt.NDArray[np.int64]
ROWS_AT_A_TIME = 8192
CUT_OFF = "the compressed file ends too early: it was cut off; make or download it again"
DAMAGED = "the compressed file is damaged from here on ({}); make or download it again"
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
        """The first `n` records, those that could not be read included."""
        if len(self) + len(self.unread) <= n:
            return self
        offsets = self.numbers if self.offsets is None else self.offsets
        places = [*zip(self.numbers.tolist(), offsets.tolist(), range(len(self)), strict=True)]
        places += [(record.line, record.offset or 0, -1 - k) for k, record in enumerate(self.unread)]
        first = [k for _, _, k in sorted(places)[:n]]
        head = self.take(np.array([k for k in first if k >= 0], dtype=np.int64))
        head.unread = [self.unread[-1 - k] for k in first if k < 0]
        return head

    def take(self, keep: npt.NDArray[Any]) -> "Lines":
        """The records that `keep`, a mask or positions, names."""
        offsets = None if self.offsets is None else self.offsets[keep]
        return Lines(self.data, self.starts[keep], self.ends[keep], self.numbers[keep], offsets, self.unread)


def read_lines(source: Source, max_line: int = MAX_LINE) -> Iterator[Lines]:
    """The records of `source`, in order, in blocks of about 8 MB, or, of a table, of 8,192 rows."""
    if source.kind in ("parquet", "arrow"):
        yield from _table(source, max_line)
    elif source.kind in ("csv", "tsv"):
        yield from _separated(source, max_line)
    elif source.kind == "json":
        yield from _values(source, max_line)
    elif source.kind == "xml":
        from curate.formats.posts import read_posts

        yield from read_posts(source, max_line)
    else:
        yield from _jsonl(source, max_line)


def blocks(source: Source, stream: BinaryIO) -> Iterator[bytes | str]:
    """Blocks of bytes; last, if the stream breaks off, a text that says how."""
    from zstandard import ZstdError

    if not source.compression:
        while block := stream.read(BLOCK):
            yield block
        return
    parts: list[bytes] = []
    size = 0
    broken = ""
    try:
        while part := stream.read1(PIECE):  # type: ignore[attr-defined]  # what was read before a fault is not lost
            parts.append(part)
            size += len(part)
            if size >= BLOCK:
                yield b"".join(parts)
                parts, size = [], 0
    except EOFError:
        broken = CUT_OFF
    except (zlib.error, ZstdError, OSError) as error:
        broken = DAMAGED.format(error)
    if parts:
        yield b"".join(parts)
    if not broken and source.compression == ".zst":
        broken = _fault_of_zst(source)
    if broken:
        yield broken


def _fault_of_zst(source: Source) -> str:
    """What is wrong with the end of a .zst, of which its stream reader says nothing; "": nothing is.

    Goes from block header to block header (RFC 8878), so nothing is decompressed.
    """
    import zstandard

    size = source.path.stat().st_size
    at = 0
    with source.path.open("rb") as file:
        while at < size:
            file.seek(at)
            head = file.read(18)
            if head[1:4] == b"\x2a\x4d\x18" and head[0] >> 4 == 5:  # a frame to be skipped
                at += 8 + int.from_bytes(head[4:8], "little")
                continue
            try:
                frame = zstandard.get_frame_parameters(head)
            except zstandard.ZstdError:
                return CUT_OFF if b"\x28\xb5\x2f\xfd".startswith(head[:4]) else DAMAGED.format("no frame follows")
            at += zstandard.frame_header_size(head)
            last = 0
            while not last:
                file.seek(at)
                block = file.read(3)
                if len(block) < 3:
                    return CUT_OFF
                bits = int.from_bytes(block, "little")
                last, repeats = bits & 1, (bits >> 1) & 3 == 1
                at += 3 + (1 if repeats else bits >> 3)
            at += 4 if frame.has_checksum else 0
    return CUT_OFF if at > size else ""


def _jsonl(source: Source, max_line: int) -> Iterator[Lines]:
    carry = b""
    at = 0  # offset of carry
    number = 1  # line number of carry
    skipped: Unread | None = None
    broken = ""
    with source.open() as stream:
        for block in blocks(source, stream):
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
                yield nothing([_too_long(skipped, length, max_line)])
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
        yield nothing([_too_long(skipped, at - (skipped.offset or 0), max_line)])
    if broken:
        yield nothing([Unread(number, broken, at, len(carry), carry[:200])])
    elif carry:
        yield _records(carry, np.zeros(1, np.int64), np.array([len(carry)]), number, at, max_line)


def _too_long(record: Unread, length: int, max_line: int) -> Unread:
    cause = f"{length:,} bytes long, over --max-line {max_line:,}; raise it to read this record"
    return Unread(record.line, cause, record.offset, length, record.head)


def nothing(unread: list[Unread]) -> Lines:
    """No records but those that could not be read."""
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
    from curate.kernels.json_values import DEPTH, IN_STRING, STARTED, STATE_SIZE, cut_values

    state = np.zeros(STATE_SIZE, dtype=np.int64)
    base = -1
    open_value = b""  # what is known of a value that goes on in the next block
    open_at, open_line = 0, 1
    left_out = 0  # bytes of it beyond --max-line
    at, number, broken = 0, 1, ""
    with source.open() as stream:
        for block in blocks(source, stream):
            if isinstance(block, str):
                broken = block
                break
            if base < 0:
                if block.startswith(b"\xef\xbb\xbf"):
                    block, at = block[3:], 3
                base = 1 if block.lstrip()[:1] == b"[" else 0
            view = np.frombuffer(block, dtype=np.uint8)
            out = np.empty(len(view) + 1, dtype=np.uint8)
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
                yield _cut(data, starts, ends, numbers, offsets, max_line, left_out)
                open_value, left_out = b"", 0
            if state[STARTED]:
                if rest_origin >= 0:
                    open_at, open_line = at + int(rest_origin), number + int(np.searchsorted(newlines, rest_origin))
                    open_value = data[rest:]
                else:
                    open_value += data
                if len(open_value) > max_line:
                    left_out += len(open_value) - max_line
                    open_value = open_value[:max_line]
            at += len(block)
            number += len(newlines)
    if broken:
        yield nothing([Unread(number, broken, at, None, open_value[:200])])
    elif state[STARTED] and not state[DEPTH] and not state[IN_STRING]:  # no JSON, as whoever parses it will say
        ends = np.array([len(open_value)])
        yield _cut(open_value, ends - ends, ends, np.array([open_line]), np.array([open_at]), max_line, left_out)
    elif state[STARTED] or state[DEPTH] > 0:
        if not state[STARTED]:
            open_line, open_at = number, at
        cause = "the JSON ends too early: a bracket or a quote that opens here is never closed"
        yield nothing([Unread(open_line, cause, open_at, at - open_at, open_value[:200])])


def _cut(
    data: bytes,
    starts: Positions,
    ends: Positions,
    numbers: Positions,
    offsets: Positions | None,
    max_line: int,
    left_out: int = 0,
) -> Lines:
    """The values of `data` that are not too long; of the first, `left_out` bytes are not there any more."""
    lengths = ends - starts
    lengths[:1] += left_out
    long = lengths > max_line
    unread = []
    for k in np.flatnonzero(long):
        at = None if offsets is None else int(offsets[k])
        record = Unread(int(numbers[k]), "", at, head=data[starts[k] : ends[k]][:200])
        unread.append(_too_long(record, int(lengths[k]), max_line))
    lines = Lines(data, starts, ends, numbers, offsets, unread)
    return lines.take(~long) if unread else lines


def _separated(source: Source, max_line: int) -> Iterator[Lines]:
    broken: list[str] = []
    csv.field_size_limit(max_line)
    with source.open() as stream:
        text = _text_lines(source, stream, max_line, broken)
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
        row: list[str] | None = header
        while row is not None:
            number = rows.line_num + 1
            cause, record = "", b""
            try:
                row = next(rows, None)
                if row == header:
                    cause = "the header again, as where files were joined"
                elif row and len(row) != len(header):
                    cause = f"{len(row)} fields, the header has {len(header)}; quote fields that hold a separator"
                elif row:
                    record = orjson.dumps(dict(zip(header, row, strict=True)))
                if len(record) > max_line:
                    cause = f"{len(record):,} bytes long, over --max-line {max_line:,}; raise it to read this record"
            except csv.Error as error:
                row, cause = [], f"not {source.kind.upper()}: {error}"
                if "field limit" in str(error):
                    cause = f"a field over --max-line {max_line:,}; raise it to read this record"
                elif "unexpected end" in str(error):
                    cause = "a quote that opens here is never closed"
            except TypeError:  # surrogateescape marks what is not UTF-8
                cause = "not UTF-8; save the file as UTF-8"
            if cause:
                unread.append(Unread(number, cause, head="\t".join(row or [])[:200].encode(errors="replace")))
            elif record:
                records.append(record)
                numbers.append(number)
                size += len(record)
            if row is None and broken:
                unread.append(Unread(number, broken[0]))
            if row is None or len(records) == ROWS_AT_A_TIME or size > BLOCK or len(unread) > ROWS_AT_A_TIME:
                yield joined_lines(records, np.array(numbers, dtype=np.int64), unread)
                records, numbers, unread, size = [], [], [], 0


def _text_lines(source: Source, stream: BinaryIO, max_line: int, broken: list[str]) -> Iterator[str]:
    """Lines with their ends, however they end; `broken` is told if the stream breaks off, the half line left out.

    Of a line over `max_line` only so much is given that the reader sees it is too long.
    """
    carry = b""
    first = True
    for block in blocks(source, stream):
        if isinstance(block, str):
            broken.append(block)
            return
        data = carry + (block.removeprefix(b"\xef\xbb\xbf") if first else block)
        first = False
        done = max(data.rfind(b"\n"), data.rfind(b"\r", 0, -1)) + 1  # the newline of a last \r may follow
        yield from io.StringIO(data[:done].decode(errors="surrogateescape"), newline="")
        carry = data[done:]
        if len(carry) > 4 * max_line + 8:  # a character has four bytes at most
            carry = carry[: 4 * max_line + 8]
    yield from io.StringIO(carry.decode(errors="surrogateescape"), newline="")


def joined_lines(records: list[bytes], numbers: Positions, unread: list[Unread] | None = None) -> Lines:
    """Records that stand in no file as lines."""
    ends = np.cumsum([len(record) for record in records], dtype=np.int64)
    starts = np.concatenate((np.zeros(1, np.int64), ends[:-1])) if len(ends) else ends
    return Lines(b"".join(records), starts, ends, numbers, None, unread or [])


def _table(source: Source, max_line: int) -> Iterator[Lines]:
    import polars as pl
    import pyarrow as pa

    faults = (pa.ArrowException, OSError, pl.exceptions.PolarsError, pl.exceptions.PanicException)
    kind = source.kind.title()
    number = 1
    try:
        for batch in _arrow(source) if source.kind == "arrow" else _parquet(source):
            schema = pa.schema([field.with_type(_as_text(field.type)) for field in batch.schema])
            frame = pl.from_arrow(_cast(source, pa.Table.from_batches([batch]), schema))
            assert isinstance(frame, pl.DataFrame)
            data = frame.write_ndjson().encode()
            ends = np.flatnonzero(np.frombuffer(data, dtype=np.uint8) == 0x0A)
            starts = np.concatenate((np.zeros(1, np.int64), ends + 1))[: len(ends)]
            yield _cut(data, starts, ends, np.arange(number, number + len(ends), dtype=np.int64), None, max_line)
            number += len(ends)
    except faults as error:
        if number == 1:
            raise InputError(f"{source.name} is not readable {kind}: {error}", "make or download it again") from None
        yield nothing([Unread(number, f"the {kind} file is damaged from here on ({error})")])


def _parquet(source: Source) -> Iterator[Any]:
    import pyarrow.parquet as pq

    with pq.ParquetFile(source.path) as file:
        yield from file.iter_batches(batch_size=ROWS_AT_A_TIME)


def _arrow(source: Source) -> Iterator[Any]:
    """The batches of an Arrow file, or of a stream, which is what `datasets` writes."""
    import pyarrow as pa

    with pa.memory_map(str(source.path)) as file:
        in_file_format = file.read(6) == b"ARROW1"
        file.seek(0)
        reader = pa.ipc.open_file(file) if in_file_format else pa.ipc.open_stream(file)
        batches = map(reader.get_batch, range(reader.num_record_batches)) if in_file_format else reader
        for batch in batches:
            yield from (batch[start : start + ROWS_AT_A_TIME] for start in range(0, len(batch), ROWS_AT_A_TIME))


def _cast(source: Source, table: Any, schema: Any) -> Any:
    import pyarrow as pa

    try:
        return table.cast(schema)
    except pa.ArrowInvalid:
        names = ", ".join(before.name for before, after in zip(table.schema, schema, strict=True) if before != after)
        remedy = "write it again without them"
        raise InputError(f"{source.name} has columns of bytes that are not UTF-8 text: {names}", remedy) from None


def _as_text(kind: Any) -> Any:
    """`kind` with text for bytes, as which older writers keep it."""
    import pyarrow as pa

    if pa.types.is_struct(kind):
        return pa.struct([field.with_type(_as_text(field.type)) for field in kind])
    if pa.types.is_list(kind) or pa.types.is_large_list(kind):
        return pa.large_list(_as_text(kind.value_type))
    if pa.types.is_binary(kind) or pa.types.is_large_binary(kind) or pa.types.is_binary_view(kind):
        return pa.large_string()
    return kind
