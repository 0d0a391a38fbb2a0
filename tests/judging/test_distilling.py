"""A classifier taught what a judge said: what it learnt is told of rows it never saw, and no pickle is left."""

import json
import random
import re
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from chat_server import Server
from conftest import Command, write_rows
from lesson_judge import lesson_judge, lesson_rows

import curate
from curate.errors import CurateError, StoppedError, UsageError
from curate.judging.distilled import Card, open_classifier
from curate.judging.distilling import distill
from curate.judging.holding_out import groups_of, held_out
from curate.judging.scored import score
from curate.pool import read_pool
from curate.working import Working


def scored(values: list[float], texts: list[str] | None = None, rubric: str = "educational-value") -> None:
    """A file as `curate judge` writes it, of rows with these scores."""
    texts = texts or [f"row {k} says {'lemma' if value > 2.5 else 'sale'}" for k, value in enumerate(values)]
    by = {"rubric": rubric, "language": "en", "model": "hf:known"}
    write_rows(
        Path("scored.jsonl"),
        [
            {"instruction": f"q{k}", "output": text, "_judge": {**by, "score": value, "unscored": None}}
            for k, (text, value) in enumerate(zip(texts, values, strict=True))
        ],
    )


def test_it_learns_what_the_judge_said_and_tells_it_of_rows_it_never_saw(here: Path, server: Server) -> None:
    server.answer = lesson_judge
    write_rows(here / "raw.jsonl", [*lesson_rows(800), {"instruction": "q", "output": "mumble"}])
    score("raw.jsonl", "scored.jsonl", model=server.model)
    asked = len(server.asked)
    card = distill("scored.jsonl", "edu")
    assert len(server.asked) == asked
    assert (card.rubric, card.judge, card.cut, card.embedder, card.unscored) == (
        "educational-value",
        server.model,
        3.0,
        "default",
        1,
    )
    held = card.held_out
    assert card.learnt_from + held.rows == 800
    assert 120 <= held.rows <= 160
    assert held.f1_low <= held.f1 <= held.f1_high
    assert held.f1 > 0.85 > held.f1_of_all
    assert card.cross_validated_f1 > 0.85
    assert held.spearman is not None
    assert held.spearman > 0.8
    assert held.error < 0.8
    assert held.miscalibration < 0.15
    assert [band.sure for band in held.bands] == [0.8, 0.9, 0.95, 0.99]
    saved = [band.saved for band in held.bands]
    assert saved == sorted(saved, reverse=True)
    assert saved[1] > 0.4
    assert all(band.f1 >= held.f1 for band in held.bands)


def test_what_is_written_is_what_was_measured(here: Path, server: Server) -> None:
    server.answer = lesson_judge
    rows = lesson_rows(300)
    write_rows(here / "raw.jsonl", rows)
    score("raw.jsonl", "scored.jsonl", model=server.model)
    card = distill("scored.jsonl", "edu")
    again, classifier = open_classifier("edu")
    assert again == card
    pool = read_pool(["scored.jsonl"], Path(".curate"))
    groups = groups_of(pool, np.arange(300), Working())
    held = np.flatnonzero(held_out(groups, 0))
    said = pl.concat([classifier.said_of(frame) for frame in pool.texts(held, ["prompt", "response"])])
    lines = (here / "scored.jsonl").read_text().splitlines()
    judged = np.array([json.loads(line)["_judge"]["score"] for line in lines])[held]
    assert np.abs(said["score"].to_numpy() - judged).mean() == pytest.approx(card.held_out.error)
    kept, chosen = judged >= 3, said["chance"].to_numpy() >= 0.5
    assert card.held_out.f1 == pytest.approx(2 * (kept & chosen).sum() / (kept.sum() + chosen.sum()))
    assert said["score"].is_between(0, 5).all()
    assert said["chance"].is_between(0, 1).all()


def test_only_plain_arrays_and_json_are_left_and_the_same_scores_leave_the_same(here: Path) -> None:
    scored([1.0, 4.0] * 100)
    for folder in ("one", "two"):
        distill("scored.jsonl", folder)
    assert sorted(file.name for file in (here / "one").iterdir()) == ["arrays.npz", "card.json", "words.npz"]
    for name in ("arrays.npz", "words.npz"):
        with np.load(here / "one" / name, allow_pickle=False) as arrays:
            assert all(arrays[key].dtype.kind in "fiuU" for key in arrays.files)
        assert (here / "one" / name).read_bytes() == (here / "two" / name).read_bytes()
    assert json.loads((here / "one" / "card.json").read_text())["held_out"]["f1"] > 0.9


