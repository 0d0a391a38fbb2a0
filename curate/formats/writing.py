"""Rows out again: kept lines byte for byte, in order, in the format that the output's ending names.

A kept line of `raw.jsonl` is copied from the bytes where it stood; a record that had none there (CSV, Parquet, an
element of a JSON array) is written as an object of its own fields.
"""

import csv
import gzip
import os
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any, cast

import numpy as np
import numpy.typing as npt
import orjson

from curate.errors import StoppedError, UsageError
from curate.formats.lines import Lines
from curate.formats.reading import read_lines
from curate.formats.sources import BLOCK, COMPRESSIONS, KINDS, Kind, Source, kind_of
from curate.records import parse
from curate.whole import check_writable, whole_file

Mask = npt.NDArray[np.bool_]


def check_output(path: Path, inputs: Iterable[str | os.PathLike[str]] = ()) -> None:
    """Raises UsageError where `path` can't be written, or would take the place of an input, before any work is done."""
    for file in inputs:
        if str(file) != "-" and Path(file).exists() and path.exists() and path.samefile(file):
            raise UsageError(f"{path} is an input as well", "name another output with -o")
    if kind_of(path.name)[0] in (None, "xml"):
        endings = ", ".join([*(e for e, k in KINDS.items() if k != "xml"), *(f".jsonl{c}" for c in COMPRESSIONS)])
        raise UsageError(f"the ending of {path} names no format", f"known: {endings}")
    folder = path.parent
    if path.is_dir():
        raise UsageError(f"{path} is a folder", "name a file")
    if not folder.is_dir():
        raise UsageError(f"the folder {folder} does not exist", f"make it: mkdir -p {folder}")
    check_writable(folder, "name another place with -o")


def lines_at(source: Source, numbers: npt.NDArray[Any], offsets: Any, lengths: Any, max_line: int) -> Iterator[Lines]:
    """The records of `source` that stood on lines `numbers`, at `offsets` of `lengths` bytes where it has bytes.

    Whether the file still has the bytes that were read is for the caller to check, when it has them all.
    """
    if not len(numbers):
        return
    if source.has_bytes:
        yield from _copied(source, numbers, offsets, lengths)
        return
    key = numbers if offsets is None else offsets
    for lines in read_lines(source, max_line):
        here = lines.numbers if offsets is None else cast(Any, lines.offsets)
        at = np.searchsorted(key, here)
        found = key[np.minimum(at, len(key) - 1)] == here
        if found.any():
            yield lines.take(np.flatnonzero(found))


def _copied(source: Source, numbers: npt.NDArray[Any], offsets: Any, lengths: Any) -> Iterator[Lines]:
    starts, ends = offsets.astype(np.int64), (offsets + lengths).astype(np.int64)
    with source.path.open("rb") as file:
        first = 0
        while first < len(starts):
            base = int(starts[first])
            last = max(first + 1, int(np.searchsorted(ends, base + BLOCK, side="right")))
            file.seek(base)
            data = file.read(int(ends[last - 1]) - base)
            yield Lines(data, starts[first:last] - base, ends[first:last] - base, numbers[first:last])
            first = last


def texts(lines: Lines) -> list[bytes]:
    """Each line's bytes."""
    return [lines.data[a:b] for a, b in zip(lines.starts.tolist(), lines.ends.tolist(), strict=True)]


def _newline_ended(lines: Lines) -> list[bytes]:
    """The lines' bytes, each with its newline; neighbours that stand side by side as one piece."""
    ends = lines.ends[:-1]
    newline = np.frombuffer(lines.data, dtype=np.uint8)[ends] == 0x0A
    breaks = np.flatnonzero((lines.starts[1:] != ends + 1) | ~newline) + 1
    first = np.concatenate(([0], breaks))
    last = np.concatenate((breaks, [len(lines)])) - 1
    bounds = zip(lines.starts[first].tolist(), lines.ends[last].tolist(), strict=True)
    return [piece for a, b in bounds for piece in (lines.data[a:b], b"\n")]


def write_lines(path: Path, chunks: Callable[[], Iterator[Lines]]) -> None:
    """Write the lines that `chunks` gives (each time it is called) in the format of `path`'s ending."""
    kind, compression = kind_of(path.name)
    with whole_file(path) as file:
        if kind in ("parquet", "arrow"):
            _write_table(file, chunks, kind)
            return
        with _compressed(file, compression) as out:
            if kind in ("csv", "tsv"):
                _write_separated(out, chunks, "\t" if kind == "tsv" else ",")
            elif kind == "json":
                separator = b"[\n"
                for lines in chunks():
                    for text in texts(lines):
                        out.write(separator + text)
                        separator = b",\n"
                out.write(b"[]\n" if separator == b"[\n" else b"\n]\n")
            else:
                for lines in chunks():
                    if len(lines):
                        out.write(b"".join(_newline_ended(lines)))


@contextmanager
def _compressed(file: IO[bytes], compression: str) -> Iterator[IO[bytes]]:
    if compression == ".gz":  # without name and time: the same rows give the same bytes
        with gzip.GzipFile(filename="", mode="wb", fileobj=file, mtime=0) as out:
            yield cast(IO[bytes], out)
    elif compression == ".zst":
        import zstandard

        with zstandard.ZstdCompressor().stream_writer(file, closefd=False) as writer:
            yield cast(IO[bytes], writer)
    else:
        yield file


def _fields(chunks: Callable[[], Iterator[Lines]]) -> list[str]:
    names: dict[str, None] = {}
    for lines in chunks():
        for text in texts(lines):
            names.update(dict.fromkeys(parse(text)))
    return list(names)


def _write_separated(out: IO[bytes], chunks: Callable[[], Iterator[Lines]], delimiter: str) -> None:
    import io

    text_out = io.TextIOWrapper(out, encoding="utf-8", newline="", write_through=True)
    names = _fields(chunks)
    writer = csv.writer(text_out, delimiter=delimiter, lineterminator="\n")
    writer.writerow(names)
    for lines in chunks():
        for text in texts(lines):
            record = parse(text)
            writer.writerow([_cell(record.get(name)) for name in names])
    text_out.flush()
    text_out.detach()


def _cell(value: Any) -> str:
    if value is None:
        return ""
    return value if isinstance(value, str) else orjson.dumps(value).decode()


def _write_table(file: IO[bytes], chunks: Callable[[], Iterator[Lines]], kind: Kind) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        schema = pa.schema([])
        for lines in chunks():
            records = [orjson.loads(text) for text in texts(lines)]
            names = dict.fromkeys(name for record in records for name in record)
            kinds = pa.schema([(name, pa.array([record.get(name) for record in records]).type) for name in names])
            schema = pa.unify_schemas([schema, kinds], promote_options="permissive")
        with pq.ParquetWriter(file, schema) if kind == "parquet" else pa.ipc.new_file(file, schema) as writer:
            for lines in chunks():
                writer.write_table(pa.Table.from_pylist([orjson.loads(text) for text in texts(lines)], schema))
    except (pa.ArrowException, ValueError) as error:  # ValueError: a number beyond what a table can hold
        raise StoppedError(f"the rows don't fit one table: {error}", "name an output that ends in .jsonl") from None
