"""New rows, so many as are asked for, each proven: the whole of `curate synth`.

`synthesise(Order("textbook", "http://localhost:8000/v1#m"), 100, "synth.jsonl")` says what became of all attempts.
"""

import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from queue import SimpleQueue
from typing import Any, Literal

import numpy as np
import orjson

from curate.code.alike import functions_in
from curate.disk import disk_faults
from curate.formats.lines import Lines, joined_lines
from curate.formats.writing import check_output, write_lines
from curate.models import identity_of
from curate.pool import make_work_dir
from curate.reporting.synthesis import write_synthesis
from curate.synthesis import evolving, instructions, textbook
from curate.synthesis.drafts import Attempt, Draft, Lost
from curate.synthesis.line import Line, Made
from curate.synthesis.log import Log
from curate.synthesis.orders import Order
from curate.synthesis.planning import Seed
from curate.synthesis.soundness import unsound
from curate.synthesis.taken import Benchmarks, Taken
from curate.synthesis.yields import Yields
from curate.working import alone

Shape = Literal["alpaca", "messages"]

AHEAD, FEWEST_AHEAD = 512, 16
"""Attempts at work at once: at most as many as an engine holds, fewer when few rows are missing."""

TOLD_AFTER = 50
"""Attempts after which it is said how long the rest will take."""

A_BLOCK = 1000


@dataclass(frozen=True)
class Synthesised:
    """What a synthesis wrote. `funnel`: attempts that passed each stage; `tokens` of all attempts, in and out."""

    kind: str
    model: str
    asked: int
    accepted: int
    attempts: int
    tokens: int
    funnel: list[tuple[str, int]]
    reasons: dict[str, dict[str, int]]
    seconds: float
    output: Path
    log: Path
    report: Path


def synthesise(order: Order, n: int, output: str | Path = "synth.jsonl", shape: Shape = "alpaca") -> Synthesised:
    """Write `n` accepted rows. The same call after a crash, or with another `n`, goes on where it was.

    Raises UsageError for what can't be, StoppedError where the model or the budget fails or hardly anything passes:
    what was accepted is written then too.
    """
    began, out, work = time.monotonic(), Path(output), order.work_dir
    check_output(out)
    with disk_faults(work):
        make_work_dir(work)
        home, working = order.home, order.working
        home.mkdir(parents=True, exist_ok=True)
        report = home / "report.html"
        with alone(home, "writes the same rows", working), closing(Log(home / "attempts.jsonl")) as log:
            yields = Yields(order.kind, judged=order.judge is not None)
            try:
                _make(order, n, log, yields)
            finally:
                if yields.accepted:
                    write_lines(out, lambda: _rows(log, order, n, shape))
                write_synthesis(report, order, n, yields, time.monotonic() - began)
    return Synthesised(
        kind=order.kind,
        model=order.model,
        asked=n,
        accepted=min(yields.accepted, n),
        attempts=yields.attempts,
        tokens=yields.tokens,
        funnel=yields.funnel(),
        reasons={stage: dict(counts.most_common(5)) for stage, counts in yields.reasons.items()},
        seconds=time.monotonic() - began,
        output=out,
        log=log.path,
        report=report,
    )


def _make(order: Order, n: int, log: Log, yields: Yields) -> None:
    """Go on with the log until `n` attempts are accepted."""
    taken = Taken(order.kind == "instructions", order.means)
    entries = iter(log)
    while block := list(islice(entries, A_BLOCK)):
        for entry in block:
            yields.count(entry)
        accepted = [entry for entry in block if entry["stage"] == "accepted"]
        drafts = [_draft_of(entry, order.kind) for entry in accepted]
        for entry, draft, vector in zip(accepted, drafts, taken.vectors(drafts), strict=True):
            taken.add(draft, entry["attempt"], vector)
    working, before = order.working, yields.attempts
    yields.earlier = yields.accepted
    if yields.accepted >= n:
        return
    if before:
        working.notice(f"going on after {before:,} attempts, {yields.accepted:,} of them accepted")
    benchmarks = Benchmarks(order.sources, working, order.benchmarks)
    began, told = time.monotonic(), False

    def window() -> int:
        passed = (yields.accepted + 1) / (yields.attempts + 2)
        return min(AHEAD, max(FEWEST_AHEAD, round((n - yields.accepted) / passed)))

    with ExitStack() as stack:
        line = Line(_attempts_of(order, stack), order.model, order.judge, order.work_dir, working)
        all_made = stack.enter_context(closing(line.attempts(before, window)))
        for made in all_made:
            for entry in _settled(made, order, taken, benchmarks):
                log.append(entry)
                yields.count(entry)
                if yields.accepted >= n:
                    return
            share = yields.accepted / yields.attempts
            working.report("synth", yields.accepted, n, f"{share:.0%} of {yields.attempts:,} attempts accepted")
            since = yields.attempts - before
            if not told and since >= TOLD_AFTER and yields.accepted:
                told, rest = True, (n - yields.accepted) / share / since
                minutes, tokens = (time.monotonic() - began) * rest / 60, yields.tokens / yields.attempts * since * rest
                working.notice(
                    f"{share:.0%} of the first attempts were accepted: about {minutes:,.0f} min "
                    f"and {tokens / 1e6:,.1f} million tokens for the rest"
                )
            yields.check()


