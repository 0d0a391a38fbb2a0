"""distilled: a classifier decides what it is sure of, only the rest is asked of the judge; every row says who did."""

import json
import re
import shutil
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from aiohttp import web
from chat_server import Server, with_logprobs
from conftest import Command, Filtered, left_behind, write_rows
from lesson_judge import lesson_judge, lesson_rows, lesson_score

import curate
from curate.errors import UsageError
from curate.judging.distilling import distill

ROWS = lesson_rows(150, seed=9)


def taught(folder: Path, output: str, rubric: str = "educational-value", **options: Any) -> Path:
    """A classifier that learnt `lesson_judge` from 600 rows, which are none of ROWS."""
    by = {"rubric": rubric, "language": "en", "model": "hf:known", "unscored": None}
    said = [({"instruction": q, "output": a}, lesson_score(a)) for q, a in lesson_rows(600, seed=1)]
    write_rows(folder / "scored.jsonl", [{**row, "_judge": {**by, "score": score}} for row, score in said])
    distill(folder / "scored.jsonl", folder / output, work_dir=folder / ".curate", **options)
    return folder / output


@pytest.fixture(scope="module")
def edu(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return taught(tmp_path_factory.mktemp("taught"), "edu")


@pytest.fixture
def own(edu: Path, here: Path) -> Path:
    """A classifier that the test may spoil."""
    return Path(shutil.copytree(edu, here / "edu"))


def said_by(result: curate.Result) -> dict[str, list[int]]:
    """Rows by who decided them."""
    found: dict[str, list[int]] = {"classifier": [], "judge": [], "nobody": []}
    for row, verdict, reason in result.ledger.select("row", "verdict", "reason").iter_rows():
        who = "nobody" if verdict == "unscored" else reason.split()[1]
        found[who].append(row)
    return found


def chances(result: curate.Result, who: str) -> list[float]:
    """The chance that the classifier gave, as the reasons tell it."""
    found = [re.search(r"(?:chance of |unsure \()([\d.]+)", reason) for reason in result.ledger["reason"]]
    rows = said_by(result)[who]
    return [float(found[row][1]) for row in rows]  # type: ignore[index]


def questions(server: Server) -> list[str]:
    """What the judge was asked about rows, without the question whether it gives log-probabilities."""
    asked = [body["messages"][-1]["content"] for body in server.asked]
    return [text for text in asked if text != "Answer with 1 alone."]


def test_alone_it_decides_every_row_and_says_by_which_chance(edu: Path, filtered: Filtered) -> None:
    result = filtered(ROWS, {"distilled": {"model": str(edu)}})
    assert len(said_by(result)["classifier"]) == len(ROWS)
    right = [lesson_score(ROWS[row][1]) >= 3 for row in result.kept["row"]]
    assert sum(right) / len(right) > 0.85
    line = result.ledger.row(result.dropped["row"][0], named=True)
    assert re.fullmatch(r"the classifier gives educational-value of 3 or more a chance of 0\.[0-4]\d*", line["reason"])
    assert (line["threshold"], line["margin"]) == (0.5, pytest.approx(line["value"] - 0.5))
    assert result.summary.by_step[0].notes[0] == "150 rows decided by the classifier, 0 by the judge"


def test_only_what_it_is_unsure_of_is_asked_of_the_judge(edu: Path, server: Server, filtered: Filtered) -> None:
    server.answer = lesson_judge
    result = filtered(ROWS, {"distilled": {"model": str(edu), "judge": server.model}})
    said = said_by(result)
    assert len(questions(server)) == len(said["judge"])
    assert 0 < len(said["judge"]) < len(ROWS) / 2
    assert all(0.1 <= chance <= 0.9 for chance in chances(result, "judge"))
    assert all(chance <= 0.1 or chance >= 0.9 for chance in chances(result, "classifier"))
    kept = set(result.kept["row"])
    assert all((lesson_score(ROWS[row][1]) >= 3) == (row in kept) for row in said["judge"])
    reason = result.ledger["reason"][said["judge"][0]]
    assert re.fullmatch(
        r"the judge gives educational-value [\d.]+, (no less|less) than 3; the classifier was unsure \(0\.\d+\)", reason
    )
    decided = f"{len(said['classifier'])} rows decided by the classifier, {len(said['judge'])} by the judge"
    assert result.summary.by_step[0].notes[0] == decided


def test_its_score_ranks_rows_and_is_the_judges_where_that_was_asked(
    edu: Path, server: Server, filtered: Filtered
) -> None:
    server.answer = lambda body, _: with_logprobs({"5": -1e-9})
    step = {"distilled": {"model": str(edu), "judge": server.model, "sure": 0.8}}
    result = filtered(ROWS, step, {"keep-top": {"n": 10, "by": "distilled.score"}})
    ranked = result.ledger.filter(step="keep-top")
    judged = said_by(filtered(None, step))["judge"]
    assert all(ranked.filter(row=row)["value"][0] == pytest.approx(5) for row in judged)


def test_a_surer_bar_asks_only_about_what_is_new(edu: Path, server: Server, filtered: Filtered) -> None:
    server.answer = lesson_judge
    step = {"model": str(edu), "judge": server.model}
    first = filtered(ROWS, {"distilled": {**step, "sure": 0.8}})
    before = questions(server)
    second = filtered(None, {"distilled": {**step, "sure": 0.95}})
    judged = said_by(second)["judge"]
    assert len(judged) > len(before) > 0
    assert len(questions(server)) == len(set(questions(server))) == len(judged)
    third = filtered(None, {"distilled": {**step, "sure": 0.8}})
    assert third.ledger.drop("step").equals(first.ledger.drop("step"))
    assert len(questions(server)) == len(judged)
    everyone = filtered(None, {"distilled": {**step, "sure": 1}})
    assert said_by(everyone)["judge"] == list(range(len(ROWS)))
    assert len(questions(server)) == len(ROWS)


def test_another_judge_or_none_decides_anew(edu: Path, server: Server, filtered: Filtered) -> None:
    server.names = ("kind", "strict")
    server.answer = lambda body, _: with_logprobs({"5" if body["model"] == "kind" else "0": -1e-9})
    kind, strict = (f"http://127.0.0.1:{server.port}/v1#{name}" for name in server.names)
    by_kind = filtered(ROWS, {"distilled": {"model": str(edu), "judge": kind}})
    by_strict = filtered(None, {"distilled": {"model": str(edu), "judge": strict}})
    alone = filtered(None, {"distilled": {"model": str(edu)}})
    judged = said_by(by_kind)["judge"]
    assert judged == said_by(by_strict)["judge"]
    assert set(by_kind.kept["row"]) - set(by_strict.kept["row"]) == set(judged)
    assert said_by(alone)["judge"] == []


def test_a_classifier_that_was_made_anew_decides_anew(edu: Path, own: Path, here: Path, filtered: Filtered) -> None:
    first = filtered(ROWS, {"distilled": {"model": "edu"}})
    taught(here, "edu", cut=1.0)
    second = filtered(None, {"distilled": {"model": "edu"}})
    assert second.summary.kept > first.summary.kept
    assert "educational-value of 1 or more" in second.ledger["reason"][0]


def test_what_the_judge_can_not_score_is_unscored_and_never_a_number(
    edu: Path, server: Server, filtered: Filtered
) -> None:
    server.answer = lambda body, _: with_logprobs({"Well": -0.01})
    step = {"distilled": {"model": str(edu), "judge": server.model}}
    result = filtered(ROWS, step)
    nobody = said_by(result)["nobody"]
    assert len(nobody) == result.summary.unscored == len(questions(server)) > 0
    lines = result.ledger.filter(verdict="unscored")
    assert set(lines["reason"]) == {'the answer began with "Well", not with a label'}
    assert lines["value"].null_count() == len(lines)
    assert set(nobody) <= set(result.kept["row"])
    assert not set(nobody) & set(filtered(None, {**step, "unscored": "drop"}).kept["row"])
    top = filtered(None, step, {"keep-top": {"n": len(ROWS), "by": "distilled.score"}})
    assert not set(nobody) & set(top.kept["row"])


def test_a_request_that_failed_is_made_again_and_only_it(edu: Path, server: Server, filtered: Filtered) -> None:
    def no_theorems(body: dict[str, Any], number: int) -> Any:
        if "theorem" in body["messages"][-1]["content"]:
            return web.Response(status=400, text="no")
        return lesson_judge(body, number)

    server.answer = no_theorems
    step = {"distilled": {"model": str(edu), "judge": server.model}}
    refused = filtered(ROWS, step).summary.unscored
    assert 0 < refused < len(set(questions(server)))
    server.answer = lesson_judge
    server.asked.clear()
    assert filtered(None, step).summary.unscored == 0
    assert len(questions(server)) == refused
    assert all("theorem" in question for question in questions(server))


def test_a_row_without_a_response_is_unscored_and_nobody_is_asked(
    edu: Path, server: Server, filtered: Filtered
) -> None:
    server.answer = lesson_judge
    rows = [{"messages": [{"role": "user", "content": "What is a lemma?"}]}, {"instruction": "q", "output": ""}]
    result = filtered(rows, {"distilled": {"model": str(edu), "judge": server.model}})
    assert result.ledger.row(0, named=True)["reason"] == "there is no response to judge"
    assert said_by(result)["nobody"][0] == 0
    assert all("What is a lemma?" not in question for question in questions(server))


GO = """
import sys, curate
curate.filter("raw.jsonl", recipe="recipe.yaml")
"""


def test_killed_while_the_judge_answers_it_goes_on_and_pays_for_nothing_twice(
    edu: Path, here: Path, server: Server, filtered: Filtered
) -> None:
    server.answer = lesson_judge
    whole = filtered(ROWS, {"distilled": {"model": str(edu), "judge": server.model, "sure": 0.95}}, work_dir="other")
    undisturbed = left_behind(whole.run.path, here / "curated.jsonl")
    asked, total = len(server.asked), len(questions(server))
    answered: list[dict[str, Any]] = []

    def ten(body: dict[str, Any], number: int) -> Any:
        if len(answered) == 10:
            return 60.0  # seconds, of which no one sees the end
        answered.append(body)
        return lesson_judge(body, number)

    server.answer = ten
    process = subprocess.Popen([sys.executable, "-c", GO], cwd=here)
    _wait_until(lambda: _replies(here / ".curate" / "replies.sqlite") == 10)
    process.kill()
    process.wait()
    server.answer = lesson_judge
    at = len(server.asked)
    result = curate.filter("raw.jsonl", recipe="recipe.yaml")
    assert not [body for body in server.asked[at:] if body in answered]
    assert len(server.asked) - at == asked - 10
    assert len(said_by(result)["judge"]) == total
    assert left_behind(result.run.path, here / "curated.jsonl") == undisturbed


def _replies(file: Path) -> int:
    if not file.exists():
        return 0
    with sqlite3.connect(f"file:{file}?mode=ro", uri=True) as cache:
        try:
            count = int(cache.execute("SELECT count(*) FROM replies").fetchone()[0])
        except sqlite3.OperationalError:
            count = 0
    cache.close()
    return count


def _wait_until(done: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 120
    while not done():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def edited(folder: Path, **fields: Any) -> None:
    card = json.loads((folder / "card.json").read_text())
    (folder / "card.json").write_text(json.dumps({**card, **fields}))


def cut_short(file: Path) -> None:
    file.write_bytes(file.read_bytes()[:-1000])


AGAIN = "make it anew: curate judge distill SCORES -o FOLDER"
SPOILT: dict[str, tuple[Callable[[Path], Any], str]] = {
    "no folder": (shutil.rmtree, f"edu holds no distilled judge: there is no card.json to read\n{AGAIN}"),
    "no card": (lambda edu: (edu / "card.json").unlink(), f"edu holds no distilled judge.*\n{AGAIN}"),
    "half a card": (lambda edu: cut_short(edu / "card.json"), f"edu holds no distilled judge.*\n{AGAIN}"),
    "a card of less": (lambda edu: (edu / "card.json").write_text('{"format": 1}'), f"edu is damaged: .*\n{AGAIN}"),
    "arrays cut": (
        lambda edu: cut_short(edu / "arrays.npz"),
        f"edu is damaged: arrays.npz is not the one that card.json tells of\n{AGAIN}",
    ),
    "no arrays": (lambda edu: (edu / "arrays.npz").unlink(), f"edu is damaged: .*arrays.npz.*\n{AGAIN}"),
    "another format": (
        lambda edu: edited(edu, format=99),
        rf"edu was made by another version of curate \(format 99, not 1\)\n{AGAIN}",
    ),
    "other measures": (
        lambda edu: edited(edu, versions={"length": 0}),
        rf"edu learnt from length at version 0, which is \d now\n{AGAIN}",
    ),
    "words cut": (
        lambda edu: cut_short(edu / "words.npz"),
        f"edu needs its embedder: .*words.npz holds no .*\n{AGAIN}",
    ),
    "other words": (
        lambda edu: turn_around(edu / "words.npz"),
        "edu was made with another embedder than default is now\nbring back the default that it was made with",
    ),
    "words gone": (
        lambda edu: (edu / "words.npz").unlink(),
        f"edu needs its embedder: .*words.npz holds no .*\n{AGAIN}",
    ),
}


def turn_around(file: Path) -> None:
    with np.load(file) as saved:
        version, table = saved["version"], saved["table"]
    np.savez(file, version=version, table=-table)


@pytest.mark.parametrize(("spoil", "said"), SPOILT.values(), ids=SPOILT.keys())
def test_a_spoilt_folder_is_refused_with_a_remedy(
    own: Path, filtered: Filtered, spoil: Callable[[Path], Any], said: str
) -> None:
    spoil(own)
    with pytest.raises(UsageError, match=said):
        filtered(ROWS[:5], {"distilled": {"model": "edu"}})


def test_a_rubric_that_was_changed_since_is_refused_where_the_judge_would_read_it(
    here: Path, server: Server, filtered: Filtered
) -> None:
    server.answer = lesson_judge
    rubric = here / "lesson.md"
    rubric.write_text("---\nname: lesson\nscale: 0-5\nkeep: 3\n---\nHow much of a lesson is it?\n")
    taught(here, "edu", rubric="lesson.md")
    assert said_by(filtered(ROWS, {"distilled": {"model": "edu", "judge": server.model}}))["judge"]
    rubric.write_text(rubric.read_text().replace("lesson is", "laugh is"))
    with pytest.raises(
        UsageError, match=r"edu was taught by another text of lesson.md .*\nbring the old text back, or"
    ):
        filtered(None, {"distilled": {"model": "edu", "judge": server.model}})
    assert filtered(None, {"distilled": {"model": "edu"}}).summary.kept


REFUSED = [
    ({}, r"name the classifier \(--set distilled.model=FOLDER\); curate judge distill makes one"),
    ({"sure": 0.4}, "sure is 0.4; it is a chance from 0.5 to 1"),
    ({"judge": "gpt"}, "gpt"),
]


@pytest.mark.parametrize(("parameters", "said"), REFUSED)
def test_parameters_that_can_not_be(edu: Path, filtered: Filtered, parameters: dict[str, Any], said: str) -> None:
    model = {"model": str(edu)} if parameters else {}
    with pytest.raises(UsageError, match=said):
        filtered(ROWS[:5], {"distilled": {**model, **parameters}})


def test_a_dry_run_tells_what_it_will_take_and_asks_nothing(
    edu: Path, here: Path, server: Server, cli: Command
) -> None:
    write_rows(here / "raw.jsonl", ROWS)
    steps = ["length", {"distilled": {"model": str(edu), "judge": server.model}}]
    (here / "recipe.yaml").write_text(json.dumps({"name": "dry", "steps": steps}))
    said = cli("filter", "raw.jsonl", "--recipe", "recipe.yaml", "--dry-run")
    assert re.search(
        r"distilled: left out of the dry run \(150 rows, about \d\d% of which the classifier decides; "
        r"\d+ rows, about [\d,]+ tokens in and at most \d+ out; the cache has 0% of the replies\)",
        re.sub(r"\s+", " ", said.err),
    )
    assert server.asked == []
    assert not (here / "curated.jsonl").exists()
