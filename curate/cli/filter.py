"""`curate filter`."""

from typing import Any

import click

from curate.cli.options import (
    DEFAULT_WORK_DIR,
    MODEL_OPTIONS,
    RUN_OPTIONS,
    SHAPE_OPTIONS,
    WORK_DIR,
    with_options,
)


@click.command("filter")
@click.argument("inputs", nargs=-1, metavar="INPUT...")
@click.option("-o", "--output", default="curated.jsonl", show_default=True, help="The ending decides the format.")
@click.option("--recipe", default="default", show_default=True, metavar="NAME|FILE", help="See `curate recipes`.")
@click.option("--set", "settings", multiple=True, metavar="STEP.PARAM=VALUE", help="Change a parameter of the recipe.")
@click.option("--keep", type=int, metavar="N", help="How many rows the recipe's last selecting step keeps.")
@click.option(
    "--judge", metavar="MODEL", help="Let a model judge the rows too: vllm:NAME, http://HOST/v1#NAME, hf:NAME."
)
@click.option("--against", multiple=True, metavar="FILE", help="Test rows that must not leak: rows that hold one go.")
@click.option("--exclude", multiple=True, metavar="FILE", help="Rows one already has: what repeats them is dropped.")
@click.option("--target", multiple=True, metavar="FILE", help="Examples of what is wanted, for recipes like targeted.")
@click.option("--dry-run", is_flag=True, help="Try the recipe on 10,000 seeded rows; write nothing.")
@click.option("--fresh", is_flag=True, help="Measure and decide anew, whatever earlier runs left.")
@click.option("--json", "as_json", is_flag=True, help="Print a summary as JSON on stdout.")
@with_options(MODEL_OPTIONS, SHAPE_OPTIONS, RUN_OPTIONS, WORK_DIR)
def command(
    inputs: tuple[str, ...],
    output: str,
    settings: tuple[str, ...],
    dry_run: bool,
    fresh: bool,
    as_json: bool,
    budget: float | None,
    max_tokens: int | None,
    threads: int | None,
    work_dir: str,
    **options: Any,
) -> None:
    """Choose the rows worth training on, and say of every other row why it went.

    INPUT is .jsonl, .json, .csv, .tsv, .parquet, .arrow or StackExchange's Posts.xml (.gz, .zst too), a folder that
    `datasets` saved, OWNER/NAME on the hub, or - for standard input; several may be mixed.

    Killed at any moment, the same command goes on where it was.
    """
    from contextlib import AbstractContextManager, nullcontext

    from curate import filtering
    from curate.cli.console import Screen, show_steps
    from curate.cli.settings import spending

    screen = Screen()
    with screen.working(threads, spending(budget, max_tokens)) as working:
        tried: AbstractContextManager[filtering.Result]
        if dry_run:
            tried = filtering.dry_run(inputs, set=settings, working=working, **options)
        else:
            done = filtering.filter(
                inputs, output, set=settings, work_dir=work_dir, fresh=fresh, working=working, **options
            )
            tried = nullcontext(done)
        with tried as result:
            summary = result.summary
            examples = _examples(result) if dry_run else []
    show_steps(screen, summary)
    for line in examples:
        screen.notice(line)
    for line in _closing_words(summary, dry_run, work_dir):
        screen.notice(line)
    if as_json:
        import orjson

        click.echo(orjson.dumps(summary.as_dict()).decode())
    screen.check_answered(working.spending)


def _closing_words(summary: Any, dry_run: bool, work_dir: str) -> list[str]:
    import shlex
    from pathlib import Path

    if dry_run:
        lines = [f"dry run: {summary.kept:,} of {summary.rows_in:,} rows would stay; nothing was written"]
        if any(step.filter.endswith("-dup") for step in summary.by_step):
            lines.append("a sample holds fewer duplicates than the whole: the real run drops more")
        return lines
    lines = [f"kept {summary.kept:,} of {summary.rows_in:,} rows -> {summary.output}"]
    if summary.orphans:
        lines.append(
            f"{summary.orphans:,} rows went for a rival that a later step dropped; "
            "`curate restore --orphans` brings back the best of each"
        )
    if example := next((step.example for step in summary.by_step if step.example), None):
        lines.append(f"every dropped row, with its reason: {Path(work_dir) / 'runs' / summary.run / 'dropped.jsonl'}")
        lines.append(f"what each step did, on a page: {Path(work_dir) / 'runs' / summary.run / 'report.html'}")
        where = "" if Path(work_dir) == Path(DEFAULT_WORK_DIR) else f" --work-dir {shlex.quote(work_dir)}"
        lines.append(f"one of them explained: curate why {shlex.quote(example['at'])}{where}")
    return lines


def _examples(result: Any) -> list[str]:
    from curate.cli.text import safe

    lines = []
    by_step = {step: rows for (step,), rows in result.dropped.group_by("step", maintain_order=True)}
    for step, rows in [(s.step, by_step[s.step]) for s in result.summary.by_step if s.step in by_step]:
        lines.append(f"dropped by {step}:")
        for row in rows.head(3).iter_rows(named=True):
            lines.append(f"  {row['source']}:{row['line']}  {safe(row['reason'] or '', 120)}")
            lines.append(f"    {safe(row['prompt'], 70)} -> {safe(row['response'] or '', 70)}")
    return lines
