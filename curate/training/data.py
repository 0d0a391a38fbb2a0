"""What is trained on: files brought to a ratio, held-out families, and rows that can't be learnt from, listed.

`prepared(["curated.jsonl", "synth.jsonl"], ..., cut)` holds the rows of both as `cut` makes tokens of them.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import polars as pl

from curate.errors import StoppedError, UsageError
from curate.families import families
from curate.pool import Pool, check_inputs, make_work_dir, read_pool
from curate.seeded import shuffled_rank
from curate.training.tokens import LeftOut, Tokens
from curate.working import Working

USUAL = ("curated.jsonl", "synth.jsonl")
"""What is trained on where nothing is named, as far as it is there."""


@dataclass(frozen=True)
class Prepared:
    """Rows to train on and to measure the loss on, as tokens; `not_drawn`: rows beyond the ratio of files."""

    pool: Pool
    train: list[Tokens]
    held_out: list[Tokens]
    left_out: list[LeftOut]
    not_drawn: int

    @property
    def tokens(self) -> tuple[int, int]:
        """Tokens of the rows to train on, and how many of them are learnt."""
        return sum(len(row.ids) for row in self.train), sum(row.learnt for row in self.train)


def usual_files() -> list[str]:
    """The files that are trained on where none is named. Raises UsageError where there is none."""
    if there := [name for name in USUAL if Path(name).is_file()]:
        return there
    raise UsageError(
        f"there is neither {USUAL[0]} nor {USUAL[1]} here", "make one: curate filter raw.jsonl; or name it: --data FILE"
    )


def prepared(
    files: Sequence[str],
    ratio: Sequence[float],
    validation: float,
    seed: int,
    work_dir: Path,
    working: Working,
    cut: Callable[[Pool], tuple[list[Tokens], list[LeftOut]]],
) -> Prepared:
    """Read, cut into tokens, draw in the ratio and hold out. Raises StoppedError where nothing can be learnt from."""
    if ratio and len(ratio) != len(files):
        raise UsageError(f"{len(ratio)} numbers in the ratio, {len(files)} files", "one for each --data, as in 3:1")
    check_inputs(files, work_dir)
    make_work_dir(work_dir)
    pool = read_pool(files, work_dir, working=working)
    rows, left_out = cut(pool)
    if not rows:
        first = "".join(f"\n  {each.place}  {each.reason}" for each in left_out[:3])
        raise StoppedError(f"none of the {len(pool):,} rows can be learnt from:{first}", "look at max_length")
    drawn = _in_ratio(rows, pool, ratio, seed)
    held = _held_out(drawn, pool, validation, seed, working)
    train = [row for row, out in zip(drawn, held, strict=True) if not out]
    held_out = [row for row, out in zip(drawn, held, strict=True) if out]
    return Prepared(pool, train, held_out, left_out, len(rows) - len(drawn))


def _in_ratio(rows: list[Tokens], pool: Pool, ratio: Sequence[float], seed: int) -> list[Tokens]:
    """The most rows of each file, drawn by seed, that stand to each other as the ratio says."""
    if not ratio:
        return rows
    number = np.array([row.row for row in rows])
    ends = np.cumsum([source["rows"] for source in pool.facts["sources"]])
    file = np.searchsorted(ends, number, side="right")
    there = np.bincount(file, minlength=len(ratio))
    most = min(count / share for count, share in zip(there, ratio, strict=True) if share > 0)
    rank = pl.DataFrame({"file": file, "chance": shuffled_rank(number, seed)}).select(
        pl.col("chance").rank("ordinal").over("file")
    )["chance"]
    wanted = np.floor(np.array(ratio) * most + 1e-9)[file]
    return [row for row, place, limit in zip(rows, rank, wanted, strict=True) if place <= limit]


def _held_out(rows: list[Tokens], pool: Pool, share: float, seed: int, working: Working) -> list[bool]:
    """Which rows are held out: whole families in seeded order, as long as they fit; never all there are."""
    room = round(share * len(rows))
    if not room:
        return [False] * len(rows)
    family = families(pool, working)[[row.row for row in rows]]
    names, sizes = np.unique(family, return_counts=True)
    chosen = set()
    for k in np.argsort(shuffled_rank(names, seed), kind="stable").tolist():
        if sizes[k] <= room and sizes[k] < len(rows):
            chosen.add(int(names[k]))
            room -= int(sizes[k])
    return [int(name) in chosen for name in family]
