"""What asking a model costs beyond the model: figures for docs/costs.md.

`python benchmarks/asking.py` needs no model: a server on this machine answers at once, and the cache is read again.
`python benchmarks/asking.py --model FOLDER` also times vLLM in this process: bare, through curate, for a score alone
and for a reason and a score as the judge asks for them, and with prefix caching off.
`python benchmarks/asking.py --server http://HOST:PORT/v1#NAME` also times a real server: bare, and through curate.
Every timing asks about rows of its own, so that none finds its rows in the engine's prefix cache.
"""

import argparse
import asyncio
import json
import resource
import sqlite3
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from curate.judging.rubrics import Mode, load_rubric
from curate.judging.scoring import request_for
from curate.models import Request, Turn, ask, forget_model
from curate.models.server import LARGEST_WINDOW, body_of
from curate.working import Working

SAMPLE = Path(__file__).parent.parent / "data" / "sample.jsonl"
RUBRIC = "Add one point for each of these that holds. " * 89
"""900 tokens of SmolLM2."""
BODY = (
    b'{"choices": [{"index": 0, "message": {"role": "assistant", "content": "4"}, "finish_reason": "stop", "logprobs": '
    b'{"content": [{"token": "4", "logprob": -0.1, "top_logprobs": [{"token": "4", "logprob": -0.1}]}]}}], '
    b'"usage": {"prompt_tokens": 900, "completion_tokens": 1}}'
)


