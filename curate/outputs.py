"""What a run leaves to its user: the curated set byte for byte, and the rows that went, with their reasons."""

from collections.abc import Iterator
from pathlib import Path

import orjson
import polars as pl

from curate.errors import StoppedError
from curate.formats.lines import Lines
from curate.formats.writing import lines_at, texts, write_lines
from curate.ledger import Mask, RunDirectory, drops, kept_rows
from curate.pool import Pool
from curate.records import parse, to_json
from curate.whole import remove_abandoned, whole_file
from curate.working import Working


def selected(pool: Pool, rows: Mask) -> Iterator[Lines]:
    """The records of the rows that the mask names, in order.

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
            offsets = here["offset"].to_numpy() if not here["offset"].null_count() else None
            yield from lines_at(source, here["line"].to_numpy(), offsets, here["length"].to_numpy(), max_line)
        if wanted:
            source.must_be_unchanged()
        start = stop


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
    if pool.records != len(pool) + int(pool.facts["rejected"]):
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
                file.write(_with_reason(text, why))


def _with_reason(text: bytes, why: str) -> bytes:
    if b'"_curate"' in text:  # dropped before, by another run
        return to_json({**parse(text), "_curate": orjson.Fragment(why)}).encode() + b"\n"
    return text.rstrip()[:-1] + b',"_curate":' + why.encode() + b"}\n"
