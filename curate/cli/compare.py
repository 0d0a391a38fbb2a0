"""`curate compare`."""

from typing import Any

import click

from curate.cli.options import SHAPE_OPTIONS, WORK_DIR, with_options


@click.command("compare")
@click.argument("sets", nargs=-1, metavar="SET SET...")
@click.option("--json", "as_json", is_flag=True, help="Print the comparison as JSON.")
@click.option("--report", type=click.Path(), metavar="FILE", help="Write it as a page (.html), too.")
@click.option("--seed", type=click.IntRange(0), default=0, show_default=True, help="Which rows are drawn.")
@with_options(SHAPE_OPTIONS, WORK_DIR)
def command(sets: tuple[str, ...], as_json: bool, report: str | None, seed: int, work_dir: str, **reading: Any) -> None:
    """Put curated sets side by side: size, overlap, tokens, topics, diversity, defects, what only one has.

    Topics and diversity are told from as many drawn rows of each set, at most 2,000, by the default embedder.
    """
    from pathlib import Path

    from curate.cli.console import Screen
    from curate.comparing import compare, write_comparison

    screen = Screen()
    with screen.working() as working:
        found = compare(sets, seed=seed, work_dir=work_dir, working=working, **reading)
    if report:
        write_comparison(Path(report), found)
        screen.notice(f"the comparison on a page: {report}")
    if as_json:
        import dataclasses

        import orjson

        click.echo(orjson.dumps(dataclasses.asdict(found)).decode())
    else:
        _show(found)


def _show(found: Any) -> None:
    from curate.cli.text import safe
    from curate.comparing import lines_of

    lines = [("", [one.name for one in found.sets]), *lines_of(found)]
    first = max(len(safe(name, 60)) for name, _ in lines)
    widths = [max(len(safe(values[k], 40)) for _, values in lines) for k in range(len(found.sets))]
    for name, values in lines:
        cells = "".join(f"  {safe(value, 40):>{width}}" for value, width in zip(values, widths, strict=True))
        click.echo(f"{safe(name, 60):{first}}{cells}")
    click.echo(f"\ntopics and diversity are told from {found.drawn:,} rows of each")
    for one in found.sets:
        if one.examples:
            click.echo(f"\nonly in {safe(one.name)}:")
        for row in one.examples:
            said = safe(row["response"] if row["response"] is not None else "(no response)", 70)
            click.echo(f"  {safe(row['source'])}:{row['line']}  {safe(row['prompt'], 70)} -> {said}")