class AtOnce(asyncio.Protocol):
    """Answers every request with BODY, whatever it is."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport, self.waiting = transport, b""

    def data_received(self, data: bytes) -> None:
        self.waiting += data
        while (end := self.waiting.find(b"\r\n\r\n")) >= 0:
            head = self.waiting[:end].lower()
            length = head.partition(b"content-length:")[2].partition(b"\r\n")[0]
            if len(self.waiting) < end + 4 + int(length or 0):
                return
            self.waiting = self.waiting[end + 4 + int(length or 0) :]
            body = b'{"data": [{"id": "m"}]}' if head.startswith(b"get") else BODY
            self.transport.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%b" % (len(body), body))  # type: ignore[attr-defined]


async def serve() -> None:
    server = await asyncio.get_running_loop().create_server(AtOnce, "127.0.0.1", 0)
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()


def requests(many: int, first: int = 0) -> Iterator[tuple[int, Request]]:
    for k in range(first, first + many):
        turns = (Turn("system", RUBRIC), Turn("user", f"ROW {k}\n" + "Water boils at 100 degrees at sea level. " * 15))
        yield k, Request(turns=turns, max_tokens=1, top_logprobs=20)


def judging(mode: Mode, many: int) -> list[Request]:
    """What the judge asks about good rows of the sample of at most a thousand characters."""
    rubric = load_rubric("educational-value")
    good = [
        row for row in map(json.loads, SAMPLE.read_text().splitlines()) if row["note"] == "good" and "output" in row
    ]
    sides = [(row["instruction"], row["output"]) for row in good if len(row["instruction"] + row["output"]) <= 1000]
    turns = [rubric.turns(mode, prompt=prompt, response=response) for prompt, response in sides[:many]]
    return [request_for(pair, rubric, mode) for pair in turns]


def memory() -> float:
    return float(Path("/proc/self/statm").read_text().split()[1]) * resource.getpagesize() / 1e6


def at_once(many: int, work: Path) -> None:
    server = subprocess.Popen([sys.executable, __file__, "--serve"], stdout=subprocess.PIPE, text=True)
    assert server.stdout is not None
    model = f"http://127.0.0.1:{int(server.stdout.readline())}/v1#m"
    try:
        began, early, late = time.monotonic(), 0.0, 0.0
        for done, _ in enumerate(ask(model, requests(many), work, Working()), 1):
            if done == many // 10:
                early = memory()
            late = time.monotonic()
        kept = sqlite3.connect(work / "replies.sqlite").execute("SELECT count(*) FROM replies").fetchone()[0]
        took = time.monotonic() - began
        print(f"a server that answers at once: {many / took:,.0f} requests/s, {kept:,} of {many:,} replies committed")
        after = (time.monotonic() - late) * 1000
        print(f"  {after:.0f} ms after the last; {early:.0f} MB at a tenth, {memory():.0f} MB at the end")
        began = time.monotonic()
        assert sum(1 for _ in ask(model, requests(many), work, Working())) == many
        print(f"reading {many:,} replies from the cache: {time.monotonic() - began:.1f} s")
    finally:
        forget_model(model)
        server.kill()
        server.wait()


def in_process(folder: str, rows: int) -> None:
    from vllm import SamplingParams

    from curate.models.vllm_engine import VllmModel

    def some(part: int) -> list[Request]:
        return [request for _, request in requests(rows, part * rows)]

    def timed(model: VllmModel, asked: list[Request]) -> float:
        began = time.monotonic()
        for k, request in enumerate(asked):
            model.submit(k, request)
        left = len(asked)
        while left:
            left -= len(model.collect(print))
        return time.monotonic() - began

    def bare(model: VllmModel, asked: list[Request]) -> float:
        began = time.monotonic()
        turns = [[turn._asdict() for turn in request.turns] for request in asked]
        sampling = SamplingParams(max_tokens=1, logprobs=20, temperature=0.0)
        model._llm.chat(turns, sampling, use_tqdm=False)
        return time.monotonic() - began

    model = VllmModel(folder)
    timed(model, some(0)[:2])
    ours, theirs = [], []
    for part in (1, 3, 5):
        ours.append(timed(model, some(part)))
        theirs.append(bare(model, some(part + 1)))
    timed(model, judging("expected", rows + 1)[rows:])  # the rubric, which a pool pays for once
    judged = {mode: timed(model, judging(mode, rows)) for mode in ("expected", "text")}
    score = statistics.median(ours)
    print(f"vLLM in this process, {rows} rows: bare {rows / statistics.median(theirs):.2f} rows/s, ", end="")
    print(f"through curate {rows / score:.2f} ({score / statistics.median(theirs) - 1:+.1%})")
    alone, reasoned = judged["expected"], judged["text"]
    print(f"  rows of the sample by educational-value: a reason and a score {rows / reasoned:.2f} rows/s, ", end="")
    print(f"the score alone {rows / alone:.2f}: {reasoned / alone:.1f} times as fast")
    model.close()
    plain = VllmModel(folder, enable_prefix_caching=False)
    timed(plain, some(0)[:2])
    without = timed(plain, some(1))
    print(f"  without prefix caching {rows / without:.2f} rows/s: caching is {without / score:.1f} times as fast")
    plain.close()


def over_http(model: str, rows: int, work: Path) -> None:
    url, _, name = model.partition("#")

    async def bare(asked: list[Request]) -> float:
        import aiohttp

        async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=LARGEST_WINDOW)) as session:

            async def one(request: Request) -> None:
                async with session.post(f"{url}/chat/completions", json=body_of(request, name)) as answer:
                    assert (await answer.json())["choices"][0]["logprobs"]

            began = time.monotonic()
            await asyncio.gather(*map(one, asked))
            return time.monotonic() - began

    def ours(part: int) -> float:
        began = time.monotonic()
        assert sum(1 for _ in ask(model, requests(rows, part * rows), work, Working())) == rows
        return time.monotonic() - began

    ours(0)
    pairs = [(ours(part), asyncio.run(bare([r for _, r in requests(rows, (part + 1) * rows)]))) for part in (1, 3, 5)]
    through, alone = (statistics.median(pair[k] for pair in pairs) for k in (0, 1))
    print(f"{model}, {rows} rows: bare {rows / alone:.2f} rows/s, through curate {rows / through:.2f}", end="")
    print(f" ({through / alone - 1:+.1%})")
    forget_model(model)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--serve", action="store_true", help=argparse.SUPPRESS)
    parser.add_argument("--requests", type=int, default=100_000)
    parser.add_argument("--model", help="a folder or a name on the hub, for vLLM in this process")
    parser.add_argument("--server", help="http://HOST:PORT/v1#NAME of a real server")
    parser.add_argument("--rows", type=int, default=64)
    options = parser.parse_args()
    if options.serve:
        asyncio.run(serve())
    with tempfile.TemporaryDirectory() as folder:
        at_once(options.requests, Path(folder))
        if options.server:
            over_http(options.server, options.rows, Path(folder))
    if options.model:
        in_process(options.model, options.rows)
