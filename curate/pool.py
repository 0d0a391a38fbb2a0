"""The pool: all rows of an input as Parquet on disk, read once and shared by every run over the same contents.

`read_pool(["raw.jsonl"], Path(".curate"))` writes `.curate/pools/FINGERPRINT/rows.parquet`, or finds it there.
"""

import os
import shutil
import threading
from collections import Counter
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field
from functools import cached_property
from itertools import islice, pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import orjson
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import xxhash

from curate.errors import InputError, StoppedError, UsageError
from curate.formats.lines import MAX_LINE, Lines, Unread, read_lines
from curate.formats.sources import Source, sources_of
from curate.records import (
    SHAPES,
    Message,
    Reading,
    Row,
    UnreadableRecord,
    content_id,
    parse,
    prompt_and_response,
    read_record,
    says_all,
    to_json,
)
from curate.seeded import shuffled_rank
from curate.working import Working

if TYPE_CHECKING:
    import numpy.typing as npt

READER_VERSION = 1
"""Raised when the same bytes come to be read as other rows."""

GROUP_ROWS, GROUP_BYTES = 8192, 8 << 20
"""A row group of `rows.parquet` ends at this many rows or bytes: what reading holds in memory at a time."""

FEW_LINES = 1000
"""A block of fewer lines is read without the kernel, whose loading takes longer than they do."""

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

COLUMNS = ("row", *SCHEMA.names)
"""What a filter can ask for."""


@dataclass(frozen=True)
class ReadOptions:
    """What, besides the contents of the inputs, decides which rows a pool has."""

    reading: Reading = field(default_factory=Reading)
    max_line: int = MAX_LINE
    limit: int | None = None
    sample: int | None = None
    seed: int = 0

    def __post_init__(self) -> None:
        if self.reading.format not in (None, *SHAPES):
            raise UsageError(f"no shape is called {self.reading.format}", f"known: {', '.join(SHAPES)}")
        if self.limit is not None and self.limit < 1:
            raise UsageError("--limit must be 1 or more", "leave it out to read everything")


