"""educational-code: files a second on one core, and how well its score tells teaching code from boilerplate.

    CURATE_TEST_DATA=FOLDER python benchmarks/educational_code.py

Real files: `code_python_origin/files.jsonl` of that folder, labelled by where they come from. AUC: how often a file of
the one kind has the higher score than one of the other. Speed: CPU seconds over texts that are read, parsed and
measured, per 2,000 characters.
"""

import json
import os
import time
import warnings
from pathlib import Path

import numpy as np

from curate.code.educational import worth
from curate.code.syntax import Code, python_in, read_code


def score(text: str) -> float:
    """The score of a file; 0 where it can't be read."""
    code = read_code(python_in(text, alone=True) or [text])
    return worth(code).score if isinstance(code, Code) else 0.0


def auc(high: np.ndarray, low: np.ndarray) -> float:
    """How often a value of `high` is above one of `low`."""
    return float((high[:, None] > low).mean() + (high[:, None] == low).mean() / 2)


def main() -> None:
    data = Path(os.environ["CURATE_TEST_DATA"]) / "code_python_origin" / "files.jsonl"
    files = [json.loads(line) for line in data.read_text().splitlines()]
    warnings.simplefilter("ignore")
    score(files[0]["content"])
    seconds = []
    for _ in range(3):
        began = time.process_time()
        scores = np.array([score(file["content"]) for file in files])
        seconds.append(time.process_time() - began)
    pieces = sum(len(file["content"]) for file in files) / 2000
    print(f"{len(files)} files: {pieces / min(seconds):,.0f} of 2,000 characters a second on one core")
    label, repo = (np.array([file[name] for file in files]) for name in ("origin_label", "repo"))
    teaching = scores[label == "educational"]
    for other in ("boilerplate", "library"):
        print(f"teaching over {other}: AUC {auc(teaching, scores[label == other]):.3f}")
        for name in sorted(set(repo[label == other])):
            here = scores[(label == other) & (repo == name)]
            print(f"  {name}: {auc(teaching, here):.3f} ({len(here)} files)")


if __name__ == "__main__":
    main()
