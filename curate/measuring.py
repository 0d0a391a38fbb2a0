"""Measures of a step over a pool: computed once per row range, kept on disk, read by every later run.

`pools/FINGERPRINT/measures/length-5d1f…/part-00000000.parquet` holds the measures of rows 0 to 65,535. A part that is
there is whole: that is how a killed run goes on.
"""

import time
from collections.abc import Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import orjson
import polars as pl
import xxhash

from curate.errors import StoppedError
from curate.pool import Pool
from curate.protocol import Filter, filter_faults, for_measuring, frame_fault, measured_by, trait
from curate.recipe import Step, measures_of, prepared
from curate.whole import remove_abandoned, whole, whole_and_new
from curate.working import Working

Mask = npt.NDArray[np.bool_]

RANGE = 65_536
"""Rows of one part."""

SAMPLED = 200
"""Rows from which a streaming filter tells what all will take."""

FLUSH_ROWS, FLUSH_SECONDS = 1024, 5.0
"""A streamed measure is written at least after so many rows or seconds."""


class Measures:
    """The measures of one step over one pool."""

    def __init__(self, step: Step, pool: Pool) -> None:
        self.step, self.pool = step, pool.seen_from(step.side)
        self.filter: Filter = prepared(step, self.pool)
        key = {
            "filter": step.filter_name,
            "module": type(self.filter).__module__,  # a plug-in may take the place of a built-in filter
            "version": trait(self.filter, "version"),
            "side": step.side,
            "by": measured_by(self.filter),
        }
        digest = xxhash.xxh3_64_hexdigest(orjson.dumps(key, option=orjson.OPT_SORT_KEYS, default=str))
        self.path = pool.path / "measures" / f"{step.filter_name}-{digest}"
        self.problems: dict[int, str] = {}

    @property
    def streams(self) -> bool:
        """Whether a model measures, row by row and only the living."""
        return hasattr(self.filter, "stream")

    @property
    def asks_model(self) -> bool:
        """Whether a model reads rows, to measure them or to decide."""
        return self.streams or bool(trait(self.filter, "asks_model"))

    @property
    def has_measure(self) -> bool:
        """Whether the filter measures at all."""
        return self.streams or hasattr(self.filter, "measure")

    def compute(self, alive: Mask, working: Working) -> int:
        """Measure what is not on disk yet; returns for how many rows."""
        if not self.has_measure:
            return 0
        self.path.mkdir(parents=True, exist_ok=True)
        remove_abandoned(self.path)
        return self._stream(alive, working) if self.streams else self._measure(working)

    def load(self, rows: Mask, names: list[str] | None = None) -> pl.DataFrame:
        """`row` and the measures of the rows that the mask names; `problem` where a measure could not be had."""
        wanted = np.flatnonzero(rows)
        row = pl.Series("row", wanted, dtype=pl.UInt64)
        if not self.has_measure:
            return row.to_frame()
        if self.streams:
            return self._streamed(row.to_frame(), names)
        parts = []
        for start in np.unique(wanted // RANGE) * RANGE:
            file = self._part(int(start))
            there = pl.read_parquet_schema(file)
            columns = [name for name in there if names is None or name in (*names, "problem")]
            part = pl.read_parquet(file, columns=columns)
            here = rows[start : start + RANGE]
            parts.append(part if here.all() else part.filter(pl.Series(here)))
        return pl.concat([row.to_frame(), pl.concat(parts, how="diagonal_relaxed")], how="horizontal")

    def holds(self, rows: Mask) -> bool:
        """Whether the measures of the rows that the mask names are on disk."""
        starts = np.unique(np.flatnonzero(rows) // RANGE) * RANGE
        return self.has_measure and (self.streams or all(self._part(int(start)).exists() for start in starts))

    @property
    def kinds(self) -> dict[str, pl.DataType]:
        """The measures that are on disk, and of which type; none of a filter that streams."""
        part = None if self.streams else next(self.path.glob("part-*.parquet"), None)
        return pl.read_parquet_schema(part) if part else {}

    def _part(self, start: int) -> Path:
        return self.path / f"part-{start:010d}.parquet"

    def missing(self) -> list[int]:
        """Starts of the ranges that are not on disk yet: what can be measured apart, in any order, on any machine."""
        return [start for start in range(0, len(self.pool), RANGE) if not self._part(start).exists()]

    def _measure(self, working: Working) -> int:
        missing = list(range(0, len(self.pool), RANGE)) if working.fresh else self.missing()
        total = sum(self._rows_at(s) for s in missing)
        if 0 < total < len(self.pool):
            working.notice(
                f"{self.step.name}: {len(self.pool) - total:,} of {len(self.pool):,} rows are measured already"
            )
        done = 0
        running: set[Future[int]] = set()
        left = iter(missing)
        with ThreadPoolExecutor(working.threads) as workers:
            try:
                while True:
                    working.check()
                    while len(running) < working.threads and (start := next(left, None)) is not None:
                        running.add(workers.submit(self.measure_range, start))
                    if not running:
                        return total
                    finished, running = wait(running, timeout=0.5, return_when=FIRST_COMPLETED)
                    done += sum(future.result() for future in finished)
                    working.report(self.step.name, done, total)
            finally:
                for future in running:
                    future.cancel()

    def _rows_at(self, start: int) -> int:
        return min(RANGE, len(self.pool) - start)

    def measure_range(self, start: int) -> int:
        """Measure the rows [start, start + RANGE) and write their part, whole or not at all; returns how many."""
        filter = for_measuring(self.filter)
        frames = []
        for rows in self.pool.batches(trait(filter, "reads"), start, start + RANGE):
            with filter_faults(self.step.filter_name, f"on rows {rows['row'][0]} to {rows['row'][-1]}"):
                measured = filter.measure(rows)
            if broken := frame_fault(measured, rows["row"]):
                raise StoppedError(
                    f"{self.step.filter_name}.measure {broken}",
                    "it must give a DataFrame with one line per line, in the same order",
                )
            frames.append(measured.drop("row", strict=False))
        self.path.mkdir(parents=True, exist_ok=True)
        with whole(self._part(start)) as temporary:
            pl.concat(frames, how="diagonal_relaxed").write_parquet(temporary, compression="lz4", statistics=False)
        return self._rows_at(start)

    def _streamed_parts(self) -> list[Path]:
        """Those of each range in the order in which they were written: `part-0000000000-1`, `part-0000000000-2`."""
        parts = self.path.glob("part-*-*.parquet")
        return sorted(parts, key=lambda part: [int(number) for number in part.stem.split("-")[1:]])

    def _streamed(self, rows: pl.DataFrame, names: list[str] | None) -> pl.DataFrame:
        parts = [pl.read_parquet(part) for part in self._streamed_parts()]
        made = names or measures_of(self.step, self.pool)
        if parts:
            # the first reply that was committed is the measure
            known = pl.concat(parts, how="diagonal_relaxed").unique("row", keep="first", maintain_order=True)
            found = rows.join(known.select("row", *made), on="row", how="left", maintain_order="left")
            had = rows["row"].is_in(known["row"].implode())
        else:
            found = rows.with_columns(pl.lit(None, dtype=pl.Float64).alias(name) for name in made)
            had = pl.Series([False] * len(rows))
        schema = {"row": pl.UInt64, "problem": pl.String}
        problems = pl.DataFrame(list(self.problems.items()), schema=schema, orient="row")
        found = found.join(problems, on="row", how="left", maintain_order="left")
        return found.with_columns(problem=pl.when(~had).then(pl.col("problem").fill_null("was not measured")))

    def _stream(self, alive: Mask, working: Working) -> int:
        """Let the model see what the parts lack. A row it has no measure for is a problem of this run, never cached."""
        lacking = alive.copy()
        if not working.fresh:
            for part in self._streamed_parts():
                lacking[pl.read_parquet(part, columns=["row"])["row"].to_numpy()] = False
        total, done = int(lacking.sum()), 0
        if not total:
            return 0
        for line in self.estimate(lacking, probe=True):
            working.notice(f"{self.step.name}: {line}")
        if working.fresh:
            for part in self._streamed_parts():
                part.unlink()
        waiting: list[pl.DataFrame] = []
        began = written = time.monotonic()
        try:
            for frame in self._answers(lacking, working):
                failed = frame.filter(pl.col("problem").is_not_null())
                self.problems.update(zip(failed["row"], failed["problem"], strict=True))
                waiting.append(frame.filter(pl.col("problem").is_null()).drop("problem"))
                done += len(frame)
                working.report(self.step.name, done, total, self._going(working, began))
                if sum(map(len, waiting)) >= FLUSH_ROWS or time.monotonic() - written > FLUSH_SECONDS:
                    self._flush(waiting)
                    written = time.monotonic()
        finally:
            self._flush(waiting)
        working.check()
        return done

    def _going(self, working: Working, began: float) -> str:
        spent, seconds = working.spending, max(time.monotonic() - began, 0.1)
        tokens = (spent.prompt_tokens + spent.output_tokens) / seconds
        return f"{tokens:,.0f} tokens/s, {len(self.problems):,} unscored"

    def estimate(self, lacking: Mask, probe: bool) -> Iterator[str]:
        """What measuring the rows that the mask names will take, as the filter tells it from a sample of them."""
        if not hasattr(self.filter, "estimate") or not lacking.any():
            return
        rows = np.flatnonzero(lacking)
        some = rows[np.unique(np.linspace(0, len(rows) - 1, SAMPLED).astype(np.int64))]
        sample = pl.concat(self.pool.texts(some, trait(self.filter, "reads")))
        with filter_faults(self.step.filter_name):
            yield from self.filter.estimate(sample, len(rows), probe)

    def _answers(self, lacking: Mask, working: Working) -> Iterator[pl.DataFrame]:
        with filter_faults(self.step.filter_name):
            for given in for_measuring(self.filter).stream(self._living(lacking, working)):
                yield self._asked_for(given, lacking)

    def _asked_for(self, given: Any, lacking: Mask) -> pl.DataFrame:
        """What a stream gave: `row`, its measures and `problem`. Raises StoppedError where it breaks the protocol."""
        made = measures_of(self.step, self.pool)
        broken = ""
        if not isinstance(given, pl.DataFrame):
            broken = f"gave {type(given).__name__}, a DataFrame was expected"
        elif missing := {"row", *made} - set(given.columns):
            broken = f"gave no column {sorted(missing)[0]}"
        else:
            row = given["row"]
            asked = pl.Series(lacking[row.clip(0, len(lacking) - 1).to_numpy()]) & (row >= 0) & (row < len(lacking))
            if not asked.all():
                broken = f"gave row {row.filter(~asked)[0]}, which it was not asked for"
        if broken:
            raise StoppedError(f"{self.step.filter_name}.stream {broken}", "the rules are in docs/protocol.md")
        problem = pl.col("problem") if "problem" in given.columns else pl.lit(None)
        frame: pl.DataFrame = given.select(pl.col("row").cast(pl.UInt64), *made, problem=problem.cast(pl.String))
        return frame

    def _living(self, lacking: Mask, working: Working) -> Iterator[pl.DataFrame]:
        start = 0
        for rows in self.pool.batches(trait(self.filter, "reads")):
            if working.stop.is_set():
                return
            here = lacking[start : start + len(rows)]
            start += len(rows)
            if here.any():
                yield rows.filter(pl.Series(here))

    def _flush(self, waiting: list[pl.DataFrame]) -> None:
        frame = pl.concat(waiting, how="vertical_relaxed") if waiting else pl.DataFrame()
        waiting.clear()
        if not len(frame):
            return
        for (start,), rows in frame.group_by((pl.col("row") // RANGE * RANGE).alias("start"), maintain_order=True):
            with whole_and_new(self.path, f"part-{start:010d}", ".parquet") as temporary:
                rows.drop("start", strict=False).write_parquet(temporary)


def column_values(reference: str, rows: Mask, pool: Pool, measured: dict[str, Measures]) -> pl.DataFrame:
    """The values that a `Column` names, as `value`, with `problem` where one could not be had."""
    name = reference.rpartition(".")[2]
    if (owner := owner_of(reference)) in measured:
        source = measured[owner]
        return source.load(rows, [name]).drop("row").rename({name: "value"})
    wanted = pl.Series(rows)
    if reference.startswith("meta."):
        values = pool.meta(reference.removeprefix("meta."))
    elif reference == "row":
        values = pl.Series(np.arange(len(pool)), dtype=pl.UInt64)
    else:
        values = pool.column(reference)
    return values.filter(wanted).alias("value").to_frame()


def is_from_model(reference: str, measured: dict[str, Measures]) -> bool:
    """Whether a model made the column: then only the living have a value."""
    owner = owner_of(reference)
    return owner in measured and measured[owner].streams


def owner_of(reference: str) -> str:
    """The step that makes the column, if one does."""
    return reference.rpartition(".")[0]
