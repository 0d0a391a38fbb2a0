"""near-dup against exact all-pairs on small pools, and on the texts that trip others."""

import json
import random
from itertools import pairwise
from pathlib import Path

import numpy as np
import polars as pl
import pytest

import curate
from curate.duplicates import SHORT, Shingles, find, near_duplicates, normalised
from curate.errors import UsageError

LETTERS = {
    "latin": "abcdefghijklmnopqrstuvwxyz",
    "korean": "가나다라마바사아자차카타파하고노도로모보소오조초코토포호",
    "cyrillic": "абвгдежзиклмнопрстуфхцчшщэюя",
    "han": "天地玄黄宇宙洪荒日月盈昃辰宿列张寒来暑往秋收冬藏",
}


def words_of(script: str, chance: random.Random) -> list[str]:
    return ["".join(chance.choices(LETTERS[script], k=chance.randint(2, 5))) for _ in range(300)]


def edited(words: list[str], share: float, vocabulary: list[str], chance: random.Random) -> list[str]:
    return [chance.choice(vocabulary) if chance.random() < share else word for word in words]


def pool(script: str, seed: int) -> list[str]:
    """Rows of 20 to 60 words, some of them copies with some words changed."""
    chance = random.Random(seed)
    vocabulary = words_of(script, chance)
    rows: list[list[str]] = []
    for _ in range(40):
        if rows and chance.random() < 0.4:
            rows.append(edited(chance.choice(rows), chance.choice([0, 0.05, 0.1, 0.2]), vocabulary, chance))
        else:
            rows.append(chance.choices(vocabulary, k=chance.randint(20, 60)))
    return [" ".join(row) for row in rows]


def sets_of(texts: list[str]) -> list[set[str]]:
    """Word pairs, or runs of three letters, straight from the definition."""
    sets = []
    for text in texts:
        words = text.lower().split()
        if ord(words[0][0]) > 0x3000:
            letters = "".join(words)
            sets.append({letters[k : k + 3] for k in range(len(letters) - 2)})
        else:
            sets.append({f"{a} {b}" for a, b in pairwise(words)})
    return sets


def all_pairs(texts: list[str], threshold: float) -> dict[int, set[int]]:
    """The kept rows that each dropped row is like, keeping rows greedily in order."""
    sets = sets_of(texts)
    kept: list[int] = []
    dropped: dict[int, set[int]] = {}
    for row, own in enumerate(sets):
        rivals = set()
        for other in kept:
            size = max(len(own), len(sets[other]))
            bar = threshold + (1 - threshold) * max(0, SHORT - size) / SHORT
            if len(own & sets[other]) / len(own | sets[other]) >= bar:
                rivals.add(other)
        if rivals:
            dropped[row] = rivals
        else:
            kept.append(row)
    return dropped


@pytest.mark.parametrize("script", LETTERS)
def test_it_finds_what_exact_all_pairs_finds(script: str) -> None:
    expected = found = agreed = 0
    for seed in range(60):
        texts = pool(script, seed)
        series = normalised(pl.Series(texts))
        own = Shingles.of(series)
        result = find([own.band_keys()], own.counts, lambda rows, own=own: [own.take(rows)], np.arange(len(texts)))
        truth = all_pairs(texts, 0.5)
        gone = set(np.flatnonzero(result.rival >= 0).tolist())
        expected, found, agreed = expected + len(truth), found + len(gone), agreed + len(gone & set(truth))
        for row in gone & set(truth):
            assert result.rival[row] in truth[row] or result.rival[int(result.rival[row])] < 0
        sets = sets_of(texts)
        for row in gone:  # no row goes without a kept rival over its bar
            rival = int(result.rival[row])
            assert result.rival[rival] == -1
            similarity = len(sets[row] & sets[rival]) / len(sets[row] | sets[rival])
            assert abs(similarity - result.similarity[row]) < 1e-9
            assert similarity >= result.needed[row] >= 0.5
    assert agreed >= 0.99 * expected
    assert agreed >= 0.99 * found


def write(path: Path, rows: list[tuple[str, str]]) -> None:
    path.write_text("".join(json.dumps({"instruction": a, "output": b}) + "\n" for a, b in rows))


def run(rows: list[tuple[str, str]], *settings: str, **more: object) -> dict[int, tuple[str, str]]:
    """Row -> (rival, reason) of what near-dup drops."""
    write(Path("raw.jsonl"), rows)
    Path("recipe.yaml").write_text("steps: [near-dup]")
    result = curate.filter("raw.jsonl", recipe="recipe.yaml", set=settings, **more)  # type: ignore[arg-type]
    return {row: (rival, reason) for row, rival, reason in result.dropped.select("row", "rival", "reason").rows()}


