"""A real vLLM server behind a proxy that spoils some of its answers: nothing is lost, nothing scored by accident."""

import asyncio
import json
import os
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import aiohttp
import polars as pl
import pytest
from aiohttp import web

import curate
from curate.errors import StoppedError, UsageError
from curate.models import server as http_model
from tests.chat_server import Server, server  # noqa: F401  the fixture
from tests.conftest import write_rows

ROWS = [
    (f"What is {a} times {b}?", f"{a} times {b} is {a * b}: {b} added up {a} times.")
    for a, b in [(3, 4), (6, 7), (8, 9), (5, 12), (2, 31), (11, 11), (7, 13), (4, 25)]
] + [
    ("비타민 C는 왜 필요한가요?", "콜라겐을 만들고 철분 흡수를 돕기 때문입니다."),
    ("광합성이란?", "식물이 빛으로 물과 이산화탄소를 당과 산소로 바꾸는 일입니다."),
]

Spoil = Callable[[dict[str, Any], int], Any]
"""Of the number-th request: None, to let it through; what is to be awaited first; or what to make of its answer."""


@pytest.fixture
def proxy(server: Server, vllm_server: str, monkeypatch: pytest.MonkeyPatch) -> Callable[[Spoil], str]:  # noqa: F811
    """Stands before the real server, under its name."""
    monkeypatch.setattr(http_model, "FIRST_WAIT", 0.05)
    url, _, name = vllm_server.partition("#")

    async def forward(body: dict[str, Any]) -> web.Response:
        async with aiohttp.ClientSession() as session, session.post(f"{url}/chat/completions", json=body) as answer:
            return web.Response(body=await answer.read(), status=answer.status, content_type="application/json")

    def spoiled(spoil: Spoil) -> str:
        async def answer(body: dict[str, Any], number: int) -> Any:
            given = spoil(body, number)
            if isinstance(given, Awaitable):
                await given
                given = None
            answered = await forward(body)
            return given(answered) if given else answered

        server.answer, server.names = answer, (name,)
        return server.model

    return spoiled


def prepare(model: str, here: Path) -> None:
    """ROWS, and a recipe by which the model scores them and all are kept."""
    write_rows(here / "raw.jsonl", ROWS)
    (here / "recipe.yaml").write_text(json.dumps({"steps": [{"judge": {"model": model, "at_least": 0}}]}))


def scores(model: str, here: Path) -> pl.DataFrame:
    """`row`, `score` and `problem` of ROWS by a model."""
    prepare(model, here)
    result = curate.filter(here / "raw.jsonl", here / "out.jsonl", recipe=here / "recipe.yaml", work_dir=here / "work")
    return result.ledger.select("row", score="value", problem="reason").sort("row")


FILTER = ("filter", "raw.jsonl", "--recipe", "recipe.yaml", "--work-dir", "work")


def curate_process(here: Path, *arguments: str) -> "subprocess.Popen[bytes]":
    command = [sys.executable, "-c", "from curate.cli import main; main()", *arguments]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    return subprocess.Popen(command, cwd=here, env=environment, stderr=subprocess.DEVNULL)


@pytest.fixture(scope="module")
def unspoiled(vllm_server: str, tmp_path_factory: pytest.TempPathFactory) -> pl.DataFrame:
    """What the server itself says."""
    found = scores(vllm_server, tmp_path_factory.mktemp("unspoiled"))
    assert found["score"].null_count() < len(ROWS) / 2
    return found


def instead(**answer: Any) -> Callable[[web.Response], web.Response]:
    return lambda _: web.Response(**answer)


