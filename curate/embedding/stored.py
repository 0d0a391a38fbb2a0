"""Vectors of a pool on disk, row by row: computed once, whatever kills the process, and read without loading them.

`pools/FINGERPRINT/embeddings/both-default-3f…/vectors.npy` is float16 [rows, dimensions]; beside it `done` has a
byte per row that is set after its vector is written. What a costly embedder says of a text is also kept in
`embeddings/NAME-DIGEST.sqlite`, by a hash of the text, and so found again for any pool.
"""

import os
import re
import sqlite3
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl
import xxhash

from curate.embedding.embedder import Embedder
from curate.embedding.vectors import COLUMNS, Of, texts_of
from curate.errors import StoppedError
from curate.kernels.told import compiling_told
from curate.pool import Pool
from curate.whole import whole
from curate.working import Working, alone, in_order

Stored = npt.NDArray[np.float16]
Rows = npt.NDArray[np.int64]

SPAN = 8192
"""Rows that are read, sorted by length and embedded together."""

AT_ONCE, SECONDS = 64, 4.0
"""A costly embedder begins with so many texts at a time and goes on with what takes it so long; then they are kept."""


def embedded(
    pool: Pool,
    embedder: Embedder,
    of: Of = "both",
    *,
    rows: npt.NDArray[np.bool_] | None = None,
    working: Working | None = None,
) -> Stored:
    """Vectors of the pool's rows, float16 [len(pool), dimensions], mapped from disk and not to be written to.

    Of the rows that the mask `rows` names; any that were never asked for are zero vectors. `working.fresh` computes
    nothing anew: the same text has the same vector.
    """
    working = working or Working()
    digest = xxhash.xxh3_64_hexdigest(f"{embedder.fingerprint}|{pool.side}".encode())
    folder = pool.path / "embeddings" / f"{of}-{_slug(embedder.name)}-{digest}"
    folder.mkdir(parents=True, exist_ok=True)
    wanted = np.ones(len(pool), dtype=bool) if rows is None else rows
    with alone(folder, "embeds the same rows", working):
        done = _done(folder, len(pool), embedder)
        missing = np.flatnonzero(wanted & ~done)
        if len(missing):
            _embed(pool, embedder, of, missing, folder, working)
    vectors: Stored = np.load(folder / "vectors.npy", mmap_mode="r")
    return vectors


def _slug(name: str) -> str:
    return re.sub(r"[^\w.-]+", "-", name)[-40:].strip("-")


def _done(folder: Path, rows: int, embedder: Embedder) -> npt.NDArray[np.bool_]:
    """Which rows have their vectors; makes both files, without taking their room on the disk, where they are not."""
    if not (folder / "vectors.npy").exists():
        (folder / "done").write_bytes(bytes(rows))
        with whole(folder / "vectors.npy") as temporary:
            shape = (rows, embedder.dimensions)
            np.lib.format.open_memmap(temporary, "w+", np.float16, shape).flush()  # type: ignore[no-untyped-call]
    return np.fromfile(folder / "done", dtype=np.bool_)


def _embed(pool: Pool, embedder: Embedder, of: Of, missing: Rows, folder: Path, working: Working) -> None:
    stage = f"embedding with {embedder.name}"
    finished = 0
    pieces = (_costly if embedder.costly else _cheap)(pool, embedder, of, missing, working)
    with (folder / "vectors.npy").open("r+b") as vectors, (folder / "done").open("r+b") as done:
        start = np.load(folder / "vectors.npy", mmap_mode="r").offset
        working.report(stage, 0, len(missing))
        for rows, said in pieces:
            _write(vectors.fileno(), start, rows, np.ascontiguousarray(said, dtype=np.float16))
            _write(done.fileno(), 0, rows, np.ones((len(rows), 1), dtype=np.bool_))
            finished += len(rows)
            working.report(stage, finished, len(missing))
            working.check()
        os.fsync(vectors.fileno())


def _write(file: int, start: int, rows: Rows, values: npt.NDArray[Any]) -> None:
    """Put ascending rows where they belong, neighbours at once; a full disk is an error here, and a crash in a map."""
    size = values[:1].nbytes
    for run in np.split(np.arange(len(rows)), np.flatnonzero(np.diff(rows) > 1) + 1):
        left, at = memoryview(values[run].tobytes()), start + int(rows[run[0]]) * size
        while left:
            written = os.pwrite(file, left, at)
            left, at = left[written:], at + written