class Pool:
    """All rows of an input, on disk; no method holds more text than a row group of `rows.parquet`."""

    def __init__(self, path: Path, sources: Sequence[Source], work_dir: Path) -> None:
        self.path = path
        self.sources = list(sources)
        self.work_dir = work_dir
        self.facts: dict[str, Any] = orjson.loads((path / "pool.json").read_bytes())
        self._metadata = pq.read_metadata(path / "rows.parquet")
        self._files = threading.local()
        sizes = [self._metadata.row_group(k).num_rows for k in range(self._metadata.num_row_groups)]
        self._group_starts = np.concatenate(([0], np.cumsum(sizes, dtype=np.int64)))

    @property
    def fingerprint(self) -> str:
        """Names the contents: 32 hex digits."""
        return self.path.name

    def __len__(self) -> int:
        return int(self._group_starts[-1])

    @property
    def records(self) -> int:
        """Records of all inputs, those that could not be read included."""
        return int(self.facts["records"])

    def rejected(self) -> Iterator[dict[str, Any]]:
        """The records that could not be read: source, line, cause, and their first bytes."""
        with (self.path / "rejected.jsonl").open("rb") as file:
            for line in file:
                record = orjson.loads(line)
                yield {**record, "source": self.names[record["source"]]}

    def batches(
        self, columns: Sequence[str], start: int = 0, stop: int | None = None, side: str = "chosen"
    ) -> Iterator[pl.DataFrame]:
        """Rows [start, stop) in order, `row` and `columns`, at most a row group at a time.

        `side`: "rejected" gives the other answer of a preference row under the same names (rows without: null).
        """
        stop = len(self) if stop is None else min(stop, len(self))
        group = int(np.searchsorted(self._group_starts, start, side="right")) - 1
        while start < stop:
            begin, end = int(self._group_starts[group]), int(self._group_starts[group + 1])
            frame = self._group(group, columns, side)
            if start > begin or stop < end:
                frame = frame.slice(start - begin, min(stop, end) - start)
            yield frame
            start, group = end, group + 1

    def texts(self, rows: "npt.NDArray[Any] | pl.Series", columns: Sequence[str]) -> Iterator[pl.DataFrame]:
        """`row` and `columns` of the named rows, which ascend: one row group at a time, only those that are needed."""
        wanted = np.asarray(rows, dtype=np.int64)
        groups = np.searchsorted(self._group_starts, wanted, side="right") - 1
        for group in np.unique(groups):
            here = wanted[groups == group] - self._group_starts[group]
            yield self._group(int(group), columns, "chosen")[here]

    def column(self, name: str) -> pl.Series:
        """One compact column (`id`, `source`, `line`, `label` ...) of all rows."""
        if not len(self):
            return pl.Series(name, [], dtype=pl.String)
        return pl.concat([frame[name] for frame in self.batches([name])])

    def meta(self, name: str) -> pl.Series:
        """The field `name` of every row's meta: Float64 if every value is a JSON number, else text; null: absent."""
        path = "$." + name if name.isidentifier() else f'$["{name}"]'
        parts = [frame["meta"].str.json_path_match(path).alias(name) for frame in self.batches(["meta"])]
        values = pl.concat(parts) if parts else pl.Series(name, [], dtype=pl.String)
        numbers = values.cast(pl.Float64, strict=False)
        if numbers.null_count() == values.null_count() and not self._quoted(name):
            return numbers
        return values

    def _quoted(self, name: str) -> bool:
        """Whether some row's value is text: a number in quotes is text too."""
        field = '"' + name + '":"'
        return any(frame["meta"].str.contains(field, literal=True).any() for frame in self.batches(["meta"]))

    def meta_names(self) -> list[str]:
        """Names of the fields in meta, from the first row group."""
        for frame in self.batches(["meta"]):
            names: Counter[str] = Counter()
            for text in frame["meta"].unique():
                names.update(orjson.loads(text).keys())
            return sorted(names)
        return []

    @cached_property
    def names(self) -> list[str]:
        """The inputs' names, as the user wrote them."""
        return [source.name for source in self.sources]

    def place(self, row: int) -> str:
        """`FILE:LINE` of a row."""
        frame = next(self.texts(np.array([row]), ["source", "line"]))
        return f"{frame['source'][0]}:{frame['line'][0]}"

    def beside(self, inputs: Sequence[str]) -> "Pool":
        """The pool of other files (`--exclude`, `--against`), in the same work directory."""
        return read_pool(inputs, self.work_dir)

    @property
    def _file(self) -> pq.ParquetFile:
        """The calling thread's own reader: pyarrow's is not safe to share."""
        if not hasattr(self._files, "file"):
            self._files.file = pq.ParquetFile(self.path / "rows.parquet", metadata=self._metadata, memory_map=True)
        return self._files.file

    def _group(self, group: int, columns: Sequence[str], side: str) -> pl.DataFrame:
        start = int(self._group_starts[group])
        wanted = [name for name in columns if name != "row"]
        stored = set(wanted) | ({"prompt", "response"} if "messages" in wanted or side == "rejected" else set())
        if side == "rejected":
            stored |= {"messages", "chosen", "rejected"}
        table = self._file.read_row_group(group, columns=[n for n in SCHEMA.names if n in stored])
        rows = int(self._group_starts[group + 1]) - start
        frame = pl.DataFrame(pl.from_arrow(table)) if stored else pl.DataFrame()
        number = pl.int_range(start, start + rows, dtype=pl.UInt64, eager=True).alias("row")
        if "messages" in stored:
            frame = frame.with_columns(_derived_messages())
        if side == "rejected":
            frame = _other_side(frame)
        if "source" in wanted:
            frame = frame.with_columns(pl.Series("source", self.names, dtype=pl.String).gather(frame["source"]))
        if "prompt" in wanted:
            frame = frame.with_columns(pl.col("prompt").fill_null(""))
        return frame.with_columns(number).select("row", *wanted)


