"""Make data/fingerprints.npz: hashes of the n-grams of HumanEval, MBPP and GSM8K, by which `decontaminate` knows them.

    python data/make_fingerprints.py HumanEval.jsonl mbpp.jsonl test.jsonl

HumanEval.jsonl is in openai/human-eval, mbpp.jsonl in google-research/google-research, GSM8K's test.jsonl in
openai/grade-school-math. A row is called by its task's number, or GSM8K's by its line counted from 0; no text is kept.
"""

import json
import sys
from pathlib import Path

from curate.code.alike import codes_of
from curate.contamination import BUILT_IN, Sides, texts_in

FIELDS = {
    "humaneval": ("prompt", "canonical_solution"),
    "mbpp": ("text", "code", "test_list"),
    "gsm8k": ("question", "answer"),
}


def sides_of(benchmark: str, file: Path) -> Sides:
    """The sides of one benchmark, named `humaneval:12`."""
    rows, fields, texts, codes = [], [], [], []
    for line, record in enumerate(map(json.loads, file.read_text().splitlines())):
        number = str(record.get("task_id", line)).rpartition("/")[2]
        sides = [(field, text) for field, text in texts_in(record) if field in FIELDS[benchmark]]
        rows += [f"{benchmark}:{number}"] * len(sides)
        fields += [field for field, _ in sides]
        texts += [text for _, text in sides]
        codes += codes_of([text for _, text in sides])
    return Sides.of(rows, fields, texts, codes)


def main(files: list[str], output: Path) -> None:
    """Write the fingerprints of the three files, in the order of `BUILT_IN`."""
    parts = [sides_of(name, Path(file)) for name, file in zip(BUILT_IN, files, strict=True)]
    Sides.all(parts).save(output)


if __name__ == "__main__":
    main(sys.argv[1:], Path(__file__).parent / "fingerprints.npz")
