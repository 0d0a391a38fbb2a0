"""`curate judge`."""

from typing import Any

import click

from curate.cli.options import JUDGE_OPTIONS, MODEL_OPTIONS, SHAPE_OPTIONS, WORK_DIR, with_options


@click.command("judge")
@click.argument("inputs", nargs=-1, metavar="INPUT...")
@click.option("-o", "--output", default="scored.jsonl", show_default=True, help="The ending decides the format.")
@click.option("--json", "as_json", is_flag=True, help="Print a summary as JSON on stdout.")
@with_options(JUDGE_OPTIONS, MODEL_OPTIONS, SHAPE_OPTIONS, WORK_DIR)
def command(
    inputs: tuple[str, ...],
    model: str,
    rubric: str,
    output: str,
    as_json: bool,
    budget: float | None,
    max_tokens: int | None,
    **more: Any,
) -> None:
    """Let a model score every row by a rubric; none is dropped.

    Each record is written with a field `_judge`: its score, the model's doubt, or why it has no score. Every reply
    is kept, so the same command after a crash, or another rubric beside it, pays for nothing twice.
    """
    from curate.cli.console import Screen
    from curate.cli.settings import spending
    from curate.cli.text import safe
    from curate.judging.scored import score

    given = {name: more.pop(name) for name in ("language", "mode", "max_chars", "long")}
    settings = {name: value for name, value in given.items() if value is not None}
    screen = Screen()
    with screen.working(spending=spending(budget, max_tokens)) as working:
        done = score(
            inputs,
            output,
            model=model,
            rubric=rubric,
            settings=settings,
            working=working,
            **more,
        )
    largest = max(done.histogram.values(), default=0) or 1
    for label, count in done.histogram.items():
        screen.notice(f"  {label:>4} {count:>9,}  {'█' * round(40 * count / largest)}")
    for cause, count in done.unscored.items():
        screen.notice(f"  unscored {count:,}: {safe(cause, 100)}")
    mean = "" if done.mean is None else f", mean {done.mean:.2f}"
    if done.rows and not done.scored:
        screen.notice("no row was scored: another --mode (expected, text, choice) or a larger model may do better")
    screen.notice(f"scored {done.scored:,} of {done.rows:,} rows{mean} -> {done.output}")
    if max(done.histogram.values(), default=0) > 0.95 * max(done.scored, 20):
        screen.notice(
            "nearly all rows got the same score: does this model understand the rubric? `curate judge calibrate` tells"
        )
    if as_json:
        import dataclasses

        import orjson

        click.echo(orjson.dumps(dataclasses.asdict(done), default=str).decode())
    screen.check_answered(working.spending)
