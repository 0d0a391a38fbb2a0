"""What embedding costs on one core, and what each embedder tells apart.

    python benchmarks/embedding.py                                     the default embedder, 100,000 rows
    python benchmarks/embedding.py --sentence-model FOLDER_OR_NAME     also static vectors made of it, and it itself
    CURATE_TEST_DATA=FOLDER python benchmarks/embedding.py ...         also quality, on the labelled sets in FOLDER

Rows have 600 characters: sentences of data/sample.jsonl, a fifth of them Korean, each with a word of its own. Every
embedder runs in a process of its own that may use one core; a rate is rows per CPU second, from the pool to float16
vectors on disk, the fit or the opening of the model told apart. "bare" is the library called once with a list of the
same texts, with our batch size and number type. Peak is anonymous memory.

Quality: of the 9 nearest of each of 10,000 Korean questions, the share that are its paraphrases (paraKQC); of the 5
nearest of 3,080 English ones, the share of the same of 77 intents (banking77); and of 2,996 rows (dolly) and a copy of
each with 30 % of its words replaced, the share whose nearest is the other; of the rows the share that have another, not
its copy, at a cosine of 0.9; and of the 300 that farthest-first picks, the share that the sentence model's picks have
too: by chance 0.1.
"""

import argparse
import json
import os
import random
import re
import tempfile
from pathlib import Path

import numpy as np
from processes import measure

SAMPLE = Path(__file__).parent.parent / "data" / "sample.jsonl"
ONE_CORE = """
import os, sys, time, json
if hasattr(os, "sched_setaffinity"):
    os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})
from pathlib import Path
from curate.pool import read_pool
rows, name, out = sys.argv[1:]
pool = read_pool([rows], Path(out).parent)
"""
OURS = (
    ONE_CORE
    + """
from curate.embedding import embedded, embedder
from curate.working import Working
model = embedder(name, pool)
began = time.process_time()
model.embed(["warm"])
opened = time.process_time()
embedded(pool, model, working=Working(threads=1))
json.dump([time.process_time() - opened, opened - began], open(out, "w"))
"""
)
BARE = (
    ONE_CORE
    + """
from curate.embedding import texts_of
texts = [text for frame in pool.batches(["prompt", "response"]) for text in texts_of(frame, "both")]
kind, _, model = name.partition(":")
if kind == "st":
    from sentence_transformers import SentenceTransformer
    from curate.embedding.sentences import BATCH, quick_in_bfloat16
    loaded = SentenceTransformer(model, model_kwargs={"dtype": "bfloat16" if quick_in_bfloat16() else "float32"})
    encode = lambda texts: loaded.encode(texts, batch_size=BATCH, show_progress_bar=False)
else:
    from model2vec import StaticModel
    loaded = StaticModel.from_pretrained(model)
    encode = lambda texts: loaded.encode(texts, use_multiprocessing=False)
encode(["warm"])
began = time.process_time()
encode(texts)
json.dump([time.process_time() - began, 0], open(out, "w"))
"""
)


def write_rows(path: Path, rows: int, seed: int = 5) -> None:
    """Rows of 600 characters, a fifth of them Korean."""
    sentences: dict[bool, list[str]] = {False: [], True: []}
    for record in map(json.loads, SAMPLE.read_text().splitlines()):
        text = f"{record.get('instruction', '')} {record.get('output', '')}"
        sentences[bool(re.search("[가-힣]", text))] += re.split(r"(?<=[.?!])\s+", text)
    chance = random.Random(seed)
    with path.open("w") as file:
        for _ in range(rows):
            source, text = sentences[chance.random() < 0.2], ""
            while len(text) < 600:
                own = "".join(chance.choices("abcdefghijklmnopqrstuvwxyz", k=chance.randrange(3, 9)))
                text += f"{chance.choice(source)} {own} "
            file.write(json.dumps({"instruction": text[:100], "output": text[100:598]}, ensure_ascii=False) + "\n")


def speed(code: str, name: str, rows: int, folder: Path) -> list[float]:
    """CPU seconds of embedding and of opening, and peak MB."""
    path, out = folder / f"rows-{rows}.jsonl", Path(tempfile.mkdtemp(dir=folder)) / "seconds.json"
    if not path.exists():
        write_rows(path, rows)
    *_, peak = measure(code, str(path), name, str(out))
    return [*json.loads(out.read_text()), peak / 1e6]


