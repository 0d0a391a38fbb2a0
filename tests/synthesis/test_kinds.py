"""What each kind of `curate synth` asks of the model, and what it loses by its own rules."""

import dataclasses
import json
import random
from collections import Counter
from pathlib import Path
from typing import Any

import orjson
import pytest
from aiohttp import web
from chat_server import Server, chat_answer, with_logprobs
from conftest import write_rows
from test_synthesising import WORDS, chance, sentences, writes_textbooks

from curate.errors import InputError, StoppedError, UsageError
from curate.spending import Spending
from curate.synthesis.orders import Order
from curate.synthesis.synthesising import Synthesised, synthesise
from curate.working import Working


def rows(done: Synthesised) -> list[dict[str, Any]]:
    return [orjson.loads(line) for line in done.output.read_bytes().splitlines()]


def reasons(order: Order) -> set[str]:
    lines = (order.home / "attempts.jsonl").read_bytes().splitlines()
    return {attempt["reason"] for attempt in map(orjson.loads, lines)}


def first(order: Order, attempts: int = 40) -> Order:
    """The order, with a budget that is gone after about so many answers of the test's server."""
    return dataclasses.replace(order, working=Working(spending=Spending(max_tokens=8 * attempts)))


@pytest.mark.parametrize("language", ["en", "ko"])
def test_instructions_grow_from_others_and_from_a_users_own_turn(here: Path, server: Server, language: str) -> None:
    korean = language == "ko"

    def asks(body: dict[str, Any]) -> str:
        return sentences(chance(body), 1, korean)[:-1] + ("?" if not korean else "")

    def answer(body: dict[str, Any], _: int) -> Any:
        continued = body.get("continue_final_message")
        shown = body["messages"][-1]["content"].count("\n") > 4  # the prompt with its examples
        return chat_answer(asks(body) if continued or shown else sentences(chance(body), 6, korean))

    server.answer = answer
    done = synthesise(Order("instructions", server.model, language=language), 12)
    assert Counter(row["_synth"]["way"] for row in rows(done)) == {"self-instruct": 6, "magpie": 6}
    begun = [body for body in server.asked if body.get("continue_final_message")]
    assert begun
    assert all(body["messages"][-1]["role"] == "user" and not body["add_generation_prompt"] for body in begun)


def test_an_instruction_in_another_language_is_lost(here: Path, server: Server) -> None:
    server.answer = lambda body, _: chat_answer(sentences(chance(body), 6, korean=True))
    order = first(Order("instructions", server.model))
    with pytest.raises(StoppedError, match="--max-tokens"):
        synthesise(order, 5)
    assert reasons(order) == {"the instruction is in ko, not en"}


def evolving(server: Server, evolved: str, same: str = "different", response: str | None = None) -> Order:
    """A model that evolves every instruction to one text, and judges and answers it so."""

    def answer(body: dict[str, Any], _: int) -> Any:
        text = body["messages"][-1]["content"]
        if text == evolved:
            return chat_answer(sentences(chance(body), 5, korean=False) if response is None else response)
        return chat_answer(same if body["max_tokens"] <= 4 else evolved)

    server.answer = answer
    return Order("evolve", server.model)


@pytest.mark.parametrize(
    ("more", "reason"),
    [
        ({"same": "same"}, "it asks for the same as what it was evolved from"),
        ({"response": "Sorry, I have no way to know that."}, "the answer is a short apology"),
        ({"response": "?!"}, "the answer holds no word"),
        ({"evolved": "Rewritten prompt: name three rivers."}, "it copies 'Rewritten prompt' from the prompt"),
        ({"evolved": "Rivers?"}, "the instruction has 1 words"),
    ],
)
def test_an_evolved_instruction_that_failed_is_eliminated(
    here: Path, server: Server, more: dict[str, Any], reason: str
) -> None:
    order = first(evolving(server, **{"evolved": "Name three rivers that flow north, and say why.", **more}))
    with pytest.raises(StoppedError, match="--max-tokens"):
        synthesise(order, 1)
    found = reasons(order)
    assert found
    assert all(said.startswith(reason) for said in found)


def test_an_evolved_instruction_says_what_it_came_from(here: Path, server: Server) -> None:
    done = synthesise(evolving(server, "Name three rivers that flow north, and say why."), 1)
    (row,) = rows(done)
    assert row["instruction"] == "Name three rivers that flow north, and say why."
    assert row["_synth"]["evolved_from"]


EXERCISE: dict[str, Any] = {
    "signature": "def doubled(values: list[int]) -> list[int]:",
    "docstring": "Every value of a list, doubled, in the same order.\n\n>>> doubled([1, 2])\n[2, 4]",
    "solution": """
def doubled(values: list[int]) -> list[int]:
    found = []
    for place, value in enumerate(values):
        if value == 0 or place < 0:
            found.append(0)
        elif value > 0:
            found.append(2 * value)
        else:
            found.append(-(2 * abs(value)))
    return [value for value in found if value is not None]
""".strip(),
    "tests": ["assert doubled([]) == []", "assert doubled([3]) == [6]", "assert doubled([-1, 0]) == [-2, 0]"],
}


