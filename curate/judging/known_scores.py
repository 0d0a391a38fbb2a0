"""Scores that a judge gave before: in a file that `curate judge` wrote, or of a run's step `judge`.

`scores_in("scored.jsonl", None, Path(".curate"), working).rows` has `row` and `score`.
"""

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from curate.errors import UsageError, nearest
from curate.judging.rubrics import Language
from curate.judging.scored import FIELD
from curate.ledger import find_run
from curate.measuring import Measures
from curate.pool import Pool, check_inputs, read_pool
from curate.run import pool_of, recipe_of
from curate.working import Working


@dataclass(frozen=True)
class Scores:
    """What a judge said: `row` and `score` of the rows that it scored."""

    pool: Pool
    rows: pl.DataFrame
    unscored: int
    rubric: str
    language: Language
    model: str | None


def scores_in(scores: str | os.PathLike[str], step: str | None, work: Path, working: Working) -> Scores:
    """What a file or a run says. A file wins over a run of the same name."""
    if Path(scores).exists():
        if step:
            raise UsageError(f"{scores} is a file, which has no steps", "leave --step out")
        return _of_file(Path(scores), work, working)
    try:
        run = find_run(work, str(scores))
    except UsageError as error:
        raise UsageError(
            f"{scores} is neither a file that `curate judge` wrote nor a run in {work}", error.remedy
        ) from None
    judges = {one.name: one for one in recipe_of(run).steps if one.filter_name == "judge"}
    if step and step not in judges:
        raise UsageError(f"no judge of run {run.name} is called {step}", nearest(step, list(judges)))
    if not judges:
        raise UsageError(f"run {run.name} has no step judge", "curate judge scores rows")
    if not step and len(judges) > 1:
        raise UsageError(f"run {run.name} has several judges", f"--step one of {', '.join(judges)}")
    chosen = judges[step or next(iter(judges))]
    pool = pool_of(run, work).seen_from(chosen.side)
    pool.working = working
    measures = Measures(chosen, pool)
    found = measures.load(np.ones(len(pool), dtype=np.bool_))
    by: Any = chosen.filter
    return _read(pool, found.select("row", "score"), by.rubric, by.language, by.model)


def _of_file(path: Path, work: Path, working: Working) -> Scores:
    check_inputs([path], work)
    pool = read_pool([path], work, working=working)
    fields = {"rubric": pl.String, "language": pl.String, "model": pl.String, "score": pl.Float64}
    text = pool.meta(FIELD)
    if text.dtype != pl.String or not text.str.starts_with("{").any():
        raise UsageError(f"no row of {path} has a field {FIELD}", "`curate judge INPUT --model MODEL` writes it")
    try:
        said = text.str.json_decode(pl.Struct(fields)).struct.unnest()
    except pl.exceptions.ComputeError:
        raise UsageError(f"{path}: what stands in {FIELD} is not what `curate judge` writes", "score anew") from None
    by = said.select("rubric", "language", "model").drop_nulls("rubric").unique().sort("rubric")
    if len(by) != 1:
        one_of = ", ".join(str(name) for name in by["rubric"]) or "none"
        raise UsageError(f"{path} has scores of several rubrics or models ({one_of})", "distill one at a time")
    rubric, language, model = by.row(0)
    return _read(pool, said.select("score").with_row_index("row"), rubric, language or "en", model)


def _read(pool: Pool, found: pl.DataFrame, rubric: str, language: Language, model: str | None) -> Scores:
    had = found.drop_nulls("score")
    return Scores(pool, had, len(found) - len(had), rubric, language, model)