LONG = (
    "Water is unusual because its solid form is less dense than its liquid form, so that ice floats on lakes in winter."
)
KOREAN = (
    "물은 고체일 때가 액체일 때보다 밀도가 낮아서 얼음이 물 위에 뜨고, "
    "그래서 호수는 위에서부터 얼어 물고기가 살 수 있습니다."
)


def test_case_punctuation_spacing_and_a_changed_word_are_found(here: Path) -> None:
    rows = [
        ("Why does ice float?", LONG),
        ("why does ice float", LONG.upper().replace(",", " -")),
        ("Why does ice float?", LONG.replace("winter", "January")),
        ("얼음은 왜 뜨나요?", KOREAN),
        ("얼음은왜뜨나요", KOREAN.replace(" ", "")),
        ("얼음은 왜 뜨나요?", KOREAN.replace("호수는", "강은")),
    ]
    assert run(rows, "near-dup.keep=first") == {
        1: ("row:0", "1.0 of the shingles shared with row:0"),
        2: ("row:0", "0.92 of the shingles shared with row:0"),
        4: ("row:3", "1.0 of the shingles shared with row:3"),
        5: ("row:3", "0.84 of the shingles shared with row:3"),
    }


def test_short_rows_that_differ_in_what_matters_stay(here: Path) -> None:
    rows = [
        ("What is the capital of France?", "Paris."),
        ("What is the capital of Spain?", "Madrid."),
        ("What is 2 + 2?", "4"),
        ("What is 2 + 3?", "5"),
        ("프랑스의 수도는?", "파리입니다."),
        ("스페인의 수도는?", "마드리드입니다."),
        ("Hi", "Hi"),
        ("Hi", "Ho"),
        ("", "..."),
        ("", "!!!"),
        ("", "\u0301"),
    ]
    assert run(rows) == {}


def test_the_longest_the_first_or_the_best_stays(here: Path) -> None:
    rows = [("Why does ice float?", LONG), ("Why does ice float?", LONG + " That is all.")]
    assert list(run(rows)) == [0]
    assert list(run(rows, "near-dup.keep=first")) == [1]
    assert list(run(rows, "near-dup.by=line")) == [0]


def test_what_one_already_has_is_named_by_file_and_line(here: Path) -> None:
    write(Path("old.jsonl"), [("Hello", "Something else entirely, about nothing in particular."), ("Ice?", LONG)])
    rows = [("Ice?", LONG + " Indeed."), ("Ice?", LONG), ("얼음?", KOREAN)]
    assert {row: rival for row, (rival, _) in run(rows, exclude=["old.jsonl"]).items()} == {
        0: "old.jsonl:2",
        1: "old.jsonl:2",
    }


def test_a_threshold_that_the_bands_cannot_serve_is_refused(here: Path) -> None:
    with pytest.raises(UsageError, match=r"similarity must lie between 0.45 and 1"):
        run([("a", "b")], "near-dup.similarity=0.3")


def test_a_hundred_thousand_copies_are_one_cluster(here: Path) -> None:
    rows = [("Why does ice float?", LONG + f" {k}") for k in range(20_000)]
    write(Path("raw.jsonl"), rows * 5)
    found = near_duplicates("raw.jsonl")
    assert (found.rows, len(found.kept)) == (100_000, 1)


def test_rows_of_any_length_and_kind_are_compared(here: Path) -> None:
    huge = " ".join(str(k) for k in range(200_000))
    rows = [
        ("a", "b"),
        ("x", huge),
        ("x", huge + " end"),
        ("...", ",,,"),
        ("가", "나"),
        ("x" * 10_000, "y"),
        ("x" * 10_000, "y"),
    ]
    assert {row: rival for row, (rival, _) in run(rows, "near-dup.keep=first").items()} == {2: "row:1", 6: "row:5"}


def test_near_duplicates_agrees_with_the_filter(here: Path) -> None:
    rows = [(text, "") for seed in range(5) for text in pool("latin", seed)]
    dropped = run(rows)
    pairs = near_duplicates("raw.jsonl").pairs
    assert {row: f"row:{rival}" for row, rival in pairs.select("row", "rival").rows()} == {
        row: rival for row, (rival, _) in dropped.items()
    }
