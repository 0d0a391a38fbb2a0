"""pass@k: the chance that one of k answers of a model to a programming problem passes its tests, run in the sandbox.

`evaluate_code("vllm:NAME", load_problems("humaneval"), samples=10).passed[1].value` is pass@1, a share of 0 to 1.
"""

import builtins
import os
import queue
import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
import orjson

from curate.errors import StoppedError
from curate.evaluating.problems import Problem
from curate.judging.agreement import Estimate, Values, estimates
from curate.models import Failure, Request, Turn, ask
from curate.pool import make_work_dir
from curate.sandbox import Sandbox
from curate.whole import whole_file
from curate.working import Working

ANSWER_TOKENS = 1024
TEMPERATURE = 0.8
"""Of several samples (Chen et al. 2021, section 3.1); one alone is greedy."""
SECONDS = 10
"""Of processor time for a program and its tests: of MBPP's own solutions one takes more than five."""
AT_K = (1, 10, 100)
BLOCK = re.compile(r"(?m)^[ \t]*```[ \t]*\w*[ \t]*\n(.*?)(?:^[ \t]*```|\Z)", re.DOTALL)


class Tried(NamedTuple):
    """A program that was run: whether it passed, and what went wrong."""

    problem: str
    sample: int
    program: str
    passed: bool
    cause: str


@dataclass(frozen=True)
class CodeScore:
    """pass@k by k, with 95 % intervals over problems; causes of failure and how often; answers that never came."""

    problems: int
    samples: int
    passed: dict[int, Estimate]
    causes: dict[str, int]
    unanswered: int
    output: Path


def evaluate_code(
    model: str,
    problems: Sequence[Problem],
    *,
    samples: int = 1,
    seed: int = 0,
    output: str | Path = "eval_code.jsonl",
    work_dir: str | Path = ".curate",
    working: Working | None = None,
) -> CodeScore:
    """Ask, run, count. Every reply is kept, so that the same call after a crash asks only what is missing.

    `output` gets every program with its verdict. Raises StoppedError where no answer came at all.
    """
    working, work = working or Working(), Path(work_dir)
    make_work_dir(work)
    wanted = [
        ((k, n), _request(problem, n, samples, seed)) for k, problem in enumerate(problems) for n in range(samples)
    ]
    answers: dict[tuple[int, int], str] = {}
    cause = ""
    for tag, reply in ask(model, wanted, work, working):
        if isinstance(reply, Failure):
            cause = reply.cause
            continue
        answers[tag] = reply.text
        working.report("asking", len(answers), len(wanted))
    working.check()
    if not answers:
        raise StoppedError(f"{model} answered nothing: {cause}", "look at the model, then run the same command again")
    programs = [(problems[k], n, program_of(problems[k], text)) for (k, n), text in sorted(answers.items())]
    tried = list(run_programs(programs, working))
    with whole_file(Path(output)) as file:
        for each in tried:
            file.write(orjson.dumps(each._asdict()) + b"\n")
    counts = Counter(each.problem for each in tried if each.passed)
    asked = Counter(each.problem for each in tried)
    right = np.array([counts[name] for name in asked], dtype=np.float64)
    many = np.array(list(asked.values()), dtype=np.float64)
    at = [k for k in AT_K if k <= many.min()]
    return CodeScore(
        problems=len(problems),
        samples=samples,
        passed={k: estimates({"": _mean_pass_at(k)}, [many, right], seed)[""] for k in at},
        causes=dict(Counter(_kind(each.cause) for each in tried if not each.passed).most_common()),
        unanswered=len(wanted) - len(answers),
        output=Path(output),
    )


def pass_at(k: int, many: Values, right: Values) -> Values:
    """Chance that of k of `many` answers, `right` of which pass, one does: 1 - C(n - c, k) / C(n, k), worked out as a
    product (Chen et al., "Evaluating Large Language Models Trained on Code", arXiv 2107.03374, equation 1)."""
    none = np.ones_like(many)
    for j in range(k):
        none *= np.clip((many - right - j) / (many - j), 0, 1)
    return 1 - none


def program_of(problem: Problem, answer: str) -> str:
    """The program that an answer stands for: its code, after the beginning that the problem gives where it goes on."""
    defines = re.compile(rf"(?m)^(?:async )?(?:def|class) {re.escape(problem.entry)}\b|^{re.escape(problem.entry)}\s*=")
    blocks: list[str] = BLOCK.findall(answer)
    whole = next((block for block in blocks if defines.search(block)), None)
    if whole is None and defines.search(answer) and not blocks:
        whole = answer
    if whole is not None:
        found = defines.search(problem.start)
        return (problem.start[: found.start()] if found else "") + whole  # its imports and helpers
    return problem.start + (blocks[0] if blocks else answer)


def run_programs(programs: Iterable[tuple[Problem, int, str]], working: Working) -> Iterator[Tried]:
    """Each program against its problem's tests, in as many sandboxes as there are cores, in order."""
    waiting: queue.SimpleQueue[Sandbox] = queue.SimpleQueue()
    boxes = [Sandbox() for _ in range(working.threads or os.cpu_count() or 1)]
    for box in boxes:
        waiting.put(box)

    def run(item: tuple[Problem, int, str]) -> Tried:
        problem, sample, program = item
        names = (problem.entry,) if hasattr(builtins, problem.entry) else None  # a test's `sum` may be the program's
        box = waiting.get()
        try:
            outcome = box.run(program, problem.tests, names=names, seconds=SECONDS)
        finally:
            waiting.put(box)
        return Tried(problem.name, sample, program, outcome.passed, "" if outcome.passed else outcome.cause)

    listed = list(programs)
    try:
        with ThreadPoolExecutor(len(boxes)) as pool:
            for done, each in enumerate(pool.map(run, listed), 1):
                yield each
                working.report("running", done, len(listed))
    finally:
        for box in boxes:
            box.close()


def _request(problem: Problem, sample: int, samples: int, seed: int) -> Request:
    return Request(
        turns=(Turn("user", problem.question),),
        max_tokens=ANSWER_TOKENS,
        temperature=TEMPERATURE if samples > 1 else 0.0,
        top_p=0.95 if samples > 1 else 1.0,
        seed=seed * samples + sample,
    )


def _mean_pass_at(k: int) -> Callable[[Values, Values], float]:
    return lambda many, right: float(pass_at(k, many, right).mean())


def _kind(cause: str) -> str:
    """A cause without what differs from program to program."""
    return re.sub(r"\d+", "N", cause.partition("\n")[0])[:60]
