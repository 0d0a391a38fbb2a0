"""Any server that speaks the OpenAI chat protocol: `http://localhost:8000/v1#name`, many requests in flight.

How many is found out as TCP does it: more with each answer, half as many when the server says that it is too much. A
request that fails for a passing reason (429, 5xx, a broken connection, no answer in time) is sent again, later and
later; Retry-After is honoured.
"""

import asyncio
import math
import os
import queue
import random
import re
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

import orjson

from curate.errors import StoppedError, UsageError, nearest
from curate.models.requests import Failure, Reply, Request

FIRST_WINDOW, LARGEST_WINDOW = 16, 256
"""Requests in flight at the start, and at most: as many as a vLLM engine takes in one batch by default."""

FIRST_WAIT, LONGEST_WAIT = 0.5, 30.0
"""Seconds before a request is sent again: doubled each time, then a random part of it."""

ATTEMPTS, GARBLED = 8, 3
"""How often a request is sent that fails while others are answered well; one whose answer is no answer."""

PATIENCE = 300.0
"""Seconds of failures without one good answer after which the server counts as gone."""

TOLD_SECONDS, TOLD_AGAIN, TOLD_CHARACTERS = 3.0, 10.0, 160
"""Seconds of failures after which a person is told, and told again at the earliest; how much of the cause."""

MOST_LOGPROB = 0.01
"""A log-probability may be a rounding error above 0, no more."""

ANSWER_SECONDS = 600.0
"""How long one answer may take."""

LOCAL = ("localhost", "127.0.0.1", "::1")
KEY_VARIABLE = "OPENAI_API_KEY"


@dataclass
class Refused(Exception):
    """The server said no; `again`: it may say yes later, after `wait` seconds if it said so."""

    cause: str
    again: bool
    wait: float | None = None
    attempts: int = ATTEMPTS


