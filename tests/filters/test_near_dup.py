"""near-dup against exact all-pairs on small pools, and on the texts that trip others."""

import json
import random
import signal
import threading
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from conftest import left_behind
from datasketch import MinHash, MinHashLSH
from hypothesis import given, settings
from hypothesis import strategies as st

import curate
from curate.duplicates.in_files import Duplicates, near_duplicates
from curate.duplicates.near import SHORT, THRESHOLD, Shingles, find, normalised
from curate.errors import InterruptedRun, UsageError
from curate.working import Working

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
    for seed in range(35):
        texts = pool(script, seed)
        series = normalised(pl.Series(texts))
        own = Shingles.of(series)
        result = find([own.band_keys()], own.counts, lambda rows, own=own: [own.take(rows)], np.arange(len(texts)))
        truth = all_pairs(texts, THRESHOLD)
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
            assert similarity >= result.needed[row] >= THRESHOLD
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
    with pytest.raises(UsageError, match=r"similarity must lie between 0.4 and 1"):
        run([("a", "b")], "near-dup.similarity=0.3")


def test_what_one_already_has_is_named_whatever_row_group_it_lies_in(
    here: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("curate.pool.reading.GROUP_ROWS", 7)
    old = [(text, "") for seed in range(10) for text in pool("cyrillic", seed)]
    had = near_duplicates_of(old, "old.jsonl")
    new = [old[row] for row in had.kept[::3]]
    dropped = run([*new, ("New?", KOREAN)], exclude=["old.jsonl"])
    assert {row: rival for row, (rival, _) in dropped.items()} == {
        row: f"old.jsonl:{line + 1}" for row, line in enumerate(had.kept[::3])
    }


def near_duplicates_of(rows: list[tuple[str, str]], file: str = "raw.jsonl", **more: Any) -> Duplicates:
    write(Path(file), rows)
    return near_duplicates(file, **more)


def test_a_hundred_thousand_near_copies_are_one_cluster(here: Path) -> None:
    rows = [("Why does ice float?", LONG + f" {k}") for k in range(20_000)]
    found = near_duplicates_of(rows * 5)
    assert (found.rows, len(found.kept)) == (100_000, 1)


def test_of_many_identical_rows_one_stays(here: Path) -> None:
    Path("raw.jsonl").write_text('{"instruction": "Why does ice float?", "output": "It is light."}\n' * 300_000)
    found = near_duplicates("raw.jsonl")
    assert (found.rows, found.kept.tolist(), set(found.pairs["rival"])) == (300_000, [0], {0})
    assert found.found.candidates == found.found.verified == 299_999  # not the square of it


@pytest.mark.parametrize("numbers", [range(20_000), range(1_400_000)], ids=["100,000 characters", "10 MB"])
def test_rows_of_three_characters_and_of_millions_are_compared(here: Path, numbers: range) -> None:
    huge = " ".join(map(str, numbers))
    rows = [
        ("a", "b"),
        ("x", huge),
        ("x", huge + " end"),
        ("...", ",,,"),
        ("가", "나"),
        ("가", "나"),
        ("x" * 10_000, "y"),
        ("x" * 10_000, "y"),
        ("", "\u0301\u0301"),
        ("", "z"),
        ("", "가" * 100_000),
        ("", "가" * 100_000 + "나"),
    ]
    gone = {row: rival for row, (rival, _) in run(rows, "near-dup.keep=first").items()}
    assert gone == {2: "row:1", 5: "row:4", 7: "row:6"}


def test_rows_of_one_endless_word_or_letter_are_told_apart_by_what_differs(here: Path) -> None:
    rows = [("", "가나다" * 30_000), ("", "가나다" * 30_000 + "라"), ("", "https://a.example/" + "x" * 99_999)]
    assert run(rows) == {}  # three of four shingles shared: of so few, not enough


def test_rows_without_a_letter_are_counted(here: Path) -> None:
    write(Path("raw.jsonl"), [("", "..."), ("", "!!!"), ("", "؟"), ("ما هي عاصمة فرنسا؟", "باريس"), ("", "🙂")])
    Path("recipe.yaml").write_text("steps: [near-dup]")
    result = curate.filter("raw.jsonl", recipe="recipe.yaml")
    assert result.summary.kept == 5
    assert "rows without a letter or digit, like no other: 4" in result.summary.by_step[0].notes


def test_arabic_rows_are_no_duplicates_of_each_other(here: Path) -> None:
    rows = [
        ("ما هي عاصمة فرنسا؟", "باريس هي عاصمة فرنسا وأكبر مدنها."),
        ("كيف أكتب دالة؟", "ابدأ بتعريف الاسم ثم المعاملات."),
    ]
    assert run([*rows, *rows], "near-dup.keep=first", "near-dup.similarity=0.95").keys() == {2, 3}


def test_the_file_named_first_keeps_its_row(here: Path) -> None:
    write(Path("trusted.jsonl"), [("Why does ice float?", LONG)])
    write(Path("scraped.jsonl"), [("Why does ice float?", LONG + " That is all there is to it.")])
    Path("recipe.yaml").write_text("steps: [near-dup: {keep: first}]")
    for files in (["trusted.jsonl", "scraped.jsonl"], ["scraped.jsonl", "trusted.jsonl"]):
        dropped = curate.filter(files, recipe="recipe.yaml").dropped
        assert dropped.select("source", "rival").rows() == [(files[1], "row:0")]
        (pair,) = near_duplicates(files, keep="first").pairs.to_dicts()
        assert (pair["file"], pair["line"], pair["rival_file"], pair["rival_line"]) == (files[1], 1, files[0], 1)


def test_each_stage_tells_how_far_it_is_and_can_be_stopped(here: Path) -> None:
    write(Path("raw.jsonl"), [(text, "") for seed in range(30) for text in pool("han", seed)])
    Path("recipe.yaml").write_text("steps: [near-dup]")

    def run_with(working: Working, work: str) -> dict[str, bytes]:
        result = curate.filter("raw.jsonl", recipe="recipe.yaml", work_dir=work, working=working)
        return left_behind(result.run.path, Path("curated.jsonl"))

    told: dict[str, list[tuple[int, int]]] = {}
    whole = Working(report=lambda stage, done, total: told.setdefault(stage, []).append((done, total)))
    expected = run_with(whole, "undisturbed")
    stages = ["near-dup", "candidates", "reading candidates", "comparing"]
    assert [stage for stage in told if stage in stages] == stages
    assert all(done[-1][0] == done[-1][1] for stage, done in told.items() if stage in stages)
    for stage in stages:
        stop = threading.Event()
        stopped = Working(stop=stop, report=lambda now, *_, stage=stage, stop=stop: now == stage and stop.set())
        with pytest.raises(InterruptedRun):
            run_with(stopped, stage)
        assert run_with(Working(), stage) == expected


def test_near_duplicates_tells_what_it_could_not_read(here: Path) -> None:
    write(Path("raw.jsonl"), [("Why does ice float?", LONG), ("Why does ice float?", LONG)])
    Path("raw.jsonl").write_text("broken\n\n" + Path("raw.jsonl").read_text() + "[1]\n")
    said: list[str] = []
    found = near_duplicates("raw.jsonl", working=Working(notice=said.append))
    assert (found.rows, found.unread) == (2, 2)
    assert found.pairs.select("row", "line", "rival", "rival_line").rows() == [(1, 4, 0, 3)]
    assert "2 records could not be read; the first is raw.jsonl:1  " in said[-1]


def test_threads_and_blocks_change_nothing(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    rows = [(text, "") for script in LETTERS for seed in range(8) for text in pool(script, seed)]
    expected = near_duplicates_of(rows, working=Working(threads=1))
    assert len(expected.pairs) > 100
    for block, threads in ((2_000, 1), (9_999, 4), (1 << 30, 3)):
        monkeypatch.setattr("curate.formats.sources.BLOCK", block)
        monkeypatch.setattr("curate.duplicates.in_files.A_PIECE", block // 100)
        found = near_duplicates("raw.jsonl", working=Working(threads=threads))
        assert found.pairs.equals(expected.pairs)


def test_near_duplicates_agrees_with_the_filter(here: Path) -> None:
    rows = [(text, "") for seed in range(5) for text in pool("latin", seed)]
    dropped = run(rows)
    pairs = near_duplicates("raw.jsonl").pairs
    assert {row: f"row:{rival}" for row, rival in pairs.select("row", "rival").rows()} == {
        row: rival for row, (rival, _) in dropped.items()
    }


def test_each_side_can_be_compared_alone(here: Path) -> None:
    other = "Snow is frozen water too, but it falls from clouds in flakes that are mostly air and so it drifts about."
    rows: list[Any] = [(LONG, other), (LONG + " Why?", KOREAN), (KOREAN, other + " Yes."), ("Hm?", "Nothing at all.")]
    assert set(run(rows, "near-dup.of=prompt", "near-dup.keep=first")) == {1}
    assert set(run(rows, "near-dup.of=response", "near-dup.keep=first")) == {2}
    assert set(run(rows, "near-dup.keep=first", "near-dup.similarity=0.9")) == set()


def test_conversations_can_be_compared_by_their_first_turn(here: Path) -> None:
    def talk(*turns: str) -> dict[str, Any]:
        roles = ["user", "assistant"] * len(turns)
        return {"messages": [{"role": r, "content": c} for r, c in zip(roles, turns, strict=False)]}

    rows = [talk(LONG, "a", KOREAN, "b"), talk(LONG + " Why?", "c"), talk(KOREAN, "d", LONG, "e")]
    Path("raw.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    Path("recipe.yaml").write_text("steps: [near-dup: {of: first-turn, keep: first}]")
    assert curate.filter("raw.jsonl", recipe="recipe.yaml").dropped["row"].to_list() == [1]


def test_the_order_of_rows_decides_nothing_but_ties(here: Path) -> None:
    by_length = {}
    for text in {text: None for seed in range(20) for text in pool("latin", seed)}:
        text += " x"
        while len(text) in by_length:  # no two are equally long
            text += "x"
        by_length[len(text)] = text
    texts = list(by_length.values())
    write(Path("raw.jsonl"), [(text, "") for text in texts])
    first = near_duplicates("raw.jsonl")
    kept = {texts[row] for row in first.kept}
    for seed in range(5):
        shuffled = random.Random(seed).sample(texts, len(texts))
        write(Path("raw.jsonl"), [(text, "") for text in shuffled])
        again = near_duplicates("raw.jsonl")
        assert {shuffled[row] for row in again.kept} == kept


def test_a_mature_library_finds_the_same(here: Path) -> None:
    """datasketch, its candidates verified on the same shingles, as the oracle."""
    texts = [text for seed in range(25) for text in pool("latin", seed)]
    sets = sets_of(texts)
    index, kept = MinHashLSH(threshold=0.5, num_perm=256, params=(85, 3)), set()
    for row, own in enumerate(sets):
        hashed = MinHash(num_perm=256)
        hashed.update_batch([pair.encode() for pair in own])
        bar = THRESHOLD + (1 - THRESHOLD) * max(0, SHORT - len(own)) / SHORT
        if not any(len(own & sets[other]) / len(own | sets[other]) >= bar for other in index.query(hashed)):
            kept.add(row)
            index.insert(row, hashed)
    write(Path("raw.jsonl"), [(text, "") for text in texts])
    assert len(kept ^ set(near_duplicates("raw.jsonl", keep="first").kept.tolist())) <= 0.01 * len(texts)


@pytest.mark.parametrize(
    ("file", "texts", "same", "precision"),
    [
        ("dup_question_pair_ko/train.jsonl", "question", lambda r: r["is_duplicate"] == "0", 0.99),
        ("dup_sts2016_postediting_en/test_scored.jsonl", "sentence", lambda r: float(r["score"]) >= 3, 0.99),
        ("dup_korsts/sts-dev.jsonl", "sentence", lambda r: float(r["score"]) >= 3, 0.96),
    ],
)
def test_what_it_calls_the_same_people_call_the_same(
    real_data: Path, here: Path, file: str, texts: str, same: Any, precision: float
) -> None:
    pairs = [json.loads(line) for line in (real_data / file).read_text().splitlines()]
    write(Path("raw.jsonl"), [(pair[f"{texts}{side}"], "") for pair in pairs for side in (1, 2)])
    found = near_duplicates("raw.jsonl").pairs.filter(pl.col("row") // 2 == pl.col("rival") // 2)
    right = [same(pairs[row // 2]) for row in found["row"]]
    assert len(right) >= 25
    assert sum(right) >= precision * len(right)


def test_candidates_clusters_and_sources_are_told(here: Path) -> None:
    write(Path("a.jsonl"), [("Why does ice float?", LONG + f" {k}") for k in range(1500)])
    write(Path("b.jsonl"), [("Why does ice float?", LONG + f" {k}") for k in range(200)] + [("Hm?", KOREAN)])
    Path("recipe.yaml").write_text("steps: [near-dup: {keep: first}]")
    result = curate.filter(["a.jsonl", "b.jsonl"], recipe="recipe.yaml")
    (step,) = result.summary.by_step
    assert step.notes == [
        "1,699 candidate pairs, 1,699 of them alike",
        "a.jsonl lost 1,499 of 1,500 rows to better or earlier ones",
        "b.jsonl lost 200 of 201 rows to better or earlier ones",
        "1,699 rows went for a.jsonl:1: look at it with `curate why`",
    ]


PHASES = [
    "shingles.shingle_hashes",
    "shingles.band_keys",
    "clusters.sorted_pairs",
    "shingles.shingle_sets",
    "clusters.link_band",
    "clusters.choose",
]


def test_killed_in_one_phase_after_another_the_same_command_goes_on(
    here: Path, plugin: Any, curate_command: Any
) -> None:
    write(Path("raw.jsonl"), [(text, "") for seed in range(10) for text in pool("korean", seed)])
    Path("recipe.yaml").write_text("steps: [near-dup]")
    plugin("""
        import signal
        from curate.kernels import clusters, shingles

        module, name = Path("disturb").read_text().split(".")

        def disturbed(*arguments):
            os.kill(os.getpid(), signal.SIGKILL)

        if name:
            setattr({"clusters": clusters, "shingles": shingles}[module], name, disturbed)

        @frozen
        class Unused:
            "A plug-in must define a filter."
            def decide(self, measures, pool): ...
    """)
    command = ["filter", "raw.jsonl", "--recipe", "recipe.yaml", "--plugin", "plugged.py"]
    undisturbed = curate.filter("raw.jsonl", "undisturbed.jsonl", recipe="recipe.yaml", work_dir="undisturbed")
    for phase in PHASES:
        Path("disturb").write_text(phase)
        curate_command(*command, status=-signal.SIGKILL)
    Path("disturb").write_text(".")
    curate_command(*command)
    (run,) = Path(".curate/runs").iterdir()
    assert left_behind(run, Path("curated.jsonl")) == left_behind(undisturbed.run.path, Path("undisturbed.jsonl"))


SCRIPTS = st.sampled_from(
    ["the cat sat", "소수를 말해", "東京都は", "ราคาถูก", "да нет", "🙂", "\u0301", "x=1;", "", " "]
)


@settings(max_examples=60, deadline=None)
@given(st.lists(st.lists(SCRIPTS | st.text(max_size=6), max_size=12).map(" ".join), min_size=1, max_size=12))
def test_whatever_the_texts_every_dropped_row_has_a_kept_rival_over_its_bar(texts: list[str]) -> None:
    own = Shingles.of(normalised(pl.Series(texts, dtype=pl.String)))
    found = find([own.band_keys()], own.counts, lambda rows: [own.take(rows)], np.arange(len(texts)))
    for row in np.flatnonzero(found.rival >= 0):
        assert found.rival[found.rival[row]] == -1
        assert found.similarity[row] >= found.needed[row] >= THRESHOLD
        assert own.counts[row] > 0
    same = normalised(pl.Series(texts, dtype=pl.String)).to_list()
    for row, text in enumerate(same):  # of equal texts that have shingles one stays
        if own.counts[row] and text in same[:row]:
            assert found.rival[row] >= 0


def test_the_rejected_side_is_verified_on_the_rejected_texts(here: Path) -> None:
    rows = [{"prompt": f"Question {k}", "chosen": f"{k} " * 40, "rejected": LONG} for k in range(30)]
    Path("raw.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    Path("recipe.yaml").write_text("steps: [{near-dup: {of: response, keep: first}, side: rejected}]")
    assert curate.filter("raw.jsonl", recipe="recipe.yaml").dropped["row"].to_list() == list(range(1, 30))


@pytest.mark.parametrize(
    ("options", "message"),
    [({"similarity": 0.1}, "similarity must lie between"), ({"keep": "longst"}, "keep is 'longst'")],
)
def test_a_parameter_that_can_not_be_is_refused(here: Path, options: dict[str, Any], message: str) -> None:
    write(Path("raw.jsonl"), [("a", "b")])
    with pytest.raises(UsageError, match=message):
        near_duplicates("raw.jsonl", **options)


def test_a_chain_of_texts_each_a_little_unlike_the_last_is_thinned_out(here: Path) -> None:
    words = [f"w{k}" for k in range(10_000)]
    write(Path("raw.jsonl"), [(" ".join(words[2 * k : 2 * k + 40]), "") for k in range(4000)])
    found = near_duplicates("raw.jsonl", keep="first")
    sets = [set(pairwise(words[2 * k : 2 * k + 40])) for k in found.kept]
    too_like = sum(len(a & b) / len(a | b) >= THRESHOLD for a, b in pairwise(sets))
    assert too_like <= 0.03 * len(sets)  # at 0.47 the bands find 99 in 100
    assert found.found.largest == 4000
