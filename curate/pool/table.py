"""From lines of JSON to an Arrow table of rows: plain lines by the kernels, all others one by one.

`{"instruction": "Hi", "output": "Hello."}` becomes a line of `SCHEMA` with prompt `Hi` and response `Hello.`.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl
import pyarrow as pa
import xxhash

from curate.formats.lines import Lines, Unread
from curate.records import Row, UnreadableRecord, content_id, parse, prompt_and_response, says_all, to_json
from curate.shapes.reading import (
    CONVERSATION_FIELDS,
    INPUT_FIELDS,
    PROMPT_FIELDS,
    RESPONSE_FIELDS,
    UNUSUAL_FIELDS,
    Reading,
    read_record,
)

if TYPE_CHECKING:
    import numpy.typing as npt

FEW_LINES = 1000
"""A block of fewer lines is read without the kernel, whose loading takes longer than they do."""

NO_LINE_OF_ITS_OWN = 0
"""The `length` of a row whose record holds several: it is written out as an object of its own."""

_TURN = pa.struct([("role", pa.string()), ("content", pa.large_string()), ("extra", pa.large_string())])
SCHEMA = pa.schema(
    [
        ("source", pa.uint32()),
        ("line", pa.uint64()),
        ("offset", pa.uint64()),
        ("length", pa.uint64()),
        ("id", pa.string()),
        ("prompt", pa.large_string()),
        ("response", pa.large_string()),
        ("messages", pa.list_(_TURN)),
        ("chosen", pa.list_(_TURN)),
        ("rejected", pa.list_(_TURN)),
        ("label", pa.bool_()),
        ("meta", pa.large_string()),
    ]
)
"""Columns of `rows.parquet`; a row's number is its position. `source` counts the inputs from 0. `messages` stands only
where prompt and response don't say all; the prompt of a plain text is null."""

_POLARS_SCHEMA = pl.Schema(SCHEMA)
EVERY: tuple[str, ...] = tuple(SCHEMA.names)
COLUMNS = ("row", *EVERY)
"""What a filter can ask for."""


@dataclass
class Block:
    """What one block of lines became; `records`: how many were read; `sizes`: for each row the bytes of its line."""

    records: int
    table: pa.Table
    sizes: "npt.NDArray[np.int64]"
    rejected: list[dict[str, Any]]
    shapes: Counter[str]


def read_block(lines: Lines, source: int, reading: Reading, wanted: Sequence[str] = EVERY) -> Block:
    """The rows of a block of lines of input `source`, in order, however each was read; the `wanted` columns of them."""
    parts: list[_Part] = []
    left = np.arange(len(lines))
    if len(lines) >= FEW_LINES:
        for read in (_read_plain, _read_conversations):
            if len(left):
                parts.append(read(lines.take(left), source, reading, wanted))
                parts[-1].at, left = left[parts[-1].at], np.delete(left, parts[-1].at)
    causes: list[Unread] = []
    if len(left) or not parts:
        part, causes = _read_one_by_one(lines, left, source, reading)
        parts.append(part)
    at = np.concatenate([part.at for part in parts])
    order = np.argsort(at, kind="stable")
    table = _in_order(pa.concat_tables([part.table.select(wanted) for part in parts]), order)
    unread = sorted([*lines.unread, *causes], key=lambda record: (record.line, record.offset or 0))
    return Block(
        len(np.unique(at)),
        table,
        (lines.ends - lines.starts)[at[order]],
        [_rejected(record, source) for record in unread],
        sum((part.shapes for part in parts), Counter()),
    )


def _in_order(table: pa.Table, order: "npt.NDArray[np.int64]") -> pa.Table:
    """The rows of `table` in that order: in runs that are not copied, where few rows stand between others."""
    starts = np.flatnonzero(np.diff(order, prepend=-2) != 1)
    if len(starts) * 64 > len(order):
        return table.combine_chunks().take(_numbers(order, pa.int64()))
    runs = pairwise([*starts.tolist(), len(order)])
    return pa.concat_tables([table.slice(order[a], b - a) for a, b in runs]) if len(starts) > 1 else table


@dataclass
class _Part:
    """Rows that one reader made of a block, the positions of their lines, and their shapes."""

    table: pa.Table
    at: "npt.NDArray[Any]"
    shapes: Counter[str]


def _rejected(record: Unread, source: int) -> dict[str, Any]:
    head = record.head.decode("utf-8", "backslashreplace")
    place = {"offset": record.offset, "length": record.length} if record.offset is not None else {}
    return {"source": source, "line": record.line, **place, "cause": record.cause, "head": head}