class ServerModel:
    """A model behind a server. Raises UsageError where none answers, or where it has no model of that name."""

    def __init__(self, url: str, name: str) -> None:
        import aiohttp

        self.url = url.rstrip("/")
        self._aiohttp = aiohttp
        self._answers: queue.SimpleQueue[tuple[int, Reply | Failure]] = queue.SimpleQueue()
        self._in_flight = 0
        self._window, self._comfortable = float(FIRST_WINDOW), float(LARGEST_WINDOW)
        self._shrunk = 0.0
        self._good = time.monotonic()
        self._told = -math.inf
        self._failing: tuple[float, str] | None = None  # since when nothing but failures came, and the last cause
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="server", daemon=True)
        self._thread.start()
        self._session: Any = None
        try:
            self._session = self._wait(self._open_session())
            self.name = self._wait(self._known(name))
        except BaseException:
            self.close()
            raise

    @property
    def room(self) -> int:
        """How many requests may be sent now."""
        return int(self._window) - self._in_flight

    def submit(self, tag: int, request: Request) -> None:
        """Send a request; its answer comes out of `collect` under its tag."""
        self._in_flight += 1
        asyncio.run_coroutine_threadsafe(self._ask(tag, request), self._loop)

    def collect(self, notice: Callable[[str], None]) -> list[tuple[int, Reply | Failure]]:
        """The answers that have come, after a second perhaps none. Raises StoppedError once the server is gone."""
        answers: list[tuple[int, Reply | Failure]] = []
        try:
            answers.append(self._answers.get(timeout=1.0))
        except queue.Empty:
            self._say_failing(notice)
        while not self._answers.empty():
            answers.append(self._answers.get())
        self._in_flight -= len(answers)
        return answers

    def _say_failing(self, notice: Callable[[str], None]) -> None:
        """Tell a person, ever more seldom, that the server only fails. Raises StoppedError once that is too long."""
        if not (failing := self._failing):
            return
        now, (since, cause) = time.monotonic(), failing
        seconds = now - since
        if seconds > PATIENCE:
            raise StoppedError(
                f"{self.url} has given no good answer for {PATIENCE:,.0f} s; the last: {cause}",
                "look at the server, then run the same command again: every answer that came is kept",
            )
        if seconds >= TOLD_SECONDS and now - self._told > max(TOLD_AGAIN, seconds / 2):
            self._told = now
            what = cause.replace("the server", self.url)
            notice(f"{what[:TOLD_CHARACTERS]}; waiting ({seconds:,.0f} s of {PATIENCE:,.0f} s)")

    def close(self) -> None:
        """Leave the server; what is in flight is forgotten."""
        self._wait(self._close())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    def _wait(self, coroutine: Any) -> Any:
        return asyncio.run_coroutine_threadsafe(coroutine, self._loop).result()

    async def _open_session(self) -> Any:
        timeout = self._aiohttp.ClientTimeout(total=ANSWER_SECONDS, sock_connect=10)
        headers = {"Content-Type": "application/json"}
        if key := os.environ.get(KEY_VARIABLE):
            headers["Authorization"] = f"Bearer {key}"
        elif urlsplit(self.url).hostname not in LOCAL:
            raise UsageError(f"{self.url} wants a key", f"set the environment variable {KEY_VARIABLE}")
        connector = self._aiohttp.TCPConnector(limit=0)
        return self._aiohttp.ClientSession(connector=connector, timeout=timeout, headers=headers)

    async def _close(self) -> None:
        for task in asyncio.all_tasks(self._loop):
            if task is not asyncio.current_task():
                task.cancel()
        if self._session:
            await self._session.close()

    async def _known(self, name: str) -> str:
        try:
            async with self._session.get(f"{self.url}/models") as answer:
                if answer.status in (401, 403):
                    raise UsageError(f"{self.url} refuses the key in {KEY_VARIABLE}", "set the right one")
                body = await answer.read()
        except (self._aiohttp.ClientError, OSError, TimeoutError) as error:
            raise UsageError(
                f"no server answers at {self.url} ({type(error).__name__})",
                f"start one, for example: vllm serve {name or 'MODEL'}",
            ) from None
        try:
            models = [str(model["id"]) for model in orjson.loads(body)["data"]]
        except (orjson.JSONDecodeError, KeyError, TypeError):
            models = []  # a server need not list its models
        if models and not name and len(models) == 1:
            return models[0]
        if not name:
            raise UsageError(f"{self.url} does not say which model", f"write {self.url}#NAME; {nearest('', models)}")
        if models and name not in models:
            raise UsageError(f"{self.url} has no model {name}", nearest(name, models))
        return name

    async def _ask(self, tag: int, request: Request) -> None:
        body = orjson.dumps(body_of(request, self.name))
        began, attempt = time.monotonic(), 0
        while True:
            attempt += 1
            try:
                reply = await self._send(body, request)
            except Refused as no:
                if no.again:
                    self._failing = (self._failing[0] if self._failing else time.monotonic(), no.cause)
                others_do = self._good > began or no.attempts < ATTEMPTS
                if not no.again or (attempt >= no.attempts and others_do):
                    self._answers.put((tag, Failure(no.cause)))
                    return
                wait = min(FIRST_WAIT * 2 ** (attempt - 1), LONGEST_WAIT) * (0.5 + random.random() / 2)
                await asyncio.sleep(wait if no.wait is None else no.wait)
            except Exception as error:  # noqa: BLE001  whatever it is, the row must not be lost
                self._answers.put((tag, Failure(f"{type(error).__name__}: {error}")))
                return
            else:
                self._good, self._failing = time.monotonic(), None
                more = 1.0 if self._window < self._comfortable else 1 / self._window
                self._window = min(self._window + more, LARGEST_WINDOW)
                self._answers.put((tag, reply))
                return

    async def _send(self, body: bytes, request: Request) -> Reply:
        sent = time.monotonic()
        try:
            async with self._session.post(f"{self.url}/chat/completions", data=body) as answer:
                raw = await answer.read()
                status, headers = answer.status, answer.headers
        except (self._aiohttp.ClientError, OSError, TimeoutError) as error:
            self._shrink(sent)
            raise Refused(f"no answer from {self.url}: {type(error).__name__} {error}".strip(), again=True) from None
        if status == 200:
            return reply_of(raw, request)
        said = _said(raw) or str(answer.reason or "")
        if status == 429 or status >= 500:
            self._shrink(sent)
            raise Refused(f"the server answers {status}: {said}", True, _seconds(headers.get("Retry-After")))
        if status == 404 and not self.url.endswith("/v1"):
            said = f"{said}; most servers' addresses end in /v1"
        raise Refused(f"the server refuses the request ({status}): {said}", again=False)

    def _shrink(self, sent: float) -> None:
        """Half as many in flight; those that were in flight together count as one."""
        if sent > self._shrunk:
            self._shrunk = time.monotonic()
            self._window = self._comfortable = max(self._window / 2, 1.0)