def test_an_exercise_that_fails_is_given_back_once_with_what_was_wrong(here: Path, server: Server) -> None:
    wrong = {**EXERCISE, "solution": EXERCISE["solution"].replace("2 *", "3 *")}
    server.answer = lambda body, _: chat_answer(json.dumps(wrong if len(body["messages"]) == 1 else EXERCISE))
    done = synthesise(Order("exercises", server.model, repair=True), 1)
    (row,) = rows(done)
    assert row["output"] == EXERCISE["solution"]
    assert row["_synth"]["tries"] == 2
    assert "test 2 failed" in server.asked[-1]["messages"][-1]["content"]
    assert "response_format" in server.asked[0] or "guided_json" in server.asked[0]


def test_a_function_under_other_names_is_no_new_exercise(here: Path, server: Server) -> None:
    other = json.loads(json.dumps(EXERCISE).replace("doubled", "twice").replace("value", "number"))
    other["docstring"] = "Two times each of the given numbers.\n\n>>> twice([5])\n[10]"
    server.answer = lambda _, number: chat_answer(json.dumps(other if number % 2 else EXERCISE))
    order = first(Order("exercises", server.model))
    with pytest.raises(StoppedError, match="--max-tokens"):
        synthesise(order, 2)
    assert any(found.startswith("its function is one accepted before under other names") for found in reasons(order))


def test_an_exercise_of_a_benchmark_is_lost(here: Path, server: Server, real_data: Path) -> None:
    from known_exercises import humaneval

    known = next(each for each in humaneval(real_data) if each.name == "has_close_elements")
    given = {name: getattr(known, name) for name in ("signature", "docstring", "solution", "tests")}
    server.answer = lambda *_: chat_answer(json.dumps(given))
    order = first(Order("exercises", server.model), 20)
    with pytest.raises(StoppedError, match="--max-tokens"):
        synthesise(order, 1)
    found = reasons(order)
    assert found
    assert all("humaneval:0" in said for said in found)


def test_what_is_thin_grows_more(here: Path, server: Server) -> None:
    cooking = [(f"How long do I boil {food} in water for supper?", "Ten minutes.") for food in ["rice", "peas", "eggs"]]
    physics = [
        (f"Explain the force of gravity between planet {k} and its moon in orbit.", "It pulls.") for k in range(40)
    ]
    write_rows(here / "curated.jsonl", [*cooking, *physics])
    order = Order("textbook", server.model, like=["curated.jsonl"])
    boiling = [topic.share for topic in order.plan.topics if "boil" in " ".join(topic.examples)]
    assert sum(boiling) / sum(topic.share for topic in order.plan.topics) > 1.5 * len(cooking) / (len(cooking) + 40)


def test_topics_of_a_user_are_what_is_written_about(here: Path, server: Server) -> None:
    (here / "topics.yaml").write_text("바다:\n  - 조수 | tides\n  - 해류\n", encoding="utf-8")
    order = Order("textbook", server.model, topics="topics.yaml", language="ko")
    assert {topic.name for topic in order.plan.topics} == {"바다 > tides", "바다 > 해류"}
    (here / "empty.yaml").write_text("")
    with pytest.raises(InputError, match="names no topic"):
        _ = Order("textbook", server.model, topics="empty.yaml").plan
    with pytest.raises(UsageError, match="give one of them"):
        Order("textbook", server.model, topics="topics.yaml", like=["curated.jsonl"])


def test_a_judge_has_the_last_word_on_what_teaches(here: Path, server: Server) -> None:
    def answer(body: dict[str, Any], number: int) -> Any:
        if body.get("logprobs"):
            return with_logprobs({"4" if "river" in body["messages"][-1]["content"] else "1": -0.01})
        return writes_textbooks(body)

    server.answer = answer
    order = Order("textbook", server.model, judge=server.model)
    done = synthesise(order, 8)
    assert all(row["_synth"]["score"] > 3.5 for row in rows(done))
    assert all("river" in f"{row['instruction']} {row['output']}" for row in rows(done))


def test_a_row_that_means_what_another_does_is_lost(here: Path, server: Server) -> None:
    write_rows(
        here / "curated.jsonl", [(f"Tell me about the {word} of a garden.", "It grows.") for word in WORDS.split()]
    )
    words = sentences(random.Random(0), 18, korean=False).replace(".", "").split()

    def answer(body: dict[str, Any], _: int) -> Any:
        if "## Explanation" not in body["messages"][-1]["content"]:
            return writes_textbooks(body)
        mixed = " ".join(chance(body).sample(words, len(words)))  # the same words, in another order each time
        return chat_answer(f"## Explanation\n{mixed}.\n## Worked example\nSo it is.\n## Questions\n1. Why?\n2. When?")

    server.answer = answer
    order = first(Order("textbook", server.model, like=["curated.jsonl"], embedder="default"), 120)
    with pytest.raises(StoppedError, match="--max-tokens"):
        synthesise(order, 1000)
    assert any(found.startswith("it means what a row accepted before does") for found in reasons(order))


def test_what_a_judge_could_not_be_asked_about_is_lost_as_not_judged(here: Path, server: Server) -> None:
    def answer(body: dict[str, Any], _: int) -> Any:
        if body.get("logprobs"):
            probe = len(body["messages"]) == 1
            return with_logprobs({"1": -0.01}) if probe else web.Response(status=400, text="too long")
        return writes_textbooks(body)

    server.answer = answer
    order = first(Order("textbook", server.model, judge=server.model), 60)
    with pytest.raises(StoppedError, match="--max-tokens"):
        synthesise(order, 1)
    lines = map(orjson.loads, (order.home / "attempts.jsonl").read_bytes().splitlines())
    assert Counter(attempt["stage"] for attempt in lines)["judged"] > 5
