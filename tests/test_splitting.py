"""curate split: families stay on one side, lines come out byte for byte, the shares are what was asked for."""

import json
import random
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from conftest import Command, write_rows

import curate
from curate.errors import StoppedError, UsageError
from curate.families import families
from curate.pool import ReadOptions, read_pool
from curate.splitting import _parts
from curate.working import Working

NOUNS = [
    "river",
    "mountain",
    "engine",
    "garden",
    "library",
    "harbour",
    "violin",
    "market",
    "desert",
    "kitchen",
    "planet",
    "winter",
    "forest",
    "bridge",
    "letter",
]


def row(k: int, chance: random.Random) -> tuple[str, str]:
    words = [chance.choice(NOUNS) + str(chance.randint(0, 99)) for _ in range(50)]
    return f"Tell me about number {k}", " ".join(words)


def edited(text: str, chance: random.Random) -> str:
    words = text.split()
    for at in chance.sample(range(len(words)), 3):
        words[at] = "changed"
    return " ".join(words)


@pytest.fixture
def rows(here: Path) -> list[tuple[str, str]]:
    """200 rows, 60 copies of which some words were changed, and 20 other answers to a prompt."""
    chance = random.Random(5)
    rows = [row(k, chance) for k in range(200)]
    rows += [(f"Now: {k}?", edited(chance.choice(rows)[1], chance)) for k in range(60)]
    rows += [(chance.choice(rows[:200])[0].upper() + " ", f"Another answer, the {k}th of them all") for k in range(20)]
    chance.shuffle(rows)
    write_rows(here / "raw.jsonl", rows)
    return rows


def pairs(text: str) -> set[tuple[str, str]]:
    return set(pairwise(text.lower().split()))


def test_no_two_rows_on_different_sides_are_alike(rows: list[tuple[str, str]], here: Path) -> None:
    done = curate.split("raw.jsonl", validation=0.2, test=0.2)
    assert sum(done.rows.values()) == len(rows) and done.rows["test"] == done.rows["validation"] == 56
    lines = {part: file.read_bytes().splitlines(keepends=True) for part, file in done.files.items()}
    raw = (here / "raw.jsonl").read_bytes().splitlines(keepends=True)
    assert sorted(line for part in lines.values() for line in part) == sorted(raw)
    place = {line: number for number, line in enumerate(raw)}
    assert all([place[line] for line in part] == sorted(place[line] for line in part) for part in lines.values())
    sides = {part: [json.loads(line) for line in own] for part, own in lines.items()}
    for first, second in (("train", "validation"), ("train", "test"), ("validation", "test")):
        prompts = [{record["instruction"].lower().strip() for record in sides[part]} for part in (first, second)]
        assert not prompts[0] & prompts[1]
        long = [[record for record in sides[part] if len(record["output"]) > 100] for part in (first, second)]
        for a in long[0]:
            for b in long[1]:
                shared, every = pairs(a["output"]) & pairs(b["output"]), pairs(a["output"]) | pairs(b["output"])
                assert len(shared) / len(every) < 0.45
    assert "xxh3-128" in done.card.read_text() and done.card.name == "split.split.card.md"


def test_the_same_seed_gives_the_same_bytes_and_another_another_split(rows: Any, here: Path) -> None:
    first = curate.split("raw.jsonl", "a.jsonl", work_dir="one")
    again = curate.split("raw.jsonl", "b.jsonl", work_dir="two")
    other = curate.split("raw.jsonl", "c.jsonl", seed=1)
    assert first.files["test"].read_bytes() == again.files["test"].read_bytes()
    assert first.files["test"].read_bytes() != other.files["test"].read_bytes()


def test_rows_that_mean_the_same_stay_together_with_an_embedder(here: Path) -> None:
    chance = random.Random(1)
    rows = [row(k, chance) for k in range(60)]
    shuffled = [(f"In other order: {k}", " ".join(sorted(answer.split()))) for k, (_, answer) in enumerate(rows)]
    write_rows(here / "raw.jsonl", rows + shuffled)  # word pairs differ, words do not
    apart = curate.split("raw.jsonl", validation=0)
    together = curate.split("raw.jsonl", validation=0, test=0.3, embedder="default", cosine=0.8)
    assert (apart.families, together.families) == (120, 60)
    said = [json.loads(line)["output"] for line in together.files["test"].read_text().splitlines()]
    assert len({" ".join(sorted(answer.split())) for answer in said}) * 2 == len(said)


def test_an_instruction_that_many_rows_share_is_no_family(here: Path) -> None:
    chance = random.Random(2)
    write_rows(here / "raw.jsonl", [("Continue the text.", row(k, chance)[1]) for k in range(100)])
    assert curate.split("raw.jsonl").families == 100


def test_families_are_numbered_in_the_order_of_their_first_rows(rows: Any, here: Path) -> None:
    curate.split("raw.jsonl")

    found = families(read_pool(["raw.jsonl"], Path(".curate"), ReadOptions()), Working())
    _, first = np.unique(found, return_index=True)
    assert first.tolist() == sorted(first.tolist())


def test_parts_get_their_shares_of_any_families() -> None:
    for seed in range(100):
        chance = np.random.default_rng(seed)
        family = np.repeat(np.arange(300), chance.integers(1, 5, 300))
        part = _parts(family, {"train": 0.8, "validation": 0.1, "test": 0.1}, seed)
        shares = np.bincount(part, minlength=3) / len(family)
        assert shares == pytest.approx([0.8, 0.1, 0.1], abs=0.01)
        assert all(len(set(part[family == k])) == 1 for k in range(0, 300, 17))


def test_shares_and_families_that_can_not_be_are_refused(here: Path) -> None:
    chance = random.Random(3)
    answer = row(0, chance)[1]
    write_rows(here / "raw.jsonl", [(f"Question {k}", answer) for k in range(40)])
    with pytest.raises(StoppedError, match="no family of rows fits into validation: 1 families, the largest of 40"):
        curate.split("raw.jsonl")
    with pytest.raises(UsageError, match="leave nothing to train on"):
        curate.split("raw.jsonl", test=0.6, validation=0.4)
    with pytest.raises(UsageError, match="similarity must lie"):
        curate.split("raw.jsonl", similarity=0.1)


def test_the_command_says_what_it_wrote(rows: Any, here: Path, cli: Command) -> None:
    said = cli("split", "raw.jsonl", "-o", "parts.jsonl.gz", "--validation", "0", "--json")
    assert "test: 14 rows -> parts.test.jsonl.gz" in said.err
    assert json.loads(said.out)["rows"] == {"train": 266, "validation": 0, "test": 14}
    assert not (here / "parts.validation.jsonl.gz").exists()