def vectors(texts: list[str], name: str, folder: Path) -> "np.ndarray":  # type: ignore[type-arg]
    """Of texts, as a pool of them has them."""
    from curate.embedding import embedded, embedder
    from curate.pool import read_pool

    rows = Path(tempfile.mkdtemp(dir=folder)) / "rows.jsonl"
    rows.write_text("".join(json.dumps({"text": text}) + "\n" for text in texts))
    pool = read_pool([rows], folder / "work")
    return embedded(pool, embedder(name, pool)).astype(np.float32)


def nearest(own: "np.ndarray", k: int) -> "np.ndarray":  # type: ignore[type-arg]
    """The k nearest others of each, any order."""
    alike = own @ own.T
    np.fill_diagonal(alike, -1)
    return np.argpartition(-alike, k - 1, axis=1)[:, :k]


def farthest(own: "np.ndarray", k: int) -> set[int]:  # type: ignore[type-arg]
    """k rows, each the one least like those before, from the first row on."""
    picked, most = [0], own @ own[0]
    while len(picked) < k:
        picked.append(int(most.argmin()))
        most = np.maximum(most, own @ own[picked[-1]])
    return set(picked)


def quality(name: str, data: Path, folder: Path) -> tuple[list[float], set[int]]:
    """The first four shares that the docstring names, and the rows that farthest-first picks."""

    def records(path: str) -> list[dict[str, str]]:
        return [json.loads(line) for line in (data / path).read_text().splitlines()]

    paraphrases = records("dup_parakqc/paraKQC_v1.jsonl")
    sets = np.array([record["set_id"] for record in paraphrases])
    korean = (sets[nearest(vectors([r["text"] for r in paraphrases], name, folder), 9)] == sets[:, None]).mean()
    questions = records("cluster_banking77/test.jsonl")
    intents = np.array([record["category"] for record in questions])
    english = (intents[nearest(vectors([r["text"] for r in questions], name, folder), 5)] == intents[:, None]).mean()
    rows = [f"{record['instruction']}\n\n{record['output']}" for record in records("alpaca_dolly3k/dolly_3k.jsonl")]
    chance, words, n = random.Random(1), " ".join(rows).split(" "), len(rows)
    copies = [" ".join(chance.choice(words) if chance.random() < 0.3 else w for w in row.split(" ")) for row in rows]
    own = vectors(rows + copies, name, folder)
    found = (nearest(own, 1)[:, 0] == np.roll(np.arange(2 * n), n)).mean()
    alike = own[:n] @ own[:n].T
    np.fill_diagonal(alike, -1)
    return [korean, english, found, (alike.max(1) >= 0.9).mean()], farthest(own[:n], 300)


def main() -> None:
    """Print the tables of docs/costs.md and of docs/embedding.md."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=100_000, help="for the default embedder; the others take fewer")
    parser.add_argument("--sentence-model", help="a sentence-transformers model, folder or name on the hub")
    arguments = parser.parse_args()
    model, rows = arguments.sentence_model, arguments.rows
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        speed(OURS, "default", 100, folder)  # compiles what is compiled
        kinds = [(OURS, "default", rows)]
        if model:
            from curate.embedding import embedder

            static = embedder(f"static:st:{model}", work_dir=folder)
            static.embed(["distilled"])
            (made,) = (folder / "embeddings").iterdir()
            kinds += [(OURS, f"static:{made}", rows // 5), (BARE, f"static:{made}", rows // 5)]
            kinds += [(OURS, f"st:{model}", rows // 200), (BARE, f"st:{model}", rows // 200)]
        print("| embedder | rows | rows/s | to open or fit, s | peak MB |\n| --- | ---: | ---: | ---: | ---: |")
        for code, name, count in kinds:
            embedding, opening, peak = speed(code, name, count, folder)
            shown = name.partition(":")[0] + (", bare" if code == BARE else "")
            rate = f"{count / embedding:,.{0 if count > 1000 else 2}f}"
            print(f"| {shown} | {count:,} | {rate} | {opening:.1f} | {peak:,.0f} |", flush=True)
        data = os.environ.get("CURATE_TEST_DATA")
        if not data:
            print("\nCURATE_TEST_DATA is not set: no quality")
            return
        print("\n| embedder | Korean paraphrases | intents | copies found | others at 0.9 | farthest shared |")
        print("| --- | ---: | ---: | ---: | ---: | ---: |")
        names = [f"st:{model}", f"static:st:{model}"] if model else []
        theirs: set[int] = set()
        for name in [*names, "default"]:
            shares, picked = quality(name, Path(data), folder)
            theirs = theirs or picked
            figures = [f"{share:.3f}" for share in [*shares, len(picked & theirs) / len(picked)]]
            print(f"| {name.partition(':')[0]} | {' | '.join(figures)} |", flush=True)


if __name__ == "__main__":
    main()
