"""`curate.filter`: a recipe over files, from raw rows to the curated set.

>>> result = curate.filter("raw.jsonl", recipe="default")
>>> result.summary.kept, result.dropped["reason"][0]
"""

import os
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import polars as pl

from curate.disk import bytes_free, bytes_shown, disk_faults
from curate.errors import NothingKeptError
from curate.formats.sources import COMPRESSIONS
from curate.formats.writing import check_output
from curate.kernels.told import compiling_told
from curate.ledger import Mask, RunDirectory, drops, kept_rows, read_ledger
from curate.outputs import write_outputs
from curate.pool import Pool, ReadOptions, check_inputs, make_work_dir, read_options, read_pool, say_what_was_found
from curate.recipe import Recipe, check_measures, load_recipe
from curate.registry import load_plugins
from curate.reporting.card import write_card
from curate.reporting.report import write_report
from curate.run import Summary, execute, open_run, summarise
from curate.working import Working

if TYPE_CHECKING:
    import datasets

DRY_RUN_ROWS = 10_000

Input = str | os.PathLike[str]


@dataclass(frozen=True)
class Result:
    """What a run decided: its sums in `summary`, its rows and verdicts as Polars frames, read when asked for."""

    summary: Summary
    run: RunDirectory
    pool: Pool

    @cached_property
    def _mask(self) -> Mask:
        return kept_rows(self.run, len(self.pool))

    @cached_property
    def kept(self) -> pl.DataFrame:
        """The curated set: `row`, `source`, `line`, `id`, `messages`, `prompt`, `response`, `meta`."""
        return self._rows(self._mask)

    @cached_property
    def dropped(self) -> pl.DataFrame:
        """The other rows, with the `step` that dropped each, its `reason`, `value`, `threshold` and `rival`."""
        why = drops(self.run).select("row", "step", "reason", "value", "threshold", "rival")
        return self._rows(~self._mask).join(why, on="row", how="left", maintain_order="left")

    @cached_property
    def ledger(self) -> pl.DataFrame:
        """Every verdict, row by step."""
        return read_ledger(self.run)

    def to_dataset(self) -> "datasets.Dataset":
        """The curated set as a `datasets.Dataset`."""
        import datasets

        return datasets.Dataset(self.kept.to_arrow())

    def _rows(self, rows: Mask) -> pl.DataFrame:
        columns = ("source", "line", "id", "messages", "prompt", "response", "meta")
        frames = (
            frame.filter(pl.Series(rows[frame["row"][0] : frame["row"][-1] + 1]))
            for frame in self.pool.batches(columns)
        )
        return pl.concat(frames)


def filter(
    inputs: Input | Sequence[Input],
    output: Input = "curated.jsonl",
    *,
    recipe: Input = "default",
    set: Sequence[str] = (),
    keep: int | None = None,
    judge: str | None = None,
    against: Sequence[Input] = (),
    exclude: Sequence[Input] = (),
    target: Sequence[Input] = (),
    format: str | None = None,
    map: Mapping[str, str] | None = None,
    max_line: int | None = None,
    limit: int | None = None,
    seed: int = 0,
    work_dir: Input = ".curate",
    plugins: Sequence[Input] = (),
    fresh: bool = False,
    working: Working | None = None,
) -> Result:
    """Run a recipe over files and write the curated set; the same call goes on where a killed one was.

    The parameters are those of `curate filter --help`. Raises a `curate.errors.CurateError` whose `exit_status` is the
    command's: `UsageError` and `InputError` before any output was written, though the pool may be on disk;
    `StoppedError` with what was finished kept.
    """
    files = [inputs] if isinstance(inputs, str | os.PathLike) else list(inputs)
    out, work = Path(output), Path(work_dir)
    working = replace(working or Working(), fresh=fresh)
    extra = [Path(file) for file in plugins]
    found, options = _asked(
        recipe=recipe,
        set=set,
        keep=keep,
        judge=judge,
        against=against,
        exclude=exclude,
        target=target,
        format=format,
        map=map,
        max_line=max_line,
        limit=limit,
        seed=seed,
        plugins=extra,
    )
    compared = found.compared_files()
    check_output(out, [*files, *compared])
    check_inputs(files, work)
    if compared:
        check_inputs(compared, work)
    make_work_dir(work)
    began = time.monotonic()
    with compiling_told(working.notice), disk_faults(work, out.absolute().parent):
        _state_disk(files, out, work, working)
        pool = read_pool(files, work, options, working=working)
        say_what_was_found(pool, working)
        check_measures(found, pool)
        with open_run(work, pool, found, seed=seed, fresh=fresh, plugins=extra) as run:
            facts = {**run.read_facts(), "output": str(out.absolute())}
            if decided := len(run.parts()):
                working.notice(f"going on with run {run.name}: {decided} of {len(found.steps)} steps are decided")
            try:
                steps = execute(run, pool, found)
                write_outputs(run, pool, out, working)
                summary = summarise(run, pool, steps, out, time.monotonic() - began)
                facts["summary"] = summary.as_dict()
                run.write_facts(facts)
                write_card(out, run, pool)
                write_report(run, pool)
            except BaseException as error:
                run.write_facts({**facts, "status": "empty" if isinstance(error, NothingKeptError) else "stopped"})
                raise
            run.write_facts({**facts, "status": "done"})  # last: a run that is done has all it should leave
    return Result(summary, run, pool)


