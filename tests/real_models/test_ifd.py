"""ifd: the losses are those of the model itself, asked one row at a time; what has none is said and never a number."""

import json
import math
from collections.abc import Callable
from functools import cache, partial
from pathlib import Path
from typing import Any

import polars as pl
import pytest

import curate
from curate.likelihood.of_responses import Alone, Framed, frame, likelihoods
from curate.models.likelihood import open_likelihood_model
from curate.pool import read_pool
from curate.working import Working
from tests.conftest import write_rows

ROWS = [
    ("Why is the sky blue?", "Air scatters blue light more than red, so blue reaches us from every side."),
    ("비타민 C는 왜 필요한가요?", "콜라겐을 만들고 철분 흡수를 돕기 때문입니다. 감귤류와 피망에 많습니다."),
    ("Write a haiku about rain.", "Soft rain on the roof,\nthe gutter hums an old song;\nthe cat sleeps through it."),
    ("Name a prime.", "7 is a prime, since only 1 and 7 divide it."),
    ("How do I boil an egg?", "Air scatters blue light more than red, so blue reaches us from every side."),
]
TALK = [
    ("user", "Name a prime."),
    ("assistant", "Seven is a prime number."),
    ("user", "And one that is even?"),
    ("assistant", "Two is the only even prime, since every other even number has two as a divisor."),
]


Directly = Callable[[tuple[tuple[str, str], ...], str, Alone], tuple[float, float, int]]


@pytest.fixture(scope="module")
def directly(network: Any) -> Directly:
    """What `losses_directly` says, computed once."""
    return cache(partial(losses_directly, network))


def losses_directly(
    network: Any, turns: tuple[tuple[str, str], ...], response: str, alone: Alone
) -> tuple[float, float, int]:
    """The mean loss of a response after its turns and alone, by two passes over one row; bare, without its first
    token."""
    import torch

    tokenizer, model = network

    def before(turns: tuple[tuple[str, str], ...]) -> list[int]:
        said = [{"role": role, "content": content} for role, content in turns]
        text = tokenizer.apply_chat_template(said, tokenize=False, add_generation_prompt=True)
        return list(tokenizer(text, add_special_tokens=False)["input_ids"])

    said = tokenizer(response, add_special_tokens=False)["input_ids"]
    bare = alone == "bare"
    losses = []
    for begin in (before(turns), [] if bare else before((("user", ""),))):
        tokens, first = begin + said, len(begin) + bare
        labels = torch.tensor([[-100] * first + tokens[first:]])
        with torch.inference_mode():
            losses.append(float(model(input_ids=torch.tensor([tokens]), labels=labels).loss))
    return losses[0], losses[1], len(said) - bare


def found(rows: list[Any], model: str, here: Path, alone: Alone = "template") -> dict[int, dict[str, Any]]:
    write_rows(here / "raw.jsonl", rows)
    pool = read_pool([here / "raw.jsonl"], here / ".curate")
    frames = pl.concat(likelihoods(pool.batches(("messages",)), model, alone, Working()))
    return {row["row"]: row for row in frames.iter_rows(named=True)}