def _read_one_by_one(
    lines: Lines, which: "npt.NDArray[Any]", source: int, reading: Reading
) -> tuple[_Part, list[Unread]]:
    """Rows of the lines `which`, however unusual, and the lines that have none."""
    columns: dict[str, list[Any]] = {name: [] for name in SCHEMA.names}
    at: list[int] = []
    causes: list[Unread] = []
    shapes: Counter[str] = Counter()
    for k in which.tolist():
        line = lines.data[lines.starts[k] : lines.ends[k]]
        offset = None if lines.offsets is None else int(lines.offsets[k])
        try:
            rows = read_record(parse(line), reading)
            place: dict[str, Any] = {"source": source, "line": int(lines.numbers[k]), "offset": offset}
            place["length"] = None if offset is None else len(line)
            if len(rows) > 1:
                place |= {"offset": None, "length": NO_LINE_OF_ITS_OWN}
            for row in rows:
                values = _columns(row) | place
                for name, column in columns.items():
                    column.append(values[name])
                at.append(k)
                shapes[row.shape] += 1
        except UnreadableRecord as error:
            causes.append(Unread(int(lines.numbers[k]), str(error), offset, len(line), line[:200]))
    table = pl.DataFrame(columns, schema=_POLARS_SCHEMA, strict=True).to_arrow().cast(SCHEMA)
    return _Part(table, np.array(at, dtype=np.int64), shapes), causes


def _columns(row: Row) -> dict[str, Any]:
    prompt, response = prompt_and_response(row.messages)
    turns = None if says_all(row.messages) else [m._asdict() for m in row.messages]
    return {
        "id": content_id(row),
        "prompt": prompt,
        "response": response,
        "messages": turns,
        "chosen": None if row.chosen is None else [m._asdict() for m in row.chosen],
        "rejected": None if row.rejected is None else [m._asdict() for m in row.rejected],
        "label": row.label,
        "meta": to_json(row.meta),
    }


def _read_plain(lines: Lines, source: int, reading: Reading, wanted: Sequence[str] = EVERY) -> _Part:
    """Rows of the lines that are plain prompts and responses."""
    from curate.kernels.json_lines import read_plain_lines

    names, meanings, shape_of = _meanings(reading)
    field, *texts = read_plain_lines(*_arrays(lines, names, meanings))
    at = np.flatnonzero(field >= 0)
    fields, counts = np.unique(field[at], return_counts=True)
    shapes: Counter[str] = Counter()
    for which, count in zip(fields.tolist(), counts.tolist(), strict=True):
        shapes[shape_of[which]] += count
    return _Part(_table(lines, at, source, wanted, texts), at, shapes)


def _read_conversations(lines: Lines, source: int, reading: Reading, wanted: Sequence[str] = EVERY) -> _Part:
    """Rows of the lines that are plain conversations."""
    from curate.kernels.conversation_lines import ROLES, read_plain_conversations

    names, meanings = _conversation_meanings(reading)
    shape, *texts, turns_at, roles, content, content_at = read_plain_conversations(*_arrays(lines, names, meanings))
    at = np.flatnonzero(shape >= 0)
    turns = pa.StructArray.from_arrays(
        [
            pl.Series(ROLES).gather(roles).to_arrow().cast(pa.string()),
            _strings(content, content_at, np.arange(len(roles)), None),
            pa.nulls(len(roles), pa.large_string()),
        ],
        fields=list(_TURN),
    )
    bounds = np.append(turns_at[at], len(roles)).astype(np.int32)
    spoken = pa.py_buffer(np.packbits(np.diff(bounds) > 0, bitorder="little"))
    messages = pa.Array.from_buffers(pa.list_(_TURN), len(at), [spoken, pa.py_buffer(bounds)], children=[turns])
    shapes = Counter({"sharegpt": int((shape == 1).sum()), "messages": int((shape == 0).sum())})
    return _Part(_table(lines, at, source, wanted, texts, messages), at, +shapes)


def _meanings(reading: Reading) -> tuple[list[str], list[int], list[str]]:
    """Field names, what each means to the kernel `read_plain_lines`, and the shape that it makes."""
    from curate.kernels.json_lines import INPUT, LABEL, PROMPT, RESPONSE, UNUSUAL

    meaning = dict.fromkeys(UNUSUAL_FIELDS, UNUSUAL) | {"label": LABEL}
    for name, shape in PROMPT_FIELDS.items():
        if reading.format in (None, shape):
            meaning[name] = PROMPT
    meaning |= dict.fromkeys(INPUT_FIELDS, INPUT) | dict.fromkeys(RESPONSE_FIELDS, RESPONSE)
    if reading.format == "text":
        meaning["text"] = UNUSUAL
    known = dict(meaning)
    for theirs, ours in reading.map:  # what is kept under another name than it has, the kernel can't rename
        meaning[theirs] = known[ours] if known.get(ours) in (PROMPT, INPUT, RESPONSE) else UNUSUAL
    shapes = dict(PROMPT_FIELDS)
    for theirs, ours in reading.map:
        shapes[theirs] = PROMPT_FIELDS.get(ours, "")
    names = list(meaning)
    return names, [meaning[name] for name in names], [shapes.get(name, "") for name in names]


