"""What filtering rows one by one costs: the default recipe as a whole, and curate's row filters against datatrove's.

    python benchmarks/row_filters.py                              1,000,000 rows, about 1 GB in a temporary folder
    python -m venv peers && peers/bin/pip install 'datatrove[processing]' spacy
    python benchmarks/row_filters.py --peers peers/bin/python     against datatrove too
    python benchmarks/row_filters.py --rows 10000000 --only default

Rows are made of the responses in data/sample.jsonl (English, Korean, code), about 600 characters each. CPU seconds are
of whole processes and their children, JSONL in, curated JSONL, ledger and report out; of the row filters what a row
more costs, the start left out. datatrove's are the quality filters of Gopher, C4 and FineWeb and Gopher's repetition
filter; curate's for the same signals are length, broken, repetition and unseen.
"""

import argparse
import json
import random
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from processes import measure

SAMPLE = Path(__file__).parent.parent / "data" / "sample.jsonl"
POLARS = "import polars, sys; polars.read_ndjson(sys.argv[1])"
CURATE = """
import os, sys
from curate.cli import main
os.chdir(os.path.dirname(sys.argv[1]))
sys.argv[1:] = ["filter", sys.argv[1], "--recipe", sys.argv[2], "--work-dir", sys.argv[1] + ".work"]
main()
"""
ROW_FILTERS = "steps: [length: {min_chars: 1, max_chars: 100000}, broken, repetition, unseen]"
DATATROVE = """
import json, sys
from datatrove.data import Document
from datatrove.pipeline.filters import (
    C4QualityFilter, FineWebQualityFilter, GopherQualityFilter, GopherRepetitionFilter
)
filters = [GopherQualityFilter(), GopherRepetitionFilter(), C4QualityFilter(), FineWebQualityFilter()]
for number, line in enumerate(open(sys.argv[1])):
    for each in filters:
        each.filter(Document(text=json.loads(line)["output"], id=str(number)))
"""


def write_corpus(path: Path, rows: int, seed: int = 3) -> None:
    """Rows whose response is that of up to five rows of the sample, of one language, and a number of its own."""
    kinds: dict[bool, list[str]] = {False: [], True: []}
    for row in map(json.loads, SAMPLE.read_text().splitlines()):
        if row["note"] in ("good", "mediocre") and "output" in row:
            kinds[any("가" <= letter <= "힣" for letter in row["output"])].append(row["output"])
    chance = random.Random(seed)
    with path.open("w") as file:
        for number in range(rows):
            outputs = kinds[chance.random() < 0.2]
            response = " ".join(chance.choices(outputs, k=chance.randrange(1, 6)))
            prompt = f"{chance.choice(outputs)[:60]} ({number})"
            record = {"instruction": prompt, "input": "", "output": response}
            file.write(json.dumps(record, ensure_ascii=False) + "\n")


def main() -> None:
    """Write the corpus, measure, and print a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--peers", default=sys.executable, help="the Python that has datatrove")
    parser.add_argument("--only", choices=["default"], help="leave the row filters out")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "rows.yaml").write_text(ROW_FILTERS)
        many, few, one = folder / "many.jsonl", folder / "few.jsonl", folder / "one.jsonl"
        for path, rows in ((many, arguments.rows), (few, 3000), (one, 100)):
            write_corpus(path, rows)
        measure(CURATE, str(few), "default")  # compiles what is compiled
        for work in folder.glob("*.work"):
            shutil.rmtree(work)
        read = sorted(measure(POLARS, str(many)) for _ in range(5))[2]  # one differs from the next by half
        cpu, wall, peak = measure(CURATE, str(many), "default")
        (report,) = folder.glob("*.work/runs/*/report.html")
        print(f"{arguments.rows:,} rows, {many.stat().st_size / 1e6:,.0f} MB\n")
        print("| | CPU s | wall s | of Polars | peak MB |\n| --- | ---: | ---: | ---: | ---: |")
        print(f"| Polars reads the file | {read[0]:.1f} | {read[1]:.1f} | 1.0x | {read[2] / 1e6:,.0f} |")
        print(f"| recipe `default` | {cpu:.1f} | {wall:.1f} | {cpu / read[0]:.1f}x | {peak / 1e6:,.0f} |")
        print(f"\nreport.html has {report.stat().st_size / 1e6:.2f} MB")
        if arguments.only:
            return
        measure(CURATE, str(one), str(folder / "rows.yaml"))
        per_row = _per_row(folder / "rows.yaml", many, arguments.rows)
        print("\n| row filters, the same signals | us a row | rows a CPU s | |\n| --- | ---: | ---: | ---: |")
        has = subprocess.run([arguments.peers, "-c", "import datatrove"], capture_output=True, check=False)
        if has.returncode == 0:
            start = measure(DATATROVE, str(one), python=arguments.peers)[0]
            theirs = (measure(DATATROVE, str(few), python=arguments.peers)[0] - start) / 2900
            print(f"| datatrove | {1e6 * theirs:,.0f} | {1 / theirs:,.0f} | 1x |")
        against = f"{theirs / per_row:,.0f}x" if has.returncode == 0 else ""
        print(f"| curate | {1e6 * per_row:.1f} | {1 / per_row:,.0f} | {against} |")


def _per_row(recipe: Path, corpus: Path, rows: int) -> float:
    """CPU seconds of a row in the steps of a recipe, as the run itself tells: reading and writing left out."""
    code = f"""
import sys, time
from pathlib import Path
from curate.deciding import decide
from curate.measuring import Measures
from curate.pool import read_pool
from curate.recipe import load_recipe
from curate.working import Working
import numpy as np
pool = read_pool([sys.argv[1]], Path(sys.argv[1] + ".work"))
everyone = np.ones(len(pool), dtype=bool)
steps = load_recipe({str(recipe)!r}).steps
began = time.process_time()
for step in steps:
    measures = Measures(step, pool)
    measures.compute(everyone, Working(fresh=True))
    decide(step, measures, everyone, {{}}, pool)
Path(sys.argv[1] + ".cpu").write_text(str(time.process_time() - began))
"""
    measure(code, str(corpus))
    return float(Path(f"{corpus}.cpu").read_text()) / rows


if __name__ == "__main__":
    main()
