"""Rows through a judge: every row comes out once, with a score or with the reason why it has none."""

import math
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from itertools import takewhile
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from chat_server import Server, chat_answer, with_logprobs

from curate.errors import InterruptedRun, StoppedError
from curate.judging import judging
from curate.judging.judging import Judge, Verdict, has_logprobs, judged
from curate.judging.rubrics import load_rubric
from curate.models import Failure, Reply, Request
from curate.working import Working

TURNS = pl.List(pl.Struct({"role": pl.String, "content": pl.String}))
SCHEMA = {
    "row": pl.UInt64,
    "prompt": pl.String,
    "response": pl.String,
    "messages": TURNS,
    "chosen": TURNS,
    "rejected": TURNS,
}


def log(shares: dict[str, float]) -> dict[str, float]:
    return {token: math.log(share) for token, share in shares.items()}


def frame(*rows: dict[str, Any]) -> pl.DataFrame:
    empty = dict.fromkeys(SCHEMA) | {"prompt": "Why?", "messages": []}
    return pl.DataFrame([{**empty, "row": n, **row} for n, row in enumerate(rows)], schema=SCHEMA)


def answered(text: str) -> dict[str, Any]:
    return {"response": text}


def pair(chosen: str, rejected: str) -> dict[str, Any]:
    sides = {"chosen": chosen, "rejected": rejected}
    return {name: [{"role": "assistant", "content": text}] for name, text in sides.items()}


def judge(model: str = "http://localhost:1/v1#none", rubric: str = "quality", **more: Any) -> Judge:
    return replace(Judge(model, load_rubric(rubric), "expected", max_chars=1000, cut=True), **more)


def verdicts(rows: pl.DataFrame, by: Judge, work: Path) -> list[Verdict]:
    return list(judged(iter([rows]), by, work, Working()))


@pytest.fixture
def ten(here: Path) -> str:
    """A rubric with labels of one and of two tokens."""
    (here / "ten.md").write_text("---\nname: ten\nscale: [1, 2, 10, 20]\n---\nIs it?")
    return "ten.md"


Answer = Callable[[Request, int], Reply | Failure]