def body_of(request: Request, model: str) -> dict[str, Any]:
    """The request as the chat protocol writes it; `prefill`, choices and top-k sampling as vLLM's server reads them."""
    messages = [turn._asdict() for turn in request.turns]
    body: dict[str, Any] = {"model": model, "messages": messages, "max_tokens": request.max_tokens}
    body |= {"temperature": request.temperature, "top_p": request.top_p}
    if request.temperature:
        body["seed"] = request.seed
    if request.stop:
        body["stop"] = request.stop
    if request.top_logprobs is not None:
        body |= {"logprobs": True, "top_logprobs": request.top_logprobs}
    if request.choices:
        body["structured_outputs"] = {"choice": request.choices}
    if request.schema:
        schema = {"name": "answer", "schema": request.schema, "strict": True}
        body["response_format"] = {"type": "json_schema", "json_schema": schema}
    if request.prefill:
        messages.append({"role": "assistant", "content": request.prefill})
    if request.prefill or request.continues:
        body |= {"add_generation_prompt": False, "continue_final_message": True}
    return body


def reply_of(raw: bytes, request: Request) -> Reply:
    """The reply in a server's answer. Raises Refused where it is none."""
    try:
        answer = orjson.loads(raw)
        if len(answer["choices"]) != 1:
            raise ValueError(f"{len(answer['choices'])} answers to one question")
        (choice,) = answer["choices"]
        text = choice["message"]["content"]
        usage = answer.get("usage") or {}
        logprobs = None
        if request.top_logprobs is not None:
            logprobs = [_likeliest(token) for token in choice["logprobs"]["content"]]
            if text and not logprobs:
                raise KeyError("logprobs")
        if not isinstance(text, str):
            raise TypeError(f"its content is {text!r}")
    except (orjson.JSONDecodeError, KeyError, TypeError, ValueError, AttributeError) as error:
        found = raw[:200].decode("utf-8", "replace")
        without = "logprobs" in str(error) or "NoneType" in str(error)
        told = "no log-probabilities" if without else f"not an answer ({error})"
        raise Refused(f"the server sent {told}: {found}", not without, attempts=GARBLED) from None
    return Reply(
        text,
        logprobs,
        int(usage.get("prompt_tokens") or 0),
        int(usage.get("completion_tokens") or 0),
        str(choice.get("finish_reason") or "stop"),
    )


def _likeliest(token: dict[str, Any]) -> dict[str, float]:
    """Log-probabilities of one place, the answer's own token among them even where it is none of the likeliest."""
    found = {other["token"]: float(other["logprob"]) for other in token["top_logprobs"]}
    if max(found.values(), default=0.0) > MOST_LOGPROB:
        raise ValueError(f"a probability of {math.exp(min(max(found.values()), 99)):.3g}")
    return {token["token"]: float(token["logprob"])} | found if token["token"] not in found else found


def _said(raw: bytes) -> str:
    try:
        said = orjson.loads(raw)
        message = said.get("error", said)
        return str(message.get("message", message) if isinstance(message, dict) else message)[:300]
    except (orjson.JSONDecodeError, AttributeError):
        page = re.sub(r"(?is)<(head|script|style)\b.*?</\1>|<[^>]*>", " ", raw[:20_000].decode("utf-8", "replace"))
        return " ".join(page.split())[:200]


def _seconds(retry_after: str | None) -> float | None:
    try:
        return min(max(float(retry_after or ""), 0.0), 600.0)
    except ValueError:
        return None