def _derived_messages() -> pl.Expr:
    def turn(role: str, content: str) -> pl.Expr:
        return pl.struct(role=pl.lit(role), content=pl.col(content), extra=pl.lit(None, dtype=pl.String))

    asked = pl.concat_list(turn("user", "prompt"))
    answered = pl.concat_list(turn("user", "prompt"), turn("assistant", "response"))
    text = pl.concat_list(turn("text", "response"))
    return (
        pl.when(pl.col("messages").is_not_null())
        .then(pl.col("messages"))
        .when(pl.col("prompt").is_null())
        .then(text)
        .when(pl.col("response").is_null())
        .then(asked)
        .otherwise(answered)
        .alias("messages")
    )


def _other_side(frame: pl.DataFrame) -> pl.DataFrame:
    """Each preference row with the rejected answer in place of the chosen one; other rows without a response."""
    rows: list[tuple[str | None, str | None, list[Any] | None]] = []
    for messages, chosen, rejected in frame.select("messages", "chosen", "rejected").iter_rows():
        if rejected is None:
            rows.append(("", None, None))
            continue
        turns = [*messages[: len(messages) - len(chosen)], *rejected]
        prompt, response = prompt_and_response(tuple(Message(**turn) for turn in turns))
        rows.append((prompt, response, turns))
    kinds = {name: frame.schema[name] for name in ("prompt", "response", "messages")}
    return frame.with_columns(pl.DataFrame(rows, schema=kinds, orient="row"))


def read_pool(
    inputs: Sequence[str | os.PathLike[str]],
    work_dir: Path,
    options: ReadOptions | None = None,
    *,
    working: Working | None = None,
) -> Pool:
    """Read `inputs` into a pool below `work_dir`, or open the pool that has just these contents.

    Raises InputError where no row can be read, naming the first causes; StoppedError where a file changed meanwhile.
    """
    options = options or ReadOptions()
    pools = work_dir / "pools"
    sources = sources_of(inputs, work_dir / "stdin")
    fingerprint = xxhash.xxh3_128_hexdigest(
        orjson.dumps(
            {
                "inputs": [[source.digest, source.kind, source.compression] for source in sources],
                "reader": READER_VERSION,
                "format": options.reading.format,
                "map": options.reading.map,
                "max_line": options.max_line,
                "limit": options.limit,
                "sample": [options.sample, options.seed] if options.sample else None,
            }
        )
    )
    path = pools / fingerprint
    if not (path / "pool.json").exists():
        make_work_dir(work_dir)
        path.mkdir(parents=True, exist_ok=True)
        _write_rows(path, sources, options, working or Working())
    pool = Pool(path, sources, work_dir)
    if not len(pool):
        raise InputError(*_why_nothing(pool))
    return pool


def make_work_dir(work_dir: Path) -> None:
    """Make `work_dir` with a `.gitignore` of its own. Raises UsageError where it can't be written."""
    try:
        work_dir.mkdir(parents=True, exist_ok=True)
        (work_dir / ".gitignore").write_text("*\n")
    except OSError as error:
        remedy = "name a folder that can be written, with --work-dir"
        raise UsageError(f"{work_dir} can't be written: {error.strerror}", remedy) from None


def _why_nothing(pool: Pool) -> tuple[str, str]:
    first = list(islice(pool.rejected(), 3))
    causes = "\n".join(f"  {r['source']}:{r['line']}  {r['cause']}" for r in first)
    if not first:
        return f"{' '.join(pool.names)}: no records in it", "check how it was made"
    return f"none of the {pool.records:,} records could be read:\n{causes}", "`curate inspect` shows what it found"


@dataclass
class _Block:
    """What one block of lines became."""

    table: pa.Table
    sizes: "npt.NDArray[np.int64]"
    rejected: list[dict[str, Any]]
    shapes: Counter[str]


