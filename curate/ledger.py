"""The ledger: every verdict, row by step, in one Parquet file per step; it answers why a row went.

`read_ledger(run)` has a line per row and step: row 7, step length, drop, "response has 0 characters, fewer than 1".
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import orjson
import polars as pl

from curate.errors import UsageError
from curate.protocol import DECISION, VERDICT
from curate.whole import whole

Mask = npt.NDArray[np.bool_]

SCHEMA: dict[str, Any] = {
    "row": pl.UInt64,
    "step": pl.String,
    "alive": pl.Boolean,
    "verdict": VERDICT,
    "kept": pl.Boolean,
    **{name: kind for name, kind in DECISION.items() if name != "verdict"},
}
"""`alive`: the row reached the step; `kept`: it is alive after it."""


@dataclass(frozen=True)
class RunDirectory:
    """What a run left behind: `runs/NAME/` with `run.json` and `ledger/`."""

    path: Path

    @property
    def name(self) -> str:
        """Start time and four hex digits."""
        return self.path.name

    def read_facts(self) -> dict[str, Any]:
        """The contents of `run.json`, as they are now."""
        facts: dict[str, Any] = orjson.loads((self.path / "run.json").read_bytes())
        return facts

    def write_facts(self, facts: dict[str, Any]) -> None:
        """Replace `run.json`."""
        with whole(self.path / "run.json") as temporary:
            temporary.write_bytes(orjson.dumps(facts, option=orjson.OPT_INDENT_2))

    def parts(self) -> list[Path]:
        """The ledger's files, in the order they were written."""
        return sorted((self.path / "ledger").glob("[0-9]*.parquet"), key=lambda part: int(part.name.partition("-")[0]))

    def step_parts(self) -> list[Path]:
        """Those of the recipe's steps, without what was restored since."""
        return [part for part in self.parts() if not _restores(part)]

    def part(self, number: int, step: str) -> Path:
        """The ledger file of a step."""
        return self.path / "ledger" / f"{number:02d}-{step}.parquet"


def run_directories(work_dir: Path) -> list[RunDirectory]:
    """All runs, the newest first."""
    found = [RunDirectory(file.parent) for file in (work_dir / "runs").glob("*/run.json")]
    return sorted(found, key=lambda run: (run.read_facts()["started"], run.name), reverse=True)


def find_run(work_dir: Path, name: str | None = None, *, finished: bool = False) -> RunDirectory:
    """The run of that name (or its last digits), else the newest; `finished`: only one that came to its end."""
    runs = run_directories(work_dir)
    if name:
        runs = [run for run in runs if run.name.endswith(name)]
        if not runs:
            listed = ", ".join(run.name for run in run_directories(work_dir)[:5]) or "none"
            raise UsageError(f"no run is called {name}", f"known: {listed}")
    for run in runs:
        if run.read_facts()["status"] == "done" or (run.parts() and not finished):
            return run
    what = f"run {name} is not finished" if name else f"there is no finished run in {work_dir}"
    raise UsageError(what, "run `curate filter`, or name another --work-dir")


def write_part(path: Path, frame: pl.DataFrame, notes: list[str] | None = None) -> None:
    """Write one step's verdicts, whole or not at all, and what is to be said of the step."""
    path.parent.mkdir(parents=True, exist_ok=True)
    said = {"notes": orjson.dumps(notes or []).decode()}
    with whole(path) as temporary:
        frame.select(*SCHEMA).write_parquet(temporary, compression="zstd", statistics=False, metadata=said)


def notes_of(part: Path) -> list[str]:
    """What was said of a step."""
    notes: list[str] = orjson.loads(pl.read_parquet_metadata(part)["notes"])
    return notes


def read_ledger(run: RunDirectory) -> pl.DataFrame:
    """All verdicts of a run, in the order they were made."""
    parts = [pl.read_parquet(part) for part in run.parts()]
    return pl.concat(parts) if parts else pl.DataFrame(schema=SCHEMA)


def verdicts_on(run: RunDirectory, rows: list[int]) -> pl.DataFrame:
    """The verdicts on some rows."""
    parts = [pl.scan_parquet(part).filter(pl.col("row").is_in(rows)) for part in run.parts()]
    return pl.concat(parts).collect() if parts else pl.DataFrame(schema=SCHEMA)


def kept_rows(run: RunDirectory, n_rows: int) -> Mask:
    """Which rows are in the curated set: those that no step dropped, and those that were restored since."""
    kept = np.ones(n_rows, dtype=np.bool_)
    for part in run.parts():
        frame = pl.read_parquet(part, columns=["row", "alive", "kept", "step"])
        changed = frame.filter(pl.col("alive") | (pl.col("step") == RESTORE))
        kept[changed["row"].to_numpy()] = changed["kept"].to_numpy()
    return kept


def kind_of(said: str) -> pl.Expr:
    """What the texts of a column say without their numbers and quotations, so that those alike can be counted.

    "response has 1,499 characters, more than 1,000" is of the kind "response has N characters, more than N".
    """
    return pl.col(said).str.replace_all(r"\d+(\.\d+)?(,\d+)*", "N").str.replace_all('"[^"]*"', '"…"')


RESTORE = "restore"
"""The step that brings rows back, and the name of its ledger parts."""


def _restores(part: Path) -> bool:
    return part.stem.partition("-")[2] == RESTORE


def drops(run: RunDirectory) -> pl.DataFrame:
    """The verdict that cost each dropped row its place, in order of rows; rows restored since are not in it."""
    dropped = _drops_and_restored(run)
    restored = [pl.read_parquet(part, columns=["row"])["row"] for part in run.parts() if _restores(part)]
    if restored:
        dropped = dropped.filter(~pl.col("row").is_in(pl.concat(restored).implode()))
    return dropped


def _drops_and_restored(run: RunDirectory) -> pl.DataFrame:
    parts = [pl.scan_parquet(part).filter(pl.col("alive") & ~pl.col("kept")) for part in run.step_parts()]
    if not parts:
        return pl.DataFrame(schema=SCHEMA)
    return pl.concat(parts).collect().sort("row")


def orphans(run: RunDirectory, kept: Mask) -> pl.DataFrame:
    """Rows dropped for a rival that a later step dropped, with nothing else said against them.

    Columns `row`, `rival` (the row at the end of the chain of rivals) and `value`. A rival that itself lost to a rival
    that stayed is no orphan's loss: the chain is followed to its end. Where one of those that lost to it was restored,
    the others are no orphans any more.
    """
    lost = _drops_and_restored(run).filter(pl.col("rival").str.starts_with("row:"))
    if not len(lost):
        return pl.DataFrame(schema={"row": pl.UInt64, "rival": pl.UInt64, "value": pl.Float64})
    head = np.arange(len(kept), dtype=np.int64)
    rows = lost["row"].to_numpy().astype(np.int64)
    head[rows] = lost["rival"].str.slice(4).cast(pl.Int64).to_numpy()
    while not np.array_equal(head[head], head):
        head = head[head]
    spoken_for = kept.copy()
    spoken_for[head[rows[kept[rows]]]] = True
    alone = ~spoken_for[head[rows]] & ~kept[rows]
    found = lost.select("row", rival=pl.Series(head[rows], dtype=pl.UInt64), value="value").filter(pl.Series(alone))
    spoken_against = pl.concat(
        [
            pl.scan_parquet(part).filter(~pl.col("alive") & (pl.col("verdict") == "drop")).select("row")
            for part in run.parts()
        ]
    ).collect()["row"]
    return found.filter(~pl.col("row").is_in(spoken_against.implode()))
