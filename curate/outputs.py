"""What a run leaves to its user: the curated set byte for byte, and the rows that went, with their reasons."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import numpy.typing as npt
import orjson
import polars as pl

from curate.errors import StoppedError
from curate.formats.lines import ROWS_AT_A_TIME, Lines, joined_lines
from curate.formats.writing import lines_at, texts, write_lines
from curate.ledger import Mask, RunDirectory, drops, kept_rows
from curate.pool import Pool
from curate.pool.table import NO_LINE_OF_ITS_OWN
from curate.records import Message, Row, parse, to_json
from curate.shapes.rendering import record_of
from curate.whole import remove_abandoned, whole_file
from curate.working import Working

Rows = npt.NDArray[np.int64]


def selected(pool: Pool, rows: Mask) -> Iterator[Lines]:
    """The records of the rows that the mask names, in order; a row of a record that holds several, as messages.

    Raises StoppedError at the end of a source that no longer has the bytes that were read: what was written of it is
    not to be kept.
    """
    start = 0
    max_line = int(pool.facts["max_line"])
    for source, facts in zip(pool.sources, pool.facts["sources"], strict=True):
        stop = start + int(facts["rows"])
        if wanted := bool(rows[start:stop].any()):
            source.must_be_unchanged()
        frames = pool.batches(["line", "offset", "length"], start, stop)
        if not source.has_bytes:  # found again by reading it from the start
            frames = iter([pl.concat(list(frames))]) if stop > start else iter([])
        for frame in frames:
            here = frame.filter(pl.Series(rows[frame["row"][0] : frame["row"][-1] + 1]))
            several = (here["length"] == NO_LINE_OF_ITS_OWN).fill_null(False)
            alone, others = here.filter(~several), here["row"].filter(several).to_numpy()
            offsets = alone["offset"].to_numpy() if not alone["offset"].null_count() else None
            lines = lines_at(source, alone["line"].to_numpy(), offsets, alone["length"].to_numpy(), max_line)
            yield from _merged(lines, alone["row"].to_numpy(), pool, others) if len(others) else lines
        if wanted:
            source.must_be_unchanged()
        start = stop


def _merged(lines: Iterator[Lines], alone: Rows, pool: Pool, others: Rows) -> Iterator[Lines]:
    """The lines of the rows `alone` and the rows `others` as objects of their own, in the order of rows."""
    done = written = 0
    for block in lines:
        here = alone[done : done + len(block)]
        done += len(block)
        stop = int(np.searchsorted(others, here[-1]))
        between = others[written:stop]
        written = stop
        order = np.argsort(np.concatenate((here, between)))
        records = [*texts(block), *_objects(pool, between)]
        yield joined_lines([records[k] for k in order], np.zeros(len(order), dtype=np.int64))
    for start in range(written, len(others), ROWS_AT_A_TIME):
        records = _objects(pool, others[start : start + ROWS_AT_A_TIME])
        yield joined_lines(records, np.zeros(len(records), dtype=np.int64))


def _objects(pool: Pool, rows: Rows) -> list[bytes]:
    """Rows as objects of shape messages (pairs: preference), with their other fields."""
    found = []
    for frame in pool.texts(rows, ["messages", "chosen", "rejected", "label", "meta"]):
        for _, messages, chosen, rejected, label, meta in frame.iter_rows():
            turns, preferred, other = (
                None if side is None else tuple(Message(**turn) for turn in side)
                for side in (messages, chosen, rejected)
            )
            row = Row("messages", turns or (), preferred, other, label, parse(meta.encode()))
            found.append(to_json(record_of(row, "messages" if other is None else "preference")).encode())
    return found


A_FAULT = "this is a fault of curate: please report it with the run's run.json"


def write_outputs(run: RunDirectory, pool: Pool, output: Path, working: Working) -> Mask:
    """Write the curated set, the dropped and the rejected rows of a run; returns which rows are kept."""
    for folder in (run.path, run.path / "ledger", output.parent):
        remove_abandoned(folder)
    kept = kept_rows(run, len(pool))

    def counted(rows: Mask, stage: str) -> Iterator[Lines]:
        done, wanted = 0, int(rows.sum())
        for lines in selected(pool, rows):
            working.check()
            yield lines
            done += len(lines)
            working.report(stage, done, wanted)
        if done != wanted:
            raise StoppedError(f"{stage}: {done:,} records were found of {wanted:,}", A_FAULT)

    _write_dropped(run, counted(~kept, "writing dropped.jsonl"))
    with whole_file(run.path / "rejected.jsonl") as file:
        for record in pool.rejected():
            file.write(orjson.dumps(record) + b"\n")
    write_lines(output, lambda: counted(kept, f"writing {output.name}"))
    if pool.records > len(pool) + int(pool.facts["rejected"]):
        raise StoppedError(f"the sums don't hold: {pool.records} records, {len(pool)} rows", A_FAULT)
    return kept


def _write_dropped(run: RunDirectory, chunks: Iterator[Lines]) -> None:
    """`dropped.jsonl`: each dropped record with a field `_curate` that says which step dropped it and why."""
    gone = drops(run).select(
        said=pl.struct("row", "step", "reason", "value", "threshold", "rival").struct.json_encode(), row="row"
    )
    at = 0
    with whole_file(run.path / "dropped.jsonl") as file:
        for lines in chunks:
            said = gone["said"].slice(at, len(lines))
            at += len(lines)
            for text, why in zip(texts(lines), said, strict=True):
                file.write(with_field(text, "_curate", why) + b"\n")


def with_field(text: bytes, name: str, value: str) -> bytes:
    """The record with one field more, JSON; one of that name that it has (from another run) is replaced."""
    if f'"{name}"'.encode() in text:
        return to_json({**parse(text), name: orjson.Fragment(value)}).encode()
    return text.rstrip()[:-1] + f',"{name}":{value}}}'.encode()
