"""Make data/fingerprints.npz: hashes of the n-grams of HumanEval, MBPP and GSM8K, by which `decontaminate` knows them.

    python data/make_fingerprints.py HumanEval.jsonl mbpp.jsonl test.jsonl

HumanEval.jsonl is in openai/human-eval, mbpp.jsonl in google-research/google-research, GSM8K's test.jsonl in
openai/grade-school-math. A row is called by its task's number, or GSM8K's by its line counted from 0; no text is kept.
"""

import json
import sys
from pathlib import Path

from curate.contamination import BUILT_IN, Sides, texts_in

FIELDS = {
    "humaneval": ("prompt", "canonical_solution"),
    "mbpp": ("text", "code", "test_list"),
    "gsm8k": ("question", "answer"),
}


def sides_of(benchmark: str, file: Path) -> Sides:
    """The sides of one benchmark, named `humaneval:12`."""
    rows, fields, texts = [], [], []
    for line, record in enumerate(map(json.loads, file.read_text().splitlines())):
        number = str(record.get("task_id", line)).rpartition("/")[2]
        for field, text in texts_in(record):
            if field in FIELDS[benchmark]:
                rows.append(f"{benchmark}:{number}")
                fields.append(field)
                texts.append(text)
    return Sides.of(rows, fields, texts)


def main(files: list[str], output: Path) -> None:
    """Write the fingerprints of the three files, in the order of `BUILT_IN`."""
    parts = [sides_of(name, Path(file)) for name, file in zip(BUILT_IN, files, strict=True)]
    Sides.all(parts).save(output)


if __name__ == "__main__":
    main(sys.argv[1:], Path(__file__).parent / "fingerprints.npz")
