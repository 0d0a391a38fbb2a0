"""What making rows costs beyond the model: figures for docs/costs.md.

`CURATE_TEST_DATA=... python benchmarks/synthesising.py` needs no model. A server answers at once with exercises that
are built of HumanEval's and MBPP's reference solutions (contamination check on, against nothing but GSM8K): how many of
them per second are parsed, run twice, held against every mutant, and compared with all that was accepted.
`--part memory` writes textbook rows by the same kind of server: peak memory for 1,000 and for `--rows` of them.
`--part busy --model vllm:FOLDER` is the share of wall time in which vLLM's engine was at work, over `--rows` attempts.
"""

import argparse
import asyncio
import json
import os
import random
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from aiohttp import web
from processes import measure

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE.parent / "tests" / "synthesis"))

WORDS = [f"{a}{b}" for a in "ba de fi go hu ka le mi no pu ra se ti vo wu".split() for b in "lan mer tok sin".split()]  # noqa: SIM905
RUN = """
import sys
from pathlib import Path
from curate.synthesis.orders import Order
from curate.synthesis.synthesising import synthesise
kind, model, n, work = sys.argv[1:]
order = Order(kind, model, benchmarks=("gsm8k",), work_dir=Path(work) / "work")
done = synthesise(order, int(n), Path(work) / "synth.jsonl")
(Path(work) / "attempts").write_text(str(done.attempts))
"""


def textbook(body: dict, luck: random.Random) -> str:
    """A section, or the question of one, in words that mean nothing and hardly ever come again."""
    if "## Explanation" not in body["messages"][-1]["content"]:
        return f"What is the tie between {', '.join(luck.choices(WORDS, k=6))} and {luck.randrange(10**9)}?"

    def sentences(many: int) -> str:
        return " ".join(" ".join(luck.choices(WORDS, k=9)).capitalize() + "." for _ in range(many))

    shown = f"## Explanation\n{sentences(12)}\n\n## Worked example\n{sentences(6)}"
    return f"{shown}\n\n## Questions\n1. Why {sentences(1)[:-1]}?\n2. How {sentences(1)[:-1]}?"


def exercises() -> Callable[[dict, random.Random], str]:
    """The known exercises, one after the other, as the JSON that a model is asked for."""
    from known_exercises import humaneval, mbpp

    data = Path(os.environ["CURATE_TEST_DATA"])
    known = [
        json.dumps({name: getattr(found, name) for name in ("signature", "docstring", "solution", "tests")})
        for made in (humaneval, mbpp)
        for found in made(data)
    ]
    following = iter(range(10**9))
    return lambda *_: known[next(following) % len(known)]


async def serve(kind: str) -> None:
    answer = exercises() if kind == "exercises" else textbook

    async def complete(request: web.Request) -> web.Response:
        body = json.loads(await request.read())
        text = answer(body, random.Random(json.dumps([body["messages"], body.get("seed")])))
        choice = {"index": 0, "message": {"role": "assistant", "content": text}, "finish_reason": "stop"}
        return web.json_response({"choices": [choice], "usage": {"prompt_tokens": 500, "completion_tokens": 400}})

    async def models(_: web.Request) -> web.Response:
        return web.json_response({"data": [{"id": "m"}]})

    application = web.Application()
    application.add_routes([web.post("/v1/chat/completions", complete), web.get("/v1/models", models)])
    runner = web.AppRunner(application, access_log=None)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    print(site._server.sockets[0].getsockname()[1], flush=True)  # type: ignore[union-attr]
    await asyncio.Event().wait()


@contextmanager
def server(kind: str) -> Iterator[str]:
    process = subprocess.Popen([sys.executable, __file__, "--serve", kind], stdout=subprocess.PIPE, text=True)
    assert process.stdout
    try:
        yield f"http://127.0.0.1:{int(process.stdout.readline())}/v1#m"
    finally:
        process.kill()
        process.wait()


def made(kind: str, rows: int) -> tuple[float, float, int, int]:
    """CPU and wall seconds of `rows` rows by a server that answers at once, peak bytes, and attempts."""
    with server(kind) as model, tempfile.TemporaryDirectory() as work:
        cpu, wall, peak = measure(RUN, kind, model, str(rows), work)
        return cpu, wall, peak, int((Path(work) / "attempts").read_text())


def busy(model: str, kind: str, attempts: int, answer_tokens: int) -> None:
    """The share of time, from its first step to its last, in which vLLM's engine was stepping."""
    from vllm.v1.engine.llm_engine import LLMEngine

    from curate.errors import StoppedError
    from curate.synthesis.orders import Order
    from curate.synthesis.synthesising import synthesise
    from curate.synthesis.yields import Yields

    steps: list[tuple[float, float]] = []
    plain = LLMEngine.step

    def step(engine: LLMEngine) -> list:
        began = time.monotonic()
        outputs = plain(engine)
        steps.append((began, time.monotonic()))
        return outputs

    def check(yields: Yields) -> None:  # in place of the rule that stops where hardly anything passes
        if yields.attempts >= attempts:
            print({"attempts": yields.attempts, "accepted": yields.accepted, "tokens": yields.tokens}, yields.funnel())
            raise StoppedError("that will do", "")

    LLMEngine.step, Yields.check = step, check  # type: ignore[method-assign]
    with tempfile.TemporaryDirectory() as work:
        order = Order(kind, model, answer_tokens=answer_tokens, repair=True, work_dir=Path(work))  # type: ignore[arg-type]
        try:
            synthesise(order, attempts, Path(work) / "synth.jsonl")
        except StoppedError as stopped:
            print(stopped)
    wall = steps[-1][1] - steps[0][0]
    print(f"the engine was at work {sum(end - began for began, end in steps) / wall:.1%} of {wall:,.0f} s")


def main() -> None:
    given = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    given.add_argument("--part", choices=["exercises", "memory", "busy"], default="exercises")
    given.add_argument("--rows", type=int, default=300)
    given.add_argument("--kind", default="exercises")
    given.add_argument("--model")
    given.add_argument("--answer-tokens", type=int, default=128)
    given.add_argument("--serve")
    asked = given.parse_args()
    if asked.serve:
        asyncio.run(serve(asked.serve))
    elif asked.part == "exercises":
        cpu, wall, peak, attempts = made("exercises", asked.rows)
        print(f"{attempts:,} exercises, {asked.rows:,} accepted: {attempts / wall:.1f}/s, {cpu:.1f} CPU s")
    elif asked.part == "memory":
        for rows in (1000, asked.rows):
            cpu, wall, peak, attempts = made("textbook", rows)
            print(f"{rows:>9,} rows of {attempts:,} attempts: {peak / 1e6:,.0f} MB, {rows / wall:,.0f} rows/s")
    else:
        busy(asked.model, asked.kind, asked.rows, asked.answer_tokens)


if __name__ == "__main__":
    main()