def _write_rows(path: Path, sources: list[Source], options: ReadOptions, working: Working) -> None:
    mark = f".{os.getpid()}.tmp"
    rows_tmp, rejected_tmp, facts_tmp = path / f"rows{mark}", path / f"rejected{mark}", path / f"facts{mark}"
    records = 0
    shapes = [Counter[str]() for _ in sources]
    total = sum(source.stamp[0] for source in sources)
    before = 0
    try:
        with (
            rejected_tmp.open("wb") as rejected,
            _GroupWriter(rows_tmp) as writer,
            ThreadPoolExecutor(working.threads) as workers,
        ):
            for number, source in enumerate(sources):
                lines = _sampled(source, options) if options.sample else read_lines(source, options.max_line)
                for block, done in _read_blocks(workers, working, lines, number, source, options, records):
                    writer.write(block.table, block.sizes)
                    for record in block.rejected:
                        rejected.write(orjson.dumps(record) + b"\n")
                    records += len(block.table) + len(block.rejected)
                    shapes[number] += block.shapes
                    working.report("reading", min(before + done, total), total)
                    working.check()
                before += source.stamp[0]
                if not source.unchanged():
                    raise StoppedError(f"{source.name} changed while it was read", "run the same command again")
        facts = {
            "records": records,
            "rows": writer.rows,
            "rejected": records - writer.rows,
            "max_line": options.max_line,
            "sources": [{"rows": sh.total(), "shapes": dict(sh)} for sh in shapes],
        }
        facts_tmp.write_bytes(orjson.dumps(facts, option=orjson.OPT_INDENT_2))
        rows_tmp.replace(path / "rows.parquet")
        rejected_tmp.replace(path / "rejected.jsonl")
        facts_tmp.replace(path / "pool.json")
    except BaseException:
        for leftover in (rows_tmp, rejected_tmp, facts_tmp):
            leftover.unlink(missing_ok=True)
        with suppress(OSError):
            path.rmdir()
        raise


def _compile(working: Working) -> None:
    """Load the kernels before threads ask for them; say so if they must be compiled, as on a machine's first run."""
    from curate.kernels.json_lines import read_plain_lines

    if not read_plain_lines.signatures:
        said = "compiling the reader: once on this machine, a quarter of a minute"
        patience = threading.Timer(1.5, working.notice, [said])
        patience.start()
        try:
            one = np.array([0, 2], dtype=np.int64)
            nothing = Lines(b"{}", one[:1], one[1:], one[1:])
            _read_plain(nothing, 0, Reading())
            _read_conversations(nothing, 0, Reading())
        finally:
            patience.cancel()


def _read_blocks(
    workers: ThreadPoolExecutor,
    working: Working,
    lines: Iterator[Lines],
    number: int,
    source: Source,
    options: ReadOptions,
    before: int,
) -> Iterator[tuple[_Block, int]]:
    """Each block read, in order, with about how many bytes are done; a few blocks are in work at a time."""
    waiting: list[tuple[Future[_Block], int]] = []
    done = 0
    left = None if options.limit is None else options.limit - before
    for block in lines:
        if left is not None:
            if left <= 0:
                break
            block = block.head(left) if len(block) > left else block
            left -= len(block) + len(block.unread)
        done += len(block.data)
        if len(block) >= FEW_LINES:
            _compile(working)
        waiting.append((workers.submit(_read_block, block, number, options.reading), done))
        if len(waiting) > working.threads:
            future, at = waiting.pop(0)
            yield future.result(), at
    for future, at in waiting:
        yield future.result(), at


def _sampled(source: Source, options: ReadOptions) -> Iterator[Lines]:
    """The `sample` records of a source with the smallest hash of seed and place: seeded, the same every time."""
    best = np.zeros(0, dtype=np.uint64)
    picked: list[Lines] = []
    for lines in read_lines(source, options.max_line):
        rank = shuffled_rank(lines.numbers, options.seed)
        bound = best[-1] if len(best) == options.sample else np.uint64(2**64 - 1)
        near = rank <= bound
        best = np.sort(np.concatenate((best, rank[near])))[: options.sample]
        taken = lines.take(np.flatnonzero(near))
        parts = [taken.data[a:b] for a, b in zip(taken.starts, taken.ends, strict=True)]
        ends = np.cumsum([len(part) for part in parts], dtype=np.int64)
        starts = ends - [len(part) for part in parts]
        picked.append(Lines(b"".join(parts), starts.astype(np.int64), ends, taken.numbers, taken.offsets, lines.unread))
    for lines in picked:
        yield lines.take(np.flatnonzero(shuffled_rank(lines.numbers, options.seed) <= best[-1]))


