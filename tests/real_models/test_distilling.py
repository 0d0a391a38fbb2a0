"""A classifier taught by a real model, too small to judge: the mechanics, and that nothing is asked twice."""

import json
import sqlite3
from pathlib import Path

from curate.judging.distilling import distill
from curate.judging.scored import score
from tests.conftest import Filtered, write_rows
from tests.lesson_judge import lesson_rows


def _replies(folder: Path) -> int:
    with sqlite3.connect(folder / ".curate" / "replies.sqlite") as cache:
        count = int(cache.execute("SELECT count(*) FROM replies").fetchone()[0])
    cache.close()
    return count


def test_a_real_judge_is_learnt_and_asked_only_where_the_classifier_is_unsure(
    here: Path, small_model: Path, filtered: Filtered
) -> None:
    rows = lesson_rows(120, seed=3)
    (here / "short.md").write_text("---\nname: short\nscale: [0, 1]\nkeep: 0.5\n---\nIs it about science?\n")
    model = f"hf:{small_model}"
    write_rows(here / "judged.jsonl", rows)
    said = score("judged.jsonl", model=model, rubric="short.md", settings={"max_chars": 200})
    assert said.scored == 120
    scores = sorted(json.loads(line)["_judge"]["score"] for line in Path("scored.jsonl").read_text().splitlines())
    card = distill("scored.jsonl", "taught", cut=scores[60])  # its median: the small model's scores lie close together
    assert card.learnt_from + card.held_out.rows == 120
    assert card.judge == model
    before = _replies(here)
    step = {"distilled": {"model": "taught", "judge": model, "sure": 0.6, "max_chars": 200}}
    result = filtered(rows[:60], step)
    by_judge = result.ledger.filter(result.ledger["reason"].str.starts_with("the judge gives short"))
    assert result.summary.unscored == 0
    assert len(by_judge) < 60
    assert _replies(here) == before  # the same rows, judged before: not one is paid for again
    new = filtered(lesson_rows(20, seed=4), step)
    asked = new.ledger["reason"].str.starts_with("the judge gives short").sum()
    assert _replies(here) == before + asked
