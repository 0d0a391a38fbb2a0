"""Calibrating a real small model: too small to judge, so this shows the mechanics and no agreement."""

import json
from pathlib import Path

import pytest

from curate.judging import agreement, calibrating, labelling
from curate.judging.drawing import draw
from curate.judging.labelling import read_labels, values_of
from tests.conftest import SAMPLE, write_rows


def test_a_real_judge_against_labels(here: Path, hf_model: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(agreement, "RESAMPLES", 50)
    monkeypatch.setattr(labelling, "LEAST", 6)  # each row takes seconds here
    records = [json.loads(line) for line in SAMPLE.read_text().splitlines()[:100]]
    rows = [(record["instruction"], record["output"]) for record in records if record.get("output")][:6]
    write_rows(here / "raw.jsonl", rows)
    write_rows(here / "labels.jsonl", [{"row": n, "label": n % 3} for n in range(6)])
    (here / "short.md").write_text("---\nname: short\nscale: [0, 1, 2]\n---\nHow much does one learn from the row?\n")
    settings = {"mode": "choice", "max_chars": 150}
    drawn = draw("raw.jsonl", model=hf_model, rubric="short.md", labels="labels.jsonl", settings=settings)
    found = calibrating.calibrated(drawn, read_labels(drawn.file, values_of(drawn.rubric)))
    assert (found.mode, found.judged, found.labelled, found.parsed, found.cut) == ("choice", 6, 6, 1.0, 1.0)
    assert set(drawn.rows["score"]) | set(drawn.rows["again"]) <= {0.0, 1.0, 2.0}
    assert sum(found.histogram.values()) == sum(map(sum, found.confusion)) == 6
    assert found.judge_retest is not None
    assert found.judge_retest.rows == 6
    moved = (drawn.rows["score"] - drawn.rows["again"]).abs().mean()
    assert found.judge_retest.apart == pytest.approx(moved)
    assert (here / found.report).exists()
