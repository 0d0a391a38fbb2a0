"""`curate split`."""

from typing import Any

import click

from curate.cli.options import SHAPE_OPTIONS, WORK_DIR, with_options


@click.command("split")
@click.argument("inputs", nargs=-1, metavar="INPUT...")
@click.option("-o", "--output", default="split.jsonl", show_default=True, help="As split.train.jsonl and so on.")
@click.option("--validation", type=click.FloatRange(0, 1), default=0.05, show_default=True, help="Share of the rows.")
@click.option("--test", type=click.FloatRange(0, 1), default=0.05, show_default=True, help="Share of the rows.")
@click.option("--similarity", type=float, default=0.45, show_default=True, help="From where rows are near-duplicates.")
@click.option(
    "--embedder", metavar="NAME", help="Keep what means the same together too: default, static:NAME, st:NAME."
)
@click.option("--cosine", type=click.FloatRange(0, 1), default=0.9, show_default=True, help="From where they mean one.")
@click.option("--seed", type=click.IntRange(0), default=0, show_default=True, help="Seed of all that is chance.")
@click.option("--threads", type=click.IntRange(1), help="Threads to work with (default: all cores).")
@click.option("--json", "as_json", is_flag=True, help="Print a summary as JSON on stdout.")
@with_options(SHAPE_OPTIONS, WORK_DIR)
def command(
    inputs: tuple[str, ...], output: str, work_dir: str, threads: int | None, as_json: bool, **given: Any
) -> None:
    """Divide rows into train, validation and test.

    Near-duplicates and answers to one prompt stay on one side, so that nothing is tested that was learnt. Lines come
    out byte for byte, in order; a card beside them says how they were made.
    """
    from curate.cli.console import Screen
    from curate.splitting import split

    screen = Screen()
    with screen.working(threads) as working:
        done = split(inputs, output, work_dir=work_dir, working=working, **given)
    for part, file in done.files.items():
        screen.notice(f"{part}: {done.rows[part]:,} rows -> {file}")
    screen.notice(f"{done.families:,} families, the largest of {done.largest:,} rows; how it was made: {done.card}")
    if as_json:
        import orjson

        facts = {"rows": done.rows, "families": done.families, "largest": done.largest}
        click.echo(orjson.dumps({**facts, "files": {p: str(f) for p, f in done.files.items()}}).decode())