@pytest.fixture
def scripted(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Puts in the place of the model what answers the n-th request, from 1; `backwards`: the last of a batch first."""

    def put(answer: Answer, backwards: bool = False) -> None:
        def ask(_: str, requests: Iterable[Any], __: Path, ___: Working) -> Iterator[tuple[Any, Reply | Failure]]:
            source, n = iter(requests), 0
            while some := list(takewhile(lambda item: item is not None, source)):
                for tag, request in reversed(some) if backwards else some:
                    n += 1
                    yield tag, answer(request, n)

        monkeypatch.setattr(judging, "ask", ask)

    return put


def likely(shares: dict[str, float]) -> Reply:
    return Reply("", [log(shares)])


def test_a_row_waits_for_what_follows_the_beginning_of_a_label(server: Server, ten: str, here: Path) -> None:
    def answer(body: dict[str, Any], _: int) -> Any:
        begun = body["messages"][-1]["content"] if body["messages"][-1]["role"] == "assistant" else ""
        return with_logprobs(log({"": {"1": 0.5, "2": 0.5}, "1": {"0": 1.0}, "2": {".": 1.0}}[begun]))

    server.answer = answer
    (verdict,) = verdicts(frame(answered("Because.")), judge(server.model, ten), here)
    assert verdict == Verdict(0, 6.0, 0.0, False, None, None)
    assert len(server.asked) == 3


def test_a_beginning_that_fails_leaves_its_row_unscored_and_no_other(scripted: Any, ten: str, here: Path) -> None:
    def answer(request: Request, _: int) -> Reply | Failure:
        if request.prefill == "1" and "bad" in request.turns[-1].content:
            return Failure("it went away")
        return likely({"0": 1.0} if request.prefill else {"1": 0.5, "2": 0.5})

    scripted(answer)
    found = verdicts(frame(answered("bad"), answered("good")), judge(rubric=ten), here)
    assert sorted(found) == [
        Verdict(0, None, None, False, None, "it went away"),
        Verdict(1, 15.0, 0.0, False, None, None),
    ]


def test_an_answer_after_a_beginning_without_log_probabilities_is_no_score(scripted: Any, ten: str, here: Path) -> None:
    scripted(lambda request, _: Reply("0", None) if request.prefill else likely({"1": 1.0}))
    (verdict,) = verdicts(frame(answered("x")), judge(rubric=ten), here)
    assert (verdict.score, verdict.problem) == (None, "the model gave no log-probabilities: use mode text")


def test_a_failed_request_is_no_score(scripted: Any, here: Path) -> None:
    scripted(lambda _, n: Failure("the server refuses the request (400)") if n == 2 else likely({"6": 1.0}))
    found = verdicts(frame(answered("good"), answered("bad"), answered("fair")), judge(), here)
    assert [(v.score, v.problem) for v in found] == [
        (6.0, None),
        (None, "the server refuses the request (400)"),
        (6.0, None),
    ]


@pytest.mark.parametrize("backwards", [False, True])
@pytest.mark.parametrize("failing", [1, 2])
def test_a_pair_of_which_one_order_fails_is_one_unscored_row(
    failing: int, backwards: bool, scripted: Any, here: Path
) -> None:
    scripted(lambda _, n: Failure("gone") if n == failing else likely({"A": 1.0}), backwards)
    found = verdicts(frame(pair("blue", "red"), pair("up", "down")), judge(rubric="better-answer"), here)
    assert sorted(v.row for v in found) == [0, 1]
    assert [v for v in found if v.problem] == [Verdict(int(backwards), None, None, False, None, "gone")]


def test_a_pair_is_judged_in_both_orders(server: Server, here: Path) -> None:
    def answer(body: dict[str, Any], _: int) -> Any:
        text = body["messages"][-1]["content"]
        return with_logprobs(
            log({"A": 0.8, "B": 0.2} if text.index("blue") < text.index("red") else {"A": 0.3, "B": 0.7})
        )

    server.answer = answer
    by = judge(server.model, "better-answer")
    (likes,) = verdicts(frame(pair("blue", "red")), by, here)
    assert likes == Verdict(0, pytest.approx(0.75), pytest.approx(0, abs=1e-9), False, False, None, pytest.approx(0.55))  # type: ignore[arg-type]
    (dislikes,) = verdicts(frame(pair("red", "blue")), by, here)
    assert (dislikes.score, dislikes.flipped) == (pytest.approx(0.25), False)


def test_a_judge_that_always_likes_the_first_is_flipped_and_says_nothing(server: Server, here: Path) -> None:
    server.answer = lambda body, _: with_logprobs(log({"A": 0.9, "B": 0.1}))
    (verdict,) = verdicts(frame(pair("blue", "red")), judge(server.model, "better-answer"), here)
    assert (verdict.score, verdict.flipped) == (pytest.approx(0.5), True)


@pytest.mark.parametrize("scale", ["[X, Y]", "{X: 1, Y: 0}", "{X: 0, Y: 10}"])
def test_the_first_label_of_a_pair_is_the_first_answer_whatever_its_value(
    scale: str, server: Server, here: Path
) -> None:
    (here / "mine.md").write_text(f"---\nname: mine\nscale: {scale}\npairwise: true\n---\nWhich?")

    def answer(body: dict[str, Any], _: int) -> Any:
        text = body["messages"][-1]["content"]
        return chat_answer("X" if text.index("blue") < text.index("red") else "Y")

    server.answer = answer
    (verdict,) = verdicts(frame(pair("blue", "red")), judge(server.model, "mine.md", mode="choice"), here)
    assert (verdict.score, verdict.flipped) == (1.0, False)


def test_rows_that_can_not_be_judged_are_said_and_cost_nothing(server: Server, here: Path) -> None:
    rows = frame({"response": None}, answered("x" * 2000), {"chosen": [], "rejected": None})
    found = verdicts(rows, judge(server.model, cut=False), here)
    assert [v.problem for v in found] == [
        "there is no response to judge",
        "longer than the 1,000 characters that max_chars allows",
        "there is no response to judge",
    ]
    (unpaired,) = verdicts(frame(answered("x")), judge(server.model, "better-answer"), here)
    assert unpaired.problem == "a pairwise rubric needs a chosen and a rejected answer"
    assert server.asked == []


def test_a_conversation_is_shown_with_its_turns_and_judged_by_its_last_answer(server: Server, here: Path) -> None:
    turns = [
        ("system", "Be brief."),
        ("user", "Name a prime."),
        ("assistant", "7"),
        ("user", "Another?"),
        ("assistant", "11"),
    ]
    messages = [{"role": role, "content": content} for role, content in turns]
    server.answer = lambda body, _: with_logprobs(log({"6": 1.0}))
    verdicts(frame({"prompt": "Name a prime.", "response": "11", "messages": messages}), judge(server.model), here)
    shown = server.asked[0]["messages"][-1]["content"]
    mark = shown.split()[1]
    conversation = "<system>\nBe brief.\n\n<user>\nName a prime.\n\n<assistant>\n7\n\n<user>\nAnother?"
    assert f"[prompt] {mark}\n{conversation}\n\n[response] {mark}\n11\n" in shown


def test_long_texts_give_way_to_short_ones(server: Server, here: Path) -> None:
    server.answer = lambda body, _: with_logprobs(log({"6": 1.0}))
    row = {"prompt": "Why is the sky blue?", "response": "begin" + "x" * 5000 + "end"}
    (verdict,) = verdicts(frame(row), judge(server.model, max_chars=100), here)
    shown = server.asked[0]["messages"][-1]["content"]
    assert verdict.cut
    assert "Why is the sky blue?" in shown
    assert "\nbegin" + "x" * 35 + "\n[... 4,928 characters left out here ...]\n" + "x" * 37 + "end\n" in shown


# whether a model gives log-probabilities


def test_a_model_that_refuses_log_probabilities_but_answers_has_none(scripted: Any, here: Path) -> None:
    scripted(lambda request, _: Failure("no logprobs here") if request.top_logprobs else Reply("1"))
    assert not has_logprobs("http://localhost:1/v1#none", here, Working())


def test_a_model_that_answers_nothing_does_not_choose_the_mode(scripted: Any, here: Path) -> None:
    scripted(lambda *_: Failure("it is on fire"))
    with pytest.raises(StoppedError, match="does not answer: it is on fire"):
        has_logprobs("http://localhost:1/v1#none", here, Working())


def test_a_person_who_stopped_is_not_told_of_a_model_that_does_not_answer(server: Server, here: Path) -> None:
    working = Working()
    working.stop.set()
    with pytest.raises(InterruptedRun):
        has_logprobs(server.model, here, working)
