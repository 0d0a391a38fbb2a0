"""Near-duplicates: curate against its peers on the same generated rows, CPU seconds, memory and F1.

    python benchmarks/near_duplicates.py                                  100,000 rows, every peer that is installed
    python benchmarks/near_duplicates.py --rows 1000000 --only "curate;filter;rensa"
    python benchmarks/near_duplicates.py --peers peers/bin/python         peers of an environment of their own:
        python -m venv peers && peers/bin/pip install rensa datasketch text-dedup py-data-juicer aiohttp

Rows have about 600 characters; 20 % are planted duplicates of another row: exact, other case and punctuation, a
sentence appended, or 5, 10 or 15 % of the words edited; some clusters have thousands. Of a row and its copies all but
one should go; a row that goes without that is an error.

Every peer compares single lower-cased words at Jaccard 0.7, at which each does better than at its default of five
words (rensa, pairs: curate's own tokens, word pairs, at 0.5), with its own default of permutations; how many of them
make a band, 2, 4, 8 or 16, is what gives it the best F1 on 10,000 other rows, to three digits, and of equals what
costs least. CPU seconds are of whole processes and all their children, from the JSONL to the list of rows to keep,
after a run on 3,000 rows that compiles what is compiled; peak memory is anonymous memory of the main process
(data-juicer and text-dedup have workers beside it).
"""

import argparse
import itertools
import json
import random
import subprocess
import sys
import tempfile
from pathlib import Path

from processes import measure

READ = """
import json, re, sys
WORDS = re.compile(r"\\w+")
ROWS = int(sys.argv[3])
def rows():
    with open(sys.argv[1]) as file:
        for number, line in enumerate(file):
            record = json.loads(line)
            yield number, WORDS.findall((record["instruction"] + " " + record["output"]).lower())
def keep(numbers):
    with open(sys.argv[2], "w") as file:
        json.dump(sorted(numbers), file)
"""
TOOLS = {
    "curate": """
import json, sys, curate
kept = curate.near_duplicates(sys.argv[1], keep="first").kept
json.dump(kept.tolist(), open(sys.argv[2], "w"))
""",
    "filter": """
import os, sys
from curate.cli import main
os.chdir(os.path.dirname(sys.argv[2]))
open("recipe.yaml", "w").write("steps: [{near-dup: {keep: first}}]")
sys.argv[1:] = ["filter", sys.argv[1], "--recipe", "recipe.yaml", "--work-dir", sys.argv[2] + ".work"]
main()
""",
    "rensa": READ
    + """
from rensa import RMinHash, RMinHashLSH
index, kept = RMinHashLSH(threshold=0.7, num_perm=128, num_bands=128 // ROWS), []
for number, words in rows():
    own = RMinHash(num_perm=128, seed=42)
    own.update(words)
    if not index.query(own):
        kept.append(number)
        index.insert(number, own)
keep(kept)
""",
    "rensa, pairs": READ
    + """
from rensa import RMinHash, RMinHashLSH
index, kept = RMinHashLSH(threshold=0.5, num_perm=128, num_bands=128 // ROWS), []
for number, words in rows():
    own = RMinHash(num_perm=128, seed=42)
    own.update([first + " " + second for first, second in zip(words, words[1:])] or words)
    if not index.query(own):
        kept.append(number)
        index.insert(number, own)
keep(kept)
""",
    "rensa, verified": READ
    + """
from rensa import RMinHash, RMinHashDeduplicator
index, kept = RMinHashDeduplicator(threshold=0.7, num_perm=128, use_lsh=True, num_bands=128 // ROWS), []
for number, words in rows():
    own = RMinHash(num_perm=128, seed=42)
    own.update(words)
    if index.add(str(number), own):
        kept.append(number)
keep(kept)
""",
    "datasketch": READ
    + """
from datasketch import MinHash, MinHashLSH
index, kept = MinHashLSH(threshold=0.7, num_perm=128, params=(128 // ROWS, ROWS)), []
for number, words in rows():
    own = MinHash(num_perm=128)
    own.update_batch([word.encode() for word in words])
    if not index.query(own):
        kept.append(number)
        index.insert(number, own)
keep(kept)
""",
    "data-juicer": READ
    + """
import os
from datasets import Dataset
from data_juicer.ops.deduplicator.document_minhash_deduplicator import DocumentMinhashDeduplicator
op = DocumentMinhashDeduplicator(
    window_size=1, num_permutations=256, num_bands=256 // ROWS, num_rows_per_band=ROWS, ignore_pattern=r"[^\\w\\s]"
)
def records():
    for row, words in rows():
        yield {"text": " ".join(words), "row": row}
texts = Dataset.from_generator(records, cache_dir=sys.argv[2] + ".d")
keep(op.process(texts.map(op.compute_hash, num_proc=os.cpu_count()))[0]["row"])
""",
    "text-dedup": READ
    + """
from datasets import load_from_disk
with open(sys.argv[2] + ".texts.jsonl", "w") as file:
    for row, words in rows():
        file.write(json.dumps({"text": " ".join(words), "row": row}) + "\\n")
from text_dedup.minhash import main
given = dict(path="json", data_files=file.name, split="train", column="text", ngram=1, min_length=1, num_perm=240)
given |= dict(b=240 // ROWS, r=ROWS, cache_dir=sys.argv[2] + ".c", output=sys.argv[2] + ".o")
main([f"--{name}={value}" for name, value in given.items()], standalone_mode=False)
keep(load_from_disk(sys.argv[2] + ".o")["row"])
""",
}
PACKAGES = {
    "data-juicer": "data_juicer",
    "text-dedup": "text_dedup",
    "filter": "curate",
    "rensa, verified": "rensa",
    "rensa, pairs": "rensa",
}
OURS = ("curate", "filter")


