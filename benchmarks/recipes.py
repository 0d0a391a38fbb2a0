"""Each recipe that needs no model against chance and the longest rows, at one budget: what differs, over five seeds.

CURATE_TEST_DATA=FOLDER python benchmarks/recipes.py [--keep 300] [--seeds 5]

A pool is a file of that folder, shuffled by the seed and cut to 2,000 rows, so that intervals tell of other draws too.
Prints the mean of each figure of `curate compare` and the 95 % interval of its difference from `random`.
"""

import argparse
import os
import random
import tempfile
from pathlib import Path

import numpy as np

import curate
from curate.comparing import SetFacts

POOLS = ("alpaca_dolly3k/dolly_3k.jsonl", "alpaca_gpteacher/codegen.jsonl")
RECIPES = ("random", "longest", "default-small", "lima")
FIGURES = ("defective", "topics", "even_topics", "nearest", "vendi", "chars")
ROWS = 2000
STUDENT = {2: 12.7, 3: 4.30, 4: 3.18, 5: 2.78}
"""97.5 % points of Student's t by the number of seeds."""


def chosen(pool: Path, keep: int, seed: int, folder: Path) -> dict[str, SetFacts]:
    lines = pool.read_text().splitlines(keepends=True)
    random.Random(seed).shuffle(lines)
    (folder / "raw.jsonl").write_text("".join(lines[:ROWS]))
    outputs = []
    for recipe in RECIPES:
        outputs.append(folder / f"{recipe}.jsonl")
        work = folder / "work"
        curate.filter(folder / "raw.jsonl", outputs[-1], recipe=recipe, keep=keep, seed=seed, work_dir=work)
    found = curate.compare(outputs, seed=seed, work_dir=folder / "work")
    return dict(zip(RECIPES, found.sets, strict=True))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--keep", type=int, default=300)
    parser.add_argument("--seeds", type=int, default=5, choices=sorted(STUDENT))
    parser.add_argument("--pool", choices=POOLS, action="append")
    given = parser.parse_args()
    for name in given.pool or POOLS:
        runs = []
        for seed in range(given.seeds):
            with tempfile.TemporaryDirectory() as folder:
                pool = Path(os.environ["CURATE_TEST_DATA"]) / name
                runs.append(chosen(pool, given.keep, seed, Path(folder)))
        print(f"\n{name}, {given.keep} of {ROWS} rows, {given.seeds} seeds\n")
        print("| recipe | " + " | ".join(FIGURES) + " |\n| --- |" + " ---: |" * len(FIGURES))
        for recipe in RECIPES:
            cells = []
            for figure in FIGURES:
                values = np.array([getattr(run[recipe], figure) for run in runs], dtype=float)
                apart = values - [getattr(run["random"], figure) for run in runs]
                wide = STUDENT[given.seeds] * apart.std(ddof=1) / np.sqrt(len(apart))
                differs = f" ({apart.mean():+.3g} ± {wide:.2g})" if recipe != "random" else ""
                cells.append(f"{values.mean():.3g}{differs}")
            print(f"| `{recipe}` | " + " | ".join(cells) + " |", flush=True)


if __name__ == "__main__":
    main()