@contextmanager
def dry_run(
    inputs: Sequence[Input],
    *,
    seed: int = 0,
    plugins: Sequence[Input] = (),
    working: Working | None = None,
    **options: Any,
) -> Iterator[Result]:
    """As `filter`, whose `options` it takes, over at most 10,000 seeded rows; in a folder that is gone when the `with`
    block ends.
    """
    working = working or Working()
    extra = [Path(file) for file in plugins]
    found, reading = _asked(seed=seed, plugins=extra, **options)
    reading = replace(reading, sample=DRY_RUN_ROWS, seed=seed)
    with tempfile.TemporaryDirectory(prefix="curate-") as folder, disk_faults(Path(folder)):
        work = Path(folder)
        pool = read_pool(inputs, work, reading, working=working)
        say_what_was_found(pool, working)
        check_measures(found, pool)
        began = time.monotonic()
        with open_run(work, pool, found, seed=seed, plugins=extra) as run:
            steps = execute(run, pool, found, ask_models=False)
            yield Result(summarise(run, pool, steps, Path(), time.monotonic() - began), run, pool)


def _asked(
    *,
    recipe: Input = "default",
    set: Sequence[str] = (),
    keep: int | None = None,
    judge: str | None = None,
    against: Sequence[Input] = (),
    exclude: Sequence[Input] = (),
    target: Sequence[Input] = (),
    format: str | None = None,
    map: Mapping[str, str] | None = None,
    max_line: int | None = None,
    limit: int | None = None,
    seed: int,
    plugins: Sequence[Path],
) -> tuple[Recipe, ReadOptions]:
    """The recipe, and how rows are read, that a call asks for."""
    tests, had, wanted = ([str(file) for file in files] for files in (against, exclude, target))
    found = load_recipe(
        str(recipe),
        settings=set,
        keep=keep,
        judge=judge,
        against=tests,
        exclude=had,
        target=wanted,
        seed=seed,
        plugins=load_plugins(plugins),
    )
    return found, read_options(format, map, max_line, limit)


def _state_disk(files: Sequence[Input], out: Path, work: Path, working: Working) -> None:
    there = [Path(file) for file in files if Path(file).is_file()]
    size = sum(path.stat().st_size * (4 if path.suffix in COMPRESSIONS else 1) for path in there)
    need, free = int(size * 2.2), min(bytes_free(work), bytes_free(out.absolute().parent))
    if need > 100_000_000 or need > free:
        short = "; that may not be enough" if need > free else ""
        working.notice(
            f"disk: needs up to {bytes_shown(need)} in {work} and beside {out}, {bytes_shown(free)} are free{short}"
        )
