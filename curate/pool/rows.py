"""All rows of an input, on disk, a row group in memory at a time.

`pool.batches(["response"])` gives every row's response in order; `pool.texts(rows, ["prompt"])` those of a few rows.
"""

import copy
import json
import threading
from collections.abc import Iterator, Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import orjson
import polars as pl
import pyarrow.parquet as pq

from curate.formats.sources import Source
from curate.pool.table import SCHEMA
from curate.records import Message, prompt_and_response
from curate.working import Working

if TYPE_CHECKING:
    import numpy.typing as npt


class Pool:
    """All rows of an input, on disk; in memory a row group of `rows.parquet`, of `column` and `meta` a whole column."""

    def __init__(self, path: Path, sources: Sequence[Source], work_dir: Path, working: Working | None = None) -> None:
        self.path = path
        self.working = working or Working()
        """How the work that uses the pool goes: whom a filter tells how far it is, what it may spend, when it stops."""
        self.sources = list(sources)
        self.work_dir = work_dir
        self.side = "chosen"
        self.notes: list[str] = []
        """What a filter has to say of its step as a whole: `decide` appends, the run shows and keeps it."""
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

    def seen_from(self, side: str) -> "Pool":
        """The same pool, with the other answer of preference rows under the same names (rows without one: null).

        `side` is chosen or rejected, as a step says it.
        """
        seen = copy.copy(self)
        seen.side = side
        return seen

    def rejected(self) -> Iterator[dict[str, Any]]:
        """The records that could not be read: source, line, cause, and their first bytes."""
        with (self.path / "rejected.jsonl").open("rb") as file:
            for line in file:
                record = orjson.loads(line)
                yield {**record, "source": self.names[record["source"]]}

    def batches(self, columns: Sequence[str], start: int = 0, stop: int | None = None) -> Iterator[pl.DataFrame]:
        """Rows [start, stop) in order, `row` and `columns`, at most a row group at a time."""
        stop = len(self) if stop is None else min(stop, len(self))
        group = int(np.searchsorted(self._group_starts, start, side="right")) - 1
        while start < stop:
            begin, end = int(self._group_starts[group]), int(self._group_starts[group + 1])
            frame = self._group(group, columns)
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
            yield self._group(int(group), columns, here)

    def column(self, name: str) -> pl.Series:
        """One compact column (`id`, `source`, `line`, `label` ...) of all rows."""
        if not len(self):
            return pl.Series(name, [], dtype=pl.String)
        return pl.concat([frame[name] for frame in self.batches([name])])

    def meta(self, name: str) -> pl.Series:
        """The field `name` of every row's meta: Float64 if every value is a JSON number, else text; null: absent."""
        key = orjson.dumps(name).decode() + ":"
        parts = [pl.Series(name, [], dtype=pl.String)]
        numeric = True
        for frame in self.batches(["meta"]):
            there = frame["meta"].str.contains(key, literal=True)
            pairs = zip(frame["meta"], there, strict=True)
            values = [_fields(text).get(name) if here else None for text, here in pairs]
            numeric = numeric and all(value is None or type(value) in (int, float) for value in values)
            parts.append(pl.Series(name, [_as_text(value) for value in values], dtype=pl.String))
        column = pl.concat(parts)
        return column.cast(pl.Float64) if numeric else column

    def meta_names(self) -> list[str]:
        """Names of the fields in meta, from the first row group."""
        first = next(self.batches(["meta"]), None)
        return [] if first is None else sorted({name for text in first["meta"].unique() for name in _fields(text)})

    @cached_property
    def names(self) -> list[str]:
        """The inputs' names, as the user wrote them."""
        return [source.name for source in self.sources]

    def place(self, row: int) -> str:
        """`FILE:LINE` of a row."""
        frame = next(self.texts(np.array([row]), ["source", "line"]))
        return f"{frame['source'][0]}:{frame['line'][0]}"

    def beside(self, inputs: Sequence[str]) -> "Pool":
        """The pool of other files (`--exclude`, `--against`), read as this one was, in the same work directory."""
        from curate.pool.reading import ReadOptions, read_pool
        from curate.shapes.reading import Reading

        renamed = tuple((theirs, ours) for theirs, ours in self.facts["map"])
        options = ReadOptions(Reading(self.facts["format"], renamed), int(self.facts["max_line"]))
        return read_pool(inputs, self.work_dir, options, working=self.working)

    @property
    def _file(self) -> pq.ParquetFile:
        """The calling thread's own reader: pyarrow's is not safe to share."""
        if not hasattr(self._files, "file"):
            self._files.file = pq.ParquetFile(self.path / "rows.parquet", metadata=self._metadata, memory_map=True)
        return self._files.file

    def _group(self, group: int, columns: Sequence[str], only: "npt.NDArray[Any] | None" = None) -> pl.DataFrame:
        """The rows of a row group, or `only` those at some positions in it."""
        start = int(self._group_starts[group])
        wanted = [name for name in columns if name != "row"]
        stored = set(wanted) | ({"prompt", "response"} if "messages" in wanted or self.side == "rejected" else set())
        if self.side == "rejected":
            stored |= {"messages", "chosen", "rejected"}
        table = self._file.read_row_group(group, columns=[n for n in SCHEMA.names if n in stored])
        rows = int(self._group_starts[group + 1]) - start
        number = pl.int_range(start, start + rows, dtype=pl.UInt64, eager=True).alias("row")
        frame = pl.DataFrame(pl.from_arrow(table)) if stored else number.to_frame()
        if only is not None:
            frame, number = frame[only], number[only]
        if "messages" in stored:
            frame = frame.with_columns(_derived_messages(frame))
        if self.side == "rejected":
            frame = _other_side(frame)
        if "source" in wanted:
            frame = frame.with_columns(pl.Series("source", self.names, dtype=pl.String).gather(frame["source"]))
        if "prompt" in wanted:
            frame = frame.with_columns(pl.col("prompt").fill_null(""))
        return frame.with_columns(number).select("row", *wanted)