def _attempts_of(order: Order, stack: ExitStack) -> Callable[[int], Attempt]:
    """What begins an attempt of the order, judged where a judge is named; `stack` as in `_written_of`."""
    written, bench = _written_of(order, stack), order.bench
    return (lambda number: bench.judged(written(number))) if bench else written


def _written_of(order: Order, stack: ExitStack) -> Callable[[int], Attempt]:
    """What begins an attempt of the order's kind; sandboxes, where it needs them, are open as long as `stack`."""
    plan, tokens, examples = order.plan, order.tokens, order.examples
    if order.kind == "textbook":
        return lambda number: textbook.attempt(plan[number], tokens)
    if order.kind == "instructions":
        return lambda number: instructions.attempt(plan[number], tokens, examples)
    if order.kind == "evolve":
        return lambda number: evolving.attempt(plan[number], tokens, examples)
    from curate.sandbox import Sandbox
    from curate.synthesis import writing_exercises

    free: SimpleQueue[Sandbox] = SimpleQueue()
    for _ in range(order.working.threads):
        free.put(stack.enter_context(Sandbox()))
    structured = not order.model.startswith("hf:")
    return lambda number: writing_exercises.attempt(plan[number], tokens, free, structured, order.repair)


def _settled(made: list[Made], order: Order, taken: Taken, benchmarks: Benchmarks) -> Iterator[dict[str, Any]]:
    """The entries of attempts in the log, decided in the order of the plan."""
    drafts = [one.outcome for one in made if isinstance(one.outcome, Draft)]
    wrong_of = unsound(drafts, order.kind, order.language) if drafts else []
    benchmark_of = benchmarks.found(drafts) if drafts else []
    looks = zip(wrong_of, benchmark_of, taken.vectors(drafts), strict=True)
    for one in made:
        stage, reason, row = "accepted", "", {}
        if isinstance(one.outcome, Lost):
            stage, reason = one.outcome.stage, one.outcome.reason
        elif isinstance(one.outcome, Draft):
            draft, (wrong, benchmark, vector) = one.outcome, next(looks)
            near = "" if wrong else taken.like(draft, vector)
            stages = (("sound", wrong), ("unique", near), ("clean", benchmark))
            stage, reason = next((found for found in stages if found[1]), ("accepted", ""))
            if stage == "accepted":
                taken.add(draft, one.number, vector)
                row = {"instruction": draft.instruction, "response": draft.response, **draft.facts}
        yield _entry(one, order.plan[one.number], stage, reason, row)


def _entry(made: Made, seed: Seed, stage: str, reason: str, row: dict[str, Any]) -> dict[str, Any]:
    return {
        "attempt": made.number,
        "stage": stage,
        "reason": reason,
        "topic": seed.topic.name,
        "skill": seed.skill,
        "audience": seed.audience,
        "form": seed.form,
        "constraint": seed.constraint,
        "seed": seed.number,
        "tokens": made.tokens,
        "characters": len(row.get("response", "")),
        "row": row,
        "replies": made.replies,
    }


def _draft_of(entry: dict[str, Any], kind: str) -> Draft:
    """The draft that an accepted entry was."""
    row = entry["row"]
    return Draft(row["instruction"], row["response"], functions_in(row["response"]) if kind == "exercises" else [])


def _rows(log: Log, order: Order, n: int, shape: Shape) -> Iterator[Lines]:
    """The first `n` accepted rows as lines, each with where it came from under `_synth`."""
    accepted = (entry for entry in log if entry["stage"] == "accepted")
    entries, at = islice(accepted, n), 0
    common = {"kind": order.kind, "model": identity_of(order.model), "prompts": order.facts["prompts"]}
    while block := list(islice(entries, A_BLOCK)):
        records = [orjson.dumps(_record(entry, common, shape)) for entry in block]
        yield joined_lines(records, np.arange(at + 1, at + 1 + len(block), dtype=np.int64))
        at += len(block)


def _record(entry: dict[str, Any], common: dict[str, Any], shape: Shape) -> dict[str, Any]:
    row = dict(entry["row"])
    instruction, response = row.pop("instruction"), row.pop("response")
    about = ("topic", "skill", "audience", "form", "constraint", "seed", "attempt")
    source = {**common, **{name: entry[name] for name in about}, **row}
    if shape == "messages":
        turns = [{"role": "user", "content": instruction}, {"role": "assistant", "content": response}]
        return {"messages": turns, "_synth": source}
    return {"instruction": instruction, "input": "", "output": response, "_synth": source}
