"""The experiment: which recipe picks the rows that a small model learns most from, on rows that people wrote.

    CURATE_TEST_DATA=FOLDER python benchmarks/ablating.py --model FOLDER_OF_SMOLLM2 [--folder ablation]

1,200 rows of dolly, shuffled: 200 to test on, 1,000 to pick from. Five recipes pick
25,000 tokens each, three seeds, one epoch, every weight trained. Killed, the same command goes on.
"""

import argparse
import os
import random
from pathlib import Path

from curate.evaluating.ablating import Budget, ablate
from curate.training.settings import load_settings
from curate.working import Working

POOL, ROWS, TEST = "alpaca_dolly3k/dolly_3k.jsonl", 1200, 200
SETTINGS = [
    "epochs=1",
    "max_length=512",
    "batch=4",
    "lora_rank=0",
    "learning_rate=1e-4",
    "gradient_checkpointing=false",
]
IFD = "name: ifd\nsteps:\n  - length: {{min_chars: 1}}\n  - ifd: {{model: 'hf:{model}', n: 1000}}\n"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", required=True)
    parser.add_argument("--folder", type=Path, default=Path("ablation"))
    parser.add_argument("--tokens", type=int, default=25_000)
    parser.add_argument("--seeds", type=int, default=3)
    given = parser.parse_args()
    given.folder.mkdir(parents=True, exist_ok=True)
    lines = (Path(os.environ["CURATE_TEST_DATA"]) / POOL).read_text().splitlines(keepends=True)
    random.Random(0).shuffle(lines)
    pool, test, ifd = (given.folder / name for name in ("pool.jsonl", "test.jsonl", "ifd.yaml"))
    test.write_text("".join(lines[:TEST]))
    pool.write_text("".join(lines[TEST:ROWS]))
    ifd.write_text(IFD.format(model=given.model))
    found = ablate(
        [str(pool)],
        ["random", "longest", "default-small", "lima", str(ifd)],
        test=[str(test)],
        model=given.model,
        budget=Budget(tokens=given.tokens),
        settings=load_settings("lora-small", None, SETTINGS),
        seeds=given.seeds,
        output=given.folder,
        work_dir=given.folder / "work",
        working=Working(notice=lambda text: print(text, flush=True)),
    )
    print(
        "\n| recipe | loss | 95 % | from random | | rows | tokens |\n| --- | ---: | ---: | ---: | --- | ---: | ---: |"
    )
    for each in found.recipes:
        apart = (
            "" if each.recipe == "random" else f"{each.apart:+.4f} ({each.apart_low:+.4f} to {each.apart_high:+.4f})"
        )
        verdict = "" if each.recipe == "random" else each.verdict
        print(
            f"| {each.recipe} | {each.mean:.4f} | {each.low:.4f} to {each.high:.4f} | {apart} | {verdict} "
            f"| {each.rows:,.0f} | {each.tokens:,.0f} |"
        )
    minutes = sum(arm.seconds for arm in found.arms) / 60
    print(f"\n{found.conclusion}\n{len(found.arms)} models in {minutes:.0f} min; untrained: {found.untrained:.4f}")


if __name__ == "__main__":
    main()
