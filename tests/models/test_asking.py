"""Asking models: nothing is paid for twice, nothing is lost, what can't be had is said."""

import os
import re
import signal
import sqlite3
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from chat_server import Server, chat_answer

from curate import processes
from curate.errors import StoppedError, UsageError
from curate.models import Failure, Reply, Request, Turn, ask, asking, forget_model
from curate.models import server as server_module
from curate.models.replies import Replies, open_replies
from curate.spending import Spending
from curate.working import Working


@pytest.fixture
def work(tmp_path: Path) -> Path:
    """An empty work directory."""
    return tmp_path


@pytest.fixture
def working() -> Working:
    return Working()


def request(text: str, **more: Any) -> Request:
    return Request(turns=(Turn("user", text),), **{"max_tokens": 4, **more})


def asked(server: Server, texts: list[str], work: Path, working: Working, **more: Any) -> dict[str, Reply | Failure]:
    return dict(ask(server.model, [(text, request(text, **more)) for text in texts], work, working))


def test_each_reply_comes_under_its_tag(server: Server, work: Path, working: Working) -> None:
    texts = [f"wort {k}" for k in range(300)]
    replies = asked(server, texts, work, working)
    assert {tag: reply.text for tag, reply in replies.items() if isinstance(reply, Reply)} == {
        text: text.upper() for text in texts
    }
    assert (working.spending.answered, working.spending.prompt_tokens, working.spending.output_tokens) == (
        300,
        2100,
        300,
    )


def test_a_second_run_asks_nothing(server: Server, work: Path, working: Working) -> None:
    asked(server, ["a", "b"], work, working)
    assert asked(server, ["b", "a", "c"], work, working)["b"] == Reply("B", None, 7, 1)
    assert [body["messages"][0]["content"] for body in server.asked].count("b") == 1
    assert working.spending.cached == 2


def test_equal_requests_in_flight_are_asked_once(server: Server, work: Path, working: Working) -> None:
    server.answer = lambda body, _: 0.2
    replies = list(ask(server.model, [(k, request("same")) for k in range(50)], work, working))
    assert sorted(tag for tag, _ in replies) == list(range(50))
    assert len(server.asked) == 1


@pytest.mark.parametrize("changed", [{"max_tokens": 5}, {"temperature": 0.5}, {"top_logprobs": 3}, {"prefill": "x"}])
def test_other_sampling_is_another_request(
    changed: dict[str, Any], server: Server, work: Path, working: Working
) -> None:
    token = {"token": "A", "logprob": -0.1, "top_logprobs": [{"token": "A", "logprob": -0.1}]}
    server.answer = lambda body, _: chat_answer("A", logprobs={"content": [token]})
    asked(server, ["a"], work, working)
    asked(server, ["a"], work, working, **changed)
    assert len(server.asked) == 2


def test_a_model_is_opened_only_by_what_the_cache_lacks(server: Server, work: Path, working: Working) -> None:
    asked(server, ["a"], work, working)
    forget_model(server.model)
    elsewhere = server.model.replace(f":{server.port}", ":1")  # nobody listens there, and the name is the same
    assert dict(ask(elsewhere, [("a", request("a"))], work, working)) == {"a": Reply("A", None, 7, 1)}
    with pytest.raises(UsageError, match=r"no server answers at http://127\.0\.0\.1:1/v1"):
        dict(ask(elsewhere, [("b", request("b"))], work, working))


def test_a_wrong_name_lists_what_the_server_has(server: Server, work: Path, working: Working) -> None:
    server.names = ("qwen", "llama")
    wrong = f"http://127.0.0.1:{server.port}/v1#qwem"
    with pytest.raises(UsageError, match=r"has no model qwem\ndid you mean qwen\? Known: llama, qwen"):
        dict(ask(wrong, [("a", request("a"))], work, working))


@pytest.mark.parametrize("model", ["", "gpt-4", "vllm:", "ftp://x"])
def test_what_names_no_model_is_told_the_three_ways(model: str, work: Path, working: Working) -> None:
    with pytest.raises(UsageError, match="three ways to name one"):
        list(ask(model, [], work, working))


