"""Rows for a person to label: judged, and drawn evenly over the judge's scale.

>>> drawn = draw("raw.jsonl", model="hf:NAME", rubric="educational-value", rows=60)
>>> drawn.rows["id"], drawn.rows["score"]
"""

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl

from curate.disk import disk_faults
from curate.errors import InputError, StoppedError
from curate.judging.agreement import Values, nearest
from curate.judging.judging import READS, Judge, has_logprobs, judged
from curate.judging.labelling import NAMES, Label, check_enough, labels_file, read_labels, rows_of, values_of
from curate.judging.rows import texts_of
from curate.judging.rubrics import Mode, Rubric, load_rubric
from curate.measuring import Measures
from curate.pool import Pool, check_inputs, make_work_dir, read_options, read_pool, say_what_was_found
from curate.recipe import step_of
from curate.seeded import shuffled_rank
from curate.working import Working

JUDGED_FOR_ONE = 10
"""Rows that are judged for each that is drawn, so that the rare scores are among them."""

PARTS_OF_BELIEF = 5
"""Strata of a pairwise judge: fifths of its belief in the chosen answer."""


@dataclass(frozen=True)
class Drawn:
    """Rows to be labelled. `rows`: `row`, `id`, `score`, `flipped`, `first`, `again` (the score when asked otherwise)
    and `length`, in the order in which a person sees them; `judged`: `score` and `problem` of all rows judged.
    """

    pool: Pool
    rubric: Rubric
    judge: Judge
    rows: pl.DataFrame
    judged: pl.DataFrame
    named: Mapping[str, int]
    """The row that each name in the labels means."""
    seed: int
    file: Path
    """Where the labels are, or will be."""


def draw(
    inputs: str | os.PathLike[str] | Sequence[str | os.PathLike[str]],
    *,
    model: str,
    rubric: str = "educational-value",
    rows: int = 60,
    labels: str | os.PathLike[str] | None = None,
    settings: Mapping[str, Any] | None = None,
    format: str | None = None,
    map: Mapping[str, str] | None = None,
    max_line: int | None = None,
    limit: int | None = None,
    seed: int = 0,
    work_dir: str | os.PathLike[str] = ".curate",
    working: Working | None = None,
) -> Drawn:
    """Judge a sample of the rows and draw from it evenly over the scale; with `labels`, judge the rows they name.

    The drawn rows are judged a second time with the labels of the scale named in the reverse order. `settings`: other
    parameters of the filter `judge`. Raises what `curate.filter` raises, and UsageError for bad labels.
    """
    files = [inputs] if isinstance(inputs, str | os.PathLike) else list(inputs)
    work, working = Path(work_dir), working or Working()
    check_inputs(files, work)
    step = step_of("judge", model=model, rubric=rubric, **(settings or {}))
    chosen: Any = step.filter
    text = load_rubric(rubric, chosen.language)
    file = labels_file(work, text) if labels is None else Path(labels)
    given = None if labels is None else read_labels(file, values_of(text))
    make_work_dir(work)
    with disk_faults(work):
        pool = read_pool(files, work, read_options(format, map, max_line, limit), working=working)
        say_what_was_found(pool, working)
        if given is None:
            named, mask = {}, shuffled_rank(np.arange(len(pool)), seed).argsort().argsort() < rows * JUDGED_FOR_ONE
        else:
            named = _named(given, pool, working)
            check_enough(len({named[label.row] for label in given if label.row in named and label.label}), file)
            mask = np.isin(np.arange(len(pool)), list(named.values()))
        measures = Measures(step, pool)
        measures.compute(mask, working)
        scores = measures.load(mask)
        had = scores.filter(pl.col("problem").is_null()).drop("problem")
        if not len(had):
            cause = scores["problem"].value_counts(sort=True)["problem"][0] if len(scores) else "there are none"
            raise StoppedError(
                f"the judge scored none of {len(scores):,} rows: {cause}", "try --mode text, or another model"
            )
        ids = pl.concat(pool.texts(had["row"], ["id"]))
        drawn = had.join(ids, on="row", maintain_order="left")
        if given is None:
            drawn = _evenly(drawn.unique("id", keep="first", maintain_order=True), text, rows, seed)
            named = dict(drawn.select("id", "row").iter_rows())
        mode: Mode = chosen.mode or ("expected" if has_logprobs(model, work, working) else "text")
        judge = Judge(model, text, mode, chosen.max_chars, chosen.long == "cut")
        working.notice(f"asking again about {len(drawn)} rows, with the labels in the reverse order")
        drawn = drawn.join(_asked_again(drawn, judge, pool, working), on="row", how="left", maintain_order="left")
    return Drawn(pool, text, judge, drawn, scores.select("score", "problem"), named, seed, file)