@pytest.mark.parametrize(
    ("kind", "alone"), [("hf_model", "template"), ("hf_model", "bare"), ("vllm_model", "template")]
)
def test_the_losses_are_those_of_the_model_itself(
    kind: str, alone: Alone, directly: Directly, request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    talk = {"messages": [{"role": role, "content": content} for role, content in TALK]}
    measured = found([*ROWS, talk], request.getfixturevalue(kind), tmp_path, alone)
    for k, (prompt, response) in enumerate(ROWS):
        after, without, tokens = directly((("user", prompt),), response, alone)
        assert measured[k]["tokens"] == tokens and measured[k]["turns"] == 1
        assert measured[k]["loss"] == pytest.approx(after, abs=1e-3)
        assert measured[k]["loss_alone"] == pytest.approx(without, abs=1e-3)
        assert measured[k]["loss_ratio"] == pytest.approx(after / without, abs=1e-3)
        assert measured[k]["perplexity_ratio"] == pytest.approx(math.exp(after - without), abs=1e-3)
        assert measured[k]["gain"] == pytest.approx((without - after) * tokens, abs=1e-3 * tokens)
    turns = [directly(tuple(TALK[:k]), TALK[k][1], alone) for k in (1, 3)]
    ratios = [after / without for after, without, _ in turns]
    row = measured[len(ROWS)]
    assert row["turns"] == 2 and row["tokens"] == sum(tokens for _, _, tokens in turns)
    assert row["loss_ratio"] == pytest.approx(sum(ratios) / 2, abs=1e-3)
    assert row["loss_ratio_min"] == pytest.approx(min(ratios), abs=1e-3)
    assert row["loss"] == pytest.approx(sum(a * n for a, _, n in turns) / row["tokens"], abs=1e-3)


def test_a_tokenizer_that_sets_a_first_token_lets_every_token_of_the_response_count(
    network: Any, hf_model: str
) -> None:
    import torch
    from tokenizers.processors import TemplateProcessing

    tokenizer, model = network
    opened = open_likelihood_model(hf_model)
    begins = [("<|im_start|>", tokenizer.bos_token_id)]
    single = "<|im_start|> $A"
    prompt, response = ROWS[0]
    backend = opened.tokenizer.backend_tokenizer
    processor, backend.post_processor = backend.post_processor, TemplateProcessing(single=single, special_tokens=begins)
    made = frame([{"role": "user", "content": prompt}, {"role": "assistant", "content": response}], opened, "bare")
    backend.post_processor = processor
    assert isinstance(made, Framed)
    said = tokenizer(response, add_special_tokens=False)["input_ids"]
    ((_, (alone,)),) = opened.losses(made.alone)
    labels = torch.tensor([[-100, *said]])
    with torch.inference_mode():
        direct = float(model(input_ids=torch.tensor([[tokenizer.bos_token_id, *said]]), labels=labels).loss)
    assert alone == pytest.approx(direct, abs=1e-3)
    assert made.after[0].spans[0][1] - made.after[0].spans[0][0] == len(said)


def test_a_conversation_is_read_once_and_each_turn_only_after_its_own_context(hf_model: str) -> None:
    opened = open_likelihood_model(hf_model)
    made = frame([{"role": role, "content": content} for role, content in TALK], opened, "bare")
    assert isinstance(made, Framed) and len(made.after) == 1 and len(made.alone) == 2
    shown = [opened.tokenizer.decode(made.after[0].tokens[a - 1 : b]) for a, b in made.after[0].spans]
    assert shown == [TALK[1][1], TALK[3][1]]


def test_what_has_no_likelihood_is_unscored_with_its_cause_or_absent(hf_model: str, tmp_path: Path) -> None:
    rows = [
        {"instruction": "Say nothing.", "output": " \n"},
        {"instruction": "Read this. " + "word " * 9000, "output": "Done, I have read it."},
        {"instruction": "", "output": "An answer to nothing."},
        {"text": "A plain text without a question."},
        {"instruction": "Name a prime.", "output": "Seven is a prime."},
    ]
    measured = found(rows, hf_model, tmp_path)
    problems = [measured[k]["problem"] for k in range(5)]
    assert problems[0] == "there is no response"
    assert problems[1] and problems[1].endswith("tokens are over the model's 8,192")
    assert problems[2:] == [None, None, None]
    assert all(measured[k]["loss_ratio"] is None for k in range(4)) and measured[4]["loss_ratio"] > 0
    (yes,) = found([("Say yes.", "Yes")], hf_model, tmp_path, "bare").values()
    assert yes["problem"].startswith("the response has one token only") and yes["loss"] is None


def test_an_answer_to_another_question_goes_and_the_highest_stay(
    hf_model: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    write_rows(tmp_path / "raw.jsonl", ROWS)
    recipe = tmp_path / "recipe.yaml"
    recipe.write_text(json.dumps({"steps": [{"ifd": {"model": hf_model, "ratio": "loss"}}]}))
    first = curate.filter("raw.jsonl", recipe=recipe)
    assert first.dropped["row"].to_list() == [4]
    assert first.dropped["reason"][0].endswith("1 or more: the instruction does not help")
    again = curate.filter("raw.jsonl", recipe=recipe, keep=2)  # another threshold: nothing is read again
    (step,) = again.summary.by_step
    values = dict(first.ledger.select("row", "value").iter_rows())
    best = sorted((row for row in values if row != 4), key=lambda row: -values[row])[:2]
    assert step.measured == 0 and sorted(again.kept["row"].to_list()) == sorted(best)
    assert "only 2 are kept" in " ".join(again.dropped["reason"].to_list())
    told = json.loads(again.ledger.filter(row=0)["evidence"][0])
    assert told["loss"] > 0 and told["gain"] == pytest.approx((told["loss_alone"] - told["loss"]) * told["tokens"])
