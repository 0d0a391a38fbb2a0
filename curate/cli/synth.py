"""`curate synth`."""

from pathlib import Path
from typing import Any

import click

from curate.cli.options import MODEL_OPTIONS, WORK_DIR, with_options


@click.command("synth")
@click.option("--n", type=click.IntRange(1), default=1000, show_default=True, help="Accepted rows, not attempts.")
@click.option(
    "--kind",
    type=click.Choice(["exercises", "textbook", "instructions", "evolve"]),
    default="exercises",
    show_default=True,
    help="What is written.",
)
@click.option("--topics", type=click.Path(), help="A YAML file of topics: a list, or branches with lists.")
@click.option("--like", multiple=True, metavar="INPUT", help="Grow the thin topics of these rows; they are examples.")
@click.option(
    "--language", type=click.Choice(["en", "ko"]), default="en", show_default=True, help="Of the prompts and the rows."
)
@click.option("--model", help="vllm:NAME_OR_PATH, http://HOST:PORT/v1#NAME or hf:NAME_OR_PATH.")
@click.option("-o", "--output", default="synth.jsonl", show_default=True, help="The ending decides the format.")
@click.option(
    "--to",
    "shape",
    type=click.Choice(["alpaca", "messages"]),
    default="alpaca",
    show_default=True,
    help="The shape of the rows.",
)
@click.option("--against", multiple=True, metavar="FILE", help="Test rows that may not come, beside those that ship.")
@click.option("--judge", metavar="MODEL", help="A model that scores each draft; those of little value are lost.")
@click.option(
    "--embedder", metavar="NAME", help="Rows that mean the same are lost, too: static:NAME, st:NAME, default."
)
@click.option("--repair", is_flag=True, help="An exercise that fails is given back once with what was wrong.")
@click.option("--answer-tokens", type=click.IntRange(16), help="How long an answer may become.")
@click.option("--seed", type=click.IntRange(0), default=0, show_default=True, help="Seed of the plan and the sampling.")
@click.option("--json", "as_json", is_flag=True, help="Print a summary as JSON on stdout.")
@with_options(MODEL_OPTIONS, WORK_DIR)
def command(
    n: int,
    model: str | None,
    output: str,
    shape: Any,
    as_json: bool,
    budget: float | None,
    max_tokens: int | None,
    work_dir: str,
    **more: Any,
) -> None:
    """Let a model write new rows, and keep those that prove themselves.

    exercises: a function, its docstring, a solution and tests that it passes and that wrong solutions fail. textbook:
    a section that explains. instructions: Self-Instruct and Magpie. evolve: Evol-Instruct. What each is about comes
    from a plan of topics, skills, audiences, forms and constraints, so that none comes twice.

    Every attempt is kept: the same command after a crash goes on, and with a larger --n adds to what there is.
    """
    from curate.cli.console import Screen
    from curate.cli.settings import spending
    from curate.cli.text import safe
    from curate.models.defaults import SYNTH_NEEDS, synth_model
    from curate.synthesis.orders import Order
    from curate.synthesis.synthesising import synthesise

    screen = Screen()
    if model is None:
        model = synth_model()
        screen.notice(f"model: {model}, the default; it needs {SYNTH_NEEDS}")
    with screen.working(spending=spending(budget, max_tokens)) as working:
        order = Order(model=model, work_dir=Path(work_dir), working=working, **more)
        plan = order.plan
        screen.notice(
            f"synth: {n:,} {order.kind} by {model}, a plan of {plan.size:,} combinations over {len(plan.topics):,} "
            f"topics, at most {order.tokens:,} tokens an answer"
        )
        try:
            done = synthesise(order, n, output, shape)
        finally:
            screen.notice(f"every attempt: {order.home / 'attempts.jsonl'}; report: {order.home / 'report.html'}")
    before = done.attempts
    for stage, left in done.funnel:
        if before > left:
            why, often = next(iter(done.reasons[stage].items()))
            screen.notice(f"  {stage:>9}: {before - left:,} lost, most often: {safe(why, 70)} ({often:,})")
        before = left
    screen.notice(f"accepted {done.accepted:,} rows of {done.attempts:,} attempts -> {done.output}")
    if as_json:
        import dataclasses

        import orjson

        click.echo(orjson.dumps(dataclasses.asdict(done), default=str).decode())
    screen.check_answered(working.spending)