def _read_block(lines: Lines, number: int, reading: Reading) -> _Block:
    parts: list[_Part] = []
    left = np.arange(len(lines))
    if len(lines) >= FEW_LINES:
        for read in (_read_plain, _read_conversations):
            if len(left):
                parts.append(read(lines.take(left), number, reading))
                parts[-1].at, left = left[parts[-1].at], np.delete(left, parts[-1].at)
    causes: list[Unread] = []
    if len(left) or not parts:
        part, causes = _read_one_by_one(lines, left, number, reading)
        parts.append(part)
    at = np.concatenate([part.at for part in parts])
    order = np.argsort(at, kind="stable")
    table = pa.concat_tables([part.table for part in parts])
    if len(parts) > 1:
        table = table.combine_chunks().take(pa.array(order))
    unread = sorted([*lines.unread, *causes], key=lambda record: (record.line, record.offset or 0))
    return _Block(
        table,
        (lines.ends - lines.starts)[at[order]],
        [_rejected(record, number) for record in unread],
        sum((part.shapes for part in parts), Counter()),
    )


@dataclass
class _Part:
    """Rows that one reader made of a block, the positions of their lines, and their shapes."""

    table: pa.Table
    at: "npt.NDArray[Any]"
    shapes: Counter[str]


def _rejected(record: Unread, number: int) -> dict[str, Any]:
    head = record.head.decode("utf-8", "backslashreplace")
    place = {"offset": record.offset, "length": record.length} if record.offset is not None else {}
    return {"source": number, "line": record.line, **place, "cause": record.cause, "head": head}


def _read_one_by_one(
    lines: Lines, which: "npt.NDArray[Any]", number: int, reading: Reading
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
            for row in read_record(parse(line), reading):
                values = _columns(row)
                values |= {"source": number, "line": int(lines.numbers[k]), "offset": offset, "length": len(line)}
                values["length"] = None if offset is None else len(line)
                for name, column in columns.items():
                    column.append(values[name])
                at.append(k)
                shapes[row.shape] += 1
        except UnreadableRecord as error:
            causes.append(Unread(int(lines.numbers[k]), str(error), offset, len(line), line[:200]))
    arrays = [pa.array(columns[field.name], field.type) for field in SCHEMA]
    return _Part(pa.Table.from_arrays(arrays, schema=SCHEMA), np.array(at, dtype=np.int64), shapes), causes


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


def _read_plain(lines: Lines, number: int, reading: Reading) -> _Part:
    """Rows of the lines that are plain prompts and responses."""
    from curate.kernels.json_lines import read_plain_lines

    names, meanings, shape_of = reading.meanings()
    field, *texts = read_plain_lines(*_arrays(lines, names, meanings))
    at = np.flatnonzero(field >= 0)
    fields, counts = np.unique(field[at], return_counts=True)
    shapes: Counter[str] = Counter()
    for which, count in zip(fields.tolist(), counts.tolist(), strict=True):
        shapes[shape_of[which]] += count
    return _Part(_table(lines, at, number, texts), at, shapes)


def _read_conversations(lines: Lines, number: int, reading: Reading) -> _Part:
    """Rows of the lines that are plain conversations."""
    from curate.kernels.conversation_lines import ROLES, read_plain_conversations

    names, meanings = reading.conversation_meanings()
    shape, *texts, turns_at, roles, content, content_at = read_plain_conversations(*_arrays(lines, names, meanings))
    at = np.flatnonzero(shape >= 0)
    turns = pa.StructArray.from_arrays(
        [
            pa.DictionaryArray.from_arrays(pa.array(roles), pa.array(ROLES)).cast(pa.string()),
            _strings(content, content_at, np.arange(len(roles)), None),
            pa.nulls(len(roles), pa.large_string()),
        ],
        fields=list(_TURN),
    )
    bounds = pa.array(np.append(turns_at[at], len(roles)).astype(np.int32))
    messages = pa.ListArray.from_arrays(bounds, turns, mask=pa.array(np.diff(bounds.to_numpy()) == 0))
    shapes = Counter({"sharegpt": int((shape == 1).sum()), "messages": int((shape == 0).sum())})
    return _Part(_table(lines, at, number, texts, messages), at, +shapes)


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
    lines: Lines, at: "npt.NDArray[Any]", number: int, texts: Sequence[Any], messages: pa.Array | None = None
) -> pa.Table:
    """The rows at the positions `at`, from what a kernel wrote: a line that it left alone wrote nothing."""
    prompt, prompt_at, response, response_at, answered, meta, meta_at, hashed, hashed_at = texts
    n = len(at)
    view = memoryview(hashed.tobytes())
    bounds = np.append(hashed_at[at], len(hashed)).tolist()
    columns: dict[str, Any] = {name: pa.nulls(n, SCHEMA.field(name).type) for name in SCHEMA.names}
    columns |= {
        "source": pa.array(np.full(n, number, dtype=np.uint32)),
        "line": pa.array(lines.numbers[at].astype(np.uint64)),
        "id": pa.array([xxhash.xxh3_128_hexdigest(view[a:b]) for a, b in pairwise(bounds)], pa.string()),
        "prompt": _strings(prompt, prompt_at, at, None),
        "response": _strings(response, response_at, at, answered),
        "meta": _strings(meta, meta_at, at, None),
    }
    if lines.offsets is not None:
        columns["offset"] = pa.array(lines.offsets[at].astype(np.uint64))
        columns["length"] = pa.array((lines.ends - lines.starts)[at].astype(np.uint64))
    if messages is not None:
        columns["messages"] = messages
    return pa.Table.from_arrays([columns[name] for name in SCHEMA.names], schema=SCHEMA)


