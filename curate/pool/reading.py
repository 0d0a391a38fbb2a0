"""From inputs to a pool on disk: read once, in blocks, in parallel, whole or not at all.

`read_pool(["raw.jsonl"], Path(".curate"))` writes `.curate/pools/FINGERPRINT/rows.parquet`, or finds it there.
"""

import os
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from functools import partial
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import orjson
import pyarrow as pa
import pyarrow.parquet as pq
import xxhash

from curate.errors import InputError, StoppedError, UsageError, nearest
from curate.formats.lines import MAX_LINE, Lines
from curate.formats.reading import read_lines
from curate.formats.sources import Source, sources_of
from curate.kernels.told import compiling_told
from curate.pool.rows import Pool
from curate.pool.table import SCHEMA, Block, read_block
from curate.seeded import shuffled_rank
from curate.shapes.reading import OUR_FIELDS, SHAPES, Reading
from curate.whole import remove_abandoned, whole, whole_file
from curate.working import Working, in_order

if TYPE_CHECKING:
    import numpy.typing as npt

READER_VERSION = 5
"""Raised when the same bytes come to be read as other rows."""

GROUP_ROWS, GROUP_BYTES = 8192, 8 << 20
"""A row group of `rows.parquet` ends at this many rows or bytes: what reading holds in memory at a time."""


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
        for theirs, ours in self.reading.map:
            if ours not in OUR_FIELDS:
                raise UsageError(f"--map {theirs}={ours}: no field is called {ours}", nearest(ours, OUR_FIELDS))
        if self.max_line < 1:
            raise UsageError("--max-line must be 1 byte or more", "leave it out for 32M")
        if self.limit is not None and self.limit < 1:
            raise UsageError("--limit must be 1 or more", "leave it out to read everything")


def check_inputs(files: Sequence[str | os.PathLike[str]], work: Path) -> None:
    """Refuse what is no file before anything is written. Raises InputError or UsageError."""
    wrong = [file for file in files if str(file) != "-" and not Path(file).is_file() and not Path(file).is_fifo()]
    if wrong or not files:
        sources_of(wrong, work / "pools")  # says what is wrong with them


def read_options(
    format: str | None, map: Mapping[str, str] | None, max_line: int | None, limit: int | None
) -> ReadOptions:
    """What `--format`, `--map`, `--max-line` and `--limit` ask for."""
    options = ReadOptions(Reading(format, tuple(sorted((map or {}).items()))), limit=limit)
    return options if max_line is None else replace(options, max_line=max_line)


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
    sources = sources_of(inputs, pools)
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
    make_work_dir(work_dir)
    path.mkdir(parents=True, exist_ok=True)
    sources = [_kept_in(path, source, pools) for source in sources]
    if not (path / "pool.json").exists():
        _write_rows(path, sources, options, working or Working())
    pool = Pool(path, sources, work_dir, working)
    if not len(pool):
        raise InputError(*_why_nothing(pool))
    return pool


def _kept_in(path: Path, source: Source, spool: Path) -> Source:
    """The source; of one that was spooled the bytes are moved into the pool."""
    if source.path.parent != spool.absolute():
        return source
    return replace(source, path=source.path.replace(path.absolute() / source.path.name))


def make_work_dir(work_dir: Path) -> None:
    """Make `work_dir` with a `.gitignore` of its own. Raises UsageError where it can't be written."""
    try:
        work_dir.mkdir(parents=True, exist_ok=True)
        if not (work_dir / ".gitignore").exists():
            (work_dir / ".gitignore").write_text("*\n")
    except OSError as error:
        remedy = "name a folder that can be written, with --work-dir"
        raise UsageError(f"{work_dir} can't be written: {error.strerror}", remedy) from None


def _why_nothing(pool: Pool) -> tuple[str, str]:
    first = list(islice(pool.rejected(), 3))
    causes = "\n".join(f"  {r['source']}:{r['line']}  {r['cause']}" for r in first)
    if not first:
        return f"{' '.join(pool.names)}: no records in it", "check how it was made"
    remedy = "mend the file; where its fields have other names, say so with --map THEIRS=OURS or --format SHAPE"
    return f"none of the {pool.records:,} records could be read:\n{causes}", remedy