def test_the_scores_of_a_run_teach_the_same(here: Path, server: Server) -> None:
    server.answer = lesson_judge
    write_rows(here / "raw.jsonl", lesson_rows(200))
    score("raw.jsonl", "scored.jsonl", model=server.model)
    recipe = here / "recipe.yaml"
    recipe.write_text(json.dumps({"name": "r", "steps": [{"judge": {"model": server.model}}]}))
    run = curate.filter("raw.jsonl", recipe=recipe).run.name
    of_run, of_file = distill(run, "run"), distill("scored.jsonl", "file")
    assert of_run.arrays == of_file.arrays
    with pytest.raises(UsageError, match=r"no judge of run .* is called other"):
        distill(run, "run", step="other")


def test_of_a_run_with_two_judges_one_is_named(here: Path, server: Server) -> None:
    server.answer = lesson_judge
    write_rows(here / "raw.jsonl", lesson_rows(150))
    judges = [{"judge": {"model": server.model, "rubric": name, "at_least": 0}, "as": name} for name in RUBRICS]
    (here / "recipe.yaml").write_text(json.dumps({"name": "r", "steps": judges}))
    run = curate.filter("raw.jsonl", recipe=here / "recipe.yaml").run.name
    with pytest.raises(UsageError, match=r"has several judges\n--step one of educational-value, accuracy"):
        distill(run, "edu")
    assert distill(run, "edu", step="accuracy", cut=2.5).rubric == "accuracy"


RUBRICS = ("educational-value", "accuracy")


def reworded(text: str, chance: random.Random) -> str:
    words = text.split(" ")
    words[chance.randrange(len(words))] = "changed"
    return " ".join(words)


def test_near_duplicates_and_rows_of_one_prompt_are_never_on_both_sides(here: Path) -> None:
    chance = random.Random(4)
    made: list[dict[str, Any]] = []
    for k in range(60):
        text = " ".join(f"{chance.choice(LETTERS)}{chance.choice(LETTERS)}{k}" for _ in range(30))
        made += [{"instruction": f"q {k}-{copy}", "output": reworded(text, chance)} for copy in range(3)]
        made += [{"instruction": f"the same {k}?", "output": f"an answer of its own {k} {copy}"} for copy in range(3)]
    write_rows(here / "raw.jsonl", made)
    pool = read_pool(["raw.jsonl"], Path(".curate"))
    groups = groups_of(pool, np.arange(360), Working())
    assert len(set(groups.tolist())) == 120
    for three in groups.reshape(-1, 3):
        assert len(set(three.tolist())) == 1
    held = held_out(groups, 0).reshape(-1, 3)
    assert (held.all(1) == held.any(1)).all()
    assert 0.15 < held.mean() <= 0.2
    assert (held_out(groups, 1).reshape(-1, 3) != held).any()


LETTERS = "abcdefghijklmnopqrstuvwxyz"


def test_what_only_copies_could_know_is_not_credited(here: Path) -> None:
    """Five copies of a row with a score of chance: a split that parted them would find each score on the other side."""
    chance = random.Random(5)
    texts, values = [], []
    for k in range(80):
        text, value = " ".join(f"{chance.choice(LETTERS)}{k}x{n}" for n in range(25)), chance.choice([1.0, 4.0])
        for _ in range(5):
            texts.append(reworded(text, chance))
            values.append(value)
    scored(values, texts)
    card = distill("scored.jsonl", "edu")
    assert card.groups == 80
    assert card.held_out.f1 < 0.8
    assert card.cross_validated_f1 < 0.8
    assert card.held_out.bands[1].saved < 0.3


def test_a_prompt_that_nearly_all_rows_share_ties_none_together(here: Path) -> None:
    write_rows(here / "raw.jsonl", [("Explain.", f"answer {k} {'abcdefgh'[k % 8] * 9} {k * 7919}") for k in range(200)])
    pool = read_pool(["raw.jsonl"], Path(".curate"))
    assert len(set(groups_of(pool, np.arange(200), Working()).tolist())) > 150


def test_a_judge_of_chance_is_not_learnt_and_that_is_said(here: Path, cli: Command) -> None:
    chance = random.Random(6)
    scored(
        [chance.choice([1.0, 4.0]) for _ in range(300)], [" ".join(chance.choices(LETTERS, k=9)) for _ in range(300)]
    )
    said = cli("judge", "distill", "scored.jsonl", "-o", "edu")
    assert "warning: keeping every row does about as well" in said.err


