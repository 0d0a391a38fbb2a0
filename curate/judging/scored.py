"""`curate judge`: every row with its score, none dropped.

`score("raw.jsonl", "scored.jsonl", model="hf:NAME")` writes each record with a field `_judge`: its rubric, language
and model, score and doubt, or why it has no score.
"""

import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from curate.disk import disk_faults
from curate.formats.lines import Lines, joined_lines
from curate.formats.writing import check_output, texts, write_lines
from curate.judging.rubrics import load_rubric
from curate.ledger import kind_of
from curate.measuring import Measures
from curate.outputs import selected, with_field
from curate.pool import Pool, check_inputs, read_options, read_pool, say_what_was_found
from curate.recipe import Step, step_of
from curate.working import Working

FIELD = "_judge"


@dataclass(frozen=True)
class Scored:
    """How many rows were scored, and why the others were not: kind of cause and count; of so many records, some of
    which could not be read. `mean` is null where none was scored.
    """

    records: int
    rejected: int
    rows: int
    scored: int
    mean: float | None
    histogram: dict[str, int]
    unscored: dict[str, int]
    output: Path


def score(
    inputs: str | os.PathLike[str] | Sequence[str | os.PathLike[str]],
    output: str | os.PathLike[str] = "scored.jsonl",
    *,
    model: str,
    rubric: str = "educational-value",
    settings: Mapping[str, Any] | None = None,
    format: str | None = None,
    map: Mapping[str, str] | None = None,
    max_line: int | None = None,
    limit: int | None = None,
    work_dir: str | os.PathLike[str] = ".curate",
    working: Working | None = None,
) -> Scored:
    """Let a model judge every row by a rubric and write all of them with their scores.

    `settings`: other parameters of the filter `judge`. Raises what `curate.filter` raises; what was scored is kept.
    """
    files = [inputs] if isinstance(inputs, str | os.PathLike) else list(inputs)
    out, work, working = Path(output), Path(work_dir), working or Working()
    check_output(out, files)
    check_inputs(files, work)
    step = step_of("judge", model=model, rubric=rubric, **(settings or {}))
    with disk_faults(work):
        pool = read_pool(files, work, read_options(format, map, max_line, limit), working=working)
        say_what_was_found(pool, working)
        scores = scores_of(step, pool, working)
        write_lines(out, lambda: _with_scores(pool, scores, step))
    had = scores.filter(pl.col("problem").is_null())
    causes = (
        scores.drop_nulls("problem").group_by(kind_of("problem")).len().sort("len", "problem", descending=[True, False])
    )
    labels = load_rubric(rubric, (settings or {}).get("language", "en")).scale
    return Scored(
        records=pool.records,
        rejected=int(pool.facts["rejected"]),
        rows=len(scores),
        scored=len(had),
        mean=float(np.mean(had["score"].to_numpy())) if len(had) else None,
        histogram=_histogram(had["score"], labels),
        unscored=dict(causes.iter_rows()),
        output=out,
    )


def scores_of(step: Step, pool: Pool, working: Working) -> pl.DataFrame:
    """`row`, `score`, `doubt`, `cut`, `flipped`, `first` and `problem` of every row, asked for if need be."""
    everyone = np.ones(len(pool), dtype=np.bool_)
    measures = Measures(step, pool)
    measures.compute(everyone, working)
    return measures.load(everyone)


def _with_scores(pool: Pool, scores: pl.DataFrame, step: Step) -> Iterator[Lines]:
    by = [pl.lit(getattr(step.filter, name)).alias(name) for name in ("rubric", "language", "model")]
    said = scores.select(
        pl.struct(*by, "score", "doubt", "cut", "flipped", unscored="problem").struct.json_encode().alias("said")
    )["said"]
    at = 0
    for lines in selected(pool, np.ones(len(pool), dtype=np.bool_)):
        here = said.slice(at, len(lines))
        at += len(lines)
        records = [with_field(text, FIELD, score) for text, score in zip(texts(lines), here, strict=True)]
        yield joined_lines(records, lines.numbers)


def _histogram(scores: pl.Series, scale: Mapping[str, float]) -> dict[str, int]:
    """Rows per label, each score at the nearest one."""
    values = np.array(sorted(scale.values()))
    at = np.abs(scores.to_numpy()[:, None] - values[None, :]).argmin(axis=1) if len(scores) else np.array([], dtype=int)
    names = {value: label for label, value in scale.items()}
    return {names[value]: int((at == k).sum()) for k, value in enumerate(values.tolist())}
