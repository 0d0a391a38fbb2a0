"""Near-duplicates among the rows of files and nothing else, for those who want only this: no pool, no ledger.

`near_duplicates("raw.jsonl").pairs` has a line for each row that may go: it, its rival, how much they share.
"""

import os
import tempfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import IO, Literal

import numpy as np
import numpy.typing as npt
import polars as pl

from curate.duplicates.near import THRESHOLD, Found, Rows, Shingles, check_similarity, find, texts_of
from curate.errors import InputError, StoppedError, UsageError
from curate.formats.lines import Lines
from curate.formats.reading import read_lines
from curate.formats.sources import Source, sources_of
from curate.kernels.told import compiling_told
from curate.pool.table import read_block
from curate.shapes.reading import Reading
from curate.working import Working, in_order

A_PIECE = 1 << 14
"""Rows whose shingles are sorted at a time."""


@dataclass(frozen=True)
class Duplicates:
    """The near-duplicates among the rows of some files.

    `rows`: how many there are; `unread`: records that could not be read; `pairs`: one line for each row that may go:
    `row` and its `rival`, numbers as in `kept`; `file`, `line`, `rival_file`, `rival_line`: where they stand;
    `similarity`.
    """

    rows: int
    unread: int
    pairs: pl.DataFrame
    found: Found

    @property
    def kept(self) -> Rows:
        """The numbers of the rows to keep, ascending; a row's number is its position among the rows read."""
        return np.flatnonzero(self.found.rival < 0)


@dataclass(frozen=True)
class _Measured:
    """What is kept in memory of a block: for each row its band keys, number of shingles, bytes of text and line.

    `unread`: how many of its records could not be read, and what is said of the first.
    """

    source: int
    lines: Rows
    keys: npt.NDArray[np.uint32]
    counts: npt.NDArray[np.uint32]
    sizes: npt.NDArray[np.uint32]
    unread: tuple[int, str]


def near_duplicates(
    inputs: str | os.PathLike[str] | Sequence[str | os.PathLike[str]],
    *,
    similarity: float = THRESHOLD,
    keep: Literal["longest", "first"] = "longest",
    working: Working | None = None,
) -> Duplicates:
    """The near-duplicates among the rows of some files, and nothing else: no pool, no ledger, no output.

    Prompt and response are compared together, as by the filter `near-dup`. Records that can't be read are counted and
    told. Raises UsageError for a parameter that can't be, InputError where there is nothing to compare, StoppedError
    where a file changes meanwhile.
    """
    if keep not in ("longest", "first"):
        raise UsageError(f"keep is {keep!r}", "known: longest, first")
    try:
        check_similarity(similarity)
    except ValueError as error:
        raise UsageError(str(error)) from None
    files = [inputs] if isinstance(inputs, str | os.PathLike) else list(inputs)
    working = working or Working()
    with (
        compiling_told(working.notice),
        tempfile.TemporaryDirectory(prefix="curate-") as folder,
        tempfile.TemporaryFile(dir=folder) as spilled,
    ):
        sources = sources_of(files, Path(folder))
        blocks = _read(sources, spilled, working)
        counts = np.concatenate([block.counts for block in blocks])
        starts = np.cumsum(counts, dtype=np.int64) - counts
        size = np.concatenate([block.sizes for block in blocks]).astype(np.int64)
        found = find(
            [block.keys for block in blocks],
            counts,
            lambda rows: (Shingles.read(spilled, starts[own], counts[own]) for own in _pieces(rows)),
            np.argsort(-size, kind="stable") if keep == "longest" else np.arange(len(size)),
            threshold=similarity,
            folder=Path(folder),
            working=working,
        )
    unread = sum(block.unread[0] for block in blocks)
    return Duplicates(len(counts), unread, _pairs(found, blocks, sources), found)


def _read(sources: list[Source], spilled: IO[bytes], working: Working) -> list[_Measured]:
    """Measure all rows; the hashes of their shingles go to a file."""
    blocks = []
    for block, hashes in in_order(_calls(sources, working), working.threads):
        spilled.write(hashes.data)
        blocks.append(block)
    spilled.flush()
    if changed := [source.name for source in sources if not source.unchanged()]:
        raise StoppedError(f"{changed[0]} changed while it was read", "run the same command again")
    if unread := [block.unread for block in blocks if block.unread[0]]:
        working.notice(f"{sum(n for n, _ in unread):,} records could not be read; the first is {unread[0][1]}")
    if not any(len(block.counts) for block in blocks):
        raise InputError("there are no rows to compare", "`curate inspect` shows what can be read")
    return blocks


def _calls(sources: list[Source], working: Working) -> Iterator[Callable[[], tuple[_Measured, npt.NDArray[np.uint32]]]]:
    """For each block of lines the call that measures it, and gives the hashes of its shingles."""
    done, total = 0, sum(source.stamp[0] for source in sources)
    for number, source in enumerate(sources):
        for lines in read_lines(source):
            working.check()
            done += len(lines.data)
            working.report("reading", min(done, total), total)
            yield partial(_measured, lines, number, source.name)


def _measured(lines: Lines, number: int, name: str) -> tuple[_Measured, npt.NDArray[np.uint32]]:
    block = read_block(lines, number, Reading(), ("line", "prompt", "response"))
    frame = pl.DataFrame(pl.from_arrow(block.table))
    texts = texts_of(frame)
    own = Shingles.of(texts)
    line = frame["line"].to_numpy().astype(np.int64)
    first = next((f"{name}:{record['line']}  {record['cause']}" for record in block.rejected), "")
    unread = (len(block.rejected), first)
    sizes = texts.str.len_bytes().to_numpy()
    return _Measured(number, line, own.band_keys(), own.counts, sizes, unread), own.hashes


def _pieces(rows: Rows) -> Iterator[Rows]:
    return (rows[start : start + A_PIECE] for start in range(0, len(rows), A_PIECE))


def _pairs(found: Found, blocks: list[_Measured], sources: list[Source]) -> pl.DataFrame:
    gone = np.flatnonzero(found.rival >= 0)
    rival = found.rival[gone]
    names = pl.Series([source.name for source in sources], dtype=pl.String)
    file = np.concatenate([np.full(len(block.lines), block.source) for block in blocks])
    line = np.concatenate([block.lines for block in blocks])
    return pl.DataFrame(
        {
            "row": gone,
            "rival": rival,
            "file": names[file[gone]],
            "line": line[gone],
            "rival_file": names[file[rival]],
            "rival_line": line[rival],
            "similarity": found.similarity[gone],
        }
    )