def test_the_card_is_shown_or_printed_as_json(here: Path, cli: Command) -> None:
    scored([1.0, 4.0] * 100)
    said = cli("judge", "distill", "scored.jsonl", "-o", "edu")
    assert "educational-value, kept from 3: learnt from 160 rows" in said.out
    assert "on 40 rows held out" in said.out
    assert re.search(
        r"F1 at the cut +[01]\.\d\d   95 % interval [\d.]+ to [\d.]+; keeping every row: 0\.67\n", said.out
    )
    assert re.search(r"\n +sure +calls saved +F1 with the judge on the rest\n +0\.80 +\d+% +[01]\.\d\d\n", said.out)
    assert "use it as `distilled: {model: edu, judge: MODEL}`" in said.err
    card = json.loads(cli("judge", "distill", "scored.jsonl", "-o", "edu", "--json", "--cut", "2").out)
    assert (card["cut"], card["held_out"]["rows"]) == (2.0, 40)


REFUSED: list[tuple[Any, dict[str, Any], type[CurateError], str]] = [
    (lambda: write_rows(Path("scored.jsonl"), [("q", "a")]), {}, UsageError, "has a field _judge\n`curate judge INPUT"),
    (lambda: scored([1.0, 4.0] * 20), {}, StoppedError, "40 rows have a score .* fewer than 100 teach nothing"),
    (lambda: scored([1.0] * 199 + [4.0]), {}, StoppedError, "1 of 200 rows score 3 or more: both sides must have 20"),
    (lambda: scored([1.0, 4.0] * 100), {"cut": 9}, UsageError, "no cut can be 9 on a scale from 0 to 5"),
    (lambda: scored([1.0, 4.0] * 100), {"cut": 0}, UsageError, "no cut can be 0 on a scale from 0 to 5"),
    (lambda: scored([1.0, 4.0] * 100, rubric="quality"), {}, UsageError, "quality does not say .*\n--cut 3.5"),
    (lambda: scored([0.1, 0.9] * 100, rubric="better-answer"), {}, UsageError, "compares two answers"),
    (lambda: scored([1.0, 4.0] * 100), {"embedder": "nonesuch"}, UsageError, "no embedder is called nonesuch"),
    (lambda: scored([1.0, 4.0] * 100), {"step": "judge"}, UsageError, "is a file, which has no steps"),
    (lambda: None, {}, UsageError, "scored.jsonl is neither a file that `curate judge` wrote nor a run in .curate"),
    (
        lambda: scored([1.0, 4.0] * 100, [" ".join(f"word{n}" for n in range(50))] * 200),
        {},
        StoppedError,
        "are too much alike",
    ),
]


@pytest.mark.parametrize(("make", "options", "error", "said"), REFUSED)
def test_what_can_not_teach_is_refused(
    here: Path, make: Any, options: dict[str, Any], error: type[CurateError], said: str
) -> None:
    make()
    with pytest.raises(error, match=said):
        distill("scored.jsonl", "edu", **options)
    assert not (here / "edu" / "card.json").exists()


def test_scores_of_two_rubrics_are_not_mixed(here: Path) -> None:
    scored([1.0, 4.0] * 60)
    first = (here / "scored.jsonl").read_text()
    scored([1.0, 4.0] * 60, rubric="accuracy")
    (here / "scored.jsonl").write_text(first + (here / "scored.jsonl").read_text())
    with pytest.raises(UsageError, match=r"scores of several rubrics or models \(accuracy, educational-value\)"):
        distill("scored.jsonl", "edu")


def test_scores_off_the_scale_teach_nothing_and_are_told(here: Path) -> None:
    scored([1.0, 4.0] * 100)
    lines = (here / "scored.jsonl").read_text().splitlines()
    for number, text in ((1, "7"), (2, "-0.5")):
        lines[number] = re.sub(r'"score": ?[\d.]+', f'"score":{text}', lines[number])
    (here / "scored.jsonl").write_text("\n".join(lines) + "\n")
    said: list[str] = []
    card = distill("scored.jsonl", "edu", working=Working(notice=said.append))
    assert "2 of 200 scores are not on the scale from 0 to 5: left out" in said
    assert card.learnt_from + card.held_out.rows == 198


def test_a_folder_with_other_things_is_left_alone(here: Path) -> None:
    scored([1.0, 4.0] * 100)
    (here / "edu").mkdir()
    (here / "edu" / "thesis.tex").write_text("years of work")
    with pytest.raises(UsageError, match="holds other things than a distilled judge"):
        distill("scored.jsonl", "edu")
    assert (here / "edu" / "thesis.tex").exists()


def test_another_seed_holds_out_other_rows(here: Path, server: Server) -> None:
    scored([1.0, 4.0] * 100)
    cards: list[Card] = [distill("scored.jsonl", "edu", seed=seed) for seed in (0, 1)]
    assert cards[0].arrays != cards[1].arrays