Pieces = Iterator[tuple[Rows, npt.NDArray[np.float32] | Stored]]


def _spans(missing: Rows) -> list[Rows]:
    """Rows that are missing, by the span they lie in."""
    return np.split(missing, np.flatnonzero(np.diff(missing // SPAN)) + 1)


def _cheap(pool: Pool, embedder: Embedder, of: Of, missing: Rows, working: Working) -> Pieces:
    """Spans side by side, as many as there are threads."""

    def vectors(rows: Rows) -> tuple[Rows, Stored]:
        frames = pool.texts(rows, COLUMNS[of])
        return rows, np.concatenate([embedder.embed(texts_of(frame, of)).astype(np.float16) for frame in frames])

    with compiling_told(working.notice):
        embedder.embed([""])  # weights are opened once, before there are threads
        yield from in_order((partial(vectors, rows) for rows in _spans(missing)), working.threads)


def _costly(pool: Pool, embedder: Embedder, of: Of, missing: Rows, working: Working) -> Pieces:
    """What is kept of each text, then those that are new: the longest of a span first, each text once."""
    digest = xxhash.xxh3_64_hexdigest(embedder.fingerprint.encode())
    at_once, doubt = AT_ONCE, ""
    with _kept(pool.work_dir / "embeddings" / f"{_slug(embedder.name)}-{digest}.sqlite") as kept:
        for frame in (frame for span in _spans(missing) for frame in pool.texts(span, COLUMNS[of])):
            texts = texts_of(frame, of)
            keys = pl.Series("key", list(map(xxhash.xxh3_128_digest, texts.cast(pl.Binary))), dtype=pl.Binary)
            asked = pl.DataFrame({"row": frame["row"].cast(pl.Int64), "key": keys, "text": texts})
            known = _look_up(kept, keys.unique().to_list())
            had = asked.join(known, on="key", how="inner", maintain_order="left")
            if len(had):
                yield had["row"].to_numpy(), np.frombuffer(b"".join(had["vector"]), np.float16).reshape(len(had), -1)
            new = asked.join(known, on="key", how="anti", maintain_order="left")
            new = new.group_by("key", maintain_order=True).agg("row", pl.col("text").first())
            new = new.sort(pl.col("text").str.len_bytes(), descending=True, maintain_order=True)
            if len(new) and not doubt and (doubt := embedder.doubt(texts)):
                working.notice(doubt)
            while len(new):
                part, new = new.head(at_once), new.slice(at_once)
                began = time.monotonic()
                vectors = embedder.embed(part["text"]).astype(np.float16)
                rate = len(part) / max(time.monotonic() - began, 1e-3)
                at_once = min(max(int(rate * SECONDS) // AT_ONCE, 1) * AT_ONCE, SPAN)
                with kept:
                    pairs = zip(part["key"], map(bytes, vectors), strict=True)
                    kept.executemany("INSERT OR IGNORE INTO vectors VALUES (?, ?)", pairs)
                rows = part["row"].explode(empty_as_null=True).to_numpy()
                order = np.argsort(rows)
                yield rows[order], np.repeat(vectors, part["row"].list.len().to_numpy(), axis=0)[order]


@contextmanager
def _kept(path: Path) -> Iterator[sqlite3.Connection]:
    """What an embedder said of texts, by their hashes. Raises StoppedError where the file can't be used."""
    path.parent.mkdir(exist_ok=True)
    try:
        with closing(sqlite3.connect(path, timeout=60)) as connection:
            connection.execute("PRAGMA journal_mode = WAL")
            connection.execute("PRAGMA synchronous = NORMAL")
            connection.execute("CREATE TABLE IF NOT EXISTS vectors (key BLOB PRIMARY KEY, vector BLOB NOT NULL)")
            yield connection
    except sqlite3.Error as error:
        remedy = "make room if the disk is full; else delete the file: what it held is computed anew"
        raise StoppedError(f"{path} can't be used: {error}", remedy) from error


def _look_up(kept: sqlite3.Connection, keys: list[bytes]) -> pl.DataFrame:
    """`key` and `vector` of those that are kept."""
    found: list[tuple[bytes, bytes]] = []
    for start in range(0, len(keys), 500):
        some = keys[start : start + 500]
        found += kept.execute(f"SELECT key, vector FROM vectors WHERE key IN ({','.join('?' * len(some))})", some)
    return pl.DataFrame(found, schema={"key": pl.Binary, "vector": pl.Binary}, orient="row")
