"""What asking a model costs beyond the model: figures for the README.

`python benchmarks/asking.py` needs no model: a server on this machine answers at once, and the cache is read again.
`python benchmarks/asking.py --model FOLDER` also times vLLM in this process: bare, through curate, for a score alone,
for a reason and a score, and with prefix caching off.
"""

import argparse
import asyncio
import resource
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from curate.models import Request, Turn, ask, forget_model
from curate.working import Working

RUBRIC = "Add one point for each of these that holds. " * 80
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


def requests(many: int) -> Iterator[tuple[int, Request]]:
    for k in range(many):
        turns = (Turn("system", RUBRIC), Turn("user", f"ROW {k}\n" + "Water boils at 100 degrees at sea level. " * 15))
        yield k, Request(turns=turns, max_tokens=1, top_logprobs=20)


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

    def timed(model: VllmModel, asked: list[Request]) -> float:
        began = time.monotonic()
        for k, request in enumerate(asked):
            model.submit(k, request)
        left = len(asked)
        while left:
            left -= len(model.collect())
        return time.monotonic() - began

    score = [request for _, request in requests(rows)]
    reason = [Request(turns=request.turns, max_tokens=80) for request in score]
    model = VllmModel(folder)
    timed(model, score[:2])
    with_prefix = timed(model, score)
    reasoned = timed(model, reason)
    texts = [
        model._tokenizer.apply_chat_template([t._asdict() for t in r.turns], tokenize=False, add_generation_prompt=True)
        for r in score
    ]
    began = time.monotonic()
    model._llm.generate(texts, SamplingParams(max_tokens=1, logprobs=20, temperature=0.0), use_tqdm=False)
    bare = time.monotonic() - began
    print(f"vLLM in this process, {rows} rows: bare {rows / bare:.2f} rows/s, through curate {rows / with_prefix:.2f}")
    print(f"  a reason and a score: {rows / reasoned:.2f} rows/s; the score alone: {reasoned / with_prefix:.1f} times")
    model.close()
    plain = VllmModel(folder, enable_prefix_caching=False)
    timed(plain, score[:2])
    without = timed(plain, score)
    print(f"  without prefix caching {rows / without:.2f} rows/s: caching is {without / with_prefix:.1f} times as fast")
    plain.close()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--serve", action="store_true", help=argparse.SUPPRESS)
    parser.add_argument("--requests", type=int, default=100_000)
    parser.add_argument("--model", help="a folder or a name on the hub, for vLLM in this process")
    parser.add_argument("--rows", type=int, default=64)
    options = parser.parse_args()
    if options.serve:
        asyncio.run(serve())
    with tempfile.TemporaryDirectory() as folder:
        at_once(options.requests, Path(folder))
    if options.model:
        in_process(options.model, options.rows)
