"""From a step's measures to its verdicts: what the engine adds to a filter's `decide`, and what it holds it to.

A row that could not be measured never reaches the filter: it is `unscored`, and the step says what becomes of it.
"""

from typing import Any

import numpy as np
import polars as pl

from curate.errors import StoppedError
from curate.measuring import Mask, Measures, column_values, is_from_model
from curate.pool import Pool
from curate.protocol import DECISION, VERDICT, filter_faults, frame_fault, trait
from curate.recipe import Step


def decide(step: Step, measures: Measures, alive: Mask, measured: dict[str, Measures], pool: Pool) -> pl.DataFrame:
    """The step's part of the ledger, in order of rows; `measured` holds the measures of the steps so far."""
    columns = step.columns()
    on_dead = trait(measures.filter, "per_row") and not measures.streams
    on_dead = on_dead and not any(is_from_model(reference, measured) for reference in columns.values())
    considered = np.ones_like(alive) if on_dead else alive
    frame = measures.load(considered)
    problem = (
        frame["problem"]
        if "problem" in frame.columns
        else pl.Series([None], dtype=pl.String).new_from_index(0, len(frame))
    )
    frame = frame.drop("problem", strict=False)
    for name, reference in columns.items():
        values = column_values(reference, considered, pool, measured)
        frame = frame.with_columns(values["value"].alias(name))
        if "problem" in values.columns:
            problem = problem.fill_null(values["problem"]) if problem.null_count() else problem
    # rechunked, since Polars 2.1 panics where pl.format meets an empty chunk
    scored = frame.filter(problem.is_null()).rechunk() if problem.null_count() < len(frame) else frame
    if hasattr(measures.filter, "decide"):
        with filter_faults(step.filter_name):
            decided = _checked(measures.filter.decide(scored, measures.pool), scored["row"], step)
    else:
        decided = pl.DataFrame({"verdict": pl.Series(["keep"], dtype=VERDICT).new_from_index(0, len(scored))})
    unscored = frame.filter(problem.is_not_null())
    verdicts = pl.concat(
        [
            pl.concat([scored.select("row"), decided], how="horizontal"),
            unscored.select("row", verdict=pl.lit("unscored", dtype=VERDICT), reason=problem.drop_nulls()),
        ],
        how="diagonal",
    ).sort("row")
    missing = [pl.lit(None, dtype=kind).alias(name) for name, kind in DECISION.items() if name not in verdicts.columns]
    verdicts = verdicts.with_columns(
        pl.lit(step.name).alias("step"), pl.Series("alive", alive[considered], dtype=pl.Boolean), *missing
    )
    failed = verdicts.filter("alive", pl.col("verdict") == "unscored") if step.unscored == "fail" else verdicts.head(0)
    if len(failed):
        raise StoppedError(
            f"step {step.name} could not score {len(failed):,} rows, for example {pool.place(failed['row'][0])}: "
            f"{failed['reason'][0]}",
            f"let them pass or go with --set {step.name}.unscored=keep or drop",
        )
    stays = ["keep", "unscored"] if step.unscored == "keep" else ["keep"]
    return verdicts.with_columns(kept=pl.col("alive") & pl.col("verdict").is_in(stays))


def _checked(decided: Any, rows: pl.Series, step: Step) -> pl.DataFrame:
    """What a filter decided on `rows`, as DECISION's types. Raises StoppedError where it breaks the protocol."""
    broken = frame_fault(decided, rows) or _columns_fault(decided)
    found = pl.DataFrame()
    if not broken:
        try:
            kinds: Any = {name: kind for name, kind in DECISION.items() if name in decided.columns}
            found = decided.drop("row", strict=False).cast(kinds)
        except pl.exceptions.PolarsError as error:
            broken = f"gave columns of other types: {str(error).splitlines()[0]}"
        else:
            if wrong := _rivals_not_kept(found, rows):
                broken = f"named the rival {wrong[0]}, which it did not keep"
    if broken:
        raise StoppedError(f"{step.filter_name}.decide {broken}", "the rules are in docs/protocol.md")
    return found


def _columns_fault(decided: pl.DataFrame) -> str:
    if "verdict" not in decided.columns or decided["verdict"].null_count():
        return "gave no verdict on some row"
    if unknown := set(decided.columns) - {*DECISION, "row"}:
        return f"gave the unknown column {sorted(unknown)[0]}; known: {', '.join(DECISION)}"
    return ""


def _rivals_not_kept(decided: pl.DataFrame, rows: pl.Series) -> list[str]:
    """Rivals of dropped rows that are said to be in the pool, but are none of the rows that the same step kept."""
    if "rival" not in decided.columns:
        return []
    kept = rows.filter(decided["verdict"] == "keep")
    rivals = decided.filter(pl.col("verdict") == "drop")["rival"].drop_nulls().unique(maintain_order=True)
    rivals = rivals.filter(rivals.str.starts_with("row:"))
    known = rivals.str.slice(4).cast(pl.UInt64, strict=False).is_in(kept.implode()).fill_null(False)
    return rivals.filter(~known).to_list()
