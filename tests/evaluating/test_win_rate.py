"""`curate eval win-rate`: two models, or files of answers, and a judge that sees every pair in both orders."""

import json
import math
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from chat_server import Server, chat_answer, with_logprobs

from curate.errors import StoppedError, UsageError
from curate.evaluating.win_rate import length_controlled, win_rate
from tests.conftest import write_rows

PROMPTS = [
    {"instruction": f"질문 {k}?", "output": "unread", "category": "셋" if k % 3 == 0 else "other"} for k in range(30)
]


def judge(body: dict[str, Any], _: int) -> dict[str, Any]:
    """Prefers `good` to `poor`; of equals, whichever stands first. A model that is asked a prompt says `good`."""
    pair = re.search(r"(?s)\[first answer: (\w)\](.*)\[second answer: (\w)\](.*)", body["messages"][-1]["content"])
    if not pair:
        return with_logprobs({"good": -0.01})
    if "mumble" in pair[0]:
        return with_logprobs({"Well": -0.01})
    first = 0.1 if "good" in pair[4] and "good" not in pair[2] else 0.9
    return with_logprobs({pair[1]: math.log(first), pair[3]: math.log(1 - first)})


def answers(here: Path, name: str, said: list[str]) -> str:
    write_rows(here / name, [{"instruction": f"질문 {k}?", "output": text} for k, text in enumerate(said)])
    return name


def test_it_counts_wins_ties_and_losses_and_tells_categories_apart(here: Path, server: Server) -> None:
    server.answer = judge
    write_rows(here / "prompts.jsonl", PROMPTS)
    a = answers(here, "a.jsonl", ["good"] * 20 + ["poor"] * 10)
    b = answers(here, "b.jsonl", ["poor"] * 15 + ["good"] * 15)
    found = win_rate(a, b, "prompts.jsonl", judge=server.model)
    assert (found.all.wins.value, found.all.ties.value, found.all.losses.value) == (0.5, 5 / 30, 10 / 30)
    assert found.all.points.value == pytest.approx(0.5 + 2.5 / 30)
    assert found.all.wins.low < 0.5 < found.all.wins.high
    assert found.flipped == 5 / 30
    assert {name: rates.prompts for name, rates in found.categories.items()} == {"other": 20, "셋": 10}
    lines = [json.loads(line) for line in (here / "win_rate.jsonl").read_text().splitlines()]
    assert [line["row"] for line in lines] == list(range(30))
    assert lines[0]["chosen"] == "good"
    asked = len(server.asked)
    assert asked == 56, "30 pairs in both orders, those of equal answers once, and whether there are log-probabilities"
    assert win_rate(a, b, "prompts.jsonl", judge=server.model) == found
    assert len(server.asked) == asked


def test_swapped_models_get_the_opposite(here: Path, server: Server) -> None:
    server.answer = judge
    write_rows(here / "prompts.jsonl", PROMPTS)
    a = answers(here, "a.jsonl", ["good"] * 20 + ["poor"] * 10)
    b = answers(here, "b.jsonl", ["poor and longer"] * 15 + ["good"] * 15)
    one, other = (win_rate(*pair, "prompts.jsonl", judge=server.model).all for pair in ((a, b), (b, a)))
    assert one.wins.value == other.losses.value
    assert one.points.value == pytest.approx(1 - other.points.value)
    assert one.length_controlled.value == pytest.approx(1 - other.length_controlled.value, abs=1e-3)


def test_a_model_answers_the_prompts_and_what_has_no_verdict_is_counted(here: Path, server: Server) -> None:
    server.answer = judge
    write_rows(here / "prompts.jsonl", PROMPTS)
    b = answers(here, "b.jsonl", ["poor"] * 28 + ["mumble", ""])
    found = win_rate(server.model, b, "prompts.jsonl", judge=server.model)
    assert found.all.prompts == 28
    assert found.all.wins.value == 1.0
    assert found.unscored["a model gave no answer"] == 1
    assert sum(found.unscored.values()) == 2


def test_length_is_controlled_for() -> None:
    chance = np.random.default_rng(0)
    longer = chance.normal(0, 100, 2000)
    only_length = (chance.random(2000) < 1 / (1 + np.exp(-longer / 30))).astype(float)
    shifted = longer + 120  # A is mostly longer, and wins by that alone
    preference = (chance.random(2000) < 1 / (1 + np.exp(-shifted / 30))).astype(float)
    assert preference.mean() > 0.8
    assert length_controlled(preference, shifted) == pytest.approx(0.5, abs=0.1)
    assert length_controlled(only_length, longer) == pytest.approx(0.5, abs=0.06)
    better = (chance.random(2000) < 0.8).astype(float)
    assert length_controlled(better, longer) == pytest.approx(0.8, abs=0.03)
    assert length_controlled(np.ones(5), np.zeros(5)) > 0.99


def test_what_can_not_be_is_said(here: Path, server: Server) -> None:
    write_rows(here / "prompts.jsonl", PROMPTS)
    short = answers(here, "short.jsonl", ["good"])
    with pytest.raises(UsageError, match=r"short\.jsonl holds 1 answers, fewer than there are prompts"):
        win_rate(short, short, "prompts.jsonl", judge=server.model)
    with pytest.raises(UsageError, match="names no model"):
        win_rate("nothing", short, "prompts.jsonl", judge=server.model)
    server.answer = lambda body, number: chat_answer("I like both.")
    both = answers(here, "both.jsonl", ["good"] * 30)
    with pytest.raises(StoppedError, match="the judge gave no verdict"):
        win_rate(both, both, "prompts.jsonl", judge=server.model)
