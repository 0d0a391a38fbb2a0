"""The three real backends give the same answers as the model asked directly."""

import json
import math
from pathlib import Path
from typing import Any

import pytest

from curate.judging.judging import Judge, judged
from curate.judging.rubrics import load_rubric
from curate.judging.scoring import LEAST_MASS, plain
from curate.models import Failure, Reply, Request, Turn, ask
from curate.models.in_process import rendered
from curate.pool import ReadOptions, read_pool
from curate.working import Working
from tests.conftest import write_rows

ROWS = [
    ("Why is the sky blue?", "Air scatters blue light more than red, so blue reaches us from every side."),
    ("비타민 C는 왜 필요한가요?", "콜라겐을 만들고 철분 흡수를 돕기 때문입니다. 감귤류와 피망에 많습니다."),
    ("Write a haiku", "buy now"),
    ("Name a prime.", "7 is a prime, since only 1 and 7 divide it."),
    ("광합성이란?", "식물이 빛으로 물과 이산화탄소를 당과 산소로 바꾸는 일입니다."),
]


@pytest.fixture(params=["hf_model", "vllm_model", "vllm_server"], ids=["hf", "vllm", "server"], scope="session")
def model(request: pytest.FixtureRequest, started_server: Any) -> str:
    return str(request.getfixturevalue(request.param))


@pytest.fixture(scope="module")
def directly(network: Any) -> list[tuple[float, float]]:
    """The expected score of each of ROWS and the share of belief on the scale, computed with transformers alone."""
    import torch

    tokenizer, model = network
    rubric = load_rubric("educational-value")
    scores = []
    for prompt, response in ROWS:
        turns = rubric.turns("expected", prompt=prompt, response=response)
        text = rendered(tokenizer, Request(turns=turns, max_tokens=1))
        with torch.inference_mode():
            logits = model(**tokenizer(text, return_tensors="pt", add_special_tokens=False)).logits[0, -1]
        values, tokens = logits.log_softmax(-1).topk(20)
        mass: dict[str, float] = {}
        for value, token in zip(values.tolist(), tokens.tolist(), strict=True):
            label = plain(tokenizer.decode([token]))
            if label in rubric.scale:
                mass[label] = mass.get(label, 0.0) + math.exp(value)
        total = sum(mass.values())
        scores.append((sum(int(label) * p for label, p in mass.items()) / total if total else 0.0, total))
    return scores


def replies(model: str, requests: list[Request], work: Path) -> list[Reply | Failure]:
    found = dict(ask(model, list(enumerate(requests)), work, Working()))
    return [found[k] for k in range(len(requests))]


def test_the_expected_score_is_that_of_the_model_itself(
    model: str, directly: list[tuple[float, float]], tmp_path: Path
) -> None:
    write_rows(tmp_path / "rows.jsonl", ROWS)
    pool = read_pool([tmp_path / "rows.jsonl"], tmp_path / "work", ReadOptions())
    judge = Judge(model, load_rubric("educational-value"), "expected", max_chars=4000, cut=True)
    rows = pool.batches(["prompt", "response", "messages", "chosen", "rejected"])
    verdicts = sorted(judged(rows, judge, tmp_path, Working()))
    assert any(share > LEAST_MASS for _, share in directly)
    for verdict, (expected, share) in zip(verdicts, directly, strict=True):
        if verdict.problem:
            assert "not with a label" in verdict.problem and share < LEAST_MASS + 0.005
        else:
            assert verdict.score == pytest.approx(expected, abs=0.01) and share > LEAST_MASS - 0.005


def test_greedy_answers_are_repeatable_and_counted(model: str, tmp_path: Path) -> None:
    asked = Request(turns=(Turn("user", "Say the word apple."),), max_tokens=6)
    for folder in "ab":  # each with a cache of its own
        (tmp_path / folder).mkdir()
    first, second = (replies(model, [asked], tmp_path / folder) for folder in "ab")
    assert first == second
    (reply,) = first
    assert isinstance(reply, Reply) and reply.text and reply.prompt_tokens > 10 and 1 <= reply.output_tokens <= 6


def test_a_choice_is_held_to(model: str, tmp_path: Path) -> None:
    asked = [Request(turns=(Turn("user", f"How good is {k}?"),), max_tokens=8, choices=("poor", "good")) for k in "ab"]
    assert {reply.text for reply in replies(model, asked, tmp_path) if isinstance(reply, Reply)} <= {"poor", "good"}


def test_a_schema_is_held_to(model: str, tmp_path: Path) -> None:
    fruit = {"type": "object", "properties": {"fruit": {"type": "string", "maxLength": 9}}, "required": ["fruit"]}
    schema = {**fruit, "additionalProperties": False}
    asked = Request(turns=(Turn("user", "Name a fruit as JSON."),), max_tokens=60, schema=schema)
    if model.startswith("hf:"):
        with pytest.raises(Exception, match="can't be held to a schema"):
            replies(model, [asked], tmp_path)
        return
    (reply,) = replies(model, [asked], tmp_path)
    assert isinstance(reply, Reply) and set(json.loads(reply.text)) == {"fruit"}


def test_an_answer_goes_on_from_its_beginning(model: str, tmp_path: Path) -> None:
    asked = Request(turns=(Turn("user", "Count from 1 to 9."),), max_tokens=8, prefill="1, 2, 3,")
    (reply,) = replies(model, [asked], tmp_path)
    assert isinstance(reply, Reply) and reply.text.strip().startswith("4")


def test_a_row_of_200_000_tokens_is_a_failure_with_its_cause(model: str, tmp_path: Path) -> None:
    long = Request(turns=(Turn("user", "word " * 200_000),), max_tokens=1)
    short = Request(turns=(Turn("user", "Hi"),), max_tokens=1)
    failed, answered = replies(model, [long, short], tmp_path)
    assert isinstance(answered, Reply)
    assert isinstance(failed, Failure) and ("over the model's" in failed.cause or "maximum" in failed.cause)
