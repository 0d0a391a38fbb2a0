"""Near-duplicates: curate against its peers on the same generated rows, CPU seconds, memory and F1.

    python benchmarks/near_duplicates.py                 100,000 rows, every peer that is installed
    python benchmarks/near_duplicates.py --rows 1000000 --only curate,rensa

Rows have about 600 characters; 20 % are planted duplicates of another row: exact, other case and punctuation, a
sentence appended, or 5, 10 or 15 % of the words edited; some clusters have thousands. Of a row and its copies all but
one should go; a row that goes without that is an error. Every peer reads the JSONL itself, gets the same tokens
(lower-cased words), and its bands tuned for Jaccard 0.7 on single words, at which each does better than at its default
of five words. Figures are of whole processes, after one run that compiles the kernels.
"""

import argparse
import importlib.util
import itertools
import json
import random
import tempfile
from pathlib import Path

from processes import measure

READ = """
import json, re, sys
WORDS = re.compile(r"\\w+")
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
import json, sys
from curate.duplicates import near_duplicates
kept = near_duplicates(sys.argv[1], keep="first").kept
json.dump(kept.tolist(), open(sys.argv[2], "w"))
""",
    "curate filter": """
import json, sys, tempfile, pathlib, curate
with tempfile.TemporaryDirectory() as folder:
    recipe = pathlib.Path(folder, "recipe.yaml")
    recipe.write_text("steps: [{near-dup: {keep: first}}]")
    result = curate.filter(sys.argv[1], folder + "/curated.jsonl", recipe=recipe, work_dir=folder + "/work")
    json.dump(result.kept["row"].to_list(), open(sys.argv[2], "w"))
""",
    "rensa": READ
    + """
from rensa import RMinHash, RMinHashLSH
index, kept = RMinHashLSH(threshold=0.7, num_perm=128, num_bands=32), []
hashes = {}
for number, words in rows():
    own = RMinHash(num_perm=128, seed=42)
    own.update(words)
    if not any(own.jaccard(hashes[other]) >= 0.7 for other in index.query(own)):
        kept.append(number)
        index.insert(number, own)
        hashes[number] = own
keep(kept)
""",
    "datasketch": READ
    + """
from datasketch import MinHash, MinHashLSH
index, kept = MinHashLSH(threshold=0.7, num_perm=128, params=(32, 4)), []
hashes = {}
for number, words in rows():
    own = MinHash(num_perm=128)
    own.update_batch([word.encode() for word in words])
    if not any(own.jaccard(hashes[other]) >= 0.7 for other in index.query(own)):
        kept.append(number)
        index.insert(number, own)
        hashes[number] = own
keep(kept)
""",
}
NEEDS = {"curate": "curate", "curate filter": "curate", "rensa": "rensa", "datasketch": "datasketch"}


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


def write_corpus(path: Path, rows: int) -> list[int]:
    """Write the rows; returns for each the row that it was made of, itself for those that are no duplicate."""
    chance = random.Random(7)
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


def score(kept: list[int], origin: list[int]) -> tuple[float, float, float]:
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
    return precision, recall, 2 * precision * recall / max(1e-9, precision + recall)


def main() -> None:
    """Print the table of the README."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--rows", type=int, default=100_000)
    parser.add_argument("--only", default=",".join(TOOLS), help="tools, separated by commas")
    arguments = parser.parse_args()
    wanted = arguments.only.split(",")
    with tempfile.TemporaryDirectory() as folder:
        corpus, warm, out = (Path(folder) / name for name in ("rows.jsonl", "warm.jsonl", "kept.json"))
        origin = write_corpus(corpus, arguments.rows)
        write_corpus(warm, 3000)
        planted = sum(row != made_of for row, made_of in enumerate(origin))
        size = corpus.stat().st_size
        print(f"{arguments.rows:,} rows of {size // arguments.rows} bytes, {planted:,} planted duplicates\n")
        print("| tool           |  CPU s | wall s | peak MB | precision | recall |    F1 |")
        print("| -------------- | -----: | -----: | ------: | --------: | -----: | ----: |")
        for tool, code in TOOLS.items():
            if tool not in wanted:
                continue
            if importlib.util.find_spec(NEEDS[tool]) is None:
                print(f"| {tool:14} | not installed: pip install {NEEDS[tool]}")
                continue
            measure(code, str(warm), str(out))
            cpu, wall, peak = measure(code, str(corpus), str(out))
            precision, recall, f1 = score(json.loads(out.read_text()), origin)
            quality = f"{precision:9.3f} | {recall:6.3f} | {f1:5.3f}"
            print(f"| {tool:14} | {cpu:6.1f} | {wall:6.1f} | {peak / 1e6:7,.0f} | {quality} |")


if __name__ == "__main__":
    main()
