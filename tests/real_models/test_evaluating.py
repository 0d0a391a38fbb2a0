"""`curate eval loss` and `code` with a real model."""

import math
from pathlib import Path
from typing import Any

import pytest

from curate.errors import StoppedError, UsageError
from curate.evaluating.code import evaluate_code
from curate.evaluating.loss import evaluate_loss
from curate.evaluating.problems import load_problems
from tests.conftest import write_rows

ROWS = [
    {"instruction": "Name a prime.", "output": "Seven is a prime number."},
    {"messages": [
        {"role": "user", "content": "소수를 하나 말해 주세요."},
        {"role": "assistant", "content": "7입니다."},
        {"role": "user", "content": "Another?"},
        {"role": "assistant", "content": "11"},
    ]},
]  # fmt: skip


def test_the_loss_is_that_of_transformers_over_the_responses_alone(here: Path, hf_model: str, network: Any) -> None:
    import torch

    write_rows(here / "test.jsonl", [*ROWS, {"instruction": "Why?", "output": ""}])
    found = evaluate_loss(hf_model, ["test.jsonl"])
    tokenizer, model = network
    total, tokens = 0.0, 0
    for row in ROWS:
        turns = row.get("messages") or [
            {"role": "user", "content": row["instruction"]},
            {"role": "assistant", "content": row["output"]},
        ]
        for k, turn in enumerate(turns):
            if turn["role"] != "assistant":
                continue
            before = tokenizer.apply_chat_template(turns[:k], tokenize=False, add_generation_prompt=True)
            begin = tokenizer(before, add_special_tokens=False)["input_ids"]
            said = tokenizer(turn["content"] + "<|im_end|>", add_special_tokens=False)["input_ids"]
            with torch.no_grad():
                logits = model(torch.tensor([begin + said])).logits[0].log_softmax(-1)
            total -= sum(float(logits[len(begin) + n - 1, token]) for n, token in enumerate(said))
            tokens += len(said)
    assert found.tokens == tokens
    assert found.loss.value == pytest.approx(total / tokens, abs=1e-3)
    assert found.perplexity.value == pytest.approx(math.exp(total / tokens), rel=1e-2)
    assert [row.place for row in found.left_out] == ["test.jsonl:3"]


def test_what_can_not_be_read_is_said(here: Path, hf_model: str) -> None:
    write_rows(here / "empty.jsonl", [{"instruction": "Why?", "output": ""}])
    with pytest.raises(StoppedError, match=r"none of 1 rows has a response that can be read: empty\.jsonl:1"):
        evaluate_loss(hf_model, ["empty.jsonl"])
    write_rows(here / "test.jsonl", ROWS)
    with pytest.raises(StoppedError, match="more than max_length 5"):
        evaluate_loss(hf_model, ["test.jsonl"], max_length=5)
    with pytest.raises(UsageError, match="a server can't be relied on"):
        evaluate_loss("http://localhost:1/v1#m", ["test.jsonl"])


def test_a_real_model_writes_programs_that_run(here: Path, hf_model: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("curate.evaluating.code.ANSWER_TOKENS", 48)
    problem = {
        "task_id": "T/0",
        "prompt": 'def first(items):\n    """The first item."""\n',
        "entry_point": "first",
        "test": "def check(candidate):\n    assert candidate([1, 2]) == 1\n",
    }
    write_rows(here / "problems.jsonl", [problem])
    found = evaluate_code(hf_model, load_problems("problems.jsonl"))
    assert found.unanswered == 0
    assert found.passed[1].value in (0.0, 1.0)
