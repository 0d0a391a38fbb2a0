"""Tables as lines of JSON: CSV, TSV, Parquet, Arrow.

`instruction,output\nWhy?,So.\n` gives `{"instruction": "Why?", "output": "So."}` of line 2.
"""

import csv
import io
from base64 import b64encode
from collections.abc import Callable, Iterator, Mapping
from itertools import chain
from typing import TYPE_CHECKING, Any

import numpy as np
import orjson

from curate.formats.lines import ROWS_AT_A_TIME, Lines, Unread, joined_lines, nothing, without_too_long
from curate.formats.sources import BLOCK, Source

if TYPE_CHECKING:
    import polars as pl
    from polars._typing import PolarsDataType


def read_separated(source: Source, max_line: int) -> Iterator[Lines]:
    """The rows of a .csv or .tsv; one without a header that can be read is one record that is unread."""
    broken: list[str] = []
    csv.field_size_limit(max_line)
    text = _text_lines(source, max_line, broken)
    first = next(text, "")
    rows = csv.reader(chain([first], text), delimiter=_separator(source, first), strict=True)
    try:
        header = next(rows, None)
    except csv.Error as error:
        yield nothing([Unread(1, f"no readable header: {error}; check its quotes")])
        return
    if not header or len(set(header)) < len(header):
        yield nothing([Unread(1, f"no header of distinct names: {header}; name each column once")])
        return
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


def _separator(source: Source, first: str) -> str:
    """What stands between fields; where the comma marks decimals, a .csv is written with semicolons."""
    if source.kind == "tsv":
        return "\t"
    return ";" if ";" in first and "," not in first else ","


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
            frame = pl.from_arrow(pa.Table.from_batches([batch]))
            assert isinstance(frame, pl.DataFrame)
            frame = frame.with_columns(_texts(frame.schema))
            data = frame.write_ndjson().encode()
            ends = np.flatnonzero(np.frombuffer(data, dtype=np.uint8) == 0x0A)
            starts = np.concatenate((np.zeros(1, np.int64), ends + 1))[: len(ends)]
            yield without_too_long(
                data, starts, ends, np.arange(number, number + len(ends), dtype=np.int64), None, max_line
            )
            number += len(ends)
    except faults as error:
        yield nothing([Unread(number, f"the {kind} file is damaged from here on ({error}); make or download it again")])


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


def _texts(columns: "Mapping[str, PolarsDataType]", of: "Callable[[str], pl.Expr] | None" = None) -> "list[pl.Expr]":
    """Those of `columns` that hold bytes, as text."""
    import polars as pl

    return [_as_text((of or pl.col)(name), kind) for name, kind in columns.items() if "Binary" in str(kind)]


def _as_text(value: "pl.Expr", kind: "PolarsDataType") -> "pl.Expr":
    """`value` with text for the bytes in it."""
    import polars as pl

    if isinstance(kind, pl.Struct):
        return value.struct.with_fields(_texts(dict(kind), pl.field))
    if isinstance(kind, pl.List):
        return value.list.eval(_as_text(pl.element(), kind.inner))
    if isinstance(kind, pl.Array):
        return value.arr.eval(_as_text(pl.element(), kind.inner))
    if isinstance(kind, pl.Binary):
        return value.map_batches(_decoded, return_dtype=pl.String, is_elementwise=True)
    return value


def _decoded(values: "pl.Series") -> "pl.Series":
    """Bytes as the text they are, as which older writers keep it; those that are none (an image) as base64."""
    import polars as pl

    try:
        return values.cast(pl.String)
    except pl.exceptions.ComputeError:
        return pl.Series(values.name, [None if value is None else _text_of(value) for value in values], pl.String)


def _text_of(value: bytes) -> str:
    try:
        return value.decode()
    except UnicodeDecodeError:
        return b64encode(value).decode()
