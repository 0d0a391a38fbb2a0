"""`curate synth` with a server that answers as a test says: n accepted rows, reasons for all others, the resume."""

import hashlib
import json
import random
import signal
import subprocess
import sys
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, Literal

import pytest
from aiohttp import web
from chat_server import Server, chat_answer
from conftest import Run

import curate
from curate.errors import StoppedError
from curate.synthesis.orders import Order
from curate.synthesis.synthesising import synthesise
from curate.working import Working

WORDS = "river stone lamp garden winter copper letter window market bridge salt paper forest engine mirror ladder ocean"
KOREAN_WORDS = "강물 돌 등불 마당 겨울 구리 편지 창문 시장 다리 소금 종이 숲 기계 거울 사다리 바다 촛불 항구 천둥"


def chance(body: dict[str, Any]) -> random.Random:
    """The same answer to the same request, as a deterministic model gives."""
    said = json.dumps([body["messages"], body.get("seed")], sort_keys=True)
    return random.Random(hashlib.sha256(said.encode()).digest())


def sentences(luck: random.Random, many: int, korean: bool) -> str:
    words, end = (KOREAN_WORDS.split(), "입니다.") if korean else (WORDS.split(), ".")
    return " ".join(
        " ".join(luck.choices(words, k=7)).capitalize() + f" {luck.randrange(10**6)}" + end for _ in range(many)
    )


def writes_textbooks(body: dict[str, Any], _: int = 0) -> dict[str, Any]:
    """A model that asks and explains, in the language of the prompt; one section in eight lacks its questions."""
    luck, asked = chance(body), body["messages"][-1]["content"]
    korean = "답하세요" in asked
    explain, example, questions = ("설명", "예제", "물음") if korean else ("Explanation", "Worked example", "Questions")
    if f"## {explain}" not in asked:
        words = luck.choices((KOREAN_WORDS if korean else WORDS).split(), k=5)
        wanted = (
            "{} 사이에 무슨 관계가 있는지 알려 주세요."
            if korean
            else "What is the tie between {} and why does it hold?"
        )
        return chat_answer(wanted.format(", ".join(words)))
    section = f"## {explain}\n{sentences(luck, 12, korean)}\n\n## {example}\n{sentences(luck, 6, korean)}\n"
    if luck.random() > 1 / 8:
        asks = ("왜 그런가요?", "그다음은 무엇인가요?") if korean else ("Why is that?", "What follows?")
        section += f"\n## {questions}\n1. {asks[0]}\n2. {asks[1]}\n\n{sentences(luck, 2, korean)}"
    return chat_answer(section)


