"""Why a row went or stayed: every step's measures and verdict, and the rival with what differs.

`explain(find_run(work_dir), work_dir, "raw.jsonl:42")` is what `curate why raw.jsonl:42` prints.
"""

import difflib
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from curate.errors import CurateError, UsageError
from curate.ledger import RunDirectory, kept_rows, verdicts_on
from curate.measuring import Measures
from curate.pool import Pool
from curate.recipe import Recipe
from curate.run import pool_of, recipe_of

DIFF_WORDS = 2000
"""Words of each text that are compared: a diff of a megabyte helps nobody."""


@dataclass(frozen=True)
class Rival:
    """The row another lost its place to. `diff`: pieces of text of both (" "), the loser ("-") and the rival ("+")."""

    name: str
    place: str
    prompt: str
    response: str
    diff: list[tuple[str, str]]


@dataclass(frozen=True)
class StepVerdict:
    """What one step said of the row; `measures` by name."""

    step: str
    alive: bool
    verdict: str
    kept: bool
    reason: str | None
    value: float | None
    threshold: float | None
    margin: float | None
    evidence: str | None
    measures: dict[str, Any] = field(default_factory=dict)
    rival: Rival | None = None


@dataclass(frozen=True)
class Explanation:
    """A row and what each step said of it."""

    row: int
    place: str
    id: str
    prompt: str
    response: str | None
    kept: bool
    steps: list[StepVerdict]


def explain(run: RunDirectory, work_dir: Path, what: str) -> list[Explanation]:
    """The verdicts on all rows that `what` names: `FILE:LINE`, `row:N`, or an id (8 digits of it will do).

    Raises UsageError if there is none; where the record could not be read, with the cause.
    """
    pool = pool_of(run, work_dir)
    rows = find_rows(pool, what)
    verdicts = verdicts_on(run, rows)
    measured = _measures(run, pool, rows)
    kept = kept_rows(run, len(pool))
    texts = pl.concat(pool.texts(np.array(rows), ["source", "line", "id", "prompt", "response"]))
    return [
        Explanation(
            row=row["row"],
            place=f"{row['source']}:{row['line']}",
            id=row["id"],
            prompt=row["prompt"],
            response=row["response"],
            kept=bool(kept[row["row"]]),
            steps=[
                _verdict(v, row, pool, measured.get((v["step"], row["row"]), {}))
                for v in verdicts.filter(pl.col("row") == row["row"]).iter_rows(named=True)
            ],
        )
        for row in texts.iter_rows(named=True)
    ]


def find_rows(pool: Pool, what: str) -> list[int]:
    """The rows that `FILE:LINE`, `row:N` or an id names, ascending. Raises UsageError if there is none."""
    file, _, number = what.rpartition(":")
    if file == "row" and number.isdecimal():
        if int(number) >= len(pool):
            raise UsageError(f"there is no {what}", f"rows go from row:0 to row:{len(pool) - 1}")
        return [int(number)]
    if re.fullmatch(r"[0-9a-f]{8,32}", what):
        rows = [r for f in pool.batches(["id"]) for r in f.filter(pl.col("id").str.starts_with(what))["row"]]
    elif file and number.isdecimal():
        rows = list(_at(pool, file, int(number)))
    else:
        raise UsageError(f"{what} names no row", "write FILE:LINE, row:N or an id of 8 to 32 hex digits")
    if not rows:
        for record in pool.rejected():
            if file and same_file(record["source"], file) and record["line"] == int(number):
                raise UsageError(f"{what} could not be read: {record['cause']}", "mend it and run again")
        raise UsageError(f"no row is {what}", f"the run read {', '.join(pool.names)}")
    return rows


def _at(pool: Pool, file: str, line: int) -> Iterator[int]:
    names = [name for name in pool.names if same_file(name, file)]
    for frame in pool.batches(["source", "line"]):
        yield from frame.filter((pl.col("line") == line) & pl.col("source").is_in(names))["row"]


def same_file(name: str, given: str) -> bool:
    """Whether a person who writes `given` may mean the input called `name`."""
    return given in (name, Path(name).name) or Path(given).absolute() == Path(name).absolute()


def _measures(run: RunDirectory, pool: Pool, rows: list[int]) -> dict[tuple[str, int], dict[str, Any]]:
    """Measures by step and row, where they are still on disk."""
    try:
        recipe: Recipe = recipe_of(run)
    except CurateError:  # a plug-in that is gone can't say how it measured; its verdicts stand in the ledger
        return {}
    mask = np.zeros(len(pool), dtype=np.bool_)
    mask[rows] = True
    found: dict[tuple[str, int], dict[str, Any]] = {}
    for step in recipe.steps:
        measures = Measures(step, pool)
        if not measures.holds(mask):  # the run was stopped before
            continue
        for values in measures.load(mask).iter_rows(named=True):
            found[step.name, values.pop("row")] = values
    return found


def _verdict(verdict: dict[str, Any], row: dict[str, Any], pool: Pool, measures: dict[str, Any]) -> StepVerdict:
    rival = _rival(verdict["rival"], row, pool) if verdict["rival"] else None
    said = {name: verdict[name] for name in ("step", "alive", "verdict", "kept", "reason", "evidence")}
    numbers = {name: verdict[name] for name in ("value", "threshold", "margin")}
    return StepVerdict(**said, **numbers, measures=measures, rival=rival)


def _rival(name: str, row: dict[str, Any], pool: Pool) -> Rival | None:
    """The rival's texts; a rival in another file is read from there, if it still can be."""
    file = name.rpartition(":")[0]
    try:
        home = pool if file == "row" else pool.beside([file])
        other = next(home.texts(np.array(find_rows(home, name)[:1]), ["source", "line", "prompt", "response"]))
    except CurateError:
        return None
    values = other.row(0, named=True)
    ours, theirs = (f"{r['prompt']}\n\n{r['response'] or ''}" for r in (row, values))
    place = f"{values['source']}:{values['line']}"
    return Rival(name, place, values["prompt"], values["response"] or "", word_diff(ours, theirs))


def word_diff(ours: str, theirs: str) -> list[tuple[str, str]]:
    """What two texts share and don't, word by word: [(" ", "Name a "), ("-", "prime"), ("+", "number")]."""
    a, b = (re.findall(r"\s+|\w+|[^\w\s]", text)[:DIFF_WORDS] for text in (ours, theirs))
    pieces: list[tuple[str, str]] = []
    for kind, i, j, k, m in difflib.SequenceMatcher(None, a, b, autojunk=False).get_opcodes():
        if kind == "equal":
            pieces.append((" ", "".join(a[i:j])))
        else:
            pieces += [(sign, text) for sign, text in (("-", "".join(a[i:j])), ("+", "".join(b[k:m]))) if text]
    return pieces
