"""decontaminate: what it costs beside near-dup, and what it finds and misses of planted test rows.

    python benchmarks/decontaminating.py --rows 1000000 --tests 10000
    CURATE_TEST_DATA=FOLDER python benchmarks/decontaminating.py --real

Cost: rows of about 600 characters of drawn words against test rows of 60 words, one row in a hundred with a test row
in it; CPU seconds of whole processes, `curate filter` with that step alone, after reading into the pool. Found: the
planted rows. Real: HumanEval, MBPP and GSM8K, whole and with words changed, among real rows that hold none.
"""

import argparse
import json
import os
import random
import tempfile
from pathlib import Path

from processes import measure

RUN = """
import sys
from curate.cli import main
sys.argv[1:] = ["filter", "raw.jsonl", "--recipe", sys.argv[1], "-o", "out.jsonl", "--work-dir", "work"]
main()
"""
STEPS = {
    "reading": "length: {min_chars: 0}",
    "near-dup": "near-dup",
    "decontaminate": "decontaminate: {against: [tests.jsonl], benchmarks: []}",
}


def made(rows: int, tests: int, folder: Path) -> int:
    """Write raw.jsonl and tests.jsonl; returns how many rows hold a test row."""
    chance = random.Random(1)
    words = ["".join(chance.choices("abcdefghijklmnopqrstuvwxyz", k=chance.randint(2, 9))) for _ in range(30_000)]
    weights = [1 / (k + 3) for k in range(len(words))]
    drawn = iter(chance.choices(words, weights, k=rows * 100 + tests * 60))
    questions = [" ".join(next(drawn) for _ in range(60)) for _ in range(tests)]
    with (folder / "tests.jsonl").open("w") as file:
        file.writelines(json.dumps({"question": question}) + "\n" for question in questions)
    with (folder / "raw.jsonl").open("w") as file:
        for row in range(rows):
            own = [next(drawn) for _ in range(100)]
            if row % 100 == 0:
                own[40:] = questions[row // 100 % tests].split()
            file.write(json.dumps({"instruction": " ".join(own[:20]), "output": " ".join(own[20:])}) + "\n")
    return len(range(0, rows, 100))


def cost(rows: int, tests: int) -> None:
    """Print what each step costs beside reading."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        planted = made(rows, tests, folder)
        for step, text in STEPS.items():
            (folder / f"{step}.yaml").write_text(f"steps: [{{{text}}}]" if ":" in text else f"steps: [{text}]")
        seconds = {}
        os.chdir(folder)
        for step in ("reading", *STEPS):  # reading twice: the first makes the pool
            cpu, wall, peak = measure(RUN, f"{step}.yaml")
            seconds[step] = cpu
            print(f"{step:14} {cpu:7.1f} CPU s {wall:7.1f} s {peak / 1e6:6.0f} MB", flush=True)
        dropped = rows - Path("out.jsonl").read_bytes().count(b"\n")
        near, own = (seconds[step] - seconds["reading"] for step in ("near-dup", "decontaminate"))
        print(
            f"{planted:,} planted, {dropped:,} dropped; {own:.1f} CPU s beside reading, {own / near:.2f} of near-dup's"
        )


def real(data: Path) -> None:
    """Print what is found of real test rows, whole and edited, and how many clean rows are dropped."""
    import polars as pl

    from curate.contamination import Index, built_in

    def texts(file: str, *fields: str) -> list[str]:
        return ["\n".join(str(json.loads(line)[f]) for f in fields) for line in (data / file).read_text().splitlines()]

    index = Index(built_in())

    def hits(rows: list[str]) -> int:
        found = index.matches(pl.Series(rows))
        return int(((found["overlap"].fill_null(0) > 0.5) | (found["run"].fill_null(0) >= 13)).sum())

    chance = random.Random(1)
    for name, file, fields in (
        ("HumanEval prompts", "eval_humaneval/HumanEval.jsonl", ("prompt",)),
        ("MBPP texts", "eval_mbpp/mbpp.jsonl", ("text",)),
        ("GSM8K questions", "eval_gsm8k/test.jsonl", ("question",)),
    ):
        rows = texts(file, *fields)
        said = [f"{hits(rows) / len(rows):.3f} whole"]
        for share in (0.05, 0.1, 0.2):
            changed = [" ".join("xx" if chance.random() < share else w for w in row.split()) for row in rows]
            said.append(f"{hits(changed) / len(rows):.3f} with {share:.0%} of the words changed")
        print(f"{name}: found {', '.join(said)}")
    for name, file, fields in (
        ("dolly", "alpaca_dolly3k/dolly_3k.jsonl", ("instruction", "input", "output")),
        ("Korean chat", "ko_chatbot/ChatbotData.jsonl", ("Q", "A")),
        ("hh", "pref_hh_rlhf/harmless-base_test.jsonl", ("chosen",)),
        ("GSM8K train", "eval_gsm8k/train_first1000.jsonl", ("question", "answer")),
        ("code answers", "alpaca_gpteacher/codegen.jsonl", ("instruction", "response")),
    ):
        rows = texts(file, *fields)
        print(f"{name}: {hits(rows):,} of {len(rows):,} rows dropped")


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--rows", type=int, default=100_000)
    parser.add_argument("--tests", type=int, default=10_000)
    parser.add_argument("--real", action="store_true")
    given = parser.parse_args()
    if given.real:
        real(Path(os.environ["CURATE_TEST_DATA"]))
    else:
        cost(given.rows, given.tests)


if __name__ == "__main__":
    main()
