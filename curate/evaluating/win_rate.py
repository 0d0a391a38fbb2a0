"""Which of two models answers better, by a judge that sees both answers in both orders.

`win_rate("vllm:A", "vllm:B", "prompts.jsonl", judge="vllm:J").wins.value` is the share of prompts that A wins.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import orjson
import polars as pl

from curate.errors import StoppedError, UsageError
from curate.judging.agreement import Estimate, Values, estimates
from curate.judging.scored import scores_of
from curate.models import Failure, Reply, Request, Turn, ask
from curate.pool import Pool, check_inputs, make_work_dir, read_pool
from curate.recipe import step_of
from curate.whole import whole_file
from curate.working import Working

ANSWER_TOKENS = 512
SHRUNK = 1e-4
"""How dearly large weights are paid for, so that a model that always wins has some."""
NEWTON_STEPS = 25
CATEGORY = "category"
"""The field of a prompt's record by which results are told apart too."""


@dataclass(frozen=True)
class Rates:
    """Shares of prompts that A wins, ties and loses, with 95 % intervals over prompts. `points`: a tie counts half;
    `length_controlled`: the same as it would be if both answers were of like length."""

    prompts: int
    wins: Estimate
    ties: Estimate
    losses: Estimate
    points: Estimate
    length_controlled: Estimate


@dataclass(frozen=True)
class WinRate:
    """Rates over all prompts, and by category where there are several; prompts without a verdict, by cause; how often
    the judge preferred another answer once they were swapped (a tie); mean characters of both models' answers."""

    all: Rates
    categories: dict[str, Rates]
    unscored: dict[str, int]
    flipped: float
    characters: tuple[float, float]
    output: Path


def win_rate(
    a: str,
    b: str,
    prompts: str,
    *,
    judge: str,
    rubric: str = "better-answer",
    language: str = "en",
    seed: int = 0,
    output: str | Path = "win_rate.jsonl",
    work_dir: str | Path = ".curate",
    working: Working | None = None,
) -> WinRate:
    """Let both answer every prompt, and the judge say which answer is better, in both orders; disagreement is a tie.

    `prompts` is a file of any shape; responses that it holds are not looked at, those of `a` and `b` may be: a FILE in
    place of a model holds answers that are there already, row by row. `output` gets every pair with its verdict. Every
    reply is kept, so that the same call after a crash pays for nothing twice.
    """
    working, work = working or Working(), Path(work_dir)
    check_inputs([prompts], work)
    make_work_dir(work)
    pool = read_pool([prompts], work, working=working)
    asked = _asked(pool)
    if not asked:
        raise StoppedError(f"{prompts} holds no prompt", 'one a line, as in {"instruction": "Why is the sky blue?"}')
    answers = [_answers(model, asked, work, working) for model in (a, b)]
    category = pool.meta(CATEGORY).cast(pl.String).to_list()
    pairs = [
        {"prompt": turns, "chosen": answers[0][row], "rejected": answers[1][row], CATEGORY: category[row], "row": row}
        for row, turns in asked.items()
        if row in answers[0] and row in answers[1]
    ]
    if not pairs:
        raise StoppedError(
            "neither model's answers go together with the other's", "look at the models, then run it again"
        )
    verdicts = _verdicts(pairs, judge, rubric, language, work, working)
    told = [{**pair, **verdict} for pair, verdict in zip(pairs, verdicts, strict=True)]
    with whole_file(Path(output)) as file:
        for each in told:
            file.write(orjson.dumps(each) + b"\n")
    scored = [each for each in told if each["problem"] is None]
    if not scored:
        raise StoppedError(f"the judge gave no verdict: {told[0]['problem']}", "take another judge, or a larger one")
    causes = pl.Series([each["problem"] for each in told if each["problem"]], dtype=pl.String).value_counts(sort=True)
    unanswered = len(asked) - len(pairs)
    unscored = dict(causes.iter_rows()) | ({"a model gave no answer": unanswered} if unanswered else {})
    named = sorted({each[CATEGORY] for each in scored} - {None})
    by_category = {name: [each for each in scored if each[CATEGORY] == name] for name in named}
    return WinRate(
        all=_rates(scored, seed),
        categories={name: _rates(part, seed) for name, part in by_category.items()} if len(named) > 1 else {},
        unscored=unscored,
        flipped=float(np.mean([bool(each["flipped"]) for each in scored])),
        characters=(_mean_length(scored, "chosen"), _mean_length(scored, "rejected")),
        output=Path(output),
    )