def _conversation_meanings(reading: Reading) -> tuple[list[str], list[int]]:
    """Field names, and what each means to the kernel `read_plain_conversations`."""
    from curate.kernels.conversation_lines import CONVERSATION
    from curate.kernels.json_lines import LABEL, UNUSUAL

    meaning = dict.fromkeys(UNUSUAL_FIELDS, UNUSUAL) | {"label": LABEL}
    if reading.format is None:
        meaning |= dict.fromkeys(CONVERSATION_FIELDS, CONVERSATION)
    for theirs, ours in reading.map:
        meaning[theirs] = CONVERSATION if reading.format is None and ours in CONVERSATION_FIELDS else UNUSUAL
    return list(meaning), list(meaning.values())


def _arrays(lines: Lines, names: list[str], meanings: list[int]) -> list[Any]:
    """What both kernels take: the bytes, the lines' bounds, and the field names that mean something."""
    from curate.kernels.json_lines import BYTE_CLASSES

    encoded = [name.encode() for name in names]
    return [
        np.frombuffer(lines.data, dtype=np.uint8),
        lines.starts,
        lines.ends,
        np.frombuffer(b"".join(encoded), dtype=np.uint8),
        np.cumsum([0, *map(len, encoded)], dtype=np.int64),
        np.array(meanings, dtype=np.uint8),
        BYTE_CLASSES,
    ]


def _table(
    lines: Lines,
    at: "npt.NDArray[Any]",
    source: int,
    wanted: Sequence[str],
    texts: Sequence[Any],
    messages: pa.Array | None = None,
) -> pa.Table:
    """The rows at the positions `at`, from what a kernel wrote: a line that it left alone wrote nothing."""
    prompt, prompt_at, response, response_at, answered, meta, meta_at, hashed, hashed_at = texts
    n = len(at)
    columns: dict[str, Any] = {name: pa.nulls(n, SCHEMA.field(name).type) for name in SCHEMA.names}
    columns |= {
        "source": _numbers(np.full(n, source), pa.uint32()),
        "line": _numbers(lines.numbers[at], pa.uint64()),
        "prompt": _strings(prompt, prompt_at, at, None),
        "response": _strings(response, response_at, at, answered),
        "meta": _strings(meta, meta_at, at, None),
    }
    if "id" in wanted:
        view = memoryview(hashed)
        bounds = np.append(hashed_at[at], len(hashed)).tolist()
        ids = "".join([xxhash.xxh3_128_hexdigest(view[a:b]) for a, b in pairwise(bounds)])
        at_every_32 = pa.py_buffer(np.arange(0, 32 * n + 1, 32, dtype=np.int32))
        columns["id"] = pa.StringArray.from_buffers(n, at_every_32, pa.py_buffer(ids.encode()))
    if lines.offsets is not None:
        columns["offset"] = _numbers(lines.offsets[at], pa.uint64())
        columns["length"] = _numbers((lines.ends - lines.starts)[at], pa.uint64())
    if messages is not None:
        columns["messages"] = messages
    return pa.Table.from_arrays([columns[name] for name in SCHEMA.names], schema=SCHEMA)


def _numbers(values: "npt.NDArray[Any]", kind: pa.DataType) -> pa.Array:
    """An Arrow column of numbers; `pa.array` would do, but imports pandas, which takes a third of a second."""
    data = np.ascontiguousarray(values, dtype=kind.to_pandas_dtype())
    return pa.Array.from_buffers(kind, len(data), [None, pa.py_buffer(data)])


def _strings(
    data: "npt.NDArray[Any]", offsets: "npt.NDArray[Any]", kept: "npt.NDArray[Any]", valid: "npt.NDArray[Any] | None"
) -> pa.LargeStringArray:
    """An Arrow text column over bytes that the kernel proved to be UTF-8."""
    at = np.append(offsets[kept], len(data)).astype(np.int64)
    bits = None if valid is None else pa.py_buffer(np.packbits(valid[kept], bitorder="little"))
    return pa.LargeStringArray.from_buffers(len(kept), pa.py_buffer(at), pa.py_buffer(data), bits)
