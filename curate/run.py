"""One execution of a recipe over a pool: measure, decide, write the ledger.

`.curate/runs/20261123T104500-5d1f/` holds `run.json` and `ledger/01-length.parquet`; at the end `rejected.jsonl`,
`dropped.jsonl` and `report.html` lie beside them.
A run that was killed is found again by the four digits, which name pool, recipe and seed.
"""

import fcntl
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import orjson
import polars as pl
import xxhash

from curate import __version__
from curate.deciding import decide
from curate.errors import NothingKeptError, UsageError
from curate.formats.sources import Source, sources_of
from curate.kernels.told import compiling_told
from curate.ledger import RunDirectory, kept_rows, notes_of, orphans, write_part
from curate.lost_rows import losses
from curate.measuring import Measures, owner_of
from curate.memory import forget_peak, peak_megabytes
from curate.pool import Pool
from curate.recipe import Recipe, rebuild_recipe
from curate.registry import load_plugins


@dataclass(frozen=True)
class StepSummary:
    """What one step did.

    `measured`: rows measured in this run; `memory`: the process's peak meanwhile, in MB; `notes`: what is to be said of
    the step as a whole; `example`: the first drop, as `at` and `reason`.
    """

    step: str
    filter: str
    reached: int
    measured: int
    dropped: int
    unscored: int
    seconds: float
    memory: float
    notes: list[str]
    example: dict[str, str] | None = None


@dataclass
class Summary:
    """What a run did, as `--json` prints it."""

    run: str
    records: int
    rows_in: int
    kept: int
    dropped: int
    rejected: int
    unscored: int
    orphans: int
    seconds: float
    output: str
    by_step: list[StepSummary] = field(default_factory=list)

    def as_dict(self) -> dict[str, Any]:
        """The summary as plain values."""
        return asdict(self)


UNFINISHED = ("running", "stopped")
"""What `run.json` says of a run that the same command continues; the others are `done` and `empty`."""


@contextmanager
def open_run(
    work_dir: Path, pool: Pool, recipe: Recipe, *, seed: int = 0, fresh: bool = False, plugins: Sequence[Path] = ()
) -> Iterator[RunDirectory]:
    """The directory of this run: the unfinished one of the same pool, recipe and seed, or a new one; locked."""
    key = xxhash.xxh3_64_hexdigest(
        orjson.dumps(
            [pool.fingerprint, recipe.as_dict(), recipe.versions(), seed, _files(recipe, work_dir)], default=str
        )
    )
    digits = key[:4]
    runs = work_dir / "runs"
    runs.mkdir(parents=True, exist_ok=True)
    unfinished = [] if fresh else sorted(runs.glob(f"*-{digits}"), reverse=True)
    for path in unfinished:
        run = RunDirectory(path)
        with locked(path) as mine:
            facts = run.read_facts() if mine and (path / "run.json").exists() else {}
            if facts.get("key") == key and facts["status"] in UNFINISHED:
                yield run
                return
    started = datetime.now()
    with ExitStack() as stack:
        while True:
            path = runs / f"{started:%Y%m%dT%H%M%S}-{digits}"
            path.mkdir(exist_ok=True)
            # one without run.json was left by a process that was killed before it wrote any
            if stack.enter_context(locked(path)) and not (path / "run.json").exists():
                break
            started += timedelta(seconds=1)
        run = RunDirectory(path)
        run.write_facts(
            {
                "name": path.name,
                "key": key,
                "status": "running",
                "version": __version__,
                "started": started.isoformat(timespec="milliseconds"),
                "seed": seed,
                "recipe": recipe.as_dict(),
                "filter_versions": recipe.versions(),
                "plugins": [str(file.absolute()) for file in plugins],
                "pool": pool.fingerprint,
                "inputs": [_source_facts(source) for source in pool.sources],
            }
        )
        yield run


def _files(recipe: Recipe, work_dir: Path) -> list[str]:
    """Digests of the files that steps compare with."""
    names = recipe.compared_files()
    return [source.digest for source in sources_of(names, work_dir / "pools")] if names else []


def _source_facts(source: Source) -> dict[str, Any]:
    return {**asdict(source), "path": str(source.path)}


@contextmanager
def locked(path: Path) -> Iterator[bool]:
    """Whether this process alone works in `path` now."""
    with (path / "lock").open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            yield False
        else:
            yield True


def recipe_of(run: RunDirectory) -> Recipe:
    """The recipe that a run executed. Raises UsageError if one of its filters is gone."""
    facts = run.read_facts()
    return rebuild_recipe(facts["recipe"], load_plugins([Path(file) for file in facts["plugins"]]))