def rows_of(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def textbook(server: Server, **more: Any) -> Order:
    server.answer = writes_textbooks
    return Order("textbook", server.model, **more)


@pytest.mark.parametrize("language", ["en", "ko"])
def test_n_is_of_accepted_rows(here: Path, server: Server, language: Literal["en", "ko"]) -> None:
    done = synthesise(textbook(server, language=language), 30)
    rows = rows_of(here / "synth.jsonl")
    assert len(rows) == done.accepted == 30
    assert done.attempts > 30
    assert done.reasons["parsed"]
    source = rows[0]["_synth"]
    assert source["prompts"] == ["textbook@1", "section@1"]
    assert source["model"] == "tiny"
    assert {"topic", "seed", "attempt", "skill"} <= set(source)
    topics = Counter(row["_synth"]["topic"] for row in rows)
    assert max(topics.values()) <= 2


def test_every_attempt_is_kept_with_its_reason(here: Path, curate_command: Run, server: Server) -> None:
    server.answer = writes_textbooks
    arguments = ("synth", "--n", "20", "--kind", "textbook", "--model", server.model, "--to", "messages")
    ran = curate_command(*arguments, "--json")
    said = json.loads(ran.stdout)
    attempts = rows_of(here / said["log"])
    assert [attempt["attempt"] for attempt in attempts] == list(range(len(attempts)))
    lost = [attempt for attempt in attempts if attempt["stage"] != "accepted"]
    assert {attempt["reason"] for attempt in lost} == {"the section has no part 'Questions'"}
    assert f"parsed: {len(lost)} lost, most often: the section has no part …" in ran.stderr
    assert all(attempt["replies"] for attempt in attempts)
    page = (here / said["report"]).read_text()
    assert "20 of 20 rows" in page
    assert "the section has no part" in page
    filtered = curate.filter("synth.jsonl").summary
    assert (filtered.rows_in, filtered.rejected) == (20, 0)


def test_a_larger_n_goes_on_and_a_smaller_one_is_its_beginning(here: Path, server: Server) -> None:
    order = textbook(server)
    synthesise(order, 10, "ten.jsonl")
    asked = len(server.asked)
    synthesise(order, 25, "more.jsonl")
    again = len(server.asked)
    synthesise(order, 10, "again.jsonl")
    assert len(server.asked) == again > asked
    ten, more = (here / "ten.jsonl").read_bytes(), (here / "more.jsonl").read_bytes()
    assert more.startswith(ten)
    assert (here / "again.jsonl").read_bytes() == ten


def test_killed_and_resumed_it_asks_nothing_twice_and_writes_the_same(
    here: Path, curate_command: Run, server: Server
) -> None:
    answered: list[str] = []

    def slowly(body: dict[str, Any], number: int) -> Any:
        async def answer() -> web.Response:
            import asyncio

            await asyncio.sleep(0.02)
            answered.append(json.dumps(body, sort_keys=True))
            return web.json_response(writes_textbooks(body))

        return answer()

    server.answer = slowly
    arguments = ["synth", "--n", "60", "--kind", "textbook", "--model", server.model]
    for _ in range(3):
        code = "from curate.cli import main; main()"
        running = subprocess.Popen([sys.executable, "-c", code, *arguments], cwd=here, stderr=subprocess.DEVNULL)
        before = len(answered)
        while len(answered) < before + 25 and running.poll() is None:
            time.sleep(0.01)
        running.send_signal(signal.SIGKILL)
        running.wait()
    server.answer = writes_textbooks
    synthesise(Order("textbook", server.model), 60)
    # a reply that was on its way when the process died is asked for again: at most those in flight at a kill
    assert len(answered) - len(set(answered)) <= 3 * 32
    synthesise(Order("textbook", server.model, work_dir=Path("other")), 60, "undisturbed.jsonl")
    assert (here / "synth.jsonl").read_bytes() == (here / "undisturbed.jsonl").read_bytes()


def test_of_two_at_once_the_second_waits_and_asks_nothing(here: Path, server: Server) -> None:
    asked: list[str] = []
    told: list[str] = []

    def slowly(body: dict[str, Any], _: int) -> Any:
        asked.append(json.dumps(body, sort_keys=True))
        time.sleep(0.005)
        return writes_textbooks(body)

    server.answer = slowly
    working = Working(notice=told.append)
    orders = [Order("textbook", server.model, working=working) for _ in range(2)]
    with ThreadPoolExecutor(2) as both:
        made = [both.submit(synthesise, order, 15, f"{k}.jsonl") for k, order in enumerate(orders)]
    assert [each.result().accepted for each in made] == [15, 15]
    assert "another process writes the same rows: waiting for it" in told
    assert len(asked) == len(set(asked))
    assert (here / "0.jsonl").read_bytes() == (here / "1.jsonl").read_bytes()


def test_the_same_answer_a_thousand_times_stops_with_what_to_change(here: Path, server: Server) -> None:
    fixed = writes_textbooks({"messages": [{"content": "## Explanation"}], "seed": 1})
    order = textbook(server)
    server.answer = lambda body, _: (
        fixed if "## Explanation" in body["messages"][-1]["content"] else chat_answer("Why?")
    )
    with pytest.raises(StoppedError, match="passed the stage 'unique'") as stopped:
        synthesise(order, 1000)
    assert "more --topics" in str(stopped.value.remedy)
    assert len(rows_of(here / "synth.jsonl")) == 1


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        (chat_answer(""), "the answer is empty"),
        (chat_answer("What is", finish_reason="length"), "the answer was cut off after 1 tokens"),
    ],
)
def test_answers_that_are_none_are_counted_and_stop_it(
    here: Path, server: Server, answer: dict[str, Any], reason: str
) -> None:
    order = textbook(server)
    server.answer = lambda *_: answer
    with pytest.raises(StoppedError, match="of the last 500 attempts 0 passed the stage 'parsed'"):
        synthesise(order, 5)
    assert {attempt["reason"] for attempt in rows_of(order.home / "attempts.jsonl")} == {reason}
    assert not (here / "synth.jsonl").exists()


def test_a_budget_of_tokens_ends_it_with_what_was_accepted(here: Path, curate_command: Run, server: Server) -> None:
    server.answer = writes_textbooks
    arguments = ("synth", "--n", "500", "--kind", "textbook", "--model", server.model)
    ran = curate_command(*arguments, "--max-tokens", "800", status=1)
    assert "--max-tokens" in ran.stderr
    assert 0 < len(rows_of(here / "synth.jsonl")) < 100
    curate_command(*arguments[:1], "--n", "40", *arguments[3:])
    assert len(rows_of(here / "synth.jsonl")) == 40


def test_without_a_model_or_a_gpu_the_three_ways_to_go_on_are_told(here: Path, curate_command: Run) -> None:
    ran = curate_command("synth", "--n", "10", status=2)
    assert all(way in ran.stderr for way in ("vllm:", "http://", "hf:", "needs a GPU with 12 GB"))


def test_test_rows_of_a_file_do_not_come(here: Path, server: Server) -> None:
    synthesise(textbook(server), 5)
    exam = rows_of(here / "synth.jsonl")[2]
    (here / "exam.jsonl").write_text(json.dumps({"question": exam["instruction"], "answer": exam["output"]}))
    synthesise(textbook(server, against=["exam.jsonl"]), 5)
    rows = rows_of(here / "synth.jsonl")
    assert len(rows) == 5
    assert exam["output"] not in {row["output"] for row in rows}