def test_passing_faults_are_asked_again(server: Server, work: Path, working: Working, monkeypatch: Any) -> None:
    monkeypatch.setattr(server_module, "FIRST_WAIT", 0.01)
    faults = [429, 500, 502, 503]
    server.answer = lambda body, n: web.Response(status=faults[n - 1]) if n <= len(faults) else chat_answer("ok")
    assert asked(server, ["a"], work, working) == {"a": Reply("ok", None, 7, 1)}
    assert len(server.asked) == 5


def test_retry_after_is_honoured(server: Server, work: Path, working: Working) -> None:
    refused = web.Response(status=429, headers={"Retry-After": "0.6"})
    server.answer = lambda body, n: refused if n == 1 else chat_answer("ok")
    began = time.monotonic()
    assert asked(server, ["a"], work, working)["a"] == Reply("ok", None, 7, 1)
    assert 0.6 <= time.monotonic() - began < 5


def test_a_refusal_is_final_and_never_cached(server: Server, work: Path, working: Working) -> None:
    said = '{"error": {"message": "This model\'s maximum context length is 2048 tokens"}}'
    server.answer = lambda body, n: web.Response(status=400, text=said) if n == 1 else chat_answer("ok")
    assert asked(server, ["a"], work, working) == {
        "a": Failure("the server refuses the request (400): This model's maximum context length is 2048 tokens")
    }
    assert asked(server, ["a"], work, working) == {"a": Reply("ok", None, 7, 1)}


GARBLED = {
    "HTML": "<html><body>502 Bad Gateway</body></html>",
    "half of it": '{"choices": [{"message": {"content": "4"',
    "no choice": '{"choices": []}',
    "two choices": '{"choices": [{"message": {"content": "4"}}, {"message": {"content": "5"}}]}',
    "no text": '{"choices": [{"message": {"content": null}}]}',
    "a list": "[1, 2]",
}


@pytest.mark.parametrize("body", GARBLED.values(), ids=GARBLED)
def test_garbled_answers_are_no_replies(
    body: str, server: Server, work: Path, working: Working, monkeypatch: Any
) -> None:
    monkeypatch.setattr(server_module, "FIRST_WAIT", 0.01)
    server.answer = lambda sent, n: web.Response(text=body) if "bad" in str(sent) else chat_answer("ok")
    replies = asked(server, ["bad", "good"], work, working)
    assert replies["good"] == Reply("ok", None, 7, 1)
    assert isinstance(replies["bad"], Failure)
    assert re.fullmatch(rf"the server sent not an answer \(.+\): {re.escape(body)}", replies["bad"].cause)
    assert len(server.asked) == 1 + server_module.GARBLED


def test_log_probabilities_that_are_not_there_are_said(server: Server, work: Path, working: Working) -> None:
    reply = asked(server, ["a"], work, working, top_logprobs=5)["a"]
    assert isinstance(reply, Failure) and reply.cause.startswith("the server sent no log-probabilities")


FOUR = chat_answer(
    "4", logprobs={"content": [{"token": "4", "logprob": -0.1, "top_logprobs": [{"token": "4", "logprob": -0.1}]}]}
)


@pytest.mark.parametrize(
    ("places", "cause"),
    [
        ("[]", "the server sent no log-probabilities: "),
        ('[{"token": "4", "logprob": 5.0, "top_logprobs": [{"token": "4", "logprob": 5.0}]}]', "a probability of 148"),
        ('[{"token": "4", "logprob": NaN, "top_logprobs": []}]', "the server sent not an answer"),
    ],
)
def test_log_probabilities_that_can_not_be_are_no_reply(
    places: str, cause: str, server: Server, work: Path, working: Working, monkeypatch: Any
) -> None:
    monkeypatch.setattr(server_module, "FIRST_WAIT", 0.01)
    body = f'{{"choices": [{{"message": {{"content": "4"}}, "logprobs": {{"content": {places}}}}}]}}'
    server.answer = lambda sent, n: web.Response(text=body) if "bad" in str(sent) else FOUR
    reply = asked(server, ["bad", "good"], work, working, top_logprobs=5)["bad"]
    assert isinstance(reply, Failure) and cause in reply.cause


def test_requests_in_flight_adapt_to_the_server(server: Server, work: Path, working: Working, monkeypatch: Any) -> None:
    monkeypatch.setattr(server_module, "FIRST_WAIT", 0.02)
    limit = 40

    def answer(body: dict[str, Any], _: int) -> Any:
        return web.Response(status=429) if server.in_flight > limit else 0.01

    server.answer = answer
    texts = [str(k) for k in range(1500)]
    replies = asked(server, texts, work, working)
    assert all(isinstance(reply, Reply) for reply in replies.values())
    assert server.most_in_flight > server_module.FIRST_WINDOW
    refused = len(server.asked) - len(texts)
    assert refused < len(texts) / 4


