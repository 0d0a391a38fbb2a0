"""A classifier taught by a real model, too small to judge: the mechanics, and that nothing is asked twice."""

import json
import sqlite3
from pathlib import Path

import pytest

from curate.judging import distilling
from curate.judging.scored import score
from tests.conftest import Filtered, write_rows
from tests.lesson_judge import lesson_rows, lesson_score


def _replies(folder: Path) -> int:
    with sqlite3.connect(folder / ".curate" / "replies.sqlite") as cache:
        count = int(cache.execute("SELECT count(*) FROM replies").fetchone()[0])
    cache.close()
    return count


def test_a_real_judge_teaches_and_is_asked_only_about_rows_that_it_does_not_know(
    here: Path, vllm_model: str, filtered: Filtered, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(distilling, "LEAST", 40)  # each row takes a second here
    monkeypatch.setattr(distilling, "LEAST_OF_A_SIDE", 5)
    model, rows = vllm_model, lesson_rows(40, seed=3)
    (here / "short.md").write_text("---\nname: short\nscale: [0, 1]\nkeep: 0.5\n---\nIs it about science?\n")
    write_rows(here / "judged.jsonl", rows)
    assert score("judged.jsonl", model=model, rubric="short.md").scored == 40
    scored = [json.loads(line) for line in (here / "scored.jsonl").read_text().splitlines()]
    scores = [row["_judge"]["score"] for row in scored]
    cut = sorted(scores)[20]  # the small model's scores lie close together
    for row, (_, response) in zip(scored, rows, strict=True):  # and follow no rule that could be learnt
        row["_judge"]["score"] = cut + (0.1 if lesson_score(response) > 2.5 else -0.1)
    write_rows(here / "scored.jsonl", scored)
    card = distilling.distill("scored.jsonl", "taught", cut=cut)
    assert (card.learnt_from + card.held_out.rows, card.judge, card.cut) == (40, model, cut)
    before = _replies(here)
    alone = filtered(rows, {"distilled": {"model": "taught", "judge": model, "sure": 0.5}})
    assert alone.ledger["reason"].str.starts_with("the classifier gives short.md").all()
    by_judge = filtered(None, {"distilled": {"model": "taught", "judge": model, "sure": 1}})
    assert by_judge.ledger["reason"].str.starts_with("the judge gives short.md").all()
    assert by_judge.kept["row"].to_list() == [row for row, said in enumerate(scores) if said >= cut]
    assert _replies(here) == before
    filtered([*rows, *lesson_rows(4, seed=4)], {"distilled": {"model": "taught", "judge": model, "sure": 1}})
    assert _replies(here) == before + 4
