"""Choosing among embedded rows: what it costs, and what semantic-dup finds of all pairs, beside semhash.

    python benchmarks/selecting.py [--rows 100000] [--only "semantic-dup;deita"] [--peers PYTHON]

PYTHON is one with semhash (`python -m venv peers && peers/bin/pip install semhash`); `pip install -e .` has curate's.
Vectors of 256 numbers lie around 500 centres; a third are made of another row, with a cosine from 0.65 to 1 to it.
Seconds and peak memory are of whole processes that read the vectors, choose 1,000 rows (semantic-dup: all that stay at
0.9) and write which, after a run on 3,000 rows that compiles what is compiled.

Recall: of rows that have an earlier kept row at a cosine of 0.9 or more how many went, told from 2,000 drawn rows that
stayed, each compared with every row that stayed before it. `wrong`: of 2,000 drawn rows that went those that no row
that stayed is alike to.
"""

import argparse
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
import numpy.typing as npt
from processes import measure

DIMENSIONS, CENTRES, SIMILARITY, DRAWN = 256, 500, 0.9, 2000
READ = """
import sys
import numpy as np
vectors = np.load(sys.argv[1])
rows, quality = np.arange(len(vectors)), np.random.default_rng(1).random(len(vectors))
"""
OURS = READ + "from curate.working import Working\n"
GREEDY = OURS + "from curate.selecting import greedy\n"
TOOLS = {
    "semantic-dup": OURS
    + """
from curate.selecting.apart import apart
kept = apart(vectors, rows, 0.9, Working()).kept
""",
    "semhash": READ
    + """
from semhash import SemHash
class Model:
    def encode(self, texts, **_):
        raise RuntimeError("the vectors are given: nobody encodes")
found = SemHash.from_embeddings(vectors, [str(row) for row in rows], Model())
kept = np.array([int(row) for row in found.self_deduplicate(0.9).selected])
""",
    "deita": OURS
    + """
from curate.selecting.apart import apart
kept = apart(vectors, np.argsort(-quality), 0.9, Working(), most=1000).kept
""",
    "mig": GREEDY
    + """
labels = np.random.default_rng(2).integers(0, 1000, 3 * len(rows))
kept = greedy.informative(3 * np.arange(len(rows) + 1), labels, quality.repeat(3), 1000, rows, 1000, 0.8, Working())
""",
    "qdit": GREEDY + "kept = greedy.facility(vectors, rows, 1000, Working(), worth=0.7 * quality, weight=0.3)[0]\n",
    "diverse, farthest-first": GREEDY + "kept = greedy.farthest_first(vectors, rows, 1000, Working())\n",
    "diverse, facility": GREEDY + "kept = greedy.facility(vectors, rows, 1000, Working())[0]\n",
    "diverse, k-means": GREEDY + "kept = greedy.by_clusters(vectors, rows, 1000, 1000, Working())\n",
}
SAVE = "\nnp.save(sys.argv[2], kept)\n"

Vectors = npt.NDArray[np.float32]
Rows = npt.NDArray[np.int64]


def write_vectors(path: Path, rows: int, seed: int = 0) -> None:
    chance = np.random.default_rng(seed)

    def drawn(count: int) -> Vectors:
        return chance.standard_normal((count, DIMENSIONS), dtype=np.float32) / np.float32(DIMENSIONS**0.5)

    vectors = drawn(rows)
    vectors *= 0.9
    centres = drawn(CENTRES)
    vectors += (centres / np.linalg.norm(centres, axis=1, keepdims=True))[chance.integers(CENTRES, size=rows)]
    copies = rows // 3
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    vectors[-copies:] = vectors[chance.integers(rows - copies, size=copies)]
    vectors[-copies:] += chance.uniform(0.05, 1.1, (copies, 1)).astype(np.float32) * drawn(copies)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    np.save(path, vectors[chance.permutation(rows)])


def found(path: Path, kept: Rows) -> tuple[float, float]:
    """Recall, and the share of rows that went for nothing."""
    vectors, chance = np.load(path), np.random.default_rng(3)
    kept = np.sort(kept)
    gone = np.setdiff1d(np.arange(len(vectors)), kept)

    def alike(rows: Rows, earlier: bool) -> float:
        count = 0
        for some in np.array_split(rows, 20):
            near = np.zeros(len(some), dtype=np.bool_)
            for part in np.array_split(kept, max(len(kept) // 50_000, 1)):
                hit = vectors[some] @ vectors[part].T >= SIMILARITY
                near |= (hit & (part < some[:, None]) if earlier else hit).any(axis=1)
            count += int(near.sum())
        return count / max(len(rows), 1)

    missed = alike(chance.choice(kept, min(DRAWN, len(kept)), replace=False), True) * len(kept)
    return len(gone) / max(len(gone) + missed, 1), 1 - alike(chance.choice(gone, min(DRAWN, len(gone))), False)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=100_000)
    parser.add_argument("--only", default=";".join(TOOLS), help="separated by semicolons")
    parser.add_argument("--peers", default=sys.executable, help="the Python in which semhash is installed")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        pool, few, out = (Path(folder) / name for name in ("vectors.npy", "few.npy", "kept.npy"))
        write_vectors(pool, given.rows)
        write_vectors(few, 3000)
        print(f"{given.rows:,} x {DIMENSIONS}\n\n| | CPU s | wall s | peak MB | kept | recall | wrong |")
        print("| --- | ---: | ---: | ---: | ---: | ---: | ---: |")
        for name in given.only.split(";"):
            python = given.peers if name == "semhash" else sys.executable
            if name == "semhash" and subprocess.run([python, "-c", "import semhash"], capture_output=True).returncode:
                print("| semhash | not installed")
                continue
            measure(TOOLS[name] + SAVE, str(few), str(out), python=python)
            cpu, wall, peak = measure(TOOLS[name] + SAVE, str(pool), str(out), python=python)
            kept = np.load(out)
            told = "| |"
            if name in ("semantic-dup", "semhash"):
                recall, wrong = found(pool, kept)
                told = f"{recall:.4f} | {wrong:.4f} |"
            line = f"| {name} | {cpu:.1f} | {wall:.1f} | {peak / 1e6:,.0f} | {len(kept):,} | {told}"
            print(line, flush=True)


if __name__ == "__main__":
    main()
