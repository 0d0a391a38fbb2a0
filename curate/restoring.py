"""Bring dropped rows back: into the ledger as a last part, and into the output in their place.

`restore(run, work_dir, steps=["exact-dup"])` undoes what one step dropped.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import polars as pl

from curate.errors import StoppedError, UsageError, nearest
from curate.explaining import find_rows
from curate.formats.writing import check_output
from curate.ledger import RESTORE, RunDirectory, drops, kept_rows, orphans, write_part
from curate.outputs import write_outputs
from curate.pool import Pool
from curate.protocol import DECISION, VERDICT
from curate.reporting.card import write_card
from curate.reporting.report import write_report
from curate.run import locked, pool_of, recipe_of
from curate.working import Working


@dataclass(frozen=True)
class Restored:
    """How many rows came back, and how many are in `output` now."""

    rows: int
    kept: int
    output: Path


def restore(
    run: RunDirectory,
    work_dir: Path,
    rows: Sequence[str] = (),
    *,
    steps: Sequence[str] = (),
    where: str | None = None,
    orphaned: bool = False,
    output: Path | None = None,
    working: Working | None = None,
) -> Restored:
    """Restore the dropped rows that `rows` name, that one of `steps` dropped, for which `where` holds, or orphans.

    `where` is an SQL condition over the columns of the ledger (`step`, `reason`, `value`, `margin`, ...) and of the
    pool (`source`, `line`, `prompt`, `response`, `meta`). Raises UsageError where no dropped row fits.
    """
    if not (rows or steps or where or orphaned):
        raise UsageError("nothing was named", "name rows, --step, --where or --orphans")
    with locked(run.path) as mine:
        if not mine:
            raise StoppedError(f"another process works in run {run.name}", "wait for it, then restore again")
        return _restore(run, work_dir, rows, steps, where, orphaned, output, working or Working())


def _restore(
    run: RunDirectory,
    work_dir: Path,
    rows: Sequence[str],
    steps: Sequence[str],
    where: str | None,
    orphaned: bool,
    output: Path | None,
    working: Working,
) -> Restored:
    pool = pool_of(run, work_dir)
    facts = run.read_facts()
    target = output or Path(facts["output"])
    check_output(target, [*(source.path for source in pool.sources), *recipe_of(run).compared_files()])
    dropped = drops(run)
    wanted = np.zeros(len(pool), dtype=np.bool_)
    for what in rows:
        wanted[find_rows(pool, what)] = True
    known = [step["step"] for step in facts["summary"]["by_step"]]
    if unknown := set(steps) - set(known):
        raise UsageError(f"no step is called {sorted(unknown)[0]}", nearest(sorted(unknown)[0], known))
    wanted[dropped.filter(pl.col("step").is_in(list(steps)))["row"].to_numpy()] = True
    if where:
        wanted[_where(where, dropped, pool)] = True
    if orphaned:
        wanted[_best_orphans(run, pool)] = True
    back = dropped.filter(pl.Series(wanted[dropped["row"].to_numpy()]))
    elsewhere = wanted.any() and target != Path(facts["output"])
    if not (len(back) or elsewhere or facts.get("restoring")):
        raise UsageError(
            "these rows are in the output already" if wanted.any() else "no dropped row fits that",
            "`curate runs` lists runs; --run names another than the last",
        )
    nothing = [
        pl.lit(None, dtype=kind).alias(name) for name, kind in DECISION.items() if name not in ("verdict", "reason")
    ]
    part = back.select(
        "row",
        pl.lit(RESTORE).alias("step"),
        pl.lit(False).alias("alive"),
        pl.lit("keep", dtype=VERDICT).alias("verdict"),
        pl.lit(True).alias("kept"),
        pl.format("restored; {} had dropped it", "step").alias("reason"),
        *nothing,
    )
    for source in pool.sources:
        source.must_be_unchanged(read_again=True)
    run.write_facts({**facts, "restoring": True})  # until all is written: what stops before that is finished later
    if len(part):
        write_part(run.part(len(run.parts()) + 1, RESTORE), part)
    kept = write_outputs(run, pool, target, working)
    summary = {**facts["summary"], "kept": int(kept.sum()), "dropped": int((~kept).sum()), "output": str(target)}
    facts = {**facts, "summary": {**summary, "orphans": len(orphans(run, kept))}}
    run.write_facts({**facts, "restoring": True})
    write_card(target, run, pool)
    write_report(run, pool)
    run.write_facts({**facts, "restoring": False})
    return Restored(len(back), int(kept.sum()), target)


def _where(condition: str, dropped: pl.DataFrame, pool: Pool) -> list[int]:
    """Dropped rows for which the condition holds, a row group at a time."""
    try:
        test = pl.sql_expr(condition)
        found: list[int] = []
        for frame in pool.batches(["source", "line", "id", "prompt", "response", "meta"]):
            here = dropped.filter(pl.col("row").is_between(frame["row"][0], frame["row"][-1]))
            if len(here):
                found += here.join(frame, on="row").filter(test)["row"].to_list()
    except pl.exceptions.PolarsError as error:
        remedy = "an SQL condition, as in --where \"step = 'length' AND value > 5\""
        raise UsageError(f"--where {condition}: {error}", remedy) from None
    return found


def _best_orphans(run: RunDirectory, pool: Pool) -> list[int]:
    """Of the rows that lost to the same rival, the one with the highest value, else the first."""
    found = orphans(run, kept_rows(run, len(pool)))
    best = found.sort("value", "row", descending=[True, False], nulls_last=True)
    return best.unique("rival", keep="first", maintain_order=True)["row"].to_list()