def pool_of(run: RunDirectory, work_dir: Path) -> Pool:
    """The pool that a run worked on. Raises UsageError if it was deleted."""
    facts = run.read_facts()
    path = work_dir / "pools" / facts["pool"]
    if not (path / "pool.json").exists():
        remedy = "run `curate filter` again on the same inputs"
        raise UsageError(f"the pool of run {run.name} is gone from {work_dir}", remedy)
    sources = [Source(**{**s, "path": Path(s["path"]), "stamp": tuple(s["stamp"])}) for s in facts["inputs"]]
    return Pool(path, sources, work_dir)


def execute(run: RunDirectory, pool: Pool, recipe: Recipe, ask_models: bool = True) -> list[StepSummary]:
    """Take the steps in order over the rows still alive and write each one's part of the ledger.

    Without `ask_models` a step that needs one, and what depends on its measures, is only estimated and left out.
    Raises NothingKeptError when a step keeps nothing: what it decided is kept, so that `why` can tell.
    """
    alive = np.ones(len(pool), dtype=np.bool_)
    measured: dict[str, Measures] = {}
    left_out: set[str] = set()
    summaries = []
    working = pool.working
    for number, step in enumerate(recipe.steps, 1):
        began = time.monotonic()
        forget_peak()
        working.check()
        measures = Measures(step, pool)
        missing = [reference for reference in step.columns().values() if owner_of(reference) in left_out]
        if missing or (measures.asks_model and not ask_models):
            left_out.add(step.name)
            why = f"needs {missing[0]}" if missing else "; ".join(measures.estimate(alive, probe=False))
            why = why or f"a model would read {alive.sum():,} rows"
            working.notice(f"{step.name}: left out of the dry run ({why})")
            continue
        measured[step.name] = measures
        part = run.part(number, step.name)
        new = 0
        if part.exists():  # this run was here before it was killed
            measures.problems = _problems(part)
        else:
            with compiling_told(working.notice):
                new = measures.compute(alive, working)
                working.check()
                pool.notes.clear()
                decided = decide(step, measures, alive, measured, pool)
            write_part(part, decided, [*pool.notes, *losses(decided.filter("alive"), pool)])
        verdicts = pl.read_parquet(part, columns=["row", "alive", "verdict", "kept", "reason"])
        reached = verdicts.filter("alive")
        gone = reached.filter(~pl.col("kept"))
        alive[gone["row"].to_numpy()] = False
        summary = StepSummary(
            step=step.name,
            filter=step.filter_name,
            reached=len(reached),
            measured=new,
            dropped=len(gone),
            unscored=int((reached["verdict"] == "unscored").sum()),
            seconds=round(time.monotonic() - began, 3),
            memory=round(peak_megabytes()),
            notes=notes_of(part),
            example={"at": pool.place(gone["row"][0]), "reason": gone["reason"][0] or ""} if len(gone) else None,
        )
        summaries.append(summary)
        if not alive.any():
            bounded = pl.read_parquet(part, columns=["threshold"])["threshold"].count() > 0
            loosen = f"loosen it: --set {step.name}.PARAM=VALUE (see `curate filters show {step.filter_name}`)"
            raise NothingKeptError(
                f"step {step.name} dropped all {len(reached):,} rows that reached it; nothing was written\n"
                f"  for example {pool.place(gone['row'][0])}  {gone['reason'][0]}",
                loosen
                if bounded
                else f"look at one of them (`curate why row:{gone['row'][0]}`), or leave the step out",
            )
    return summaries


def _problems(part: Path) -> dict[int, str]:
    found = pl.scan_parquet(part).filter(pl.col("verdict") == "unscored").select("row", "reason").collect()
    return dict(found.iter_rows())


def summarise(run: RunDirectory, pool: Pool, steps: list[StepSummary], output: Path, seconds: float) -> Summary:
    """The run's sums; `unscored` counts rows with such a verdict at any step."""
    kept = kept_rows(run, len(pool))
    unscored = pl.concat(
        [
            pl.scan_parquet(part).filter(pl.col("alive") & (pl.col("verdict") == "unscored")).select("row")
            for part in run.parts()
        ]
    ).collect()
    return Summary(
        run=run.name,
        records=pool.records,
        rows_in=len(pool),
        kept=int(kept.sum()),
        dropped=int((~kept).sum()),
        rejected=int(pool.facts["rejected"]),
        unscored=unscored["row"].n_unique(),
        orphans=len(orphans(run, kept)),
        seconds=round(seconds, 3),
        output=str(output),
        by_step=steps,
    )