def test_a_server_that_dies_stops_the_run_and_keeps_what_came(
    server: Server, work: Path, working: Working, monkeypatch: Any
) -> None:
    monkeypatch.setattr(server_module, "PATIENCE", 1.0)
    monkeypatch.setattr(server_module, "FIRST_WAIT", 0.05)
    server.answer = lambda body, n: chat_answer("ok") if n <= 20 else web.Response(status=503, text="gone")
    with pytest.raises(StoppedError, match=r"has given no good answer for 1 s; the last: the server answers 503: gone"):
        asked(server, [str(k) for k in range(100)], work, working)
    server.answer = lambda body, n: chat_answer("ok")
    before = len(server.asked)
    asked(server, [str(k) for k in range(100)], work, working)
    assert len(server.asked) - before == 80


def test_a_server_that_only_fails_is_told_of_while_it_is_waited_for(
    server: Server, work: Path, monkeypatch: Any
) -> None:
    monkeypatch.setattr(server_module, "FIRST_WAIT", 0.05)
    monkeypatch.setattr(server_module, "TOLD_SECONDS", 0.3)
    page = "<html><head><title>x</title></head>\n<body><h1>502 Bad Gateway</h1></body></html>"
    began = time.monotonic()

    def answer(body: dict[str, Any], _: int) -> Any:
        return chat_answer("ok") if time.monotonic() - began > 2 else web.Response(status=502, text=page)

    server.answer = answer
    said: list[str] = []
    assert asked(server, ["a"], work, Working(notice=said.append)) == {"a": Reply("ok", None, 7, 1)}
    url = server.model.partition("#")[0]
    (line,) = said
    assert re.fullmatch(rf"{url} answers 502: 502 Bad Gateway; waiting \(\d s of 300 s\)", line)


def test_a_spent_budget_stops_and_keeps_what_was_answered(server: Server, work: Path) -> None:
    limited = Working(spending=Spending(max_tokens=80))
    with pytest.raises(StoppedError, match="the 80 tokens that --max-tokens allows are used"):
        asked(server, [str(k) for k in range(1000)], work, limited)
    answered = limited.spending.answered
    assert 10 <= answered <= 10 + server_module.FIRST_WINDOW
    again = Working()
    asked(server, [str(k) for k in range(1000)], work, again)
    assert again.spending.cached == answered


def test_prices_count_per_million_tokens(server: Server, work: Path) -> None:
    priced = Working(spending=Spending(budget=1000.0, prices={"tiny": (1.0, 2.0)}))
    asked(server, ["a", "b"], work, priced)
    assert priced.spending.cost == pytest.approx((14 * 1.0 + 2 * 2.0) / 1e6)


def test_a_request_may_depend_on_an_answer(server: Server, work: Path, working: Working) -> None:
    seen: list[str] = []

    def requests() -> Any:
        yield "first", request("first")
        while not seen:
            yield None
        yield "second", request(seen[0])

    for _tag, reply in ask(server.model, requests(), work, working):
        assert isinstance(reply, Reply)
        seen.append(reply.text)
    assert seen == ["FIRST", "FIRST"]


KILLED = """
import sys
from pathlib import Path
from curate.models import Request, Turn, ask
from curate.working import Working

model, work = sys.argv[1:]
requests = ((k, Request(turns=(Turn("user", str(k)),), max_tokens=4)) for k in range(2000))
for k, reply in ask(model, requests, Path(work), Working()):
    print(k, flush=True)
"""


def test_after_kill_9_no_finished_request_is_paid_for_twice(server: Server, work: Path) -> None:
    server.answer = lambda body, _: 0.01
    for _ in range(3):
        run = subprocess.Popen(
            [sys.executable, "-c", KILLED, server.model, str(work)], stdout=subprocess.PIPE, text=True
        )
        assert run.stdout is not None
        for _line in range(200):
            run.stdout.readline()
        os.kill(run.pid, signal.SIGKILL)
        run.wait()
        run.stdout.close()
        kept = sqlite3.connect(work / "replies.sqlite").execute("SELECT count(*) FROM replies").fetchone()[0]
        assert kept >= 200
    asked(server, [str(k) for k in range(2000)], work, Working())
    lost = len(server.asked) - 2000
    assert lost <= 3 * (server_module.LARGEST_WINDOW + 1), "only what was in flight is asked again"


