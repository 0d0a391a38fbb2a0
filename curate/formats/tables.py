"""Tables as lines of JSON: CSV, TSV, Parquet, Arrow.

`instruction,output\nWhy?,So.\n` gives `{"instruction": "Why?", "output": "So."}` of line 2.
"""

import csv
import io
from collections.abc import Iterator
from typing import Any

import numpy as np
import orjson

from curate.errors import InputError
from curate.formats.lines import ROWS_AT_A_TIME, Lines, Unread, joined_lines, nothing, without_too_long
from curate.formats.sources import BLOCK, Source


def read_separated(source: Source, max_line: int) -> Iterator[Lines]:
    """The rows of a .csv or .tsv."""
    broken: list[str] = []
    csv.field_size_limit(max_line)
    text = _text_lines(source, max_line, broken)
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


def _text_lines(source: Source, max_line: int, broken: list[str]) -> Iterator[str]:
    """Lines with their ends, however they end; `broken` is told if the stream breaks off, the half line left out.

    Of a line over `max_line` only so much is given that the reader sees it is too long.
    """
    carry = b""
    first = True
    for block in source.blocks():
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


def read_table(source: Source, max_line: int) -> Iterator[Lines]:
    """The rows of a .parquet or .arrow."""
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
            yield without_too_long(
                data, starts, ends, np.arange(number, number + len(ends), dtype=np.int64), None, max_line
            )
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