def _named(given: Sequence[Label], pool: Pool, working: Working) -> dict[str, int]:
    """The row that each label names. Raises InputError where that is none."""
    if not given:
        raise InputError("the file of labels has no label", 'a line is {"row": "raw.jsonl:3", "label": 4}')
    rows = rows_of(given, pool)
    astray = [label for label, row in zip(given, rows, strict=True) if row is None]
    if astray:
        first = f"the first is {astray[0].place}, {astray[0].row}"
        if len(astray) == len(given):
            raise InputError(
                f"no label names a row of {', '.join(pool.names)}; {first}",
                f"name the input they belong to; a label gives {NAMES}",
            )
        working.notice(f"{len(astray)} of {len(given)} labels name no row of the input; {first}")
    return {label.row: row for label, row in zip(given, rows, strict=True) if row is not None}


def strata_of(scores: Values, rubric: Rubric) -> npt.NDArray[np.intp]:
    """The part of the judge's scale in which each score lies: that of the nearest label."""
    if rubric.pairwise:
        return np.minimum((scores * PARTS_OF_BELIEF).astype(np.intp), PARTS_OF_BELIEF - 1)
    return nearest(scores, np.array(sorted(rubric.scale.values())))


def strata_names(rubric: Rubric) -> list[str]:
    """What each part of the scale is called, from the lowest."""
    if rubric.pairwise:
        return [f"{k / PARTS_OF_BELIEF:.1f}-{(k + 1) / PARTS_OF_BELIEF:.1f}" for k in range(PARTS_OF_BELIEF)]
    return sorted(rubric.scale, key=lambda label: rubric.scale[label])


def _evenly(scored: pl.DataFrame, rubric: Rubric, wanted: int, seed: int) -> pl.DataFrame:
    """As many rows of each part of the scale, as far as it has them; shown in an order of chance."""
    chance = pl.Series("chance", shuffled_rank(scored["row"].to_numpy(), seed))
    strata = pl.Series("stratum", strata_of(scored["score"].to_numpy(), rubric))
    turn = pl.col("chance").rank("ordinal").over("stratum")
    return (
        scored.with_columns(chance, strata).sort(turn, "chance").head(wanted).sort("chance").drop("chance", "stratum")
    )


def _asked_again(rows: pl.DataFrame, judge: Judge, pool: Pool, working: Working) -> pl.DataFrame:
    """`row`, `again` and `length` (characters of the response; of a pair, by how much the chosen is longer).

    A judge at temperature 0 repeats itself, so the same question tells nothing. The labels named in the reverse order
    ask the same in other words: by how much the score moves is what wording alone does, in every mode, at every server.
    """
    frames = list(pool.texts(rows["row"].sort(), READS))
    lengths = []
    for row in pl.concat(frames).iter_rows(named=True):
        texts, _, _ = texts_of(row, judge.rubric.pairwise, 1 << 40)
        shown = [len(texts[name]) for name in ("first", "second", "response") if name in texts]
        lengths.append((row["row"], shown[0] - sum(shown[1:])))
    names, values = list(judge.rubric.scale)[::-1], list(judge.rubric.scale.values())
    if not judge.rubric.pairwise:  # of a pair, whatever is named first stands for the first answer
        values.reverse()
    turned = replace(judge.rubric, scale=dict(zip(names, values, strict=True)))
    verdicts = judged(iter(frames), replace(judge, rubric=turned), pool.work_dir, working)
    again = [(verdict.row, verdict.score) for verdict in verdicts]
    working.check()
    length = pl.DataFrame(lengths, schema={"row": pl.UInt64, "length": pl.Int64}, orient="row")
    second = pl.DataFrame(again, schema={"row": pl.UInt64, "again": pl.Float64}, orient="row")
    return length.join(second, on="row", how="left", maintain_order="left")