def half(answer: web.Response) -> web.Response:
    assert isinstance(answer.body, bytes)
    return web.Response(body=answer.body[: len(answer.body) // 2], content_type="application/json")


def twice_the_choices(answer: web.Response) -> web.Response:
    assert isinstance(answer.body, bytes)
    body = json.loads(answer.body)
    return web.json_response({**body, "choices": body["choices"] * 2})


def without_logprobs(answer: web.Response) -> web.Response:
    assert isinstance(answer.body, bytes)
    body = json.loads(answer.body)
    for choice in body["choices"]:
        choice["logprobs"] = None
    return web.json_response(body)


def same(found: pl.DataFrame, expected: pl.DataFrame) -> bool:
    """Whether the same rows have scores, and these agree: of a batch of another size the last digits differ."""
    return (
        found["row"].equals(expected["row"])
        and found["problem"].is_null().equals(expected["problem"].is_null())
        and bool(((found["score"] - expected["score"]).abs().fill_null(0) < 0.02).all())
    )


@pytest.mark.parametrize(
    "third",
    [
        pytest.param(instead(status=500, text="<html>Internal Server Error</html>"), id="500"),
        pytest.param(instead(text="<html>a login page</html>", content_type="text/html"), id="HTML"),
        pytest.param(instead(body=bytes([255, 0, 7])), id="garbage"),
        pytest.param(half, id="half a JSON"),
        pytest.param(twice_the_choices, id="another number of choices"),
        pytest.param(None, id="10 times slower"),
    ],
)
def test_a_passing_fault_changes_no_score(
    third: Any, proxy: Callable[[Spoil], str], unspoiled: pl.DataFrame, tmp_path: Path
) -> None:
    model = proxy(lambda _, number: (third or asyncio.sleep(1.0)) if number % 3 == 0 else None)
    assert same(scores(model, tmp_path), unspoiled)


def test_a_server_that_is_too_busy_for_a_while_is_waited_for(
    proxy: Callable[[Spoil], str], unspoiled: pl.DataFrame, tmp_path: Path
) -> None:
    began: list[float] = []

    def busy(_: Any, number: int) -> Any:
        if number == 1:
            return None
        began.append(time.monotonic())
        return instead(status=429, headers={"Retry-After": "1"}) if began[-1] - began[0] < 4 else None

    assert same(scores(proxy(busy), tmp_path), unspoiled)
    assert began[-1] - began[0] > 4


def test_answers_without_log_probabilities_are_no_scores(proxy: Callable[[Spoil], str], tmp_path: Path) -> None:
    found = scores(proxy(lambda _, number: without_logprobs if number > 1 else None), tmp_path)
    assert found["score"].null_count() == len(ROWS)
    assert found["problem"].str.contains("the server sent no log-probabilities").all()


def test_a_wrong_name_is_answered_with_what_the_server_has(vllm_server: str, tmp_path: Path) -> None:
    with pytest.raises(UsageError) as wrong:
        scores(vllm_server.replace("#small", "#smal"), tmp_path)
    assert "has no model smal" in wrong.value.message and "small" in str(wrong.value.remedy)


def test_a_server_that_dies_in_the_middle_stops_the_run_and_the_next_pays_only_for_the_rest(
    proxy: Callable[[Spoil], str],
    server: Server,  # noqa: F811
    unspoiled: pl.DataFrame,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(http_model, "PATIENCE", 2.0)

    async def dead() -> Any:
        raise ConnectionResetError

    with pytest.raises(StoppedError, match="has given no good answer for 2 s"):
        scores(proxy(lambda _, number: dead() if number > 5 else None), tmp_path)
    answered = 5
    server.asked.clear()
    assert same(scores(proxy(lambda *_: None), tmp_path), unspoiled)
    assert len(server.asked) == len(ROWS) + 1 - answered


def test_a_run_that_is_killed_goes_on_without_asking_anything_again(
    proxy: Callable[[Spoil], str],
    server: Server,  # noqa: F811
    unspoiled: pl.DataFrame,
    tmp_path: Path,
) -> None:
    model = proxy(lambda *_: asyncio.sleep(0.5))
    prepare(model, tmp_path)
    process = curate_process(tmp_path, *FILTER)
    deadline = time.monotonic() + 60
    while len(server.asked) < 6 and time.monotonic() < deadline:
        time.sleep(0.02)
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    kept = _kept(tmp_path / "work")
    asked = len(server.asked)
    assert same(scores(model, tmp_path), unspoiled)
    assert len(server.asked) - asked == len(ROWS) + 1 - kept


def _kept(work: Path) -> int:
    """Replies in the cache of a run that was killed."""
    with sqlite3.connect(work / "replies.sqlite") as cache:
        (count,) = cache.execute("SELECT count(*) FROM replies").fetchone()
    return int(count)


def test_two_runs_at_once_share_the_cache(
    proxy: Callable[[Spoil], str], unspoiled: pl.DataFrame, tmp_path: Path
) -> None:
    prepare(proxy(lambda *_: None), tmp_path)
    both = [curate_process(tmp_path, *FILTER, "--seed", str(n), "-o", f"out{n}.jsonl") for n in (1, 2)]
    assert [process.wait() for process in both] == [0, 0]
    assert (tmp_path / "out1.jsonl").read_bytes() == (tmp_path / "out2.jsonl").read_bytes()
    assert _kept(tmp_path / "work") == len(ROWS) + 1
