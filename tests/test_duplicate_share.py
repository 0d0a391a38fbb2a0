"""What `curate inspect` says of near-duplicates, against what near-dup drops."""

import random
from pathlib import Path
from typing import Any

import pytest
from conftest import write_rows

from curate.duplicate_share import duplicate_share
from curate.inspecting import inspect
from curate.pool import read_pool
from curate.working import Working

Row = tuple[str, str]


def rows_of(count: int, copies: float, chance: random.Random) -> list[Row]:
    """Rows of 40 random words; of so many in a hundred there is one copy or more, with a word changed."""
    words = ["".join(chance.choices("abcdefghijklmnop가나다라마바사", k=6)) for _ in range(5000)]
    rows: list[list[str]] = []
    for _ in range(count):
        if rows and chance.random() < copies:
            text = list(chance.choice(rows))
            text[chance.randrange(40)] = "changed"
        else:
            text = chance.choices(words, k=40)
        rows.append(text)
    return [(" ".join(text[:10]), " ".join(text[10:])) for text in rows]


@pytest.mark.parametrize("copies", [0.0, 0.1, 0.5])
def test_the_share_is_near_what_near_dup_drops(here: Path, filtered: Any, copies: float) -> None:
    rows = rows_of(6000, copies, random.Random(3))
    found = inspect([write_all(here, rows)])
    dropped = len(filtered(rows, "near-dup").dropped) / len(rows)
    assert found.looked_for == 2000
    assert abs(found.near_duplicates - dropped) <= 0.033  # three standard errors


def write_all(here: Path, rows: list[Row]) -> str:
    write_rows(here / "raw.jsonl", rows)
    return "raw.jsonl"


def test_of_few_rows_each_is_looked_for(here: Path, filtered: Any) -> None:
    rows = [*rows_of(300, 0.3, random.Random(1)), ("", "..."), ("", "..."), ("", "!")]
    found = inspect([write_all(here, rows)])
    assert found.looked_for == 303
    assert found.near_duplicates == pytest.approx(len(filtered(rows, "near-dup").dropped) / 303, abs=0.01)


def test_a_giant_cluster_is_cut_short_and_counted_whole(here: Path) -> None:
    rows = rows_of(1, 0, random.Random(1)) * 20_000 + rows_of(20_000, 0, random.Random(2))
    pool = read_pool([write_all(here, rows)], Path(".curate"))
    shares = {duplicate_share(pool, 0, Working(threads=threads)) for threads in (1, 2, 5)}
    assert len(shares) == 1
    assert shares.pop()[0] == pytest.approx(0.5, abs=0.033)


def test_it_is_printed(here: Path, cli: Any) -> None:
    rows = rows_of(50, 0, random.Random(1)) * 2
    said = cli("inspect", write_all(here, rows)).out
    assert "near-duplicates: about 50.0%, as 100 rows tell that were looked for in all\n" in said