def edited(text: list[str], share: float, vocabulary: list[str], chance: random.Random) -> list[str]:
    """`share` of the words, drawn anew."""
    return [chance.choice(vocabulary) if chance.random() < share else word for word in text]


def varied(text: list[str], vocabulary: list[str], chance: random.Random) -> list[str]:
    """One of six kinds of near-copy."""
    kind = chance.randrange(6)
    if kind == 0:
        return text
    if kind == 1:
        return [word.capitalize() + chance.choice(["", ",", ".", " -"]) for word in text]
    if kind == 2:
        return text + chance.choices(vocabulary, k=8)
    return edited(text, (0.05, 0.10, 0.15)[kind - 3], vocabulary, chance)


def write_corpus(path: Path, rows: int, seed: int = 7) -> list[int]:
    """Write the rows; returns for each the row that it was made of, itself for those that are no duplicate."""
    chance = random.Random(seed)
    letters = "abcdefghijklmnopqrstuvwxyz"
    vocabulary = ["".join(chance.choices(letters, k=chance.randint(2, 10))) for _ in range(30_000)]
    weights = list(itertools.accumulate(1 / (rank + 10) for rank in range(len(vocabulary))))
    origin: list[int] = []
    recent: list[tuple[int, list[str]]] = []  # what copies are made of
    popular: list[tuple[int, list[str]]] = []  # a row in 100,000 has thousands of copies
    with path.open("w") as file:
        for row in range(rows):
            made_of = row
            if recent and chance.random() < 0.2:
                made_of, source = chance.choice(popular if chance.random() < 0.1 else recent)
                text = varied(source, vocabulary, chance)
            else:
                text = chance.choices(vocabulary, cum_weights=weights, k=chance.randint(30, 180))
                place = row % 5000
                recent[place : place + 1] = [(row, text)]
                if row >= 100_000 * len(popular):
                    popular.append((row, text))
            origin.append(made_of)
            cut = len(text) // 6
            record = {"instruction": " ".join(text[:cut]), "output": " ".join(text[cut:])}
            file.write(json.dumps(record) + "\n")
    return origin


