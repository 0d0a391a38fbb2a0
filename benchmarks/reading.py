"""What reading, deciding and writing cost: curate against Polars and datasets on the same file, CPU seconds.

    python benchmarks/reading.py              1,000,000 rows, about 700 MB in a temporary folder
    python benchmarks/reading.py --rows 50000

Every figure is of a whole process (user and system time of it and its threads, from the operating system), after one
warm-up run that compiles and caches the kernels. Peak memory is anonymous memory (RssAnon), polled every 10 ms: what
is mapped from a file is the file system's to take back.
"""

import argparse
import json
import os
import random
import tempfile
from pathlib import Path

from processes import measure

POLARS = "import sys, polars as pl; print(len(pl.read_ndjson(sys.argv[1])))"
DATASETS = (
    "import sys, datasets; "
    "print(len(datasets.load_dataset('json', data_files=sys.argv[1], split='train', cache_dir=sys.argv[2])))"
)
CURATE = "from curate.cli import main; main()"
UNUSUAL = [
    '{"instruction": "cut off',
    '{"instruction": "a number", "output": 42}',
    '{"instruction": "twice", "output": "a", "output": "b"}',
    '{"messages": [{"role": "user", "content": "Hi"}, {"role": "assistant", "content": "Hello."}]}',
    '{"instruction": "half a pair \\ud83d", "output": "x"}',
    '{"instruction": "nested", "output": "x", "scores": {"a": [1, {"b": 2}]}}',
]


def write_corpus(path: Path, rows: int, *, unusual_every: int = 0) -> None:
    """Alpaca rows of about 670 bytes; with `unusual_every`, each such line is bad or needs the slow reader."""
    chance = random.Random(1)
    letters = "abcdefghijklmnopqrstuvwxyz"
    words = ["".join(chance.choices(letters, k=chance.randint(2, 10))) for _ in range(20_000)]
    with path.open("w") as file:
        for row in range(rows):
            if unusual_every and row % unusual_every == 0:
                file.write(UNUSUAL[row // unusual_every % len(UNUSUAL)] + "\n")
                continue
            asked, answered = chance.randint(5, 20), chance.randint(20, 140)
            drawn = chance.choices(words, k=asked + answered)
            record = {
                "instruction": " ".join(drawn[:asked]).capitalize() + "?",
                "input": "" if row % 3 else " ".join(drawn[:4]),
                "output": " ".join(drawn[asked:]) + ".\n",
            }
            file.write(json.dumps(record) + "\n")


def help_cost(*arguments: str) -> float:
    """CPU milliseconds that `curate ARGUMENTS` takes beyond `import click`: the median difference of 11 pairs."""
    pairs = [(measure(CURATE, *arguments)[0], measure("import click")[0]) for _ in range(11)]
    return sorted(1000 * (ours - bare) for ours, bare in pairs)[5]


def main() -> None:
    """Print the table of docs/costs.md."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--rows", type=int, default=1_000_000)
    rows = parser.parse_args().rows
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder)
        clean, mixed = place / "clean.jsonl", place / "mixed.jsonl"
        write_corpus(clean, rows)
        write_corpus(mixed, rows, unusual_every=1000)
        warm = place / "warm.jsonl"
        write_corpus(warm, 20_000)

        def curate(work: str, source: Path, *more: str) -> tuple[float, float, int]:
            out = str(place / "curated.jsonl")
            return measure(CURATE, "filter", str(source), "-o", out, "--work-dir", str(place / work), *more)

        recipe = place / "basic.yaml"
        recipe.write_text("steps: [length, turns, exact-dup]")
        basic = ("--recipe", str(recipe))
        keep_all = ("--recipe", "random", "--keep", str(rows))
        curate("warm", warm, *keep_all)
        print(f"{rows:,} rows, {clean.stat().st_size / 1e6:,.0f} MB, {os.cpu_count()} cores\n")
        print(f"| {'':58} | CPU s | wall s | of Polars | peak MB |")
        print(f"| {'-' * 58} | ----: | -----: | --------: | ------: |")
        measure(POLARS, str(warm))
        polars = measure(POLARS, str(clean))
        runs = {
            "Polars reads the file": polars,
            "datasets reads the file": measure(DATASETS, str(clean), str(place / "hf")),
            "curate reads into the pool and writes all rows out": curate("a", clean, *keep_all),
            "the same, one line in a thousand bad or unusual": curate("b", mixed, *keep_all),
            "curate filter: length, turns, exact-dup": curate("c", clean, *basic),
            "the same again, length.min_chars changed": curate("c", clean, *basic, "--set", "length.min_chars=200"),
        }
        for name, (cpu, wall, peak) in runs.items():
            print(f"| {name:58} | {cpu:5.1f} | {wall:6.1f} | {cpu / polars[0]:8.1f}x | {peak / 1e6:7,.0f} |")
    print("\nCPU time beyond `import click`:")
    for arguments in (("--help",), ("filter", "--help")):
        print(f"  curate {' '.join(arguments)}: {help_cost(*arguments):.0f} ms")


if __name__ == "__main__":
    main()