def _derived_messages(frame: pl.DataFrame) -> pl.Expr:
    """The conversations, made of prompt and response where these say all; only kinds that are there are made."""

    def turn(role: str, content: str) -> pl.Expr:
        return pl.struct(role=pl.lit(role), content=pl.col(content), extra=pl.lit(None, dtype=pl.String))

    derived = pl.lit(_asked_and_answered(frame))
    if frame["response"].null_count():
        asked = pl.concat_list(turn("user", "prompt"))
        derived = pl.when(pl.col("response").is_null()).then(asked).otherwise(derived)
    if frame["prompt"].null_count():
        text = pl.concat_list(turn("text", "response"))
        derived = pl.when(pl.col("prompt").is_null()).then(text).otherwise(derived)
    if frame["messages"].null_count() < len(frame):
        derived = pl.when(pl.col("messages").is_not_null()).then(pl.col("messages")).otherwise(derived)
    return derived.alias("messages")


def _asked_and_answered(frame: pl.DataFrame) -> pl.Series:
    """A user's turn and an assistant's for each row; six times as fast as a list of two structs."""
    rows = len(frame)
    in_turn = np.arange(2 * rows).reshape(2, rows).T.ravel()
    turns = {
        "role": pl.Series(["user", "assistant"]).gather(np.tile([0, 1], rows)),
        "content": pl.concat([frame["prompt"], frame["response"]]).gather(in_turn),
        "extra": pl.Series([None], dtype=pl.String).new_from_index(0, 2 * rows),
    }
    return pl.DataFrame(turns).to_struct().reshape((rows, 2)).arr.to_list()


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


def _fields(meta: str) -> dict[str, Any]:
    fields: dict[str, Any]
    try:
        fields = orjson.loads(meta)
    except orjson.JSONDecodeError:  # a number that no double holds
        fields = json.loads(meta, parse_int=float)
    return fields


def _as_text(value: Any) -> str | None:
    if value is None or isinstance(value, str):
        return value
    return repr(value) if isinstance(value, float) else orjson.dumps(value).decode()