def score(kept: list[int], origin: list[int]) -> list[float]:
    """Precision, recall and F1 of the dropped rows: of each family of copies all but one must go."""
    stay = set(kept)
    families: dict[int, int] = {}
    left: dict[int, int] = {}
    for row, made_of in enumerate(origin):
        families[made_of] = families.get(made_of, 0) + 1
        left[made_of] = left.get(made_of, 0) + (row in stay)
    planted = len(origin) - len(families)
    right = sum(min(size - left[family], size - 1) for family, size in families.items())
    dropped = len(origin) - len(stay)
    precision, recall = right / max(1, dropped), right / max(1, planted)
    return [precision, recall, 2 * precision * recall / max(1e-9, precision + recall)]


class Tool:
    """A tool, the Python that has it, and the folder that it may write to."""

    def __init__(self, name: str, peers: str, folder: str) -> None:
        self.name, self.folder = name, folder
        self.python = sys.executable if name in OURS else peers
        has = f"import importlib.util as u, sys; sys.exit(not u.find_spec({PACKAGES.get(name, name)!r}))"
        self.installed = not subprocess.run([self.python, "-c", has]).returncode

    def run(self, rows: Path, origin: list[int], band_rows: int) -> tuple[list[float], tuple[float, float, int]]:
        """Precision, recall and F1, and what it cost."""
        out = Path(tempfile.mkdtemp(dir=self.folder)) / "kept.json"
        cost = measure(TOOLS[self.name], str(rows), str(out), str(band_rows), python=self.python)
        if self.name == "filter":
            (dropped,) = out.parent.rglob("dropped.jsonl")
            gone = {json.loads(line)["_curate"]["row"] for line in dropped.open()}
            return score([row for row in range(len(origin)) if row not in gone], origin), cost
        return score(json.loads(out.read_text()), origin), cost


def main() -> None:
    """Print the table of docs/costs.md."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--rows", type=int, default=100_000)
    parser.add_argument("--only", default=";".join(TOOLS), help="tools, separated by semicolons")
    parser.add_argument("--peers", default=sys.executable, help="the Python in which the peers are installed")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        corpus, warm, tuning = (Path(folder) / name for name in ("rows.jsonl", "warm.jsonl", "tuning.jsonl"))
        origin, few, others = (
            write_corpus(corpus, arguments.rows),
            write_corpus(warm, 3000),
            write_corpus(tuning, 10_000, 8),
        )
        planted = sum(row != made_of for row, made_of in enumerate(origin))
        size = corpus.stat().st_size // arguments.rows
        print(f"{arguments.rows:,} rows of {size} bytes, {planted:,} planted duplicates\n")
        print("| tool            | band of |  CPU s | wall s | peak MB | precision | recall |    F1 |")
        print("| --------------- | ------: | -----: | -----: | ------: | --------: | -----: | ----: |")
        for name in arguments.only.split(";"):
            tool = Tool(name, arguments.peers, folder)
            if not tool.installed:
                print(f"| {name:15} | not installed")
                continue
            best = 3
            if name not in OURS:
                tried = {band_rows: tool.run(tuning, others, band_rows) for band_rows in (2, 4, 8, 16)}
                best = max(tried, key=lambda band_rows: (round(tried[band_rows][0][2], 3), -tried[band_rows][1][0]))
            tool.run(warm, few, best)
            (precision, recall, f1), (cpu, wall, peak) = tool.run(corpus, origin, best)
            print(
                f"| {name:15} | {best:7} | {cpu:6.1f} | {wall:6.1f} | {peak / 1e6:7,.0f} "
                f"| {precision:9.3f} | {recall:6.3f} | {f1:5.3f} |",
                flush=True,
            )


if __name__ == "__main__":
    main()