def two_runs(server: Server, work: Path) -> list["subprocess.Popen[str]"]:
    command = [sys.executable, "-c", KILLED, server.model, str(work)]
    return [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(2)]


def told(run: "subprocess.Popen[str]") -> list[str]:
    """Whose replies a run told of, until its end."""
    assert run.stdout is not None
    with run.stdout:
        lines = run.stdout.read().split()
    assert run.wait(60) == 0
    return lines


def test_two_runs_at_once_ask_each_request_once(server: Server, work: Path) -> None:
    server.answer = lambda body, _: 0.001
    one, other = two_runs(server, work)
    reading = ThreadPoolExecutor().submit(told, one)
    assert sorted(told(other)) == sorted(reading.result()) == sorted(str(k) for k in range(2000))
    assert len(server.asked) == 2000
    assert sqlite3.connect(work / "replies.sqlite").execute("SELECT count(*) FROM claims").fetchone()[0] == 0


def test_of_two_runs_one_is_killed_and_the_other_asks_what_it_left(server: Server, work: Path) -> None:
    server.answer = lambda body, _: 0.05
    one, other = two_runs(server, work)
    assert one.stdout is not None
    with one.stdout:
        for _ in range(100):
            one.stdout.readline()
        one.kill()  # never waited for until the other is done: as a zombie it counts as gone
        assert sorted(told(other)) == sorted(str(k) for k in range(2000))
    one.wait()
    assert 2000 <= len(server.asked) <= 2000 + server_module.LARGEST_WINDOW, "only what was in flight is asked again"


def test_what_another_run_does_not_get_done_is_asked_here_after_a_while(
    server: Server, work: Path, working: Working, monkeypatch: Any
) -> None:
    monkeypatch.setattr(asking, "TOLD_SECONDS", 0.1)
    monkeypatch.setattr(asking, "HANGS_SECONDS", 1.0)
    with subprocess.Popen(["sleep", "60"]) as hanging:
        monkeypatch.setattr(processes.os, "getpid", lambda: hanging.pid)
        with open_replies(work) as replies:
            replies.claim([request("a").key("tiny")])
        monkeypatch.undo()
        monkeypatch.setattr(asking, "TOLD_SECONDS", 0.1)
        monkeypatch.setattr(asking, "HANGS_SECONDS", 1.0)
        said: list[str] = []
        began = time.monotonic()
        assert asked(server, ["a"], work, Working(notice=said.append)) == {"a": Reply("A", None, 7, 1)}
        assert time.monotonic() - began > 1.0
        assert said == [f"waiting for 1 replies that another run asks for (process {hanging.pid})"]
        hanging.kill()


def test_a_cache_cut_short_is_set_aside_and_what_can_be_read_is_saved(server: Server, work: Path) -> None:
    asked(server, [f"{k} {'long ' * 50}" for k in range(1000)], work, Working())
    file = work / "replies.sqlite"
    os.truncate(file, file.stat().st_size // 2)
    said: list[str] = []
    working = Working(notice=said.append)
    asked(server, [f"{k} {'long ' * 50}" for k in range(1000)], work, working)
    assert said[0].startswith("replies.sqlite was damaged: ") and 100 < working.spending.cached < 1000
    assert working.spending.cached + working.spending.answered == 1000
    assert (work / "replies.damaged-0.sqlite").exists()


def test_a_cache_that_is_none_is_set_aside(server: Server, work: Path, working: Working) -> None:
    (work / "replies.sqlite").write_text("this is no database\n" * 50)
    assert asked(server, ["a"], work, working) == {"a": Reply("A", None, 7, 1)}


def test_replies_survive_as_they_were(work: Path) -> None:
    reply = Reply("한국어 \x00 😀", [{"4": -0.25, " 4": -3.5}], 12, 1, "length")
    replies = Replies(work / "replies.sqlite")
    replies.keep("m", [(b"k" * 16, reply)])
    replies.close()
    assert Replies(work / "replies.sqlite").known([b"k" * 16, b"n" * 16]) == {b"k" * 16: reply}
