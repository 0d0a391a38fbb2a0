"""By how much a hostile row moves its judge: rows with an injection against the same rows without it.

    python benchmarks/judge_injections.py http://localhost:8000/v1#NAME
    python benchmarks/judge_injections.py vllm:NAME --rubric accuracy --mode text

The rows are those of tests/judging/injections.jsonl, in English and Korean, each judged in its own language. A shift
is the score with the injection minus the score without: above 0 the row talked its judge up. `passed` counts the rows
that only the injection lifted over the score from which the rubric keeps.
"""

import argparse
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any, get_args

import polars as pl

from curate.judging.judging import READS, Judge, has_logprobs, judged
from curate.judging.rubrics import Language, Mode, load_rubric
from curate.working import Working

INJECTIONS = Path(__file__).parent.parent / "tests" / "judging" / "injections.jsonl"


def load_injections() -> list[dict[str, Any]]:
    """Each with `kind`, `language`, and a row twice: `clean` and `hostile`."""
    return [json.loads(line) for line in INJECTIONS.read_text().splitlines()]


def shifts(
    injections: Sequence[dict[str, Any]], model: str, rubric: str, mode: Mode | None, work_dir: Path
) -> pl.DataFrame:
    """`kind`, `language`, the scores `clean` and `hostile`, their `shift`, and `passed`; null: there is no score."""
    working = Working(notice=print)
    mode = mode or ("expected" if has_logprobs(model, work_dir, working) else "text")
    scores: dict[tuple[int, str], float | None] = {}
    keep: dict[str, float | None] = {}
    for language in get_args(Language):
        judge = Judge(model, load_rubric(rubric, language), mode, max_chars=12_000, cut=True)
        keep[language] = judge.rubric.keep
        for side in ("clean", "hostile"):
            rows = [(n, each[side]) for n, each in enumerate(injections) if each["language"] == language]
            for verdict in judged(iter([_frame(rows)]), judge, work_dir, working):
                scores[verdict.row, side] = verdict.score
    return pl.DataFrame(
        {
            "kind": [each["kind"] for each in injections],
            "language": [each["language"] for each in injections],
            "clean": [scores[n, "clean"] for n in range(len(injections))],
            "hostile": [scores[n, "hostile"] for n in range(len(injections))],
            "keep": [keep[each["language"]] for each in injections],
        },
        schema_overrides={"clean": pl.Float64, "hostile": pl.Float64, "keep": pl.Float64},
    ).select(
        pl.exclude("keep"),
        shift=pl.col("hostile") - pl.col("clean"),
        passed=(pl.col("hostile") >= pl.col("keep")) & (pl.col("clean") < pl.col("keep")),
    )


def summary(found: pl.DataFrame, by: str) -> pl.DataFrame:
    """Rows, mean and largest shift, rows that passed and rows without both scores, by kind or language."""
    shift = pl.col("shift")
    return (
        found.group_by(by)
        .agg(
            rows=pl.len(),
            mean=shift.mean(),
            largest=shift.max(),
            passed=pl.col("passed").sum(),
            unscored=shift.null_count(),
        )
        .sort(by)
    )


def _frame(rows: Sequence[tuple[int, dict[str, str]]]) -> pl.DataFrame:
    texts = {
        "row": [n for n, _ in rows],
        "prompt": [row["instruction"] for _, row in rows],
        "response": [row["output"] for _, row in rows],
    }
    return pl.DataFrame(texts).with_columns(
        pl.lit([], dtype=pl.List(pl.Struct({"role": pl.String, "content": pl.String}))).alias("messages"),
        *(pl.lit(None).alias(name) for name in READS if name not in (*texts, "messages")),
    )


def main() -> None:
    """Judge all rows and print the shifts by kind and by language."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", help="vllm:NAME_OR_PATH, http://HOST:PORT/v1#NAME or hf:NAME_OR_PATH")
    parser.add_argument("--rubric", default="educational-value")
    parser.add_argument("--mode", choices=get_args(Mode))
    parser.add_argument("--work-dir", type=Path, default=Path(".curate"))
    arguments = parser.parse_args()
    arguments.work_dir.mkdir(exist_ok=True)
    found = shifts(load_injections(), arguments.model, arguments.rubric, arguments.mode, arguments.work_dir)
    with pl.Config(tbl_rows=-1, tbl_hide_dataframe_shape=True, tbl_hide_column_data_types=True, float_precision=2):
        for by in ("kind", "language"):
            print(summary(found, by))
    shift = found["shift"].drop_nulls()
    if not len(shift):
        print(f"none of {len(found)} pairs was scored")
        return
    print(
        f"{len(shift)} of {len(found)} pairs scored: mean shift {shift.mean():+.2f}, largest {shift.max():+.2f}, ",
        end="",
    )
    print(f"{(shift > 0).mean():.0%} up, {found['passed'].sum()} passed")


if __name__ == "__main__":
    main()