def _strings(
    data: "npt.NDArray[Any]", offsets: "npt.NDArray[Any]", kept: "npt.NDArray[Any]", valid: "npt.NDArray[Any] | None"
) -> pa.LargeStringArray:
    """An Arrow text column over bytes that the kernel proved to be UTF-8."""
    at = np.append(offsets[kept], len(data)).astype(np.int64)
    bits = None if valid is None else pa.py_buffer(np.packbits(valid[kept], bitorder="little"))
    return pa.LargeStringArray.from_buffers(len(kept), pa.py_buffer(at), pa.py_buffer(data), bits)


class _GroupWriter:
    """Writes tables as row groups whose bounds depend on the rows alone, never on how they came in."""

    def __init__(self, path: Path) -> None:
        texts = ("prompt", "response", "meta")
        self._writer = pq.ParquetWriter(
            path,
            SCHEMA,
            use_dictionary=["source"],
            compression={name: "NONE" if name in texts else "LZ4" for name in SCHEMA.names},
            write_statistics=False,
            store_schema=False,
        )
        self._pending: list[pa.Table] = []
        self._rows = self._bytes = 0
        self.rows = 0

    def __enter__(self) -> "_GroupWriter":
        return self

    def __exit__(self, *_: object) -> None:
        self._flush()
        self._writer.close()

    def write(self, table: pa.Table, sizes: "npt.NDArray[np.int64]") -> None:
        """Add rows; `sizes`: the bytes of each one's line."""
        start = 0
        total = np.cumsum(sizes)
        while start < len(table):
            base = int(total[start - 1]) if start else 0
            by_bytes = int(np.searchsorted(total, base + GROUP_BYTES - self._bytes, side="left")) + 1
            stop = min(len(table), start + GROUP_ROWS - self._rows, by_bytes)
            self._pending.append(table.slice(start, stop - start))
            self._rows += stop - start
            self._bytes += int(total[stop - 1]) - base
            if self._rows == GROUP_ROWS or self._bytes >= GROUP_BYTES:
                self._flush()
            start = stop

    def _flush(self) -> None:
        if self._pending:
            table = pa.concat_tables(self._pending)
            self._writer.write_table(table, row_group_size=len(table))
            self.rows += len(table)
        self._pending, self._rows, self._bytes = [], 0, 0


def disk_free(path: Path) -> int:
    """Bytes free where `path` is or will be."""
    while not path.exists():
        path = path.parent
    return shutil.disk_usage(path).free
