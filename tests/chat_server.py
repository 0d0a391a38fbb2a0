"""A server that speaks the chat protocol and does what a test tells it: faults that a real one has only sometimes.

It may also stand before a real one and spoil some of its answers: see tests/real_models/test_faults.py.
"""

import asyncio
import inspect
import json
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import pytest
from aiohttp import web

from curate.models import forget_model

Answer = Callable[[dict[str, Any], int], Any]


def chat_answer(text: str, **more: Any) -> dict[str, Any]:
    choice = {"index": 0, "message": {"role": "assistant", "content": text}, "finish_reason": "stop", **more}
    return {"choices": [choice], "usage": {"prompt_tokens": 7, "completion_tokens": 1}}


def echo(body: dict[str, Any], _: int) -> dict[str, Any]:
    return chat_answer(body["messages"][-1]["content"].upper())


@dataclass
class Server:
    """`answer(body, number)` gives JSON for the number-th request from 1, a web.Response, or seconds to wait first; or
    a coroutine that does."""

    answer: Answer = echo
    names: tuple[str, ...] = ("tiny",)
    asked: list[dict[str, Any]] = field(default_factory=list)
    in_flight: int = 0
    most_in_flight: int = 0
    port: int = 0

    @property
    def model(self) -> str:
        return f"http://127.0.0.1:{self.port}/v1#{self.names[0]}"

    async def complete(self, request: web.Request) -> web.Response:
        self.in_flight += 1
        self.most_in_flight = max(self.most_in_flight, self.in_flight)
        try:
            body = json.loads(await request.read())
            self.asked.append(body)
            given = self.answer(body, len(self.asked))
            if inspect.isawaitable(given):
                given = await given
            if isinstance(given, float):
                await asyncio.sleep(given)
                given = echo(body, 0)
            return given if isinstance(given, web.Response) else web.json_response(given)
        finally:
            self.in_flight -= 1

    async def models(self, _: web.Request) -> web.Response:
        return web.json_response({"data": [{"id": name} for name in self.names]})


@pytest.fixture
def server() -> Iterator[Server]:
    """A server on a free port of this machine, until the test ends."""
    made = Server()
    loop = asyncio.new_event_loop()
    application = web.Application()
    application.add_routes([web.post("/v1/chat/completions", made.complete), web.get("/v1/models", made.models)])
    runner = web.AppRunner(application, shutdown_timeout=0.1)

    async def start() -> None:
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        made.port = site._server.sockets[0].getsockname()[1]  # type: ignore[union-attr]

    loop.run_until_complete(start())
    thread = threading.Thread(target=loop.run_forever, daemon=True)
    thread.start()
    yield made
    forget_model(made.model)
    asyncio.run_coroutine_threadsafe(runner.cleanup(), loop).result(10)
    loop.call_soon_threadsafe(loop.stop)
    thread.join()
    loop.close()


def with_logprobs(likely: dict[str, float]) -> dict[str, Any]:
    """An answer whose first token has these log-probabilities."""
    top = [{"token": token, "logprob": logprob} for token, logprob in likely.items()]
    return chat_answer(top[0]["token"], logprobs={"content": [{**top[0], "top_logprobs": top}]})