def length_controlled(preference: Values, longer: Values) -> float:
    """The mean preference for A as it would be between answers of like length.

    A logistic model of the preference by tanh of the difference of lengths over its standard deviation, read at no
    difference (Dubois et al., "Length-Controlled AlpacaEval", arXiv 2404.04475, section 3; without its terms for the
    difficulty of single prompts, which need many models).
    """
    from scipy.special import expit

    spread = longer.std()
    by = np.stack((np.ones_like(longer), np.tanh(longer / spread) if spread else np.zeros_like(longer)))
    weights, dear = np.zeros(2), 2 * SHRUNK * np.eye(2)
    for _ in range(NEWTON_STEPS):
        chance = expit(weights @ by)
        curvature = (by * chance * (1 - chance)) @ by.T / len(longer) + dear
        weights += np.linalg.solve(curvature, by @ (preference - chance) / len(longer) - dear @ weights)
    return float(expit(weights[0]))


def _rates(scored: Sequence[dict[str, Any]], seed: int) -> Rates:
    preference = np.array([0.5 if each["flipped"] else float(each["score"]) for each in scored])
    points = np.where(preference > 0.5, 1.0, np.where(preference < 0.5, 0.0, 0.5))
    longer = np.array([len(each["chosen"]) - len(each["rejected"]) for each in scored], dtype=np.float64)
    found = estimates(
        {
            "wins": lambda points, longer: float((points == 1).mean()),
            "ties": lambda points, longer: float((points == 0.5).mean()),
            "losses": lambda points, longer: float((points == 0).mean()),
            "points": lambda points, longer: float(points.mean()),
            "length_controlled": length_controlled,
        },
        [points, longer],
        seed,
    )
    return Rates(prompts=len(scored), **found)


def _mean_length(scored: Sequence[dict[str, Any]], side: str) -> float:
    return float(np.mean([len(each[side]) for each in scored]))


def _asked(pool: Pool) -> dict[int, list[dict[str, str]]]:
    """By row, the turns up to the last one that a person took."""
    found = {}
    for frame in pool.batches(["messages"]):
        for row, messages in frame.iter_rows():
            turns = [{"role": turn["role"], "content": turn["content"]} for turn in messages]
            last = max((k for k, turn in enumerate(turns) if turn["role"] == "user"), default=-1)
            if last >= 0:
                found[int(row)] = turns[: last + 1]
    return found


def _answers(model: str, asked: dict[int, list[dict[str, str]]], work: Path, working: Working) -> dict[int, str]:
    """By row, what a model answers, or a file holds."""
    if Path(model).is_file():
        check_inputs([model], work)
        pool = read_pool([model], work, working=working)
        if len(pool) <= max(asked):
            raise UsageError(f"{model} holds {len(pool):,} answers, fewer than there are prompts", "one row a prompt")
        return {row: text for row, text in enumerate(pool.column("response")) if row in asked and text}
    requests = [
        (row, Request(turns=tuple(Turn(**turn) for turn in turns), max_tokens=ANSWER_TOKENS))
        for row, turns in asked.items()
    ]
    found: dict[int, str] = {}
    cause = ""
    for row, reply in ask(model, requests, work, working):
        if isinstance(reply, Reply) and reply.text.strip():
            found[row] = reply.text.strip()
        elif isinstance(reply, Failure):
            cause = reply.cause
        working.report(f"asking {model}", len(found), len(requests))
    working.check()
    if not found:
        raise StoppedError(f"{model} answered nothing: {cause}", "look at the model, then run the same command again")
    return found


def _verdicts(
    pairs: Sequence[dict[str, Any]], judge: str, rubric: str, language: str, work: Path, working: Working
) -> list[dict[str, Any]]:
    """`score`, the judge's belief in A's answer, `flipped` and `problem` of every pair."""
    file = work / "win_rate.jsonl"
    with whole_file(file) as out:
        for pair in pairs:
            sides = {side: [{"role": "assistant", "content": pair[side]}] for side in ("chosen", "rejected")}
            out.write(orjson.dumps({"prompt": pair["prompt"], **sides}) + b"\n")
    step = step_of("judge", model=judge, rubric=rubric, language=language)
    scores = scores_of(step, read_pool([str(file)], work, working=working), working)
    return scores.select("score", "flipped", "problem").to_dicts()