def _write_rows(path: Path, sources: list[Source], options: ReadOptions, working: Working) -> None:
    remove_abandoned(path)
    records = unread = 0
    shapes = [Counter[str]() for _ in sources]
    total = sum(source.stamp[0] for source in sources)
    done = 0
    with (
        whole(path / "rows.parquet") as rows,
        whole_file(path / "rejected.jsonl") as rejected,
        _GroupWriter(rows) as writer,
    ):
        read = _sampled(sources, options) if options.sample else (read_lines(s, options.max_line) for s in sources)
        for ordinal, (source, lines) in enumerate(zip(sources, read, strict=True)):
            calls = _calls(lines, ordinal, options, records, working)
            for block in in_order(calls, working.threads):
                writer.write(block.table, block.sizes)
                for record in block.rejected:
                    rejected.write(orjson.dumps(record) + b"\n")
                records += block.records + len(block.rejected)
                unread += len(block.rejected)
                shapes[ordinal] += block.shapes
                done += int(block.sizes.sum())
                working.report("reading", min(done, total), total)
                working.check()
            if not source.unchanged():
                raise StoppedError(f"{source.name} changed while it was read", "run the same command again")
    facts = {
        "records": records,
        "rows": writer.rows,
        "rejected": unread,
        "max_line": options.max_line,
        "format": options.reading.format,
        "map": options.reading.map,
        "sources": [{"rows": sh.total(), "shapes": dict(sh)} for sh in shapes],
    }
    with whole_file(path / "pool.json") as file:  # written last: where it is, the pool is whole
        file.write(orjson.dumps(facts, option=orjson.OPT_INDENT_2))


def _calls(
    lines: Iterator[Lines], source: int, options: ReadOptions, before: int, working: Working
) -> Iterator[Callable[[], Block]]:
    """For each block of lines the call that reads it."""
    left = None if options.limit is None or options.sample else options.limit - before
    with compiling_told(working.notice):
        for block in lines:
            if left is not None:
                if left <= 0:
                    break
                block = block.head(left)
                left -= len(block) + len(block.unread)
            yield partial(read_block, block, source, options.reading)


def _sampled(sources: list[Source], options: ReadOptions) -> Iterator[Iterator[Lines]]:
    """For each source its records among the `sample` of all with the smallest hash of seed and position.

    Seeded and the same every time; of the first `limit` records, if that is given. Everything is read twice.
    """
    stop = 2**63 - 1 if options.limit is None else options.limit
    bound, best, seen = np.uint64(2**64 - 1), np.zeros(0, dtype=np.uint64), 0
    for source in sources:
        for lines in read_lines(source, options.max_line):
            ranks = shuffled_rank(np.arange(seen, min(seen + len(lines), stop)), options.seed)
            best = np.sort(np.concatenate((best, ranks[ranks <= bound])))[: options.sample]
            bound = best[-1] if len(best) == options.sample else bound
            seen += len(lines)
    seen = 0

    def chosen(source: Source) -> Iterator[Lines]:
        nonlocal seen
        for lines in read_lines(source, options.max_line):
            positions = np.arange(seen, seen + len(lines))
            seen += len(lines)
            yield lines.take((shuffled_rank(positions, options.seed) <= bound) & (positions < stop))

    for source in sources:
        yield chosen(source)


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

    def __exit__(self, fault: object, *_: object) -> None:
        if fault is None:
            self._flush()
            self._writer.close()
            return
        with suppress(OSError, pa.ArrowException):  # after a full disk it can't be closed; the first fault is told
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
            table = pa.concat_tables(self._pending).combine_chunks()  # else pages depend on how rows came in
            self._writer.write_table(table, row_group_size=len(table))
            self.rows += len(table)
        self._pending, self._rows, self._bytes = [], 0, 0


def say_what_was_found(pool: Pool, working: Working) -> None:
    """Tell the shapes that were detected, and what could not be read."""
    for source, facts in zip(pool.sources, pool.facts["sources"], strict=True):
        shapes = ", ".join(f"{count:,} {shape}" for shape, count in sorted(facts["shapes"].items()))
        nothing = "none could be read" if source.stamp[0] else "it is empty"
        working.notice(f"{source.name}: {facts['rows']:,} rows ({shapes or nothing})")
    if rejected := int(pool.facts["rejected"]):
        first = next(pool.rejected())
        working.notice(
            f"{rejected:,} of {pool.records:,} records could not be read; the first is "
            f"{first['source']}:{first['line']}  {first['cause']}"
        )
