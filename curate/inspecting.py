"""What is in an input, without dropping anything: shapes, lengths, languages, duplicates, defects, examples.

`inspect(["raw.jsonl"])` is what `curate inspect raw.jsonl` prints. Its measures stay on disk, so that `curate filter`
finds them.
"""

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from curate.deciding import decide
from curate.disk import disk_faults
from curate.duplicate_share import duplicate_share
from curate.ledger import kind_of
from curate.measuring import Measures
from curate.pool import Pool, check_inputs, make_work_dir, read_options, read_pool
from curate.recipe import Step, load_recipe, step_of
from curate.seeded import shuffled_rank
from curate.texts.languages import CODE
from curate.working import Working

EXAMPLES = 3


@dataclass(frozen=True)
class Lengths:
    """Characters (or turns) of one side: the shortest, the quartiles, the longest and the mean."""

    min: float
    q25: float
    median: float
    q75: float
    max: float
    mean: float


@dataclass(frozen=True)
class Inspection:
    """What an input holds.

    `duplicates`: rows that are exact copies; `near_duplicates`: the estimated share of rows that near-dup would drop,
    from `looked_for` rows drawn by chance; `defects`: rows per reason, by the filters of the default recipe.
    """

    records: int
    rows: int
    rejected: int
    sources: list[dict[str, Any]]
    lengths: dict[str, Lengths]
    tokens: int
    languages: dict[str, int]
    with_code: int
    duplicates: int
    near_duplicates: float
    looked_for: int
    defects: dict[str, int]
    fields: list[str]
    examples: list[dict[str, Any]]
    unreadable: list[dict[str, Any]]


def inspect(
    inputs: str | os.PathLike[str] | Sequence[str | os.PathLike[str]],
    *,
    format: str | None = None,
    map: Mapping[str, str] | None = None,
    max_line: int | None = None,
    limit: int | None = None,
    seed: int = 0,
    work_dir: str | os.PathLike[str] = ".curate",
    working: Working | None = None,
) -> Inspection:
    """Look at all rows of some files. Raises as `curate.filter` does."""
    files = [inputs] if isinstance(inputs, str | os.PathLike) else list(inputs)
    working, work = working or Working(), Path(work_dir)
    check_inputs(files, work)
    make_work_dir(work)
    with disk_faults(work):
        pool = read_pool(files, work, read_options(format, map, max_line, limit), working=working)
        defects, duplicates = _defects(pool, working)
        tokens = _measured(step_of("length", of="both"), pool, working)["tokens"]
        lengths, with_code = _texts(pool)
        languages = _languages(_measured(step_of("language"), pool, working))
        near_duplicates, looked_for = duplicate_share(pool, seed, working)
    return Inspection(
        records=pool.records,
        rows=len(pool),
        rejected=int(pool.facts["rejected"]),
        sources=[{"source": name, **facts} for name, facts in zip(pool.names, pool.facts["sources"], strict=True)],
        lengths=lengths,
        tokens=int(tokens.sum()),
        languages=languages,
        with_code=with_code,
        duplicates=duplicates,
        near_duplicates=round(near_duplicates, 4),
        looked_for=looked_for,
        defects=defects,
        fields=pool.meta_names(),
        examples=_examples(pool, seed),
        unreadable=[record for _, record in zip(range(EXAMPLES), pool.rejected(), strict=False)],
    )


def _defects(pool: Pool, working: Working) -> tuple[dict[str, int], int]:
    """Rows per reason (its numbers and quotations left out), and exact copies."""
    everyone = np.ones(len(pool), dtype=np.bool_)
    counts: dict[str, int] = {}
    duplicates = 0
    for step in load_recipe("default").steps:
        measures = Measures(step, pool)
        measures.compute(everyone, working)
        dropped = decide(step, measures, everyone, {}, pool).filter(pl.col("verdict") == "drop")
        if step.filter_name == "exact-dup":
            duplicates = len(dropped)
            continue
        for reason, count in dropped.group_by(kind_of("reason")).len().iter_rows():
            counts[f"{step.name}: {reason}"] = count
    return dict(sorted(counts.items(), key=lambda item: (-item[1], item[0]))), duplicates


def _measured(step: Step, pool: Pool, working: Working) -> pl.DataFrame:
    everyone = np.ones(len(pool), dtype=np.bool_)
    measures = Measures(step, pool)
    measures.compute(everyone, working)
    return measures.load(everyone)


def _languages(told: pl.DataFrame) -> dict[str, int]:
    """Rows by the language of the response, or else of the prompt, as the filter `language` measured it."""
    spoken = pl.coalesce(pl.col("answered").replace("code", None), "asked", "answered").fill_null("unknown")
    counts = told.select(language=spoken).group_by("language").len().sort("len", "language", descending=[True, False])
    return dict(counts.iter_rows())


def _texts(pool: Pool) -> tuple[dict[str, Lengths], int]:
    chars: dict[str, list[pl.Series]] = {"prompt": [], "response": []}
    with_code = 0
    for frame in pool.batches(["prompt", "response"]):
        text = pl.concat_str(pl.col("prompt"), pl.col("response").fill_null(""), separator=" ").str.head(2000)
        with_code += frame.select(text.str.contains(CODE).sum()).item()
        for side, parts in chars.items():
            parts.append(frame[side].drop_nulls().str.len_chars())
    lengths = {side: _lengths(pl.concat(parts)) for side, parts in chars.items()}
    return lengths, with_code


def _lengths(values: pl.Series) -> Lengths:
    if not len(values):
        return Lengths(*[0.0] * 6)
    low, q25, median, q75, high = (float(values.quantile(q, "nearest") or 0) for q in (0.0, 0.25, 0.5, 0.75, 1.0))
    return Lengths(low, q25, median, q75, high, mean=round(float(values.sum()) / len(values), 1))


def _examples(pool: Pool, seed: int) -> list[dict[str, Any]]:
    rank = shuffled_rank(np.arange(len(pool)), seed)
    rows = np.sort(np.argsort(rank)[:EXAMPLES])
    return pl.concat(pool.texts(rows, ["source", "line", "prompt", "response"])).to_dicts()
